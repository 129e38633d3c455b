//! What an event without a given cost costs.

use bigdecimal::{BigDecimal, Zero};
use chrono::{DateTime, Utc};

use crate::ledger::{Edge, Event};

/// Whose price it is; the later, the stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Shipped,
    Catalog,
    Own,
}

impl Source {
    /// As `model_prices.source` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Catalog => "catalog",
            Self::Own => "own",
        }
    }
}

/// A row of `model_prices`.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRow {
    pub vendor: String,
    pub model: String,
    pub service_tier: String,
    pub above_tokens: i64,
    pub source: Source,
    pub is_default: bool,
    pub currency: String,
    pub valid_from: Edge<DateTime<Utc>>,
    pub input: Option<BigDecimal>,
    pub output: Option<BigDecimal>,
    pub cache_read: Option<BigDecimal>,
    pub cache_write: Option<BigDecimal>,
    pub cache_write_1h: Option<BigDecimal>,
    pub reasoning: Option<BigDecimal>,
    pub prompt_audio: Option<BigDecimal>,
    pub completion_audio: Option<BigDecimal>,
}

/// What stands in the ledger afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    pub cost: Option<BigDecimal>,
    pub currency: String,
    /// `None`: the cost was given.
    pub priced: Option<bool>,
}

/// Cost and currency of an event at these prices.
pub fn price(event: &Event, prices: &[PriceRow], default_currency: &str) -> Priced {
    let currency = event.currency.clone().unwrap_or_else(|| default_currency.to_owned());
    if event.cost.is_some() {
        return Priced { cost: event.cost.clone(), currency, priced: None };
    }
    let row = row_of(event, prices);
    match row.and_then(|row| Some((cost(event, row)?, row.currency.clone()))) {
        Some((cost, currency)) => Priced { cost: Some(cost), currency, priced: Some(true) },
        None => Priced { cost: None, currency, priced: Some(false) },
    }
}

fn row_of<'p>(event: &Event, prices: &'p [PriceRow]) -> Option<&'p PriceRow> {
    let named = |vendor: &str, model: &str| best(event, prices, vendor, model);
    let vendor = event.vendor.as_deref().or_else(|| default_vendor(event, prices));
    if let Some(row) = vendor.and_then(|vendor| named(vendor, &event.model)) {
        return Some(row);
    }
    // A gateway's name holds vendor and model.
    let (prefix, model) = event.model.split_once('/')?;
    let fits = !prefix.is_empty() && event.vendor.as_deref().is_none_or(|vendor| vendor == prefix);
    if fits { named(prefix, model) } else { None }
}

fn best<'p>(event: &Event, prices: &'p [PriceRow], vendor: &str, model: &str) -> Option<&'p PriceRow> {
    let tier = match event.service_tier.as_deref() {
        None | Some("default" | "standard" | "auto" | "on_demand") => "",
        Some(tier) => tier,
    };
    let mut rows: Vec<&PriceRow> = prices
        .iter()
        .filter(|row| row.vendor == vendor && row.model == model && row.service_tier == tier)
        .filter(|row| row.valid_from <= Edge::At(event.occurred_at))
        .filter(|row| row.above_tokens == 0 || i128::from(row.above_tokens) < event.input())
        .collect();
    if rows.iter().any(|row| row.source == Source::Own) {
        rows.retain(|row| row.source == Source::Own);
    }
    let above = rows.iter().map(|row| row.above_tokens).max()?;
    rows.retain(|row| row.above_tokens == above);
    let source = rows.iter().map(|row| row.source).max()?;
    rows.retain(|row| row.source == source);
    rows.into_iter().max_by_key(|row| row.valid_from)
}

/// The vendor that a bare name means at that time: the marked one, or the only one.
fn default_vendor<'p>(event: &Event, prices: &'p [PriceRow]) -> Option<&'p str> {
    let holds = |row: &&PriceRow| row.model == event.model && row.valid_from <= Edge::At(event.occurred_at);
    let rows: Vec<&PriceRow> = prices.iter().filter(holds).collect();
    let marked = rows.iter().filter(|row| row.is_default);
    if let Some(row) = marked.max_by_key(|row| (row.source, row.valid_from)) {
        return Some(&row.vendor);
    }
    let first = rows.first()?;
    rows.iter().all(|row| row.vendor == first.vendor).then_some(first.vendor.as_str())
}

/// The sum over the kinds of tokens; `None` where one that has tokens has no price.
fn cost(event: &Event, row: &PriceRow) -> Option<BigDecimal> {
    let part = |part: Option<i64>, whole: i64| part.unwrap_or(0).clamp(0, whole);
    let audio_in = part(event.prompt_audio, event.prompt);
    let written_1h = part(event.cache_write_1h, event.cache_write);
    let reasoning = part(Some(event.reasoning), event.completion);
    let audio_out = part(event.completion_audio, event.completion - reasoning);
    let or = |own: &Option<BigDecimal>, whole: &Option<BigDecimal>| own.clone().or_else(|| whole.clone());
    let kinds = [
        (event.prompt - audio_in, row.input.clone()),
        (audio_in, or(&row.prompt_audio, &row.input)),
        (event.cache_read, row.cache_read.clone()),
        (event.cache_write - written_1h, row.cache_write.clone()),
        (written_1h, or(&row.cache_write_1h, &row.cache_write)),
        (event.completion - reasoning - audio_out, row.output.clone()),
        (reasoning, or(&row.reasoning, &row.output)),
        (audio_out, or(&row.completion_audio, &row.output)),
    ];
    let with_tokens = kinds.into_iter().filter(|(tokens, _)| *tokens != 0);
    with_tokens
        .map(|(tokens, price)| Some(price? * BigDecimal::from(tokens)))
        .try_fold(BigDecimal::zero(), |sum, cost| Some(sum + cost?))
}
