//! Tyk AI Studio, `GET /api/v1/analytics/budget-usage` (seed 001_6e3cf813a8e94e5a).

use llm_usage_core::calendar::{DAY, asked_days};
use llm_usage_core::money::Exact;
use pgrx::datum::Date;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::{pg, query};

/// `models.BudgetUsage`, with all its keys always present.
#[derive(Serialize)]
struct BudgetUsage {
    budget: Option<Exact>,
    budget_start_date: Option<String>,
    entity_id: i64,
    entity_type: String,
    name: String,
    spent: Exact,
    total_cost: Exact,
    total_tokens: Exact,
    usage: Exact,
    user_email: Option<String>,
    user_id: i64,
}

/// Spending of every LLM and App in its present budget period, and its cost and tokens over the asked days.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn budget_usage(
    start_date: default!(Option<Date>, "NULL"),
    end_date: default!(Option<Date>, "NULL"),
) -> Result<pg::Json, ErrorReport> {
    let today = pg::micros(pgrx::datum::datetime_support::now()).div_euclid(DAY);
    let (from_day, to_day) = asked_days(start_date.map(pg::days), end_date.map(pg::days), today);
    let args = [today, from_day, to_day].map(|day| pg::date(day).into());
    let entities = query::select(include_str!("budget_usage.sql"), &args, |row| {
        Ok(BudgetUsage {
            budget: row.number(1)?,
            budget_start_date: row.get(2)?,
            entity_id: row.get(3)?.unwrap_or_default(),
            entity_type: row.text(4)?,
            name: row.text(5)?,
            spent: row.count(6)?,
            total_cost: row.count(7)?,
            total_tokens: row.count(8)?,
            usage: row.count(9)?,
            user_email: row.get(10)?,
            user_id: row.get(11)?.unwrap_or_default(),
        })
    })?;
    pg::json(&entities)
}
