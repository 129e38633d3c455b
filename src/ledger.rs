//! What the ledger does with every event that is written, by a function, INSERT or COPY: check it, and price it.

use std::cell::Cell;

use bigdecimal::BigDecimal;
use llm_usage_core::Error;
use llm_usage_core::calendar::format_instant;
use llm_usage_core::event::{EVENT_COLUMNS, Kind, event_column};
use llm_usage_core::pricing::{Request, split_name};
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::error;
use crate::pg::{self, NewRow};
use crate::{prices, query};

const COST: usize = event_column("cost");
const CURRENCY: usize = event_column("currency");
const MODEL: usize = event_column("model");
// Columns that no writer gives stand behind the others.
const CORRECTS: usize = EVENT_COLUMNS.len();
const PRICED: usize = EVENT_COLUMNS.len() + 1;
const ID: usize = EVENT_COLUMNS.len() + 2;

/// How far apart two ids may lie that a session draws one after the other, for the second to be taken for drawn unasked.
const NEAR: i64 = 1024;

thread_local! {
    static LAST_ID: Cell<i64> = const { Cell::new(i64::MIN) };
}

/// The names of the columns that the trigger looks at; their places here are the constants above.
fn names() -> impl Iterator<Item = &'static str> {
    EVENT_COLUMNS.iter().map(|(name, _)| *name).chain(["corrects", "priced", "id"])
}

/// The trigger, in its schema.
#[pg_schema]
mod llm_usage {
    use super::*;

    /// BEFORE INSERT FOR EACH ROW on `usage_events`. Refuses a value that is out of bounds (23514). An event without a
    /// cost gets `cost` and `currency` if a price holds, and `priced` in any case; a given cost is kept.
    #[pg_trigger]
    fn _check_and_price<'a>(
        trigger: &'a PgTrigger<'a>,
    ) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgTriggerError> {
        Ok(error::raise(check_and_price(trigger)))
    }
}

fn check_and_price<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, ErrorReport> {
    let row = NewRow::of(trigger, names)?;
    check_id(row.number(ID))?;
    check(&row).map_err(|error| error::violation(&error))?;
    // A restored event that found no price when it was recorded finds none now.
    if !row.is_null(COST) || !row.is_null(PRICED) {
        return Ok(trigger.new());
    }
    let cost = cost(&row)?;
    let priced = (PRICED, cost.is_some().into_datum());
    let priced_row = match cost {
        None => row.with(trigger, [priced])?,
        Some((cost, currency)) => {
            let cost = (COST, pg::numeric(&cost)?.into_datum());
            row.with(trigger, [priced, cost, (CURRENCY, currency.into_datum())])?
        }
    };
    Ok(Some(priced_row))
}

/// Refuses an id that was not drawn for the row and is not ahead of those that are: the fold may have passed it. A restored
/// row brings its id before the sequence is set, or beside that.
fn check_id(id: i64) -> Result<(), ErrorReport> {
    let gap = id.checked_sub(LAST_ID.replace(id));
    let is_near = gap.is_some_and(|gap| (1..=NEAR).contains(&gap));
    if is_near || pg::last_drawn() == Some(id) {
        return Ok(());
    }
    let allowed = query::select_latest(include_str!("given_id.sql"), &[id.into()], |row| row.get(1))?;
    match allowed[..] {
        [Some(true)] => Ok(()),
        _ => {
            LAST_ID.set(i64::MIN);
            Err(error::violation(&Error::GivenId { id }))
        }
    }
}

fn check(row: &NewRow) -> Result<(), Error> {
    let is_correction = !row.is_null(CORRECTS);
    for (column, (name, kind)) in EVENT_COLUMNS.iter().enumerate() {
        let accepted = row.is_null(column)
            || match kind {
                Kind::Attrs => true,
                Kind::Cost => {
                    row.is_small_amount(column) || kind.accepts_amount(&row.decimal(column), is_correction)
                }
                Kind::Count | Kind::Id => kind.accepts_number(row.number(column), is_correction),
                Kind::Instant => kind.accepts_number(row.instant(column), is_correction),
                Kind::Currency | Kind::Text => kind.accepts_text(row.bytes(column)),
            };
        if !accepted {
            return Err(kind.refusal(name, shown(row, column, *kind)));
        }
    }
    Ok(())
}

fn shown(row: &NewRow, column: usize, kind: Kind) -> String {
    match kind {
        Kind::Count | Kind::Id => row.number(column).to_string(),
        Kind::Cost => row.decimal(column),
        Kind::Instant => format_instant(row.instant(column)).unwrap_or_else(|| "outside the calendar".into()),
        Kind::Attrs | Kind::Currency | Kind::Text => row.text(column).unwrap_or_default().to_owned(),
    }
}

/// Cost and currency of an event, `None` where no price is known.
fn cost(row: &NewRow) -> Result<Option<(BigDecimal, String)>, ErrorReport> {
    // Without a model the table refuses it.
    let Some(model) = row.text(MODEL) else { return Ok(None) };
    let mut request = Request {
        vendor: row.text(const { event_column("vendor") }),
        service_tier: row.text(const { event_column("service_tier") }),
        occurred_at: row.instant(const { event_column("occurred_at") }),
        prompt_tokens: row.number(const { event_column("prompt_tokens") }),
        cache_read_tokens: row.number(const { event_column("cache_read_tokens") }),
        cache_write_tokens: row.number(const { event_column("cache_write_tokens") }),
        completion_tokens: row.number(const { event_column("completion_tokens") }),
        reasoning_tokens: row.number(const { event_column("reasoning_tokens") }),
        cache_write_1h_tokens: row.number(const { event_column("cache_write_1h_tokens") }),
        prompt_audio_tokens: row.number(const { event_column("prompt_audio_tokens") }),
        completion_audio_tokens: row.number(const { event_column("completion_audio_tokens") }),
    };
    let mut prices = prices::of_model(model)?;
    let mut price = request.price(&prices);
    if price.is_none()
        && let Some((prefix, bare)) = split_name(model)
        && request.vendor.is_none_or(|vendor| vendor == prefix)
    {
        request.vendor = Some(prefix);
        prices = prices::of_model(bare)?;
        price = request.price(&prices);
    }
    Ok(price.and_then(|price| Some((request.cost(&price.rates)?, price.currency.clone()))))
}
