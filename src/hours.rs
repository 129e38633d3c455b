//! What the hours of a day add up to, packed in the row of the day.

use llm_usage_core::hours::{self, Hours, hour_of};
use llm_usage_core::points::Sums;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{report, required};
use crate::pg;

/// The hours that are given by when each begins, packed.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _hours_packed(
    buckets: Array<'_, TimestampWithTimeZone>,
    requests: Array<'_, i64>,
    input_tokens: Array<'_, i64>,
    completion_tokens: Array<'_, i64>,
) -> Result<Vec<u8>, ErrorReport> {
    let mut packed = Hours::new();
    let counts = requests.iter().zip(input_tokens.iter()).zip(completion_tokens.iter());
    for (bucket, ((requests, input_tokens), completion_tokens)) in buckets.iter().zip(counts) {
        let at = pg::micros(required("buckets", bucket)?);
        let sums = Sums {
            requests: required("requests", requests)?,
            input_tokens: required("input_tokens", input_tokens)?,
            completion_tokens: required("completion_tokens", completion_tokens)?,
        };
        packed.insert(hour_of(at), sums);
    }
    Ok(hours::pack(&packed))
}

/// The hours of two rows of one day as one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _hours_united(one: &[u8], other: &[u8]) -> Result<Vec<u8>, ErrorReport> {
    hours::unite(one, other).map_err(|error| report(&error))
}
