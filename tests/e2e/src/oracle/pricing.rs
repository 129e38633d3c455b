//! What an event without a given cost costs.

use bigdecimal::{BigDecimal, Zero};
use chrono::{DateTime, Utc};

use crate::ledger::{Edge, Event, MEDIA};

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
    /// In the order of [`MEDIA`].
    pub media: [Option<BigDecimal>; MEDIA.len()],
}

impl PriceRow {
    fn amounts(&self) -> [Option<String>; 8 + MEDIA.len()] {
        let [read_audio, read_image, prompt_image, prompt_video, image, video] = &self.media;
        [
            &self.input,
            &self.output,
            &self.cache_read,
            &self.cache_write,
            &self.cache_write_1h,
            &self.reasoning,
            &self.prompt_audio,
            &self.completion_audio,
            read_audio,
            read_image,
            prompt_image,
            prompt_video,
            image,
            video,
        ]
        .map(|amount| amount.as_ref().map(super::digits))
    }
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
    match row.and_then(|row| Some((cost(event, row, prices)?, row.currency.clone()))) {
        Some((cost, currency)) => Priced { cost: Some(cost), currency, priced: Some(true) },
        None => Priced { cost: None, currency, priced: Some(false) },
    }
}

fn row_of<'p>(event: &Event, prices: &'p [PriceRow]) -> Option<&'p PriceRow> {
    let named = |vendor: &str, model: &str| best(event, prices, vendor, model);
    let said = event.vendor.as_deref().or_else(|| marked_vendor(event, prices));
    if let Some(row) = said.and_then(|vendor| named(vendor, &event.model)) {
        return Some(row);
    }
    // A gateway's name holds vendor and model.
    let split = event.model.split_once('/').filter(|(prefix, model)| !prefix.is_empty() && !model.is_empty());
    if let Some((prefix, model)) = split
        && event.vendor.as_deref().is_none_or(|vendor| vendor == prefix)
    {
        if let Some(row) = named(prefix, model) {
            return Some(row);
        }
        if prices.iter().any(|row| row.vendor == prefix) {
            return None;
        }
    }
    match said {
        Some(_) => None,
        None => only_vendor(event, prices).and_then(|vendor| named(vendor, &event.model)),
    }
}

fn best<'p>(event: &Event, prices: &'p [PriceRow], vendor: &str, model: &str) -> Option<&'p PriceRow> {
    let tier = match event.service_tier.as_deref() {
        None | Some("default" | "standard" | "auto" | "on_demand") => "",
        Some(tier) => tier,
    };
    best_of(event, prices.iter(), vendor, model, tier)
}

fn best_of<'p>(
    event: &Event,
    prices: impl Iterator<Item = &'p PriceRow>,
    vendor: &str,
    model: &str,
    tier: &str,
) -> Option<&'p PriceRow> {
    let mut rows: Vec<&PriceRow> = prices
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

/// The vendor that is marked as a name's at that time. What a catalogue said later of the same price stands in its place.
fn marked_vendor<'p>(event: &Event, prices: &'p [PriceRow]) -> Option<&'p str> {
    let mut rows: Vec<&PriceRow> = rows_at(event, prices);
    rows.sort_by_key(|row| row.valid_from);
    let mut standing: Vec<&PriceRow> = Vec::new();
    for row in rows {
        let place = |row: &PriceRow| (row.vendor.clone(), row.service_tier.clone(), row.above_tokens);
        if row.source == Source::Catalog {
            standing.retain(|older| older.source != Source::Catalog || place(older) != place(row));
        }
        standing.push(row);
    }
    let marked = standing.into_iter().filter(|row| row.is_default);
    marked.max_by_key(|row| (row.source, row.valid_from)).map(|row| row.vendor.as_str())
}

fn only_vendor<'p>(event: &Event, prices: &'p [PriceRow]) -> Option<&'p str> {
    let rows = rows_at(event, prices);
    let first = rows.first()?;
    rows.iter().all(|row| row.vendor == first.vendor).then_some(first.vendor.as_str())
}

fn rows_at<'p>(event: &Event, prices: &'p [PriceRow]) -> Vec<&'p PriceRow> {
    let holds = |row: &&PriceRow| row.model == event.model && row.valid_from <= Edge::At(event.occurred_at);
    prices.iter().filter(holds).collect()
}

/// The sum over the kinds of tokens; `None` where one that has tokens has no price. In a tier of the lists nothing is guessed of what
/// their ordinary tier prices apart.
fn cost(event: &Event, row: &PriceRow, prices: &[PriceRow]) -> Option<BigDecimal> {
    // Each part takes what those before it have left of the whole.
    let mut left = [event.prompt, event.cache_read, event.cache_write, event.completion];
    let mut part = |whole: usize, part: Option<i64>| {
        let taken = part.unwrap_or(0).clamp(0, left[whole]);
        left[whole] -= taken;
        taken
    };
    let [of_prompt, of_read, of_write, of_completion] = [0, 1, 2, 3];
    let [read_audio, read_image, prompt_image, prompt_video, image, video] = event.media;
    let audio_in = part(of_prompt, event.prompt_audio);
    let (image_in, video_in) = (part(of_prompt, prompt_image), part(of_prompt, prompt_video));
    let (audio_read, image_read) = (part(of_read, read_audio), part(of_read, read_image));
    let written_1h = part(of_write, event.cache_write_1h);
    let reasoning = part(of_completion, Some(event.reasoning));
    let audio_out = part(of_completion, event.completion_audio);
    let (image_out, video_out) = (part(of_completion, image), part(of_completion, video));
    let lists = || prices.iter().filter(|row| row.source != Source::Own);
    let ordinary = match row.source == Source::Own || row.service_tier.is_empty() {
        true => None,
        false => best_of(event, lists(), &row.vendor, &row.model, ""),
    };
    if let Some(long) = ordinary.filter(|ordinary| ordinary.above_tokens > row.above_tokens) {
        let shorter = lists().filter(|listed| listed.above_tokens <= row.above_tokens);
        let short = best_of(event, shorter, &row.vendor, &row.model, "");
        if short.is_none_or(|short| short.amounts() != long.amounts()) {
            return None;
        }
    }
    type Price = Option<BigDecimal>;
    let or = |own: fn(&PriceRow) -> &Price, whole: fn(&PriceRow) -> &Price| match (own(row), ordinary) {
        (Some(own), _) => Some(own.clone()),
        (None, Some(ordinary))
            if own(ordinary).as_ref().is_some_and(|own| Some(own) != whole(ordinary).as_ref()) =>
        {
            None
        }
        (None, _) => whole(row).clone(),
    };
    let kinds = [
        (left[of_prompt], row.input.clone()),
        (audio_in, or(|of| &of.prompt_audio, |of| &of.input)),
        (image_in, or(|of| &of.media[2], |of| &of.input)),
        (video_in, or(|of| &of.media[3], |of| &of.input)),
        (left[of_read], row.cache_read.clone()),
        (audio_read, or(|of| &of.media[0], |of| &of.cache_read)),
        (image_read, or(|of| &of.media[1], |of| &of.cache_read)),
        (left[of_write], row.cache_write.clone()),
        (written_1h, or(|of| &of.cache_write_1h, |of| &of.cache_write)),
        (left[of_completion], row.output.clone()),
        (reasoning, or(|of| &of.reasoning, |of| &of.output)),
        (audio_out, or(|of| &of.completion_audio, |of| &of.output)),
        (image_out, or(|of| &of.media[4], |of| &of.output)),
        (video_out, or(|of| &of.media[5], |of| &of.output)),
    ];
    let with_tokens = kinds.into_iter().filter(|(tokens, _)| *tokens != 0);
    with_tokens
        .map(|(tokens, price)| Some(price? * BigDecimal::from(tokens)))
        .try_fold(BigDecimal::zero(), |sum, cost| Some(sum + cost?))
}
