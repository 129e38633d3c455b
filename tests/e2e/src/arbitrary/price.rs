//! Prices, and events that they may hold for.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::array::uniform6;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::text;
use crate::ledger::{Edge, Event, Way};
use crate::oracle::{PriceRow, Source};

const VENDORS: [&str; 3] = ["acme", "Acme", "zenith"];
/// No shipped price names them; one holds a vendor as a gateway writes it.
const MODELS: [&str; 3] = ["e2e-model", "E2E-model", "e2e/model:x"];
const GATEWAY_MODELS: [&str; 8] = [
    "e2e-model",
    "E2E-model",
    "e2e/model:x",
    "acme/e2e-model",
    "Acme/e2e/model:x",
    "zenith/E2E-model",
    "e2e-unknown",
    "/e2e-model",
];
const TIERS: [&str; 3] = ["", "batch", "flex"];
const WORDS: [&str; 7] = ["default", "standard", "auto", "on_demand", "batch", "flex", "priority"];
const THRESHOLDS: [i64; 3] = [0, 100, 1000];
const START: &str = "2025-06-01T00:00:00Z";

fn start() -> DateTime<Utc> {
    START.parse().expect("an instant")
}

fn prices() -> impl Strategy<Value = Option<BigDecimal>> {
    let price = (0..1_000_000_000_000_i64, 7..25_i64)
        .prop_map(|(digits, scale)| BigDecimal::new(BigInt::from(digits), scale));
    let price = prop_oneof![8 => price, 1 => Just(BigDecimal::from(0))];
    option::weighted(0.75, price)
}

/// Rows that differ in all that decides between them.
pub fn price_rows() -> impl Strategy<Value = Vec<PriceRow>> {
    let key = (
        text(&VENDORS),
        text(&MODELS),
        prop_oneof![2 => Just(""), 1 => select(&TIERS[..])],
        select(&THRESHOLDS[..]),
        select(&[Source::Own, Source::Catalog, Source::Shipped][..]),
    );
    let valid_from = prop_oneof![
        1 => Just(Edge::Past),
        5 => (-2..=2_i64).prop_map(|hours| Edge::At(start() + TimeDelta::hours(hours))),
    ];
    let rest = (valid_from, any::<bool>(), select(&["USD", "EUR"][..]));
    let halves = (
        (prices(), prices(), prices(), prices()),
        (prices(), prices(), prices(), prices()),
        uniform6(prices()),
    );
    let row = (key, rest, halves).prop_map(
        |(
            (vendor, model, service_tier, above_tokens, source),
            (valid_from, is_default, currency),
            (
                (input, output, cache_read, cache_write),
                (cache_write_1h, reasoning, prompt_audio, completion_audio),
                media,
            ),
        )| PriceRow {
            vendor,
            model,
            service_tier: service_tier.to_owned(),
            above_tokens,
            source,
            is_default,
            currency: currency.to_owned(),
            valid_from,
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
            prompt_audio,
            completion_audio,
            media,
        },
    );
    vec(row, 0..25).prop_map(without_ambiguity)
}

/// One row a key, and one vendor that is marked at a time: which of two would be meant is not defined.
fn without_ambiguity(rows: Vec<PriceRow>) -> Vec<PriceRow> {
    let mut by_key = BTreeMap::new();
    for row in rows {
        let key = (
            row.vendor.clone(),
            row.model.clone(),
            row.service_tier.clone(),
            row.above_tokens,
            row.source,
            row.valid_from,
        );
        by_key.insert(key, row);
    }
    let mut marked: BTreeMap<(String, Source, Edge<DateTime<Utc>>), String> = BTreeMap::new();
    let mut rows: Vec<PriceRow> = by_key.into_values().collect();
    for row in rows.iter_mut().filter(|row| row.is_default) {
        let key = (row.model.clone(), row.source, row.valid_from);
        row.is_default = *marked.entry(key).or_insert_with(|| row.vendor.clone()) == row.vendor;
    }
    rows
}

fn counts() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(0_i64), 2 => 1..60_i64, 1 => 90..110_i64, 1 => 500..1200_i64, 1 => 0..=i64::from(i32::MAX)]
}

/// Requests of those models; some with a cost of their own.
pub fn priced_events() -> impl Strategy<Value = Vec<Event>> {
    let way = select(&[Way::Insert, Way::Copy, Way::Record, Way::Batch][..]);
    let at = (-3..=3_i64, -1..=1_i64)
        .prop_map(|(hours, micros)| start() + TimeDelta::hours(hours) + TimeDelta::microseconds(micros));
    let named = (option::of(text(&VENDORS)), text(&GATEWAY_MODELS), option::of(text(&WORDS)));
    let tokens = (counts(), counts(), counts(), counts(), counts());
    let parts = (
        option::of(counts()),
        option::of(counts()),
        option::of(counts()),
        uniform6(option::weighted(0.2, counts())),
    );
    let cost = (option::weighted(0.1, super::amounts()), option::of(super::currencies()));
    let event = (way, at, named, tokens, parts, cost).prop_map(
        |(
            way,
            occurred_at,
            (vendor, model, service_tier),
            (prompt, cache_read, cache_write, completion, reasoning),
            (cache_write_1h, prompt_audio, completion_audio, media),
            (cost, currency),
        )| Event {
            way,
            occurred_at,
            vendor,
            model,
            service_tier,
            prompt,
            cache_read,
            cache_write,
            completion,
            reasoning,
            cache_write_1h,
            prompt_audio,
            completion_audio,
            media,
            cost,
            currency: currency.map(str::to_owned),
            ..Event::default()
        },
    );
    vec(event, 1..20).prop_map(|mut events| {
        for (number, event) in events.iter_mut().enumerate() {
            event.request_id = format!("r{number}");
        }
        events
    })
}
