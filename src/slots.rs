//! What the days of a month, the hours of a day or the minutes of an hour add up to, packed in the row of the whole.

use bigdecimal::BigDecimal;
use llm_usage_core::calendar::{DAY, HOUR, month};
use llm_usage_core::slots::{self, Counts, DAYS, HOURS, MINUTES, Slots, Spent, Sums};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{failed, report, required};
use crate::pg;

/// The days that are given by when each begins, packed.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _days_packed(
    buckets: Array<'_, TimestampWithTimeZone>,
    requests: Array<'_, i64>,
    unpriced_requests: Array<'_, i64>,
    total_tokens: Array<'_, i64>,
    cost: Array<'_, AnyNumeric>,
) -> Result<Vec<u8>, ErrorReport> {
    let mut packed = Sums::new();
    let counts = counts([requests, unpriced_requests, total_tokens]);
    for ((bucket, counts), cost) in buckets.iter().zip(counts).zip(cost.iter()) {
        let at = pg::micros(required("buckets", bucket)?);
        let cost: BigDecimal = required("cost", cost)?.to_string().parse().map_err(failed)?;
        packed.insert(DAYS.slot_of(at, month(at)), Spent { counts: counts?, cost: cost.into() });
    }
    Ok(slots::pack(&packed))
}

/// The days of two rows of one month as one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _days_united(one: &[u8], other: &[u8]) -> Result<Vec<u8>, ErrorReport> {
    DAYS.unite(one, other).map_err(|error| report(&error))
}

/// The hours that are given by when each begins, packed.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _hours_packed(
    buckets: Array<'_, TimestampWithTimeZone>,
    requests: Array<'_, i64>,
    input_tokens: Array<'_, i64>,
    completion_tokens: Array<'_, i64>,
) -> Result<Vec<u8>, ErrorReport> {
    packed(&HOURS, DAY, buckets, [requests, input_tokens, completion_tokens])
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
    packed(&MINUTES, HOUR, buckets, [inference_tokens, input_tokens, completion_tokens])
}

/// The minutes of two rows of one hour as one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _minutes_united(one: &[u8], other: &[u8]) -> Result<Vec<u8>, ErrorReport> {
    MINUTES.unite(one, other).map_err(|error| report(&error))
}

fn packed(
    of: &Slots<Counts>,
    whole: i64,
    buckets: Array<TimestampWithTimeZone>,
    numbers: [Array<i64>; 3],
) -> Result<Vec<u8>, ErrorReport> {
    let mut packed = Sums::new();
    for (bucket, counts) in buckets.iter().zip(counts(numbers)) {
        let at = pg::micros(required("buckets", bucket)?);
        packed.insert(of.slot_of(at, at - at.rem_euclid(whole)), counts?);
    }
    Ok(slots::pack(&packed))
}

fn counts(numbers: [Array<i64>; 3]) -> impl Iterator<Item = Result<Counts, ErrorReport>> {
    let [first, second, third] = numbers;
    (0..first.len()).map(move |place| {
        let number = |of: &Array<i64>| required("numbers", of.get(place).flatten());
        Ok([number(&first)?, number(&second)?, number(&third)?])
    })
}
