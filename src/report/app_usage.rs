//! Chipp, `GET /api/v1/apps/{appId}/analytics/usage` (seed 003_6e4898c4d2d75767).

use std::collections::{BTreeMap, HashSet};
use std::ffi::CStr;

use llm_usage_core::Error;
use llm_usage_core::bitmap::{Bitmap, UnionCount};
use llm_usage_core::calendar::{DAY, Day};
use llm_usage_core::cut::Cut;
use llm_usage_core::money::Exact;
use llm_usage_core::period::Period;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::direct::{MESSAGES, Range, Rollup, SESSIONS};
use crate::error::failed;
use crate::pg::lookup::{self, Is};
use crate::{error, pg, query};

const CONSUMERS: &CStr = c"_consumers";

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
    let range = Cut::of(started_after.map(pg::micros), started_before.map(pg::micros));
    let usage = match read(app_id, range, grain)? {
        Some(usage) => usage,
        None => ask(app_id, started_after, started_before, grain)?,
    };
    pg::json(&Answer { data: usage.into() })
}

/// Sessions and messages of each period, by its first day since 1970, and the consumers of all.
#[derive(Default)]
struct Usage {
    periods: BTreeMap<i64, [i128; 2]>,
    consumers: i128,
}

impl From<Usage> for Data {
    fn from(Usage { periods, consumers }: Usage) -> Self {
        let mut total = [0; 2];
        let entry = |(day, counts): (i64, [i128; 2])| {
            total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            let [session_count, message_count] = counts.map(Exact::from);
            let period = format!("{}T00:00:00.000Z", Day::of(day).as_ref().map_or("", Day::as_str));
            Entry { period, session_count, message_count }
        };
        let timeseries = periods.into_iter().map(entry).collect();
        let [total_sessions, total_messages] = total.map(Exact::from);
        Self {
            summary: Summary { total_sessions, unique_consumers: consumers.into(), total_messages },
            timeseries,
        }
    }
}

fn read(app: i64, range: Cut, grain: &str) -> Result<Option<Usage>, ErrorReport> {
    const BY_SESSION: Rollup = Rollup {
        days: c"_by_session_day",
        hours: c"_by_session_hour",
        names: &["bucket", "sessions", "messages", "consumers"],
    };
    const TABLES: [&CStr; 4] = [BY_SESSION.days, BY_SESSION.hours, CONSUMERS, MESSAGES.table];
    let Some(period) = Period::parse(grain) else { return Ok(None) };
    let Some(sessions) = Range::of_app(&SESSIONS, app, range, &TABLES)? else { return Ok(None) };
    let Some(messages) = sessions.of_ledger(&MESSAGES)? else { return Ok(None) };
    let mut periods = BTreeMap::<i64, [i128; 2]>::new();
    let mut add = |instant: i64, counts: [i64; 2]| {
        let (first_day, _) = period.around(None, instant.div_euclid(DAY));
        let sums = periods.entry(first_day).or_default();
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += i128::from(count));
    };
    let mut consumers = UnionCount::default();
    let mut loose = HashSet::<Box<str>>::new();
    let is_read = sessions.kept(&BY_SESSION, &[(c"app_id", Is::Number(app))], |row| {
        add(row.instant(0), [row.number(1), row.number(2)]);
        match row.is_null(3) {
            true => Ok(()),
            false => consumers.add(row.bytes(3)).map_err(|error| error::report(&error)),
        }
    })? && sessions.loose(|session| {
        add(session.instant(1), [1, 0]);
        loose.extend(session.text(2).map(Box::from));
        Ok(())
    })? && messages.loose(|message| {
        add(message.instant(1), [0, 1]);
        Ok(())
    })?;
    if !is_read {
        return Ok(None);
    }
    let (numbers, unnumbered) = numbered(&loose)?;
    if numbers.count() > 0 {
        consumers.add(&numbers.serialize()).map_err(|error| error::report(&error))?;
    }
    let consumers = i128::from(consumers.count()) + unnumbered;
    Ok(Some(Usage { periods, consumers }))
}

/// The numbers of consumers, and how many have none: whom no folded session names.
fn numbered(consumers: &HashSet<Box<str>>) -> Result<(Bitmap, i128), ErrorReport> {
    let mut numbers = Bitmap::default();
    let keys: Vec<_> = consumers.iter().map(|consumer| [(c"consumer_id", Is::Named(consumer))]).collect();
    lookup::rows(pg::relation(CONSUMERS), &keys, &["number"], |row| {
        numbers.insert(row.number(0));
        Ok(true)
    })?;
    let found = numbers.count();
    Ok((numbers, consumers.len() as i128 - i128::from(found)))
}

fn ask(
    app: i64,
    started_after: Option<TimestampWithTimeZone>,
    started_before: Option<TimestampWithTimeZone>,
    grain: &str,
) -> Result<Usage, ErrorReport> {
    let args = [app.into(), started_after.into(), started_before.into(), grain.into()];
    let mut usage = Usage::default();
    query::select(include_str!("app_usage.sql"), &args, |row| {
        // One row has the consumers alone.
        match row.get(1)?.map(pg::days) {
            None => usage.consumers = row.id(4)?.into(),
            Some(day) => {
                let count = |column| row.text(column)?.parse().map_err(failed);
                usage.periods.insert(day, [count(2)?, count(3)?]);
            }
        }
        Ok(())
    })?;
    Ok(usage)
}
