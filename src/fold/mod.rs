//! What the fold has read of the ledger, as its session holds it for the rollups of `sql/rollups/`.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

pub mod rollups;

use std::cell::RefCell;

use llm_usage_core::fold::{Batch, Event, Line, Rule, Spenders};
use pgrx::datum::{Internal, TimestampWithTimeZone};
use pgrx::pg_sys::FunctionCallInfo;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::failed;
use crate::pg;
use crate::pg::decimal::Decimal;

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

/// The end of `_batch_agg`: holds what was added, and tells how many events that were.
#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_hold(mut batch: Option<Internal>, call: FunctionCallInfo) -> Result<i64, ErrorReport> {
    let batch = std::mem::take(pg::state_mut::<Batch>(&mut batch, call)?);
    let events = batch.events();
    let mut spenders = HELD.take().map(|held| held.spenders).unwrap_or_default();
    spenders.add(batch.spenders());
    HELD.set(Some(Held { batch, numbers: Vec::new(), spenders }));
    Ok(events)
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
