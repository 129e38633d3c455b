use bigdecimal::BigDecimal;

use super::*;

fn decimal(text: &str) -> Option<Amount> {
    let decimal: BigDecimal = text.parse().ok()?;
    Some(Amount::from(decimal).shortest())
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
    request.cost(price, prices).map(|cost| cost.to_string())
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
    assert_eq!(request.sum(&rates, None).map(|c| c.to_string()), Some("0.0000075".into()));
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
    let priced_apart = std::mem::replace(&mut prices[2], price("v", Source::Catalog, 200, 0, "2"));
    prices[2].rates.prompt_audio = decimal("7.0");
    assert_eq!(
        chosen(&prices, &of(201, 0)),
        Some("201".into()),
        "a long context that costs what all others do"
    );
    prices[2] = priced_apart;
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
    let own = |valid_from, is_default| Price { source: Source::Own, ..marked("c", valid_from, is_default) };
    prices.extend([own(1, true), own(2, false)]);
    assert_eq!(marked_vendor(&prices, 9), Some("c"));
}

#[test]
fn a_gateways_name_holds_both() {
    assert_eq!(split_name("gemini/gemini-2.5-pro"), Some(("gemini", "gemini-2.5-pro")));
    assert_eq!(split_name("a/b/c"), Some(("a", "b/c")));
    assert_eq!([split_name("m"), split_name("/m"), split_name("v/")], [None, None, None]);
}
