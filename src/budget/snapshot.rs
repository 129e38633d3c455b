//! The events that are not folded yet as one snapshot sees them, for a statement that asks for many budgets: it reads them once.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

use std::cell::RefCell;

use llm_usage_core::amount::Amount;
use llm_usage_core::budget::Entity;
use llm_usage_core::cut::Cut;
use llm_usage_core::tail::{Sums, Tail};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{kind, tail};
use crate::direct::{EVENTS, Range};
use crate::error::raise;
use crate::pg::decimal::Decimal;
use crate::pg::lookup::Is;
use crate::pg::transaction::{Seen, seen};
use crate::{ledger, pg, query};

thread_local! {
    /// Of which snapshot; `None`: there is too much of it.
    static TAIL: RefCell<Option<(Seen, Option<Tail>)>> = const { RefCell::new(None) };
}

/// What was undone is seen no more.
pub fn forget() {
    TAIL.take();
}

/// An instant of a quarter of an hour; the currency, requests, unpriced requests, tokens and cost.
type Part = (i64, String, i64, i64, i64, Amount);

/// What an entity spent in `[from_time, to_time)` by what is not folded: the parts of the sums.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted, requires = ["schema"])]
fn _tail_spending(
    for_type: &str,
    for_id: Option<i64>,
    for_key: Option<String>,
    for_value: Option<String>,
    from_time: TimestampWithTimeZone,
    to_time: TimestampWithTimeZone,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(currency, String),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(total_tokens, i64),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let entity = Entity { kind: kind(for_type)?, id: for_id, key: for_key, value: for_value };
    let range = (pg::micros(from_time), pg::micros(to_time));
    let parts = match parts(&entity, range)? {
        Some(parts) => parts,
        None => {
            let Entity { id, key, value, .. } = entity;
            let args =
                [for_type.into(), id.into(), key.into(), value.into(), from_time.into(), to_time.into()];
            query::select(include_str!("tail_spending.sql"), &args, |row| {
                let cost = row.amount(6)?.unwrap_or_default();
                Ok((row.instant(1)?, row.text(2)?, row.id(3)?, row.id(4)?, row.id(5)?, cost))
            })?
        }
    };
    Ok(TableIterator::new(parts.into_iter().map(|(at, currency, requests, unpriced, tokens, cost)| {
        (raise(pg::instant(at)), currency, requests, unpriced, tokens, raise(Decimal::of(&cost)))
    })))
}

/// `None` if that cannot be told without a plan.
fn parts(entity: &Entity, range: (i64, i64)) -> Result<Option<Vec<Part>>, ErrorReport> {
    let Some(ledger) = Range::of_apps(&EVENTS, Cut::of(None, None), &[])? else { return Ok(None) };
    let Some(seen) = seen().filter(|_| ledger.apps.is_none()) else { return Ok(None) };
    let known = TAIL.take().filter(|(of, _)| *of == seen);
    let (seen, tail) = match known {
        Some(known) => known,
        None => (seen, read(ledger.folded_up_to)?),
    };
    let parts = tail.as_ref().and_then(|tail| tail.parts(entity, range)).map(|parts| {
        let part = |(begins, currency, sums): (i64, &str, &Sums)| {
            let Sums { cost, requests, unpriced_requests, tokens } = sums;
            (begins, currency.to_owned(), *requests, *unpriced_requests, *tokens, cost.clone().into())
        };
        parts.map(part).collect()
    });
    TAIL.set(Some((seen, tail)));
    Ok(parts)
}

/// All that the snapshot sees of it; `None` if that is too much.
fn read(folded_up_to: i64) -> Result<Option<Tail>, ErrorReport> {
    let mut sums = Tail::of_keys(tail::keys()?);
    let key = [(c"id", Is::Above(folded_up_to))];
    let is_read = pg::tail::rows(pg::relation(EVENTS.table), &[key], ledger::NAMES, |row| {
        tail::add(&mut sums, row)?;
        Ok(sums.size() <= tail::MOST_SUMS)
    })?;
    Ok((is_read && sums.size() <= tail::MOST_SUMS).then_some(sums))
}
