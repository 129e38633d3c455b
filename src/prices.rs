//! The prices of `model_prices` that a session remembers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use llm_usage_core::amount::Amount;
use llm_usage_core::pricing::{Price, Rates, Request, Source, marked_vendor, split_name};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::error;
use crate::pg;
use crate::pg::decimal::Decimal;
use crate::query::{self, Row};

/// Models whose prices a session remembers at most; beyond, it starts anew.
const MOST_MODELS: usize = 1000;

type Prices = Rc<[Price]>;

/// What a session remembers, and the generation of the database's tables at which it was read.
#[derive(Default)]
struct Remembered {
    generation: u64,
    models: HashMap<String, Prices>,
    /// Whether anything is paid to somebody of that name.
    vendors: HashMap<String, bool>,
}

thread_local! {
    /// When the transaction began that changes prices: what it reads may be undone.
    static CHANGING: Cell<i64> = const { Cell::new(i64::MIN) };
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

/// Cost and currency of a request, `None` where no price is known.
pub fn cost<'a>(model: &'a str, request: Request<'a>) -> Result<Option<(Amount, String)>, ErrorReport> {
    let prices = of_model(model)?;
    let named = split_name(model).filter(|(prefix, _)| request.vendor.is_none_or(|vendor| vendor == *prefix));
    let Some((prefix, bare)) = named else { return Ok(price_of(&request, &prices)) };
    // A gateway's name says who is paid, unless its whole is a model of a vendor that is named or marked.
    if (request.vendor.is_some() || marked_vendor(&prices, request.occurred_at).is_some())
        && request.price(&prices).is_some()
    {
        return Ok(price_of(&request, &prices));
    }
    let of_bare = of_model(bare)?;
    let by_name = Request { vendor: Some(prefix), ..request.clone() };
    if by_name.price(&of_bare).is_some() {
        return Ok(price_of(&by_name, &of_bare));
    }
    Ok(if is_vendor(prefix)? { None } else { price_of(&request, &prices) })
}

fn price_of(request: &Request, prices: &[Price]) -> Option<(Amount, String)> {
    let price = request.price(prices)?;
    Some((request.cost(price, prices)?, price.currency.clone()))
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
    reasoning_tokens: default!(Option<i64>, "NULL"),
    cache_write_1h_tokens: default!(Option<i64>, "NULL"),
    prompt_audio_tokens: default!(Option<i64>, "NULL"),
    completion_audio_tokens: default!(Option<i64>, "NULL"),
    cache_read_audio_tokens: default!(Option<i64>, "NULL"),
    cache_read_image_tokens: default!(Option<i64>, "NULL"),
    prompt_image_tokens: default!(Option<i64>, "NULL"),
    prompt_video_tokens: default!(Option<i64>, "NULL"),
    completion_image_tokens: default!(Option<i64>, "NULL"),
    completion_video_tokens: default!(Option<i64>, "NULL"),
) -> Result<TableIterator<'static, (name!(cost, Decimal), name!(currency, String))>, ErrorReport> {
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
        cache_read_audio_tokens: cache_read_audio_tokens.unwrap_or(0),
        cache_read_image_tokens: cache_read_image_tokens.unwrap_or(0),
        prompt_image_tokens: prompt_image_tokens.unwrap_or(0),
        prompt_video_tokens: prompt_video_tokens.unwrap_or(0),
        completion_image_tokens: completion_image_tokens.unwrap_or(0),
        completion_video_tokens: completion_video_tokens.unwrap_or(0),
    };
    let priced = cost(model, request)?;
    let row = priced.map(|(cost, currency)| Ok((Decimal::of(&cost)?, currency))).transpose()?;
    Ok(TableIterator::new(row))
}

/// The price rows of a model.
pub fn of_model(model: &str) -> Result<Prices, ErrorReport> {
    remembered(
        model,
        |remembered| &mut remembered.models,
        |model| Ok(fetch(include_str!("prices.sql"), model, price)?.into()),
    )
}

fn is_vendor(name: &str) -> Result<bool, ErrorReport> {
    remembered(
        name,
        |remembered| &mut remembered.vendors,
        |name| Ok(!fetch(include_str!("vendor.sql"), name, |row| row.text(1))?.is_empty()),
    )
}

/// What is known by a name, remembered until `model_prices` changes.
fn remembered<T: Clone>(
    name: &str,
    known: impl Fn(&mut Remembered) -> &mut HashMap<String, T>,
    fetch: impl Fn(&str) -> Result<T, ErrorReport>,
) -> Result<T, ErrorReport> {
    // Another isolation level sees the prices of its snapshot, which may be older than what is remembered.
    if !pg::is_read_committed() || CHANGING.get() == pg::transaction_start() {
        return fetch(name);
    }
    let generation = pg::generation();
    let found = REMEMBERED.with_borrow_mut(|remembered| {
        if remembered.generation != generation || known(remembered).len() >= MOST_MODELS {
            *remembered = Remembered { generation, ..Remembered::default() };
        }
        known(remembered).get(name).cloned()
    });
    if let Some(found) = found {
        return Ok(found);
    }
    let fetched = fetch(name)?;
    // A change that arrived during the query may not be in its answer.
    if pg::generation() == generation {
        REMEMBERED.with_borrow_mut(|remembered| known(remembered).insert(name.to_owned(), fetched.clone()));
    }
    Ok(fetched)
}

fn fetch<T>(
    query: &'static str,
    name: &str,
    shape: fn(&Row) -> Result<T, ErrorReport>,
) -> Result<Vec<T>, ErrorReport> {
    let args = [name.into()];
    pg::with_rights(|| match pg::is_read_only() {
        true => query::select(query, &args, |row| shape(&row)),
        false => query::select_latest(query, &args, |row| shape(&row)),
    })
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
        input: rate(row, 8)?,
        output: rate(row, 9)?,
        cache_read: rate(row, 10)?,
        cache_write: rate(row, 11)?,
        cache_write_1h: rate(row, 12)?,
        reasoning: rate(row, 13)?,
        prompt_audio: rate(row, 14)?,
        completion_audio: rate(row, 15)?,
        cache_read_audio: rate(row, 16)?,
        cache_read_image: rate(row, 17)?,
        prompt_image: rate(row, 18)?,
        prompt_video: rate(row, 19)?,
        completion_image: rate(row, 20)?,
        completion_video: rate(row, 21)?,
    })
}

fn rate(row: &Row, column: usize) -> Result<Option<Amount>, ErrorReport> {
    Ok(row.decimal(column)?.map(|rate| Amount::from(rate).shortest()))
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
