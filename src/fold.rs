//! What the fold has read of the ledger, as its session holds it for the rollups of `sql/rollups/`.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

use std::cell::RefCell;
use std::ops::Range;

use llm_usage_core::fold::{Batch, Event, Grain, Line, Rule, Spender, Spenders, Sums};
use pgrx::datum::{Internal, TimestampWithTimeZone};
use pgrx::pg_sys::FunctionCallInfo;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{failed, raise, report};
use crate::pg;
use crate::pg::numeric::Decimal;

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
    pg::state_mut::<Batch>(&mut batch, call)?.add(&event).map_err(|error| report(&error))?;
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

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_app(
    grain: &str,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(app_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(line, i32),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows = held(|held| Ok(held.batch.by_app(grain, &range(from_time, to_time), held.numbers()?)))?;
    Ok(TableIterator::new(rows.into_iter().map(|((app_id, bucket, line), sums)| {
        (
            app_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            line,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_entity(
    grain: &str,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(entity_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(total_tokens, i64),
            name!(entity_type, &'static str),
            name!(currency, String),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows: Vec<_> = held(|held| {
        let rows = held.batch.by_entity(grain, &range(from_time, to_time));
        let owned = rows
            .into_iter()
            .map(|((bucket, spender, currency), sums)| (bucket, spender, currency.to_owned(), sums));
        Ok(owned.collect())
    })?;
    Ok(TableIterator::new(rows.into_iter().map(|(bucket, spender, currency, sums)| {
        let (entity_type, entity_id) = match spender {
            Spender::App(app_id) => ("App", app_id),
            Spender::Llm(llm_id) => ("LLM", llm_id),
        };
        (
            entity_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens + sums.completion_tokens,
            entity_type,
            currency,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_user(
    grain: &str,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(user_id, Option<i64>),
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(currency, String),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows: Vec<_> = held(|held| {
        let rows = held.batch.by_user(grain, &range(from_time, to_time));
        let owned = rows
            .into_iter()
            .map(|((user_id, bucket, currency), sums)| (user_id, bucket, currency.to_owned(), sums));
        Ok(owned.collect())
    })?;
    Ok(TableIterator::new(rows.into_iter().map(|(user_id, bucket, currency, sums)| {
        (
            user_id,
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            currency,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_model(
    grain: &str,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(line, i32),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows = held(|held| Ok(held.batch.by_model(grain, held.numbers()?)))?;
    Ok(TableIterator::new(rows.into_iter().map(|((line, bucket), sums)| {
        (
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            line,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_model_5min(
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(line, i32),
            name!(cost, Decimal),
            name!(points, Vec<u8>),
        ),
    >,
    ErrorReport,
> {
    let rows = held(|held| Ok(held.batch.by_model_5min(&range(from_time, to_time), held.numbers()?)))?;
    Ok(TableIterator::new(rows.into_iter().map(|((line, bucket), sums, points)| {
        (
            instant(bucket),
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            line,
            raise(Decimal::of(&sums.cost)),
            points,
        )
    })))
}

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_active_users(
    grain: &str,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (name!(app_id, Option<i64>), name!(bucket, TimestampWithTimeZone), name!(users, Vec<u8>)),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows = held(|held| Ok(held.batch.active_users(grain, &range(from_time, to_time))))?;
    Ok(TableIterator::new(
        rows.into_iter().map(|((app_id, bucket), users)| (app_id, instant(bucket), users.serialize())),
    ))
}

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_rule(
    grain: &str,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(requests, i64),
            name!(inference_tokens, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(rule_type, String),
            name!(task_id, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows: Vec<_> = held(|held| {
        let row = |((bucket, rule_type, task_id), sums): ((i64, &str, Option<&str>), Sums)| {
            (
                instant(bucket),
                sums.requests,
                sums.inference_tokens,
                sums.input_tokens,
                sums.completion_tokens,
                rule_type.to_owned(),
                task_id.map(str::to_owned),
            )
        };
        Ok(held.batch.by_rule(grain).into_iter().map(row).collect())
    })?;
    Ok(TableIterator::new(rows))
}

#[pg_extern(schema = "llm_usage", requires = ["schema"])]
fn _batch_by_rule_type(
    grain: &str,
) -> Result<
    TableIterator<
        'static,
        (
            name!(app_id, i64),
            name!(bucket, TimestampWithTimeZone),
            name!(inference_tokens, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(rule_type, String),
        ),
    >,
    ErrorReport,
> {
    let grain = parsed(grain)?;
    let rows: Vec<_> = held(|held| {
        let row = |((app_id, bucket, rule_type), sums): ((i64, i64, &str), Sums)| {
            (
                app_id,
                instant(bucket),
                sums.inference_tokens,
                sums.input_tokens,
                sums.completion_tokens,
                rule_type.to_owned(),
            )
        };
        Ok(held.batch.by_rule_type(grain).into_iter().map(row).collect())
    })?;
    Ok(TableIterator::new(rows))
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

fn parsed(grain: &str) -> Result<Grain, ErrorReport> {
    Grain::parse(grain).map_err(|error| report(&error))
}

fn range(from: TimestampWithTimeZone, to: TimestampWithTimeZone) -> Range<i64> {
    pg::micros(from)..pg::micros(to)
}

fn instant(micros: i64) -> TimestampWithTimeZone {
    raise(pg::instant(micros))
}
