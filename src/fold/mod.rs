//! What the fold has read of the ledger, as its session holds it for the rollups of `sql/rollups/`.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

pub mod rollups;
pub mod rules;

use std::cell::RefCell;

use llm_usage_core::event::event_column;
use llm_usage_core::fold::{Batch, Event, Line, Rule, Spenders};
use pgrx::datum::{Internal, TimestampWithTimeZone};
use pgrx::pg_sys::FunctionCallInfo;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::direct::{self, EVENTS};
use crate::error::failed;
use crate::pg::decimal::Decimal;
use crate::pg::lookup::Is;
use crate::pg::row::Columns;
use crate::{ledger, pg};

/// The events that were read last, and the numbers of their lines once those have them all.
struct Held {
    batch: Batch,
    numbers: Vec<i32>,
    /// Of all batches of the transaction.
    spenders: Spenders,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// With its transaction, or a part of it, a batch has had its use.
pub fn forget() {
    HELD.take();
}

/// The transition of `_batch_agg`: adds an event.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
#[expect(clippy::too_many_arguments, reason = "the columns of an event")]
fn _batch_add(
    mut batch: Option<Internal>,
    occurred_at: TimestampWithTimeZone,
    app_id: i64,
    user_id: Option<i64>,
    llm_id: i64,
    model: &str,
    vendor: Option<&str>,
    currency: &str,
    requests: i32,
    input_tokens: i64,
    completion_tokens: i32,
    cost: Option<Decimal>,
    rule_type: Option<&str>,
    task_id: Option<&str>,
    inference_tokens: i32,
    call: FunctionCallInfo,
) -> Result<Option<Internal>, ErrorReport> {
    let rule =
        rule_type.map(|rule_type| Rule { rule_type, task_id, inference_tokens: inference_tokens.into() });
    let event = Event {
        occurred_at: pg::micros(occurred_at),
        app_id,
        user_id,
        line: Line { llm_id, model, vendor, currency },
        requests,
        input_tokens,
        completion_tokens: completion_tokens.into(),
        cost: cost.map(Decimal::amount).transpose()?,
        rule,
    };
    pg::state_mut::<Batch>(&mut batch, call)?.add(&event);
    Ok(batch)
}

/// Holds the events with ids in `(after_id, up_to_id]`, read through the keys of the partitions; tells how many those are and when the
/// newest was. NULL if they cannot be read so.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _read_batch(
    after_id: i64,
    up_to_id: i64,
) -> Result<
    TableIterator<'static, (name!(rows, Option<i64>), name!(newest, Option<TimestampWithTimeZone>))>,
    ErrorReport,
> {
    let mut batch = Batch::default();
    let mut newest = i64::MIN;
    let key = [(c"id", Is::Above(after_id)), (c"id", Is::UpTo(up_to_id))];
    let is_read = pg::tail::rows(pg::relation(EVENTS.table), &[key], ledger::NAMES, |row| {
        let event = event(row)?;
        newest = newest.max(event.occurred_at);
        batch.add(&event);
        Ok(true)
    })?;
    let answer = match (is_read, batch.events()) {
        (false, _) => (None, None),
        (true, 0) => (Some(hold(batch)), None),
        (true, _) => (Some(hold(batch)), Some(pg::instant(newest)?)),
    };
    Ok(TableIterator::once(answer))
}

/// What the rollups keep of a row of the ledger.
pub fn event<'a>(row: &'a Columns) -> Result<Event<'a>, ErrorReport> {
    const USER: usize = event_column("user_id");
    let text = |column| row.text(column);
    let rule = text(const { event_column("rule_type") }).map(|rule_type| Rule {
        rule_type,
        task_id: text(const { event_column("task_id") }),
        inference_tokens: row.number(const { event_column("inference_tokens") }),
    });
    let (input_tokens, completion_tokens) = direct::tokens(row);
    Ok(Event {
        occurred_at: row.instant(ledger::TIME),
        app_id: row.number(const { event_column("app_id") }),
        user_id: (!row.is_null(USER)).then(|| row.number(USER)),
        line: Line {
            llm_id: row.number(const { event_column("llm_id") }),
            model: text(const { event_column("model") }).unwrap_or_default(),
            vendor: text(const { event_column("vendor") }),
            currency: text(ledger::CURRENCY).unwrap_or_default(),
        },
        requests: i32::try_from(ledger::requests(row)).map_err(failed)?,
        input_tokens,
        completion_tokens,
        cost: row.datum(ledger::COST).map(|cost| Decimal::new(cost).amount()).transpose()?,
        rule,
    })
}

/// The end of `_batch_agg`: holds what was added, and tells how many events that were.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_hold(mut batch: Option<Internal>, call: FunctionCallInfo) -> Result<i64, ErrorReport> {
    Ok(hold(std::mem::take(pg::state_mut::<Batch>(&mut batch, call)?)))
}

fn hold(batch: Batch) -> i64 {
    let events = batch.events();
    let mut spenders = HELD.take().map(|held| held.spenders).unwrap_or_default();
    spenders.add(batch.spenders());
    HELD.set(Some(Held { batch, numbers: Vec::new(), spenders }));
    events
}

/// The lines that events of the batch are on.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_lines() -> Result<
    TableIterator<
        'static,
        (
            name!(place, i64),
            name!(llm_id, i64),
            name!(model, String),
            name!(vendor, Option<String>),
            name!(currency, String),
        ),
    >,
    ErrorReport,
> {
    let lines: Vec<_> = held(|held| {
        let row = |(place, line): (i64, Line)| {
            (
                place,
                line.llm_id,
                line.model.to_owned(),
                line.vendor.map(str::to_owned),
                line.currency.to_owned(),
            )
        };
        Ok((1..).zip(held.batch.lines()).map(row).collect())
    })?;
    Ok(TableIterator::new(lines))
}

/// Takes the number of each of those lines, in their order.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _number_batch(numbers: Vec<i32>) -> Result<(), ErrorReport> {
    HELD.with_borrow_mut(|held| match held {
        Some(held) if held.batch.lines().len() == numbers.len() => {
            held.numbers = numbers;
            Ok(())
        }
        _ => Err(failed("there is no batch of as many lines")),
    })
}

/// Who spent something in the batches of this transaction, as budgets name them.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_spenders() -> Result<
    TableIterator<
        'static,
        (
            name!(entity_type, &'static str),
            name!(entity_id, Option<i64>),
            name!(entity_value, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let rows: Vec<_> = held(|held| {
        let Spenders { apps, users, llms, models, vendors } = &held.spenders;
        let numbered = [("App", apps), ("User", users), ("LLM", llms)];
        let named = [("Model", models), ("Vendor", vendors)];
        let by_id =
            numbered.into_iter().flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, Some(*id), None)));
        let by_name = named
            .into_iter()
            .flat_map(|(kind, names)| names.iter().map(move |name| (kind, None, Some(name.to_string()))));
        Ok(by_id.chain(by_name).collect())
    })?;
    Ok(TableIterator::new(rows))
}

impl Held {
    fn numbers(&self) -> Result<&[i32], ErrorReport> {
        match self.batch.lines().len() == self.numbers.len() {
            true => Ok(&self.numbers),
            false => Err(failed("the lines of the batch have no numbers")),
        }
    }
}

fn held<T>(read: impl FnOnce(&Held) -> Result<T, ErrorReport>) -> Result<T, ErrorReport> {
    HELD.with_borrow(|held| read(held.as_ref().ok_or_else(|| failed("no batch was read"))?))
}
