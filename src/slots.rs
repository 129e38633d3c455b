//! What the hours of a day or the minutes of an hour add up to, packed in the row of the whole.

use llm_usage_core::slots::{self, HOURS, MINUTES, Slots, Sums};
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
    packed(&HOURS, buckets, [requests, input_tokens, completion_tokens])
}

/// The hours of two rows of one day as one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _hours_united(one: &[u8], other: &[u8]) -> Result<Vec<u8>, ErrorReport> {
    HOURS.unite(one, other).map_err(|error| report(&error))
}

/// The minutes that are given by when each begins, packed.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _minutes_packed(
    buckets: Array<'_, TimestampWithTimeZone>,
    inference_tokens: Array<'_, i64>,
    input_tokens: Array<'_, i64>,
    completion_tokens: Array<'_, i64>,
) -> Result<Vec<u8>, ErrorReport> {
    packed(&MINUTES, buckets, [inference_tokens, input_tokens, completion_tokens])
}

/// The minutes of two rows of one hour as one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _minutes_united(one: &[u8], other: &[u8]) -> Result<Vec<u8>, ErrorReport> {
    MINUTES.unite(one, other).map_err(|error| report(&error))
}

fn packed(
    of: &Slots,
    buckets: Array<TimestampWithTimeZone>,
    numbers: [Array<i64>; 3],
) -> Result<Vec<u8>, ErrorReport> {
    let mut packed = Sums::new();
    let [first, second, third] = numbers.each_ref().map(Array::iter);
    for (bucket, ((first, second), third)) in buckets.iter().zip(first.zip(second).zip(third)) {
        let number = |number| required("numbers", number);
        let at = pg::micros(required("buckets", bucket)?);
        packed.insert(of.slot_of(at), [number(first)?, number(second)?, number(third)?]);
    }
    Ok(slots::pack(&packed))
}
