//! What a request costs: the price row that holds for it, and the exact sum over its token kinds.

use std::cmp::Reverse;

use crate::amount::Amount;

/// Whose word a price row is, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Own,
    Catalog,
    Shipped,
}

impl Source {
    /// From the text of `model_prices.source`.
    pub fn parse(text: &str) -> Self {
        match text {
            "own" => Self::Own,
            "catalog" => Self::Catalog,
            _ => Self::Shipped,
        }
    }
}

/// Prices per token of each kind, each the [shortest](Amount::shortest); `None` is an unknown one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    pub input: Option<Amount>,
    pub output: Option<Amount>,
    pub cache_read: Option<Amount>,
    pub cache_write: Option<Amount>,
    pub cache_write_1h: Option<Amount>,
    pub reasoning: Option<Amount>,
    pub prompt_audio: Option<Amount>,
    pub completion_audio: Option<Amount>,
    pub cache_read_audio: Option<Amount>,
    pub cache_read_image: Option<Amount>,
    pub prompt_image: Option<Amount>,
    pub prompt_video: Option<Amount>,
    pub completion_image: Option<Amount>,
    pub completion_video: Option<Amount>,
}

/// A row of `model_prices` of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    pub vendor: String,
    pub currency: String,
    pub service_tier: String,
    pub source: Source,
    pub is_default: bool,
    pub above_tokens: i64,
    /// Microseconds on the same clock as [`Request::occurred_at`].
    pub valid_from: i64,
    pub rates: Rates,
}

/// What of a request decides its price.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request<'a> {
    pub vendor: Option<&'a str>,
    pub service_tier: Option<&'a str>,
    pub occurred_at: i64,
    pub prompt_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub completion_tokens: i64,
    pub reasoning_tokens: i64,
    pub cache_write_1h_tokens: i64,
    pub prompt_audio_tokens: i64,
    pub completion_audio_tokens: i64,
    pub cache_read_audio_tokens: i64,
    pub cache_read_image_tokens: i64,
    pub prompt_image_tokens: i64,
    pub prompt_video_tokens: i64,
    pub completion_image_tokens: i64,
    pub completion_video_tokens: i64,
}

impl Request<'_> {
    /// The row of the model's prices that holds for this request. An own price holds whatever the lists say; in the
    /// lists a long context has its own row, and an imported row replaces a shipped one.
    pub fn price<'p>(&self, prices: &'p [Price]) -> Option<&'p Price> {
        let vendor = self.vendor.or_else(|| {
            marked_vendor(prices, self.occurred_at).or_else(|| only_vendor(prices, self.occurred_at))
        })?;
        self.row(prices.iter(), vendor, standard_tier(self.service_tier))
    }

    fn row<'p>(
        &self,
        prices: impl Iterator<Item = &'p Price>,
        vendor: &str,
        tier: &str,
    ) -> Option<&'p Price> {
        // A correction takes back tokens at the price at which they were counted.
        let input = (self.prompt_tokens + self.cache_read_tokens + self.cache_write_tokens).abs();
        prices
            .filter(|price| price.vendor == vendor && price.service_tier == tier)
            .filter(|price| price.valid_from <= self.occurred_at)
            .filter(|price| price.above_tokens == 0 || price.above_tokens < input)
            .max_by_key(|price| {
                let (own, imported) = (price.source == Source::Own, price.source == Source::Catalog);
                (own, price.above_tokens, imported, price.valid_from)
            })
    }

    /// The cost at one of the model's prices; `None` where a kind that has tokens has no price. What the lists price apart in the
    /// ordinary tier, a part or a long context, has no price in another tier that leaves it out.
    pub fn cost(&self, price: &Price, prices: &[Price]) -> Option<Amount> {
        if price.service_tier.is_empty() || price.source == Source::Own {
            return self.sum(&price.rates, None);
        }
        let ordinary = |up_to: i64| {
            let listed =
                prices.iter().filter(|price| price.source != Source::Own && price.above_tokens <= up_to);
            self.row(listed, &price.vendor, "").map(|price| &price.rates)
        };
        let of_context = ordinary(i64::MAX);
        // A long context that no list prices apart any more has a row with the prices of all others.
        if of_context != ordinary(price.above_tokens) {
            return None;
        }
        self.sum(&price.rates, of_context)
    }

    fn sum(&self, rates: &Rates, ordinary: Option<&Rates>) -> Option<Amount> {
        let [prompt, prompt_audio, prompt_image, prompt_video] = parts(
            self.prompt_tokens,
            [self.prompt_audio_tokens, self.prompt_image_tokens, self.prompt_video_tokens],
        );
        let [cache_read, cache_read_audio, cache_read_image] =
            parts(self.cache_read_tokens, [self.cache_read_audio_tokens, self.cache_read_image_tokens]);
        let [cache_write, cache_write_1h] = parts(self.cache_write_tokens, [self.cache_write_1h_tokens]);
        let [completion, reasoning, completion_audio, completion_image, completion_video] = parts(
            self.completion_tokens,
            [
                self.reasoning_tokens,
                self.completion_audio_tokens,
                self.completion_image_tokens,
                self.completion_video_tokens,
            ],
        );
        type Rate = fn(&Rates) -> &Option<Amount>;
        let kinds: [(i64, Rate, Rate); 14] = [
            (prompt, |of| &of.input, |of| &of.input),
            (prompt_audio, |of| &of.prompt_audio, |of| &of.input),
            (prompt_image, |of| &of.prompt_image, |of| &of.input),
            (prompt_video, |of| &of.prompt_video, |of| &of.input),
            (cache_read, |of| &of.cache_read, |of| &of.cache_read),
            (cache_read_audio, |of| &of.cache_read_audio, |of| &of.cache_read),
            (cache_read_image, |of| &of.cache_read_image, |of| &of.cache_read),
            (cache_write, |of| &of.cache_write, |of| &of.cache_write),
            (cache_write_1h, |of| &of.cache_write_1h, |of| &of.cache_write),
            (completion, |of| &of.output, |of| &of.output),
            (reasoning, |of| &of.reasoning, |of| &of.output),
            (completion_audio, |of| &of.completion_audio, |of| &of.output),
            (completion_image, |of| &of.completion_image, |of| &of.output),
            (completion_video, |of| &of.completion_video, |of| &of.output),
        ];
        let mut cost = Amount::default();
        for (tokens, own, whole) in kinds.into_iter().filter(|(tokens, ..)| *tokens != 0) {
            let is_apart = ordinary.is_some_and(|of| own(of).is_some() && own(of) != whole(of));
            let otherwise = if is_apart { None } else { whole(rates).as_ref() };
            cost += &own(rates).as_ref().or(otherwise)?.times(tokens);
        }
        Some(cost.shortest())
    }
}

/// What no part takes of a whole, and its parts, which are never more than it, whatever a provider says. A correction's are negative.
fn parts<const PARTS: usize, const ALL: usize>(whole: i64, of: [i64; PARTS]) -> [i64; ALL] {
    const { assert!(ALL == PARTS + 1) };
    let mut all = [0; ALL];
    all[0] = whole;
    for (place, part) in of.into_iter().enumerate() {
        all[place + 1] = part.clamp(all[0].min(0), all[0].max(0));
        all[0] -= all[place + 1];
    }
    all
}

/// The vendor that is marked as the one that a model's name means at an instant. A catalogue says so anew with each of its rows.
pub fn marked_vendor(prices: &[Price], at: i64) -> Option<&str> {
    let holds = |price: &&Price| price.valid_from <= at;
    let is_replaced = |price: &Price| {
        let newer = |other: &Price| {
            (&other.vendor, &other.service_tier, other.above_tokens, other.source)
                == (&price.vendor, &price.service_tier, price.above_tokens, Source::Catalog)
                && other.valid_from > price.valid_from
        };
        price.source == Source::Catalog && prices.iter().filter(holds).any(newer)
    };
    let mut marked: Vec<&Price> = prices.iter().filter(holds).filter(|price| price.is_default).collect();
    marked.sort_unstable_by_key(|price| (price.source, Reverse(price.valid_from)));
    marked.into_iter().find(|price| !is_replaced(price)).map(|price| price.vendor.as_str())
}

/// The only vendor of a model at an instant. Prices that are still to come change nothing.
fn only_vendor(prices: &[Price], at: i64) -> Option<&str> {
    let mut prices = prices.iter().filter(|price| price.valid_from <= at);
    let vendor = &prices.next()?.vendor;
    prices.all(|price| price.vendor == *vendor).then_some(vendor)
}

/// The words that providers use for their ordinary tier mean no tier.
pub fn standard_tier(tier: Option<&str>) -> &str {
    match tier {
        None | Some("default" | "standard" | "auto" | "on_demand") => "",
        Some(tier) => tier,
    }
}

/// Vendor and model of a gateway's name such as `gemini/gemini-2.5-pro`.
pub fn split_name(name: &str) -> Option<(&str, &str)> {
    name.split_once('/').filter(|(vendor, model)| !vendor.is_empty() && !model.is_empty())
}

#[cfg(test)]
mod tests;
