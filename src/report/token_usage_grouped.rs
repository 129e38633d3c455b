//! Arthur GenAI Engine, `GET /api/v2/usage/tokens` (seed 002_a2f999653bea297c).

use llm_usage_core::Error;
use llm_usage_core::calendar::DAY;
use llm_usage_core::money::Exact;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::pg::micros;
use crate::{error, pg, query};

/// `TokenUsageScope`, as the vendor spells it.
const SCOPES: [&str; 2] = ["rule_type", "task"];

/// `TokenUsageResponse`: a key that is not grouped on is `null`.
#[derive(Serialize)]
struct TokenUsage {
    rule_type: Option<String>,
    task_id: Option<String>,
    count: TokenUsageCount,
}

/// `TokenUsageCount`, with the deprecated mirrors of its first three.
#[derive(Serialize)]
struct TokenUsageCount {
    inference: Exact,
    eval_prompt: Exact,
    eval_completion: Exact,
    user_input: Exact,
    prompt: Exact,
    completion: Exact,
}

impl TokenUsageCount {
    fn new(inference: Exact, eval_prompt: Exact, eval_completion: Exact) -> Self {
        Self {
            user_input: inference.clone(),
            prompt: eval_prompt.clone(),
            completion: eval_completion.clone(),
            inference,
            eval_prompt,
            eval_completion,
        }
    }
}

/// Tokens of evaluations in `[start_time, end_time)`, by rule type, by task, or by both.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn token_usage_grouped(
    start_time: default!(Option<TimestampWithTimeZone>, "NULL"),
    end_time: default!(Option<TimestampWithTimeZone>, "NULL"),
    group_by: default!(Option<Array<&str>>, "'{rule_type}'"),
) -> Result<pg::Json, ErrorReport> {
    let scopes: Vec<Option<&str>> = group_by.iter().flat_map(Array::iter).collect();
    for scope in &scopes {
        check(*scope)?;
    }
    let by_task = scopes.contains(&Some("task"));
    let by_rule = scopes.contains(&Some("rule_type")) || !by_task;
    let today = micros(pgrx::datum::datetime_support::now()).div_euclid(DAY) * DAY;
    let start_time = start_time.map_or_else(|| pg::instant(today), Ok)?;
    let end_time = end_time.map_or_else(|| pg::instant(today + DAY), Ok)?;
    let shape = |row: query::Row| {
        Ok(TokenUsage {
            rule_type: row.get(1)?,
            task_id: row.get(2)?,
            count: TokenUsageCount::new(row.count(3)?, row.count(4)?, row.count(5)?),
        })
    };
    let groups = match by_task {
        true => {
            let args = [start_time.into(), end_time.into(), by_rule.into()];
            query::select(include_str!("token_usage_grouped.sql"), &args, shape)?
        }
        false => {
            let args = [start_time.into(), end_time.into()];
            query::select(include_str!("token_usage_by_rule_type.sql"), &args, shape)?
        }
    };
    pg::json(&groups)
}

fn check(scope: Option<&str>) -> Result<(), ErrorReport> {
    match scope {
        Some(scope) if SCOPES.contains(&scope) => Ok(()),
        other => Err(error::report(&Error::UnknownWord {
            name: "group_by",
            value: other.unwrap_or("NULL").to_owned(),
            known: &SCOPES,
        })),
    }
}
