//! The field's public price catalogue, LiteLLM's `model_prices_and_context_window.json`, read into price rows.
//!
//! An entry's keys name a kind of token, then a context length above which the price holds, then a service tier:
//! `cache_creation_input_token_cost_above_1hr_above_200k_tokens_priority`. What is not priced by the token is left out.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Zero};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::Error;
use crate::event::{MOST_BYTES, json_type};
use crate::money;

/// The catalogue's key of a kind and the column that takes its price. A longer key stands before one it begins with.
const KINDS: [(&str, &str); 15] = [
    ("cache_creation_input_token_cost_above_12hr", "cache_write_1h_per_token"),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h_per_token"),
    ("cache_creation_input_token_cost", "cache_write_per_token"),
    ("cache_read_input_token_cost", "cache_read_per_token"),
    ("input_cost_per_audio_token", "prompt_audio_per_token"),
    ("input_cost_per_token", "input_per_token"),
    ("output_cost_per_audio_token", "completion_audio_per_token"),
    ("cache_read_input_audio_token_cost", "cache_read_audio_per_token"),
    ("cache_read_input_image_token_cost", "cache_read_image_per_token"),
    ("input_cost_per_image_token", "prompt_image_per_token"),
    ("input_cost_per_video_token", "prompt_video_per_token"),
    ("output_cost_per_image_token", "completion_image_per_token"),
    ("output_cost_per_video_token", "completion_video_per_token"),
    ("output_cost_per_reasoning_token", "reasoning_per_token"),
    ("output_cost_per_token", "output_per_token"),
];

/// Catalogue provider, or what it begins with, and the vendor it belongs to.
const VENDORS: [(&str, &str); 7] = [
    ("azure_text", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai-", "fireworks_ai"),
    ("text-completion-codestral", "codestral"),
    ("text-completion-openai", "openai"),
    ("vertex_ai-", "vertex_ai"),
];

/// Modes whose main price is not one of tokens.
const NOT_BY_TOKEN: [&str; 3] = ["image_edit", "image_generation", "video_generation"];

/// Prices of one entry, of one service tier, above one context length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PriceRow {
    pub vendor: String,
    pub model: String,
    pub service_tier: String,
    pub above_tokens: i64,
    /// The catalogue lists the model without its vendor: the bare name means this vendor.
    pub is_default: bool,
    #[serde(flatten)]
    pub prices: BTreeMap<&'static str, Number>,
}

/// A catalogue as read.
#[derive(Debug, Default, PartialEq)]
pub struct Catalog {
    pub rows: Vec<PriceRow>,
    /// Entries that are not priced by the token.
    pub skipped: usize,
    pub problems: Vec<Problem>,
}

/// An entry that was left out, or taken in part, and why.
#[derive(Debug, PartialEq, Serialize)]
pub struct Problem {
    pub key: String,
    pub reason: &'static str,
}

/// Service tier and context length of a price.
type Place = (String, i64);
type Prices = BTreeMap<&'static str, Number>;

/// Reads a catalogue. A bad entry is reported and does not keep the others out.
pub fn parse(catalog: &Value) -> Result<Catalog, Error> {
    let entries = catalog.as_object().ok_or_else(|| Error::WrongShape {
        name: "the catalogue",
        expected: "a JSON object of models",
        found: json_type(catalog),
    })?;
    let mut read = Catalog::default();
    let mut models: BTreeMap<(String, String), Model> = BTreeMap::new();
    for (key, entry) in entries.iter().filter(|(key, _)| *key != "sample_spec") {
        match Model::read(key, entry) {
            Ok(Some(model)) => merge(&mut models, model, &mut read.problems),
            Ok(None) => read.skipped += 1,
            Err(reason) => read.problems.push(Problem { key: key.clone(), reason }),
        }
    }
    read.rows = models.into_values().flat_map(Model::rows).collect();
    Ok(read)
}

struct Model {
    key: String,
    vendor: String,
    model: String,
    bare: bool,
    places: BTreeMap<Place, Prices>,
}

impl Model {
    fn read(key: &str, entry: &Value) -> Result<Option<Self>, &'static str> {
        let entry = entry.as_object().ok_or("the entry is not an object")?;
        let mode = entry.get("mode").and_then(Value::as_str).unwrap_or_default();
        if NOT_BY_TOKEN.contains(&mode) {
            return Ok(None);
        }
        let mut places = places(entry)?;
        if key.contains("claude") {
            price_hour(&mut places);
        }
        if places.is_empty() || is_priced_otherwise(entry, &places) {
            return Ok(None);
        }
        if entry.contains_key("off_peak_pricing") {
            return Err("the price depends on the time of day");
        }
        let provider =
            entry.get("litellm_provider").and_then(Value::as_str).ok_or("litellm_provider is missing")?;
        let vendor = vendor(provider);
        let prefixes = [provider, vendor];
        let stripped = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix)?.strip_prefix('/'));
        let model = stripped.unwrap_or(key);
        if !(1..=MOST_BYTES).contains(&model.len()) || !(1..=MOST_BYTES).contains(&vendor.len()) {
            return Err("a name must have 1 to 500 bytes");
        }
        Ok(Some(Self {
            key: key.to_owned(),
            vendor: vendor.to_owned(),
            model: model.to_owned(),
            bare: stripped.is_none(),
            places,
        }))
    }

    fn rows(self) -> impl Iterator<Item = PriceRow> {
        let Self { vendor, model, bare, places, .. } = self;
        places.into_iter().map(move |((service_tier, above_tokens), prices)| PriceRow {
            vendor: vendor.clone(),
            model: model.clone(),
            service_tier,
            above_tokens,
            is_default: bare,
            prices,
        })
    }
}

/// Two entries can name the same model, with the vendor's prefix and without; the prefixed one is the more specific.
fn merge(models: &mut BTreeMap<(String, String), Model>, mut new: Model, problems: &mut Vec<Problem>) {
    let name = (new.vendor.clone(), new.model.clone());
    let Some(known) = models.get_mut(&name) else {
        models.insert(name, new);
        return;
    };
    if known.places == new.places {
        known.bare |= new.bare;
        return;
    }
    if known.bare {
        std::mem::swap(known, &mut new);
    }
    known.bare = false;
    problems.push(Problem {
        key: new.key,
        reason: "another entry of the same vendor and model has other prices and is taken instead",
    });
}

fn vendor(provider: &str) -> &str {
    VENDORS
        .iter()
        .find(|(name, _)| provider == *name || name.ends_with('-') && provider.starts_with(name))
        .map_or(provider, |(_, vendor)| vendor)
}

/// A model whose token prices are all 0 while something else costs money is not free: it is not priced by the token.
fn is_priced_otherwise(entry: &Map<String, Value>, places: &BTreeMap<Place, Prices>) -> bool {
    let free = places.values().flat_map(Prices::values).all(money::is_zero);
    free && entry.iter().any(|(key, value)| {
        key.contains("cost")
            && match value {
                Value::Number(number) => !money::is_zero(number),
                Value::Object(parts) => !parts.is_empty(),
                _ => false,
            }
    })
}

fn places(entry: &Map<String, Value>) -> Result<BTreeMap<Place, Prices>, &'static str> {
    let mut places = BTreeMap::new();
    collect(entry, 0, &mut places)?;
    for range in entry.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let range = range.as_object().ok_or("tiered_pricing holds something else than objects")?;
        let above = range
            .get("range")
            .and_then(|bounds| whole(bounds.get(0)?))
            .ok_or("tiered_pricing has a range without a start")?;
        collect(range, above, &mut places)?;
    }
    inherit(&mut places);
    Ok(places)
}

fn collect(
    entry: &Map<String, Value>,
    from: i64,
    places: &mut BTreeMap<Place, Prices>,
) -> Result<(), &'static str> {
    for (key, value) in entry {
        let Some((column, tier, above)) = place(key) else {
            continue;
        };
        let price = match value {
            Value::Number(number) => money::price(&number.to_string()),
            Value::String(text) => money::price(text),
            Value::Null => continue,
            _ => None,
        };
        let price = price.ok_or("a price is not a number from 0 to below 100000")?;
        let prices = places.entry((tier, from.max(above))).or_default();
        prices.insert(column, price);
    }
    Ok(())
}

/// What a long context does not price by itself costs what it costs in a short one.
fn inherit(places: &mut BTreeMap<Place, Prices>) {
    let base = places.clone();
    for ((tier, above), prices) in places.iter_mut().filter(|((_, above), _)| *above > 0) {
        let below = base.range((tier.clone(), 0)..(tier.clone(), *above)).rev();
        for (column, price) in below.flat_map(|(_, prices)| prices) {
            prices.entry(column).or_insert_with(|| price.clone());
        }
    }
}

/// Of Claude an hour in the cache costs the same multiple of a write in each tier: multipliers stack (Claude docs, pricing of
/// prompt caching). The catalogue leaves it out for batches.
fn price_hour(places: &mut BTreeMap<Place, Prices>) {
    const HOUR: &str = "cache_write_1h_per_token";
    const WRITE: &str = "cache_write_per_token";
    let ordinary = places.clone();
    for ((_, above), prices) in places.iter_mut().filter(|((tier, _), _)| !tier.is_empty()) {
        let of = |prices: &Prices, kind| prices.get(kind)?.to_string().parse::<BigDecimal>().ok();
        let hour = ordinary.get(&(String::new(), *above)).and_then(|ordinary| {
            let (hour, write, own) = (of(ordinary, HOUR)?, of(ordinary, WRITE)?, of(prices, WRITE)?);
            // What goes on for ever has too many decimals for a price.
            (!write.is_zero()).then(|| money::price(&(hour * own / write).normalized().to_plain_string()))?
        });
        if let Some(hour) = hour {
            prices.entry(HOUR).or_insert(hour);
        }
    }
}

/// Column, service tier and context length that a catalogue key names.
fn place(key: &str) -> Option<(&'static str, String, i64)> {
    let (kind, column) = KINDS.iter().find(|(kind, _)| key.starts_with(kind))?;
    let rest = key.strip_prefix(kind)?;
    let (above, tier) = match rest.strip_prefix("_above_") {
        Some(rest) => {
            let (thousands, rest) = rest.split_once("k_tokens")?;
            (thousands.parse::<i64>().ok()?.checked_mul(1000)?, rest)
        }
        None => (0, rest),
    };
    let tier = match tier {
        "" => "",
        "_batches" => "batch",
        other => other.strip_prefix('_').filter(|word| word.bytes().all(|b| b.is_ascii_lowercase()))?,
    };
    Some((column, tier.to_owned(), above))
}

/// A whole number, also where it is written as `256000.0`.
fn whole(value: &Value) -> Option<i64> {
    let text = value.as_number()?.to_string();
    let (digits, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    fraction.bytes().all(|digit| digit == b'0').then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests;
