//! Chipp, `GET /api/v1/apps/{appId}/analytics/token-usage` (seed 003_6e4898c4d2d75767).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ffi::CStr;

use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use llm_usage_core::money::Exact;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::direct::lines::{self, APP_LINES, BY_APP_DAY, BY_APP_HOUR, BY_APP_POINTS, LINES};
use crate::direct::{self, EVENTS, Range};
use crate::{error, ledger, pg, query};

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
    model: Box<str>,
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

impl From<Sums> for Tokens {
    fn from([requests, input, completion]: Sums) -> Self {
        Self {
            input_tokens: input.into(),
            output_tokens: completion.into(),
            total_tokens: (input + completion).into(),
            request_count: requests.into(),
        }
    }
}

/// Requests, input and completion tokens.
type Sums = [i128; 3];
type Models = HashMap<Box<str>, Sums>;

/// Tokens and requests of one app in `[started_after, started_before)`, in all and by model.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn app_token_usage(
    app_id: Option<i64>,
    started_after: default!(Option<TimestampWithTimeZone>, "NULL"),
    started_before: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<pg::Json, ErrorReport> {
    let app_id = error::required("app_id", app_id)?;
    let models = match read(app_id, Cut::of(started_after.map(pg::micros), started_before.map(pg::micros)))? {
        Some(models) => models,
        None => ask(app_id, started_after, started_before)?,
    };
    let mut total = Sums::default();
    models.values().for_each(|sums| add(&mut total, *sums));
    let mut models: Vec<(Box<str>, Sums)> = models.into_iter().collect();
    models.sort_unstable_by(
        |(model, [_, input, completion]), (other, [_, their_input, their_completion])| {
            let key = |model, total: i128| (Reverse(total), model);
            key(model, input + completion).cmp(&key(other, their_input + their_completion))
        },
    );
    let by_model =
        models.into_iter().map(|(model, sums)| ModelTokens { model, tokens: sums.into() }).collect();
    pg::json(&Answer { data: Data { total: total.into(), by_model } })
}

fn add(sums: &mut Sums, added: Sums) {
    sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
}

fn add_to(models: &mut Models, model: &str, added: Sums) {
    match models.get_mut(model) {
        Some(sums) => add(sums, added),
        None => {
            models.insert(model.into(), added);
        }
    }
}

fn read(app: i64, range: Cut) -> Result<Option<Models>, ErrorReport> {
    // Which lines a tenant sees is what the app's lines say.
    const TABLES: [&CStr; 5] = [BY_APP_DAY.0, BY_APP_HOUR, BY_APP_POINTS, LINES, APP_LINES.0];
    let Some(range) = Range::of_app(&EVENTS, app, range, &TABLES)? else { return Ok(None) };
    let mut lines = HashMap::<i64, Sums>::new();
    let mut add_line = |line, counts: [i64; 3]| add(lines.entry(line).or_default(), counts.map(i128::from));
    let is_read = range.hours_of_lines(app, &mut add_line)? && range.edges_of_lines(app, add_line)?;
    let Some(mut models) = models_of(lines)?.filter(|_| is_read) else { return Ok(None) };
    let is_read = range.tail(None, |event| {
        const MODEL: usize = event_column("model");
        let (input, completion) = direct::tokens(event);
        let added = [ledger::requests(event), input, completion].map(i128::from);
        add_to(&mut models, event.text(MODEL).unwrap_or_default(), added);
        Ok(())
    })?;
    Ok(is_read.then_some(models))
}

/// The sums of lines as those of their models.
fn models_of(lines: HashMap<i64, Sums>) -> Result<Option<Models>, ErrorReport> {
    let mut models = Models::new();
    let are_known = lines::lines(lines.keys().copied(), &["number", "model"], |row| {
        if let Some(sums) = lines.get(&row.number(0)) {
            add_to(&mut models, row.text(1).unwrap_or_default(), *sums);
        }
    })?;
    Ok(are_known.then_some(models))
}

fn ask(
    app: i64,
    started_after: Option<TimestampWithTimeZone>,
    started_before: Option<TimestampWithTimeZone>,
) -> Result<Models, ErrorReport> {
    let args = [app.into(), started_after.into(), started_before.into()];
    let models = query::select(include_str!("app_token_usage.sql"), &args, |row| {
        let sum = |column| row.text(column)?.parse().map_err(error::failed);
        Ok((row.text(1)?.into(), [sum(2)?, sum(3)?, sum(4)?]))
    })?;
    Ok(models.into_iter().collect())
}
