//! Tyk AI Studio, `GET /api/v1/analytics/token-usage-for-app` (seed 000_461b733c2d66d897).

use std::collections::BTreeMap;
use std::ffi::CStr;

use llm_usage_core::calendar::{DAY, Day, day_start};
use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use llm_usage_core::money::Exact;
use pgrx::datum::Date;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::direct::{BY_ENTITY_DAY, BY_ENTITY_HOUR, BY_ENTITY_MONTH, EVENTS, Range, Rollup, tokens};
use crate::pg::lookup::Is;
use crate::{error, pg, query};

/// `analytics.ChartData`: `labels[i]` is the UTC day of `data[i]`, its total tokens.
#[derive(Default, Serialize)]
struct ChartData {
    data: Vec<Exact>,
    labels: Vec<Day>,
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
    let range = Cut::of(Some(day_start(pg::days(start_date))), Some(day_start(pg::days(end_date)) + DAY));
    let (data, labels) = match read(app_id, range)? {
        Some(days) => {
            let label = |day| Day::of(day).ok_or_else(|| error::failed("not a day"));
            let points = days.into_iter().map(|(day, tokens)| Ok((Exact::from(tokens), label(day)?)));
            points.collect::<Result<_, ErrorReport>>()?
        }
        None => {
            let query = include_str!("token_usage_for_app.sql");
            let args = [app_id.into(), start_date.into(), end_date.into()];
            query::select(query, &args, |row| Ok((row.count(2)?, row.day(1)?)))?.into_iter().unzip()
        }
    };
    pg::json(&ChartData { data, labels })
}

/// Tokens by day since 1970.
fn read(app: i64, range: Cut) -> Result<Option<BTreeMap<i64, i128>>, ErrorReport> {
    const ROLLUP: Rollup =
        Rollup { days: BY_ENTITY_DAY, hours: BY_ENTITY_HOUR, names: &["bucket", "total_tokens"] };
    const TABLES: [&CStr; 2] = [BY_ENTITY_MONTH, ROLLUP.days];
    let Some(range) = Range::of_app(&EVENTS, app, range, &TABLES)? else { return Ok(None) };
    let mut days = BTreeMap::<i64, i128>::new();
    let mut add = |instant: i64, tokens: i64| {
        *days.entry(instant.div_euclid(DAY)).or_default() += i128::from(tokens);
        Ok(())
    };
    let app_key = [(c"entity_type", Is::Named("App")), (c"entity_id", Is::Number(app))];
    let is_kept = range.tokens_of_days(app, &mut add)?
        || range.kept(&ROLLUP, &app_key, |row| add(row.instant(0), row.number(1)))?;
    let is_read = is_kept
        && range.loose(|event| {
            const TIME: usize = event_column("occurred_at");
            let (input, completion) = tokens(event);
            add(event.instant(TIME), input + completion)
        })?;
    Ok(is_read.then_some(days))
}
