//! The events of a rollup's row one by one, packed: a bound that cuts through the row is answered without the ledger.

use llm_usage_core::points::{self, LOOSE_BYTES, Point, Sums};
use pgrx::datum::{Internal, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::{error, pg};

/// The transition of `_points_agg`.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _points_add(
    state: Internal,
    occurred_at: Option<TimestampWithTimeZone>,
    bucket: Option<TimestampWithTimeZone>,
    requests: Option<i32>,
    input_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Result<Internal, ErrorReport> {
    let point = Point {
        at: error::required("occurred_at", occurred_at)?
            .into_inner()
            .saturating_sub(error::required("bucket", bucket)?.into_inner()),
        requests: error::required("requests", requests)?,
        input_tokens: error::required("input_tokens", input_tokens)?,
        completion_tokens: error::required("completion_tokens", completion_tokens)?,
    };
    let mut room = [0; LOOSE_BYTES];
    let loose = point.loosely(&mut room).map_err(|error| error::report(&error))?;
    pg::gather(state, loose, fcinfo)
}

/// The answer of `_points_agg`.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _points_packed(state: Internal) -> Result<Vec<u8>, ErrorReport> {
    points::pack_loose(&pg::gathered(state)).map_err(|error| error::report(&error))
}

/// The sums of the points of some rows in each part that has any: part i, from 1, begins with the i-th of the bounds, which ascend, and
/// ends before the next.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _points_by_part(
    points: Array<'_, &[u8]>,
    buckets: Array<'_, TimestampWithTimeZone>,
    bounds: Array<'_, TimestampWithTimeZone>,
) -> Result<
    TableIterator<
        'static,
        (name!(part, i32), name!(requests, i64), name!(input_tokens, i64), name!(completion_tokens, i64)),
    >,
    ErrorReport,
> {
    let (buckets, bounds) = (pg::instants("buckets", buckets)?, pg::instants("bounds", bounds)?);
    let points: Vec<&[u8]> = points.iter().map(not_null).collect::<Result<_, _>>()?;
    let rows = points.into_iter().zip(buckets.iter().copied());
    let parts = points::by_part(rows, bounds).map_err(|error| error::report(&error))?;
    let row = |(part, sums): (usize, Sums)| {
        let part = i32::try_from(part).map_err(error::failed)?;
        Ok((part, sums.requests, sums.input_tokens, sums.completion_tokens))
    };
    parts.into_iter().map(row).collect::<Result<Vec<_>, ErrorReport>>().map(TableIterator::new)
}

/// All points of some rows as those of one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _points_united(points: Array<'_, &[u8]>) -> Result<Vec<u8>, ErrorReport> {
    let points: Vec<&[u8]> = points.iter().map(not_null).collect::<Result<_, _>>()?;
    points::unite(points).map_err(|error| error::report(&error))
}

fn not_null(points: Option<&[u8]>) -> Result<&[u8], ErrorReport> {
    error::required("points", points)
}
