//! Scale GenAI Platform, `GET /v4/models/{model_name}/usage-statistics` (seed 004_5d6b33da109cc5b1).

use llm_usage_core::Error;
use llm_usage_core::calendar::{END, FIRST, format_instant};
use llm_usage_core::money::Exact;
use llm_usage_core::parts::Parts;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::pg::micros;
use crate::{error, pg, query};

/// `ModelUsageResponse`; its dates are those of the first and the last point.
#[derive(Serialize)]
struct ModelUsage {
    data: Vec<DataPoint>,
    start_date: String,
    end_date: String,
}

/// `DataPoint`: prompt is all input, summary is the total.
#[derive(Clone, Serialize)]
struct DataPoint {
    date: String,
    prompt_tokens: Exact,
    response_tokens: Exact,
    summary_tokens: Exact,
}

/// Tokens of one model in `[start_date, end_date)`, cut into parts of equal width or into UTC days.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn model_usage_statistics(
    model_name: Option<&str>,
    start_date: default!(Option<TimestampWithTimeZone>, "NULL"),
    end_date: default!(Option<TimestampWithTimeZone>, "NULL"),
    chunks: default!(Option<i32>, "NULL"),
) -> Result<pg::Json, ErrorReport> {
    let model_name = error::required("model_name", model_name)?;
    let start = start_date.map(|start| finite("start_date", start)).transpose()?;
    let end = end_date.map(|end| finite("end_date", end)).transpose()?;
    let now = micros(pgrx::datum::datetime_support::now());
    let parts = Parts::new(start, end, chunks, now).map_err(|error| error::report(&error))?;
    let mut data = empty_points(&parts.starts).map_err(|error| error::report(&error))?;
    let instants: Vec<_> = parts.starts.into_iter().map(pg::instant).collect::<Result<_, _>>()?;
    let args = [model_name.into(), instants.into(), pg::instant(parts.end)?.into()];
    query::select(include_str!("model_usage_statistics.sql"), &args, |row| {
        let part: i32 = row.get(1)?.unwrap_or_default();
        let point = usize::try_from(part - 1).ok().and_then(|index| data.get_mut(index));
        if let Some(point) = point {
            point.prompt_tokens = row.count(2)?;
            point.response_tokens = row.count(3)?;
            point.summary_tokens = row.count(4)?;
        }
        Ok(())
    })?;
    let date = |point: Option<&DataPoint>| point.map(|point| point.date.clone()).unwrap_or_default();
    let (start_date, end_date) = (date(data.first()), date(data.last()));
    pg::json(&ModelUsage { data, start_date, end_date })
}

fn finite(name: &'static str, instant: TimestampWithTimeZone) -> Result<i64, ErrorReport> {
    match pg::finite_micros(instant) {
        None => Err(error::report(&Error::Unbounded { name })),
        // The end of the last day is no instant of an event, and still a bound.
        Some(micros) if (FIRST..=END).contains(&micros) => Ok(micros),
        Some(_) => Err(error::report(&Error::OutOfCalendar { name })),
    }
}

fn empty_points(starts: &[i64]) -> Result<Vec<DataPoint>, Error> {
    let zero = Exact::from(0);
    let point = |start: &i64| {
        let date = format_instant(*start).ok_or(Error::OutOfCalendar { name: "start_date" })?;
        Ok(DataPoint {
            date,
            prompt_tokens: zero.clone(),
            response_tokens: zero.clone(),
            summary_tokens: zero.clone(),
        })
    };
    starts.iter().map(point).collect()
}
