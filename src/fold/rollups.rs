//! What a batch adds to each rollup, as rows of its tables.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

use std::ops::Range;

use llm_usage_core::Error;
use llm_usage_core::fold::{Batch, Grain, Spender};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::held;
use crate::error::{raise, report};
use crate::pg;
use crate::pg::decimal::Decimal;

/// The rows of `_by_app_day`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_app_day() -> Result<
    TableIterator<
        'static,
        (
            name!(app_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(line, i32),
            name!(cost, Decimal),
            name!(hours, Vec<u8>),
        ),
    >,
    ErrorReport,
> {
    let rows = held(|held| Ok(held.batch.by_app_day(held.numbers()?)))?;
    Ok(TableIterator::new(rows.into_iter().map(|((app_id, bucket, line), (sums, hours))| {
        (
            app_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            line,
            raise(Decimal::of(&sums.cost)),
            hours,
        )
    })))
}

/// The rows of `_by_app_hour`; points that are many are a chunk.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_app_hour(
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(app_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(line, i32),
            name!(cost, Decimal),
            name!(chunks, i32),
            name!(points, Vec<u8>),
        ),
    >,
    ErrorReport,
> {
    let rows = packed(Batch::by_app_hour, from_time, to_time)?;
    Ok(TableIterator::new(rows.into_iter().map(|((app_id, bucket, line), (sums, points))| {
        (
            app_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            line,
            raise(Decimal::of(&sums.cost)),
            i32::from(points.is_none()),
            points.unwrap_or_default(),
        )
    })))
}

/// Those chunks, for `_by_app_points`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_app_points(
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (name!(app_id, i64), name!(bucket, TimestampWithTimeZone), name!(line, i32), name!(points, Vec<u8>)),
    >,
    ErrorReport,
> {
    let rows = packed(Batch::by_app_points, from_time, to_time)?;
    Ok(TableIterator::new(
        rows.into_iter().map(|((app_id, bucket, line), points)| (app_id, instant(bucket), line, points)),
    ))
}

/// The rows of `_by_entity_month`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_entity_month() -> Result<
    TableIterator<
        'static,
        (
            name!(entity_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(total_tokens, i64),
            name!(entity_type, &'static str),
            name!(currency, String),
            name!(cost, Decimal),
            name!(days, Vec<u8>),
        ),
    >,
    ErrorReport,
> {
    let rows: Vec<_> = held(|held| {
        let rows = held.batch.by_entity_month().into_iter();
        Ok(rows
            .map(|((bucket, spender, currency), row)| (bucket, spender, currency.to_owned(), row))
            .collect())
    })?;
    Ok(TableIterator::new(rows.into_iter().map(|(bucket, spender, currency, (sums, days))| {
        let (entity_type, entity_id) = named(spender);
        (
            entity_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens + sums.completion_tokens,
            entity_type,
            currency,
            raise(Decimal::of(&sums.cost)),
            days,
        )
    })))
}

/// Those of `_by_entity_hour` or `_by_entity_day`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_entity(
    grain: &str,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(entity_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(total_tokens, i64),
            name!(entity_type, &'static str),
            name!(currency, String),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows: Vec<_> = held(|held| {
        let rows = held.batch.by_entity(grain, &range(from_time, to_time));
        let owned = rows
            .into_iter()
            .map(|((bucket, spender, currency), sums)| (bucket, spender, currency.to_owned(), sums));
        Ok(owned.collect())
    })?;
    Ok(TableIterator::new(rows.into_iter().map(|(bucket, spender, currency, sums)| {
        let (entity_type, entity_id) = named(spender);
        (
            entity_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens + sums.completion_tokens,
            entity_type,
            currency,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

/// Those of `_by_user_hour` or `_by_user_day`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_user(
    grain: &str,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(user_id, Option<i64>),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(currency, String),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows: Vec<_> = held(|held| {
        let rows = held.batch.by_user(grain, &range(from_time, to_time));
        let owned = rows
            .into_iter()
            .map(|((user_id, bucket, currency), sums)| (user_id, bucket, currency.to_owned(), sums));
        Ok(owned.collect())
    })?;
    Ok(TableIterator::new(rows.into_iter().map(|(user_id, bucket, currency, sums)| {
        (
            user_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            currency,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

/// All rows of `_by_model_hour` or `_by_model_day`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_model(
    grain: &str,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(line, i32),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows = held(|held| Ok(held.batch.by_model(grain, held.numbers()?)))?;
    Ok(TableIterator::new(rows.into_iter().map(|((line, bucket), sums)| {
        (
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            line,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

/// The rows of `_by_model_5min`; points that are many are a chunk.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_model_5min(
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(line, i32),
            name!(cost, Decimal),
            name!(chunks, i32),
            name!(points, Vec<u8>),
        ),
    >,
    ErrorReport,
> {
    let rows = packed(Batch::by_model_5min, from_time, to_time)?;
    Ok(TableIterator::new(rows.into_iter().map(|((line, bucket), (sums, points))| {
        (
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            line,
            raise(Decimal::of(&sums.cost)),
            i32::from(points.is_none()),
            points.unwrap_or_default(),
        )
    })))
}

/// Those chunks, for `_by_model_points`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_model_points(
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<'static, (name!(bucket, TimestampWithTimeZone), name!(line, i32), name!(points, Vec<u8>))>,
    ErrorReport,
> {
    let rows = packed(Batch::by_model_points, from_time, to_time)?;
    Ok(TableIterator::new(rows.into_iter().map(|((line, bucket), points)| (instant(bucket), line, points))))
}

/// Those of `_active_users_hour` or `_active_users_day`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_active_users(
    grain: &str,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (name!(app_id, Option<i64>), name!(bucket, TimestampWithTimeZone), name!(users, Vec<u8>)),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows = held(|held| Ok(held.batch.active_users(grain, &range(from_time, to_time))))?;
    Ok(TableIterator::new(
        rows.into_iter().map(|((app_id, bucket), users)| (app_id, instant(bucket), users.serialize())),
    ))
}

fn named(spender: Spender) -> (&'static str, i64) {
    match spender {
        Spender::App(app_id) => ("App", app_id),
        Spender::Llm(llm_id) => ("LLM", llm_id),
    }
}

fn packed<T>(
    pack: fn(&Batch, &Range<i64>, &[i32]) -> Result<T, Error>,
    from: TimestampWithTimeZone,
    to: TimestampWithTimeZone,
) -> Result<T, ErrorReport> {
    held(|held| pack(&held.batch, &range(from, to), held.numbers()?).map_err(|error| report(&error)))
}

pub(super) fn parsed(grain: &str) -> Result<Grain, ErrorReport> {
    Grain::parse(grain).map_err(|error| report(&error))
}

fn range(from: TimestampWithTimeZone, to: TimestampWithTimeZone) -> Range<i64> {
    pg::micros(from)..pg::micros(to)
}

pub(super) fn instant(micros: i64) -> TimestampWithTimeZone {
    raise(pg::instant(micros))
}
