//! `model_usage_statistics`.

use chrono::{DateTime, Days, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{instant_name, whole};
use crate::ledger::Event;

/// The report refuses the question: SQLSTATE 22023.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal;

/// Tokens of one model in equal parts of the range, or by UTC day.
pub fn model_usage_statistics(
    events: &[Event],
    now: DateTime<Utc>,
    model: &str,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
    chunks: Option<i32>,
) -> Result<String, Refusal> {
    let end = end.unwrap_or(now);
    let start = start.unwrap_or(end - TimeDelta::days(30));
    let chunks = u32::try_from(chunks.unwrap_or(0)).map_err(|_| Refusal)?;
    if end <= start || chunks > 10_000 {
        return Err(Refusal);
    }
    let mut edges = if chunks == 0 { days(start, end) } else { parts(start, end, chunks) };
    edges.push(end);
    let data: Vec<Value> = edges
        .windows(2)
        .map(|part| {
            let of_part = events
                .iter()
                .filter(|event| event.model == model && (part[0]..part[1]).contains(&event.occurred_at));
            let (input, completion) = of_part.fold((0, 0), |(input, completion), event| {
                (input + event.input(), completion + i128::from(event.completion))
            });
            json!({
                "date": instant_name(part[0]), "prompt_tokens": whole(input),
                "response_tokens": whole(completion), "summary_tokens": whole(input + completion),
            })
        })
        .collect();
    let (first, last) = (data[0]["date"].clone(), data[data.len() - 1]["date"].clone());
    Ok(json!({"data": data, "start_date": first, "end_date": last}).to_string())
}

fn parts(start: DateTime<Utc>, end: DateTime<Utc>, chunks: u32) -> Vec<DateTime<Utc>> {
    let width = i128::from((end - start).num_microseconds().expect("a width in the calendar"));
    let offset =
        |part: u32| i64::try_from(i128::from(part) * width / i128::from(chunks)).expect("in the range");
    (0..chunks).map(|part| start + TimeDelta::microseconds(offset(part))).collect()
}

fn days(start: DateTime<Utc>, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let mut starts = vec![start];
    let mut day = start.date_naive() + Days::new(1);
    while day.and_time(Default::default()).and_utc() < end {
        starts.push(day.and_time(Default::default()).and_utc());
        day = day + Days::new(1);
    }
    starts
}
