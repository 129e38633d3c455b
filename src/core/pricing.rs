//! What a request costs: the price row that holds for it, and the exact sum over its token kinds.

use std::cmp::Reverse;

use bigdecimal::BigDecimal;

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

/// Prices per token of each kind; `None` is an unknown one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    pub input: Option<BigDecimal>,
    pub output: Option<BigDecimal>,
    pub cache_read: Option<BigDecimal>,
    pub cache_write: Option<BigDecimal>,
    pub cache_write_1h: Option<BigDecimal>,
    pub reasoning: Option<BigDecimal>,
    pub prompt_audio: Option<BigDecimal>,
    pub completion_audio: Option<BigDecimal>,
    pub cache_read_audio: Option<BigDecimal>,
    pub cache_read_image: Option<BigDecimal>,
    pub prompt_image: Option<BigDecimal>,
    pub prompt_video: Option<BigDecimal>,
    pub completion_image: Option<BigDecimal>,
    pub completion_video: Option<BigDecimal>,
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

impl<'a> Request<'a> {
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
    pub fn cost(&self, price: &Price, prices: &[Price]) -> Option<BigDecimal> {
        let is_listed = |price: &&Price| price.source != Source::Own;
        let ordinary = match price.service_tier.as_str() {
            tier if tier.is_empty() || price.source == Source::Own => None,
            _ => self.row(prices.iter().filter(is_listed), &price.vendor, ""),
        };
        if ordinary.is_some_and(|ordinary| ordinary.above_tokens > price.above_tokens) {
            return None;
        }
        self.sum(&price.rates, ordinary.map(|ordinary| &ordinary.rates))
    }

    fn sum(&self, rates: &Rates, ordinary: Option<&Rates>) -> Option<BigDecimal> {
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
        type Rate = fn(&Rates) -> &Option<BigDecimal>;
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
        let mut cost = BigDecimal::default();
        for (tokens, own, whole) in kinds.into_iter().filter(|(tokens, ..)| *tokens != 0) {
            let is_apart = ordinary.is_some_and(|of| own(of).is_some() && own(of) != whole(of));
            let otherwise = if is_apart { None } else { whole(rates).as_ref() };
            cost += own(rates).as_ref().or(otherwise)? * BigDecimal::from(tokens);
        }
        Some(cost.normalized())
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
mod tests {
    use super::*;

    fn decimal(text: &str) -> Option<BigDecimal> {
        text.parse().ok()
    }

    fn price(vendor: &str, source: Source, above_tokens: i64, valid_from: i64, input: &str) -> Price {
        Price {
            vendor: vendor.into(),
            currency: "USD".into(),
            service_tier: String::new(),
            source,
            is_default: false,
            above_tokens,
            valid_from,
            rates: Rates { input: decimal(input), ..Rates::default() },
        }
    }

    fn chosen(prices: &[Price], request: &Request) -> Option<String> {
        let price = request.price(prices)?;
        request.cost(price, prices).map(|cost| cost.to_plain_string())
    }

    #[test]
    fn each_kind_has_its_price_and_parts_fall_back_to_their_whole() {
        let mut rates = Rates {
            input: decimal("2"),
            output: decimal("8"),
            cache_read: decimal("0.5"),
            cache_write: decimal("2.5"),
            ..Rates::default()
        };
        let request = Request {
            prompt_tokens: 10,
            prompt_audio_tokens: 4,
            cache_read_tokens: 100,
            cache_write_tokens: 20,
            cache_write_1h_tokens: 5,
            completion_tokens: 7,
            reasoning_tokens: 3,
            completion_audio_tokens: 1,
            ..Request::default()
        };
        assert_eq!(request.sum(&rates, None), decimal("176")); // 20 + 50 + 50 + 56
        rates.prompt_audio = decimal("40");
        rates.cache_write_1h = decimal("4");
        rates.reasoning = decimal("9");
        rates.completion_audio = decimal("80");
        // 6*2 + 4*40 + 100*0.5 + 15*2.5 + 5*4 + 3*8 + 3*9 + 80
        assert_eq!(request.sum(&rates, None), decimal("410.5"));
        let correction = Request {
            prompt_tokens: -request.prompt_tokens,
            prompt_audio_tokens: -request.prompt_audio_tokens,
            cache_read_tokens: -request.cache_read_tokens,
            cache_write_tokens: -request.cache_write_tokens,
            cache_write_1h_tokens: -request.cache_write_1h_tokens,
            completion_tokens: -request.completion_tokens,
            reasoning_tokens: -request.reasoning_tokens,
            completion_audio_tokens: -request.completion_audio_tokens,
            ..Request::default()
        };
        assert_eq!(correction.sum(&rates, None), decimal("-410.5"));
    }

    #[test]
    fn an_unknown_price_matters_only_where_there_are_tokens() {
        let rates = Rates { input: decimal("0.0000025"), ..Rates::default() };
        let mut request = Request { prompt_tokens: 3, ..Request::default() };
        assert_eq!(request.sum(&rates, None).map(|c| c.to_plain_string()), Some("0.0000075".into()));
        request.cache_read_tokens = 1;
        assert_eq!(request.sum(&rates, None), None);
        assert_eq!(Request::default().sum(&Rates::default(), None), decimal("0"));
    }

    #[test]
    fn a_part_is_never_more_than_its_whole() {
        let rates = Rates { output: decimal("1"), reasoning: decimal("10"), ..Rates::default() };
        let request = Request { completion_tokens: 16, reasoning_tokens: 19, ..Request::default() };
        assert_eq!(request.sum(&rates, None), decimal("160"));
    }

    #[test]
    fn own_wins_then_the_long_context_then_the_import_then_the_latest() {
        let mut prices = vec![
            price("v", Source::Shipped, 0, 0, "1"),
            price("v", Source::Shipped, 200, 0, "2"),
            price("v", Source::Shipped, 0, 50, "3"),
            price("v", Source::Catalog, 0, 10, "4"),
        ];
        let at = |occurred_at, prompt_tokens| Request { occurred_at, prompt_tokens, ..Request::default() };
        assert_eq!(chosen(&prices, &at(-1, 1)), None);
        assert_eq!(chosen(&prices, &at(0, 1)), Some("1".into()));
        assert_eq!(chosen(&prices, &at(60, 1)), Some("4".into()));
        assert_eq!(chosen(&prices, &at(60, 200)), Some("800".into()));
        assert_eq!(chosen(&prices, &at(60, 201)), Some("402".into()));
        prices.push(price("v", Source::Own, 0, 20, "5"));
        assert_eq!(chosen(&prices, &at(60, 201)), Some("1005".into()));
        assert_eq!(chosen(&prices, &at(19, 1)), Some("4".into()));
    }

    #[test]
    fn a_bare_name_means_the_marked_vendor_or_the_only_one() {
        let mut prices = vec![price("a", Source::Shipped, 0, 0, "1")];
        let bare = Request { prompt_tokens: 1, ..Request::default() };
        assert_eq!(chosen(&prices, &bare), Some("1".into()));
        prices.push(price("b", Source::Catalog, 0, 0, "2"));
        assert_eq!(chosen(&prices, &bare), None);
        prices[0].is_default = true;
        assert_eq!(chosen(&prices, &bare), Some("1".into()));
        prices[1].is_default = true;
        assert_eq!(chosen(&prices, &bare), Some("2".into()));
        let named = Request { vendor: Some("c"), ..bare };
        assert_eq!(chosen(&prices, &named), None);
    }

    #[test]
    fn the_ordinary_tier_has_many_names_and_another_one_its_own_row() {
        let mut flex = price("v", Source::Shipped, 0, 0, "1");
        flex.service_tier = "flex".into();
        let prices = [price("v", Source::Shipped, 0, 0, "2"), flex];
        let cost =
            |tier| chosen(&prices, &Request { service_tier: tier, prompt_tokens: 1, ..Request::default() });
        assert_eq!(cost(Some("default")), Some("2".into()));
        assert_eq!(cost(Some("flex")), Some("1".into()));
        assert_eq!(cost(Some("priority")), None);
    }

    #[test]
    fn what_the_ordinary_tier_prices_apart_has_no_price_in_a_tier_that_leaves_it_out() {
        let tier = |source, above_tokens, audio: Option<&str>| Price {
            service_tier: "flex".into(),
            rates: Rates {
                input: decimal("1"),
                prompt_audio: audio.and_then(decimal),
                reasoning: decimal("3"),
                ..Rates::default()
            },
            ..price("v", source, above_tokens, 0, "1")
        };
        let mut prices = vec![price("v", Source::Shipped, 0, 0, "2"), tier(Source::Catalog, 0, None)];
        let of = |prompt_tokens, prompt_audio_tokens| Request {
            service_tier: Some("flex"),
            prompt_tokens,
            prompt_audio_tokens,
            ..Request::default()
        };
        assert_eq!(chosen(&prices, &of(4, 1)), Some("4".into()));
        prices[0].rates.prompt_audio = decimal("2");
        assert_eq!(chosen(&prices, &of(4, 1)), Some("4".into()));
        prices[0].rates.prompt_audio = decimal("7");
        assert_eq!((chosen(&prices, &of(4, 0)), chosen(&prices, &of(4, 1))), (Some("4".into()), None));
        prices.push(price("v", Source::Catalog, 200, 0, "4"));
        assert_eq!((chosen(&prices, &of(200, 0)), chosen(&prices, &of(201, 0))), (Some("200".into()), None));
        prices.push(tier(Source::Catalog, 200, Some("5")));
        assert_eq!(chosen(&prices, &of(201, 1)), Some("205".into()));
        prices.push(tier(Source::Own, 0, None));
        assert_eq!(chosen(&prices, &of(201, 1)), Some("201".into()));
    }

    #[test]
    fn a_catalogue_says_anew_whom_a_name_means() {
        let marked = |vendor, valid_from, is_default| Price {
            is_default,
            ..price(vendor, Source::Catalog, 0, valid_from, "1")
        };
        let mut prices = vec![marked("a", 0, true), marked("b", 0, false)];
        assert_eq!(marked_vendor(&prices, 9), Some("a"));
        prices.push(marked("a", 5, false));
        assert_eq!((marked_vendor(&prices, 4), marked_vendor(&prices, 9)), (Some("a"), None));
        prices.push(marked("b", 5, true));
        assert_eq!(marked_vendor(&prices, 9), Some("b"));
        let own =
            |valid_from, is_default| Price { source: Source::Own, ..marked("c", valid_from, is_default) };
        prices.extend([own(1, true), own(2, false)]);
        assert_eq!(marked_vendor(&prices, 9), Some("c"));
    }

    #[test]
    fn a_gateways_name_holds_both() {
        assert_eq!(split_name("gemini/gemini-2.5-pro"), Some(("gemini", "gemini-2.5-pro")));
        assert_eq!(split_name("a/b/c"), Some(("a", "b/c")));
        assert_eq!([split_name("m"), split_name("/m"), split_name("v/")], [None, None, None]);
    }
}
