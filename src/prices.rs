//! The prices of `model_prices` that a session remembers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bigdecimal::BigDecimal;
use llm_usage_core::pricing::{Price, Rates, Request, Source, split_name};
use pgrx::datum::TimestampWithTimeZone;
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
    /// When the transaction began that changes prices: what it reads may be undone.
    static CHANGING: Cell<i64> = const { Cell::new(i64::MIN) };
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

/// Cost and currency of a request, `None` where no price is known.
pub fn cost<'a>(
    model: &'a str,
    mut request: Request<'a>,
) -> Result<Option<(BigDecimal, String)>, ErrorReport> {
    let mut prices = of_model(model)?;
    let mut price = request.price(&prices);
    if price.is_none()
        && let Some((prefix, bare)) = split_name(model)
        && request.vendor.is_none_or(|vendor| vendor == prefix)
    {
        request.vendor = Some(prefix);
        prices = of_model(bare)?;
        price = request.price(&prices);
    }
    Ok(price.and_then(|price| Some((request.cost(&price.rates)?, price.currency.clone()))))
}

/// What an event with these values costs at the prices of now, for those that were recorded at others; no row where no
/// price is known.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
#[expect(clippy::too_many_arguments, reason = "they are the columns of an event")]
fn _price(
    model: &str,
    vendor: Option<&str>,
    service_tier: Option<&str>,
    occurred_at: Option<TimestampWithTimeZone>,
    prompt_tokens: Option<i64>,
    cache_read_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    cache_write_1h_tokens: Option<i64>,
    prompt_audio_tokens: Option<i64>,
    completion_audio_tokens: Option<i64>,
) -> Result<TableIterator<'static, (name!(cost, AnyNumeric), name!(currency, String))>, ErrorReport> {
    let request = Request {
        vendor,
        service_tier,
        occurred_at: pg::micros(error::required("occurred_at", occurred_at)?),
        prompt_tokens: prompt_tokens.unwrap_or(0),
        cache_read_tokens: cache_read_tokens.unwrap_or(0),
        cache_write_tokens: cache_write_tokens.unwrap_or(0),
        completion_tokens: completion_tokens.unwrap_or(0),
        reasoning_tokens: reasoning_tokens.unwrap_or(0),
        cache_write_1h_tokens: cache_write_1h_tokens.unwrap_or(0),
        prompt_audio_tokens: prompt_audio_tokens.unwrap_or(0),
        completion_audio_tokens: completion_audio_tokens.unwrap_or(0),
    };
    let priced = cost(model, request)?;
    let row = priced.map(|(cost, currency)| Ok((pg::numeric(&cost)?, currency))).transpose()?;
    Ok(TableIterator::new(row))
}

/// The price rows of a model, remembered until `model_prices` changes.
pub fn of_model(model: &str) -> Result<Prices, ErrorReport> {
    // Another isolation level sees the prices of its snapshot, which may be older than what is remembered.
    if !pg::is_read_committed() || CHANGING.get() == pg::transaction_start() {
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
    let (query, args) = (include_str!("prices.sql"), [model.into()]);
    let rows = pg::with_rights(|| match pg::is_read_only() {
        true => query::select(query, &args, |row| price(&row)),
        false => query::select_latest(query, &args, |row| price(&row)),
    })?;
    Ok(rows.into())
}

fn price(row: &Row) -> Result<Price, ErrorReport> {
    Ok(Price {
        vendor: row.text(1)?,
        currency: row.text(2)?,
        service_tier: row.text(3)?,
        source: Source::parse(&row.text(4)?),
        is_default: row.get(5)?.unwrap_or_default(),
        above_tokens: row.get(6)?.unwrap_or_default(),
        valid_from: row.instant(7)?,
        rates: rates(row)?,
    })
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

    /// AFTER any change of `model_prices` or `budgets`, FOR EACH STATEMENT: every session forgets what it remembers of them, at the
    /// moment the change is visible to it. BEFORE it of `model_prices`: this session remembers no price until its transaction ends.
    #[pg_trigger]
    fn _announce_change<'a>(
        trigger: &'a PgTrigger<'a>,
    ) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgTriggerError> {
        match trigger.when() {
            Ok(PgTriggerWhen::Before) => CHANGING.set(pg::transaction_start()),
            _ => error::raise(pg::announce_change(trigger)),
        }
        Ok(trigger.new())
    }
}
