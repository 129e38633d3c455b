//! What a request costs: the price row that holds for it, and the exact sum over its token kinds.

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
}

impl Request<'_> {
    /// The row of the model's prices that holds for this request. An own price holds whatever the lists say; in the
    /// lists a long context has its own row, and an imported row replaces a shipped one.
    pub fn price<'p>(&self, prices: &'p [Price]) -> Option<&'p Price> {
        let vendor = self.vendor.or_else(|| default_vendor(prices, self.occurred_at))?;
        let tier = standard_tier(self.service_tier);
        // A correction takes back tokens at the price at which they were counted.
        let input = (self.prompt_tokens + self.cache_read_tokens + self.cache_write_tokens).abs();
        prices
            .iter()
            .filter(|price| price.vendor == vendor && price.service_tier == tier)
            .filter(|price| price.valid_from <= self.occurred_at)
            .filter(|price| price.above_tokens == 0 || price.above_tokens < input)
            .max_by_key(|price| {
                let (own, imported) = (price.source == Source::Own, price.source == Source::Catalog);
                (own, price.above_tokens, imported, price.valid_from)
            })
    }

    /// The cost at these rates; `None` where a kind that has tokens has no price.
    pub fn cost(&self, rates: &Rates) -> Option<BigDecimal> {
        let prompt_audio = part(self.prompt_audio_tokens, self.prompt_tokens);
        let cache_write_1h = part(self.cache_write_1h_tokens, self.cache_write_tokens);
        let reasoning = part(self.reasoning_tokens, self.completion_tokens);
        let completion_audio = part(self.completion_audio_tokens, self.completion_tokens - reasoning);
        let kinds = [
            (self.prompt_tokens - prompt_audio, &rates.input, &None),
            (prompt_audio, &rates.prompt_audio, &rates.input),
            (self.cache_read_tokens, &rates.cache_read, &None),
            (self.cache_write_tokens - cache_write_1h, &rates.cache_write, &None),
            (cache_write_1h, &rates.cache_write_1h, &rates.cache_write),
            (self.completion_tokens - reasoning - completion_audio, &rates.output, &None),
            (reasoning, &rates.reasoning, &rates.output),
            (completion_audio, &rates.completion_audio, &rates.output),
        ];
        let mut cost = BigDecimal::default();
        for (tokens, price, otherwise) in kinds.into_iter().filter(|(tokens, ..)| *tokens != 0) {
            cost += price.as_ref().or(otherwise.as_ref())? * BigDecimal::from(tokens);
        }
        Some(cost.normalized())
    }
}

/// A part is never more than its whole, whatever a provider says.
fn part(part: i64, whole: i64) -> i64 {
    part.clamp(whole.min(0), whole.max(0))
}

/// The vendor that a model's bare name means at an instant: the marked one, or the only one. Prices that are still to come change
/// nothing.
fn default_vendor(prices: &[Price], at: i64) -> Option<&str> {
    let mut prices = prices.iter().filter(|price| price.valid_from <= at);
    let marked = prices.clone().filter(|price| price.is_default);
    if let Some(price) = marked.max_by_key(|price| (std::cmp::Reverse(price.source), price.valid_from)) {
        return Some(&price.vendor);
    }
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
        request.cost(&price.rates).map(|cost| cost.to_plain_string())
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
        assert_eq!(request.cost(&rates), decimal("176")); // 20 + 50 + 50 + 56
        rates.prompt_audio = decimal("40");
        rates.cache_write_1h = decimal("4");
        rates.reasoning = decimal("9");
        rates.completion_audio = decimal("80");
        // 6*2 + 4*40 + 100*0.5 + 15*2.5 + 5*4 + 3*8 + 3*9 + 80
        assert_eq!(request.cost(&rates), decimal("410.5"));
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
        assert_eq!(correction.cost(&rates), decimal("-410.5"));
    }

    #[test]
    fn an_unknown_price_matters_only_where_there_are_tokens() {
        let rates = Rates { input: decimal("0.0000025"), ..Rates::default() };
        let mut request = Request { prompt_tokens: 3, ..Request::default() };
        assert_eq!(request.cost(&rates).map(|c| c.to_plain_string()), Some("0.0000075".into()));
        request.cache_read_tokens = 1;
        assert_eq!(request.cost(&rates), None);
        assert_eq!(Request::default().cost(&Rates::default()), decimal("0"));
    }

    #[test]
    fn a_part_is_never_more_than_its_whole() {
        let rates = Rates { output: decimal("1"), reasoning: decimal("10"), ..Rates::default() };
        let request = Request { completion_tokens: 16, reasoning_tokens: 19, ..Request::default() };
        assert_eq!(request.cost(&rates), decimal("160"));
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
    fn a_gateways_name_holds_both() {
        assert_eq!(split_name("gemini/gemini-2.5-pro"), Some(("gemini", "gemini-2.5-pro")));
        assert_eq!(split_name("a/b/c"), Some(("a", "b/c")));
        assert_eq!([split_name("m"), split_name("/m"), split_name("v/")], [None, None, None]);
    }
}
