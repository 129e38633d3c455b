//! The prices of `model_prices` that a session remembers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use llm_usage_core::pricing::{Price, Rates, Source};
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::error;
use crate::pg;
use crate::query::{self, Row};

/// Models whose prices a session remembers at most; beyond, it starts anew.
const MOST_MODELS: usize = 1000;

type Prices = Rc<[Price]>;

/// What a session remembers, and the generation of the database's tables at which it was read.
#[derive(Default)]
struct Remembered {
    generation: u64,
    models: HashMap<String, Prices>,
}

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

/// The price rows of a model, remembered until `model_prices` changes.
pub fn of_model(model: &str) -> Result<Prices, ErrorReport> {
    // Another isolation level sees the prices of its snapshot, which may be older than what is remembered.
    if !pg::is_read_committed() {
        return fetch(model);
    }
    let generation = pg::generation();
    let known = REMEMBERED.with_borrow_mut(|remembered| {
        if remembered.generation != generation || remembered.models.len() >= MOST_MODELS {
            *remembered = Remembered { generation, models: HashMap::new() };
        }
        remembered.models.get(model).cloned()
    });
    if let Some(prices) = known {
        return Ok(prices);
    }
    let prices = fetch(model)?;
    // A change that arrived during the query may not be in its answer.
    if pg::generation() == generation {
        REMEMBERED.with_borrow_mut(|remembered| remembered.models.insert(model.to_owned(), prices.clone()));
    }
    Ok(prices)
}

fn fetch(model: &str) -> Result<Prices, ErrorReport> {
    let rows = query::select_latest(include_str!("prices.sql"), &[model.into()], |row| {
        Ok(Price {
            vendor: row.text(1)?,
            currency: row.text(2)?,
            service_tier: row.text(3)?,
            source: Source::parse(&row.text(4)?),
            is_default: row.get(5)?.unwrap_or_default(),
            above_tokens: row.get(6)?.unwrap_or_default(),
            valid_from: row.instant(7)?,
            rates: rates(&row)?,
        })
    })?;
    Ok(rows.into())
}

fn rates(row: &Row) -> Result<Rates, ErrorReport> {
    Ok(Rates {
        input: row.decimal(8)?,
        output: row.decimal(9)?,
        cache_read: row.decimal(10)?,
        cache_write: row.decimal(11)?,
        cache_write_1h: row.decimal(12)?,
        reasoning: row.decimal(13)?,
        prompt_audio: row.decimal(14)?,
        completion_audio: row.decimal(15)?,
    })
}

/// The trigger, in its schema.
#[pg_schema]
mod llm_usage {
    use super::*;

    /// AFTER any change of `model_prices`, FOR EACH STATEMENT: every session forgets the prices it remembers, at the moment
    /// the change is visible to it.
    #[pg_trigger]
    fn _prices_changed<'a>(
        trigger: &'a PgTrigger<'a>,
    ) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgTriggerError> {
        error::raise(pg::announce_change(trigger));
        Ok(trigger.new())
    }
}
