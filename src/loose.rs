//! What of a range is in no whole hour of the rollups: its edges, and what is not folded yet.

use std::collections::HashMap;

use llm_usage_core::amount::Amount;
use llm_usage_core::calendar::{DAY, month};
use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::ledger::{self, ID};
use crate::pg::decimal::Decimal;
use crate::pg::lookup::{self, Is, Key};
use crate::pg::row::Columns;
use crate::{error, pg, query};

/// Whether a row of the ledger in `[from_time, to_time)` may be in no whole hour of the rollups: a bound cuts an
/// hour, or rows are not folded yet. What the statement sees is what is answered for.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _may_be_loose(
    ledger: pg_sys::Oid,
    folded_up_to: Option<i64>,
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> bool {
    let cut = cut(from_time, to_time);
    edges(&cut).next().is_some() || pg::tail::has_rows_after(ledger, folded_up_to.unwrap_or(0))
}

fn cut(from_time: Option<TimestampWithTimeZone>, to_time: Option<TimestampWithTimeZone>) -> Cut {
    Cut::of(from_time.map(pg::micros), to_time.map(pg::micros))
}

/// The parts of hours at the ends.
fn edges(cut: &Cut) -> impl Iterator<Item = (i64, i64)> {
    [(cut.first, cut.first_hour), (cut.last_hour, cut.last)].into_iter().filter(|(from, to)| from < to)
}

/// Requests, input and completion tokens of each model.
type Models = HashMap<Box<str>, [i128; 3]>;

/// What of one app in `[from_time, to_time)` is in no whole hour of the rollup, by model: the same as `_loose_app_models` has it,
/// whose plan over all partitions takes longer to set up than this to read.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _loose_app(
    for_app: Option<i64>,
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
    folded_up_to: Option<i64>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(model, String),
            name!(requests, Decimal),
            name!(input_tokens, Decimal),
            name!(completion_tokens, Decimal),
        ),
    >,
    ErrorReport,
> {
    let read = match for_app {
        Some(app) => read(app, &cut(from_time, to_time), folded_up_to.unwrap_or(0))?,
        None => None,
    };
    let rows = match read {
        Some(models) => models.into_iter().map(|(model, sums)| (model.into(), sums)).collect(),
        None => ask(for_app, from_time, to_time)?,
    };
    let decimal = |sum| error::raise(Decimal::of(&Amount::Short { mantissa: sum, scale: 0 }));
    Ok(TableIterator::new(rows.into_iter().map(move |(model, [requests, input, completion])| {
        (model, decimal(requests), decimal(input), decimal(completion))
    })))
}

/// `None` where it has to be asked for by SQL: by whom a policy keeps from rows, of a month that was dropped, or without the indexes.
fn read(app: i64, cut: &Cut, folded_up_to: i64) -> Result<Option<Models>, ErrorReport> {
    let ledger = pg::relation(c"usage_events");
    if !pg::tail::is_readable(ledger) || is_dropped(cut)? {
        return Ok(None);
    }
    let mut models = Models::new();
    for (from, to) in edges(cut) {
        let key: [Key; 3] = [
            (c"app_id", Is::Number(app)),
            (c"occurred_at", Is::NotBefore(from)),
            (c"occurred_at", Is::Before(to)),
        ];
        let is_read = pg::tail::rows(ledger, &[key], ledger::names, |row| {
            if row.number(ID) <= folded_up_to {
                add(&mut models, row);
            }
            Ok(true)
        })?;
        if !is_read {
            return Ok(None);
        }
    }
    const APP: usize = event_column("app_id");
    const TIME: usize = event_column("occurred_at");
    let is_read = pg::tail::rows(ledger, &[[(c"id", Is::Above(folded_up_to))]], ledger::names, |row| {
        if row.number(APP) == app && (cut.first..cut.last).contains(&row.instant(TIME)) {
            add(&mut models, row);
        }
        Ok(true)
    })?;
    Ok(is_read.then_some(models))
}

/// Whether an edge is of a month that was dropped.
fn is_dropped(cut: &Cut) -> Result<bool, ErrorReport> {
    let mut is_dropped = false;
    let starts: Vec<i64> = edges(cut).map(|(from, _)| month(from)).collect();
    if starts.is_empty() {
        return Ok(false);
    }
    let all: [[Key; 0]; 1] = [[]];
    let is_told = lookup::rows(
        pg::relation(c"_dropped_months"),
        &all,
        || ["month"].into_iter(),
        |row| {
            is_dropped |= starts.contains(&row.day(0).saturating_mul(DAY));
            Ok(!is_dropped)
        },
    )?;
    Ok(is_dropped || !is_told)
}

fn add(models: &mut Models, row: &Columns) {
    const MODEL: usize = event_column("model");
    const INPUT: [usize; 3] = [
        event_column("prompt_tokens"),
        event_column("cache_read_tokens"),
        event_column("cache_write_tokens"),
    ];
    const COMPLETION: usize = event_column("completion_tokens");
    let input: i64 = INPUT.iter().map(|column| row.number(*column)).sum();
    let added = [ledger::requests(row), input, row.number(COMPLETION)];
    let model = row.text(MODEL).unwrap_or_default();
    let sums = match models.get_mut(model) {
        Some(sums) => sums,
        None => models.entry(model.into()).or_default(),
    };
    sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += i128::from(added));
}

fn ask(
    for_app: Option<i64>,
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<Vec<(String, [i128; 3])>, ErrorReport> {
    const MODELS: &str = "SELECT m.model, m.requests::text, m.input_tokens::text, m.completion_tokens::text
                            FROM llm_usage._loose_app_models($1, $2, $3) m";
    query::select(MODELS, &[for_app.into(), from_time.into(), to_time.into()], |row| {
        let sum = |column| row.text(column)?.parse().map_err(error::failed);
        Ok((row.text(1)?, [sum(2)?, sum(3)?, sum(4)?]))
    })
}
