//! Tyk AI Studio, `GET /api/v1/analytics/token-usage-for-app` (seed 000_461b733c2d66d897).

use llm_usage_core::money::Exact;
use pgrx::datum::Date;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::{error, pg, query};

/// `analytics.ChartData`: `labels[i]` is the UTC day of `data[i]`, its total tokens.
#[derive(Default, Serialize)]
struct ChartData {
    data: Vec<Exact>,
    labels: Vec<String>,
}

/// Tokens of one app for each UTC day of `[start_date, end_date]` that has events.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn token_usage_for_app(
    start_date: Option<Date>,
    end_date: Option<Date>,
    app_id: Option<i64>,
) -> Result<pg::Json, ErrorReport> {
    let start_date = error::required("start_date", start_date)?;
    let end_date = error::required("end_date", end_date)?;
    let app_id = error::required("app_id", app_id)?;
    let query = include_str!("token_usage_for_app.sql");
    let args = [app_id.into(), start_date.into(), end_date.into()];
    let days = query::select(query, &args, |row| Ok((row.count(2)?, row.day(1)?)))?;
    let (data, labels) = days.into_iter().unzip();
    pg::json(&ChartData { data, labels })
}
