//! Chipp, `GET /api/v1/apps/{appId}/analytics/usage` (seed 003_6e4898c4d2d75767).

use llm_usage_core::Error;
use llm_usage_core::money::Exact;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::{error, pg, query};

/// The granularities of the time series.
const GRAINS: [&str; 3] = ["day", "week", "month"];

#[derive(Serialize)]
struct Answer {
    data: Data,
}

#[derive(Serialize)]
struct Data {
    summary: Summary,
    timeseries: Vec<Entry>,
}

/// Over the whole range; consumers are distinct over all of it.
#[derive(Serialize)]
struct Summary {
    total_sessions: Exact,
    unique_consumers: Exact,
    total_messages: Exact,
}

/// One period that has a session or a message.
#[derive(Serialize)]
struct Entry {
    period: String,
    session_count: Exact,
    message_count: Exact,
}

/// Sessions, consumers and messages of one app in `[started_after, started_before)`.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn app_usage(
    app_id: Option<i64>,
    started_after: default!(Option<TimestampWithTimeZone>, "NULL"),
    started_before: default!(Option<TimestampWithTimeZone>, "NULL"),
    group_by: default!(Option<&str>, "'day'"),
) -> Result<pg::Json, ErrorReport> {
    let app_id = error::required("app_id", app_id)?;
    let grain = group_by.unwrap_or("day");
    if !GRAINS.contains(&grain) {
        let value = grain.to_owned();
        return Err(error::report(&Error::UnknownWord { name: "group_by", value, known: &GRAINS }));
    }
    let args = [app_id.into(), started_after.into(), started_before.into(), grain.into()];
    let mut rows = query::select(include_str!("app_usage.sql"), &args, |row| {
        Ok((row.get(1)?, row.count(2)?, row.count(3)?, row.number(4)?))
    })?
    .into_iter();
    // The first row is the summary: the one that counts consumers.
    let (_, total_sessions, total_messages, unique_consumers) = error::required("summary", rows.next())?;
    let unique_consumers = error::required("unique_consumers", unique_consumers)?;
    let timeseries = rows
        .filter_map(|(period, session_count, message_count, _)| {
            Some(Entry { period: period?, session_count, message_count })
        })
        .collect();
    let summary = Summary { total_sessions, unique_consumers, total_messages };
    pg::json(&Answer { data: Data { summary, timeseries } })
}
