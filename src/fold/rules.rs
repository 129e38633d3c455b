//! What a batch adds to the rollups of evaluations.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

use llm_usage_core::fold::Sums;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::held;
use super::rollups::{instant, parsed};

/// All rows of `_by_rule_hour` or `_by_rule_day`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_rule(
    grain: &str,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(inference_tokens, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(rule_type, String),
            name!(task_id, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows: Vec<_> = held(|held| {
        let row = |((bucket, rule_type, task_id), sums): ((i64, &str, Option<&str>), Sums)| {
            (
                instant(bucket),
                sums.requests,
                sums.inference_tokens,
                sums.input_tokens,
                sums.completion_tokens,
                rule_type.to_owned(),
                task_id.map(str::to_owned),
            )
        };
        Ok(held.batch.by_rule(grain).into_iter().map(row).collect())
    })?;
    Ok(TableIterator::new(rows))
}

/// All rows of `_by_rule_type_hour`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_rule_type_hour() -> Result<
    TableIterator<
        'static,
        (
            name!(app_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(inference_tokens, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(rule_type, String),
            name!(minutes, Vec<u8>),
        ),
    >,
    ErrorReport,
> {
    let rows: Vec<_> = held(|held| {
        let row = |((app_id, bucket, rule_type), (sums, minutes)): ((i64, i64, &str), (Sums, Vec<u8>))| {
            let Sums { inference_tokens, input_tokens, completion_tokens, .. } = sums;
            let rule_type = rule_type.to_owned();
            (app_id, instant(bucket), inference_tokens, input_tokens, completion_tokens, rule_type, minutes)
        };
        Ok(held.batch.by_rule_type_hour().into_iter().map(row).collect())
    })?;
    Ok(TableIterator::new(rows))
}

/// All rows of `_by_rule_type_day`.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_rule_type_day() -> Result<
    TableIterator<
        'static,
        (
            name!(app_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(inference_tokens, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(rule_type, String),
        ),
    >,
    ErrorReport,
> {
    let rows: Vec<_> = held(|held| {
        let row = |((app_id, bucket, rule_type), sums): ((i64, i64, &str), Sums)| {
            let Sums { inference_tokens, input_tokens, completion_tokens, .. } = sums;
            let rule_type = rule_type.to_owned();
            (app_id, instant(bucket), inference_tokens, input_tokens, completion_tokens, rule_type)
        };
        Ok(held.batch.by_rule_type_day().into_iter().map(row).collect())
    })?;
    Ok(TableIterator::new(rows))
}
