//! Chipp, `GET /api/v1/apps/{appId}/analytics/token-usage` (seed 003_6e4898c4d2d75767).

use llm_usage_core::money::Exact;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::{error, pg, query};

#[derive(Serialize)]
struct Answer {
    data: Data,
}

/// The whole, and its parts by model.
#[derive(Serialize)]
struct Data {
    total: Tokens,
    by_model: Vec<ModelTokens>,
}

#[derive(Serialize)]
struct ModelTokens {
    model: String,
    #[serde(flatten)]
    tokens: Tokens,
}

/// `input_tokens` holds the cached kinds; `total_tokens` is the sum of the two before it.
#[derive(Serialize)]
struct Tokens {
    input_tokens: Exact,
    output_tokens: Exact,
    total_tokens: Exact,
    request_count: Exact,
}

/// Tokens and requests of one app in `[started_after, started_before)`, in all and by model.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn app_token_usage(
    app_id: Option<i64>,
    started_after: default!(Option<TimestampWithTimeZone>, "NULL"),
    started_before: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<pg::Json, ErrorReport> {
    let app_id = error::required("app_id", app_id)?;
    let args = [app_id.into(), started_after.into(), started_before.into()];
    let mut rows = query::select(include_str!("app_token_usage.sql"), &args, |row| {
        let tokens = Tokens {
            input_tokens: row.count(2)?,
            output_tokens: row.count(3)?,
            total_tokens: row.count(4)?,
            request_count: row.count(5)?,
        };
        Ok((row.get::<String>(1)?, tokens))
    })?
    .into_iter();
    // The first row is the total: the one without a model.
    let (_, total) = error::required("total", rows.next())?;
    let by_model = rows.filter_map(|(model, tokens)| Some(ModelTokens { model: model?, tokens })).collect();
    pg::json(&Answer { data: Data { total, by_model } })
}
