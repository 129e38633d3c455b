//! The events of a rollup's row one by one, packed: a bound that cuts through the row is answered without the ledger.

use llm_usage_core::points::{self, MOST_BYTES, Point, Sums};
use pgrx::datum::{Internal, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::{error, pg};

/// The transition of `_points_agg`.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
#[expect(clippy::too_many_arguments, reason = "the columns of an event")]
fn _points_add(
    state: Internal,
    occurred_at: Option<TimestampWithTimeZone>,
    bucket: Option<TimestampWithTimeZone>,
    app_id: Option<i64>,
    requests: Option<i32>,
    input_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Result<Internal, ErrorReport> {
    let point = Point {
        at: error::required("occurred_at", occurred_at)?
            .into_inner()
            .saturating_sub(error::required("bucket", bucket)?.into_inner()),
        app_id: error::required("app_id", app_id)?,
        requests: error::required("requests", requests)?,
        input_tokens: error::required("input_tokens", input_tokens)?,
        completion_tokens: error::required("completion_tokens", completion_tokens)?,
    };
    let mut room = [0; MOST_BYTES];
    let packed = point.pack(&mut room).map_err(|error| error::report(&error))?;
    pg::gather(state, packed, fcinfo)
}

/// The answer of `_points_agg`.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _points_packed(state: Internal) -> Vec<u8> {
    pg::gathered(state)
}

/// The sums of the points of some rows in each part that has any, a part being the number of starts that are not after the point.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _points_by_part(
    points: Array<'_, &[u8]>,
    buckets: Array<'_, TimestampWithTimeZone>,
    starts: Array<'_, TimestampWithTimeZone>,
) -> Result<
    TableIterator<
        'static,
        (name!(part, i32), name!(requests, i64), name!(input_tokens, i64), name!(completion_tokens, i64)),
    >,
    ErrorReport,
> {
    by_part(points, buckets, starts, None).map(TableIterator::new)
}

/// The same of some apps, whose ids ascend.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _app_points_by_part(
    points: Array<'_, &[u8]>,
    buckets: Array<'_, TimestampWithTimeZone>,
    starts: Array<'_, TimestampWithTimeZone>,
    apps: Array<'_, i64>,
) -> Result<
    TableIterator<
        'static,
        (name!(part, i32), name!(requests, i64), name!(input_tokens, i64), name!(completion_tokens, i64)),
    >,
    ErrorReport,
> {
    by_part(points, buckets, starts, Some(pg::ids("apps", apps)?)).map(TableIterator::new)
}

fn by_part(
    points: Array<'_, &[u8]>,
    buckets: Array<'_, TimestampWithTimeZone>,
    starts: Array<'_, TimestampWithTimeZone>,
    apps: Option<&[i64]>,
) -> Result<Vec<(i32, i64, i64, i64)>, ErrorReport> {
    let (buckets, starts) = (pg::instants("buckets", buckets)?, pg::instants("starts", starts)?);
    let points: Vec<&[u8]> =
        points.iter().map(|points| error::required("points", points)).collect::<Result<_, _>>()?;
    let rows = points.into_iter().zip(buckets.iter().copied());
    let parts = points::by_part(rows, starts, apps).map_err(|error| error::report(&error))?;
    let row = |(part, sums): (usize, Sums)| {
        let part = i32::try_from(part).map_err(error::failed)?;
        Ok((part, sums.requests, sums.input_tokens, sums.completion_tokens))
    };
    parts.into_iter().map(row).collect()
}

/// The same points in the order that any packing of them has once sorted.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _points_sorted(points: &[u8]) -> Result<Vec<u8>, ErrorReport> {
    points::sorted(points).map_err(|error| error::report(&error))
}
