//! Every documented report, recomputed plainly from what was recorded. Written from the reports' documents and sharing
//! nothing with the extension: what the two disagree on is a defect of one of them.

mod budget;
mod chat;
mod model;
mod pricing;
mod tokens;

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Zero};
use chrono::{DateTime, NaiveDate, Timelike, Utc};
use serde_json::{Number, Value};

pub use budget::{
    BUDGET_ACTIVITY, Spending, budget_usage, is_period_start, period, same_but_for_usage, spending,
};
pub use chat::app_usage;
pub use model::{Refusal, model_usage_statistics};
pub use pricing::{PriceRow, Priced, Source, price};
pub use tokens::{app_token_usage, token_usage_for_app, token_usage_grouped};

/// A whole number as JSON, however large.
fn whole(number: i128) -> Value {
    Value::Number(number.to_string().parse::<Number>().expect("digits"))
}

/// An amount as JSON: plain decimal digits, none of them superfluous.
fn amount(amount: &BigDecimal) -> Value {
    Value::Number(digits(amount).parse::<Number>().expect("digits"))
}

/// An amount's digits, none of them superfluous.
pub fn digits(amount: &BigDecimal) -> String {
    if amount.is_zero() { "0".into() } else { amount.normalized().to_plain_string() }
}

fn day_name(day: NaiveDate) -> String {
    day.format("%Y-%m-%d").to_string()
}

/// `2025-06-01T00:00:00Z`, with six digits of microseconds where they are not 0.
fn instant_name(at: DateTime<Utc>) -> String {
    let fraction = if at.nanosecond() == 0 { "" } else { "%.6f" };
    at.format(&format!("%Y-%m-%dT%H:%M:%S{fraction}Z")).to_string()
}

/// Sums of values by key, in the order of the keys.
fn sums<K: Ord, V, S: Default>(
    values: impl IntoIterator<Item = V>,
    key: impl Fn(&V) -> K,
    mut add: impl FnMut(&mut S, &V),
) -> BTreeMap<K, S> {
    let mut sums = BTreeMap::new();
    for value in values {
        add(sums.entry(key(&value)).or_default(), &value);
    }
    sums
}
