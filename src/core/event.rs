//! A row of a ledger before it is written: every value checked, so that a good one can be recorded beside a bad one.

use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

use crate::Error;
use crate::calendar::{END, FIRST, format_instant, parse_instant};
use crate::money;

mod row;

pub use row::Row;

/// The most tokens of one kind that one event may count.
pub const MOST_TOKENS: i64 = i32::MAX as i64;
/// The most bytes of a text that reports group by.
pub const MOST_BYTES: usize = 500;

/// What a column of the ledger takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Attrs,
    Cost,
    Count,
    Currency,
    /// Tokens that may be missing or too many.
    Difference,
    Id,
    Instant,
    Quality,
    /// What no writer of a request gives.
    Requests,
    Text,
}

/// What a figure may be worth that is not the provider's last word.
const QUALITIES: [&str; 2] = ["estimated", "partial"];

impl Kind {
    /// Whether a number, or an instant in microseconds since 1970, is within bounds. A correction takes counts back.
    pub fn accepts_number(self, number: i64, is_correction: bool) -> bool {
        match self {
            Self::Count if is_correction => (-MOST_TOKENS..=MOST_TOKENS).contains(&number),
            Self::Count => (0..=MOST_TOKENS).contains(&number),
            Self::Difference => (-MOST_TOKENS..=MOST_TOKENS).contains(&number),
            // An event that is no request would hide that it is unpriced.
            Self::Requests if is_correction => (-1..=1).contains(&number),
            Self::Requests => number == 1,
            Self::Instant => (FIRST..END).contains(&number),
            _ => number >= 0,
        }
    }

    /// Whether a text, by its bytes, is within bounds.
    pub fn accepts_text(self, text: &[u8]) -> bool {
        match self {
            Self::Currency => text.len() == 3 && text.iter().all(u8::is_ascii_uppercase),
            Self::Quality => QUALITIES.iter().any(|quality| quality.as_bytes() == text),
            _ => (1..=MOST_BYTES).contains(&text.len()) && !text.contains(&0),
        }
    }

    /// Whether an amount is within bounds. A correction takes costs back.
    pub fn accepts_amount(self, amount: &str, is_correction: bool) -> bool {
        match is_correction {
            true => money::is_correction(amount),
            false => money::is_cost(amount),
        }
    }

    /// The error that a column cannot hold a value.
    pub fn refusal(self, name: &str, value: String) -> Error {
        Error::BadValue { name: name.to_owned(), value, expected: expected(self) }
    }
}

/// A value that its column can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Checked {
    Amount(Number),
    Attrs(Value),
    /// Microseconds since 1970.
    Instant(i64),
    Number(i64),
    Text(String),
}

impl Kind {
    /// The value, if a column of this kind can hold it.
    fn holds(self, value: &Value) -> Option<Checked> {
        match self {
            Self::Attrs => (value.is_object() && is_storable(value)).then(|| Checked::Attrs(value.clone())),
            Self::Cost => cost(value).map(Checked::Amount),
            Self::Count | Self::Difference | Self::Id | Self::Requests => {
                value.as_i64().map(Checked::Number).filter(|number| self.accepts(number))
            }
            Self::Instant => {
                value.as_str().and_then(parse_instant).map(Checked::Instant).filter(|at| self.accepts(at))
            }
            Self::Currency | Self::Quality | Self::Text => {
                let text = value.as_str().filter(|text| self.accepts_text(text.as_bytes()));
                text.map(|text| Checked::Text(text.to_owned()))
            }
        }
    }

    /// Whether a value that was read elsewhere is within bounds.
    fn accepts(self, value: &Checked) -> bool {
        match value {
            Checked::Amount(amount) => self.accepts_amount(amount.as_str(), false),
            Checked::Attrs(attrs) => is_storable(attrs),
            Checked::Instant(number) | Checked::Number(number) => self.accepts_number(*number, false),
            Checked::Text(text) => self.accepts_text(text.as_bytes()),
        }
    }
}

/// The place of a column of `usage_events` in [`EVENT_COLUMNS`], found when this is compiled.
pub const fn event_column(name: &str) -> usize {
    let mut column = 0;
    while !same(EVENT_COLUMNS[column].0.as_bytes(), name.as_bytes()) {
        column += 1;
    }
    column
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// A ledger's columns that a writer may give.
#[derive(Debug, PartialEq)]
pub struct Ledger {
    columns: &'static [(&'static str, Kind)],
    /// The column that no row can be without; only events of a source have one.
    required: Option<usize>,
}

/// Chat sessions.
pub static SESSIONS: Ledger = Ledger {
    columns: &[("app_id", Kind::Id), ("consumer_id", Kind::Text), ("started_at", Kind::Instant)],
    required: None,
};

/// Chat messages.
pub static MESSAGES: Ledger = Ledger {
    columns: &[("app_id", Kind::Id), ("session_id", Kind::Id), ("sent_at", Kind::Instant)],
    required: None,
};

/// Model requests.
pub static USAGE_EVENTS: Ledger = Ledger { columns: EVENT_COLUMNS, required: Some(event_column("model")) };

/// Who gave a `request_id`: part of its key, and no column.
pub const SOURCE: &str = "source";

/// The columns of `usage_events` that a writer may give, in the order in which `record_usage` takes them.
pub const EVENT_COLUMNS: &[(&str, Kind)] = &[
    ("model", Kind::Text),
    ("app_id", Kind::Id),
    ("llm_id", Kind::Id),
    ("user_id", Kind::Id),
    ("vendor", Kind::Text),
    ("prompt_tokens", Kind::Count),
    ("cache_read_tokens", Kind::Count),
    ("cache_write_tokens", Kind::Count),
    ("completion_tokens", Kind::Count),
    ("reasoning_tokens", Kind::Count),
    ("inference_tokens", Kind::Count),
    ("cost", Kind::Cost),
    ("currency", Kind::Currency),
    ("occurred_at", Kind::Instant),
    ("task_id", Kind::Text),
    ("rule_type", Kind::Text),
    ("request_id", Kind::Text),
    ("attrs", Kind::Attrs),
    ("service_tier", Kind::Text),
    ("cache_write_1h_tokens", Kind::Count),
    ("prompt_audio_tokens", Kind::Count),
    ("completion_audio_tokens", Kind::Count),
    ("cache_read_audio_tokens", Kind::Count),
    ("cache_read_image_tokens", Kind::Count),
    ("prompt_image_tokens", Kind::Count),
    ("prompt_video_tokens", Kind::Count),
    ("completion_image_tokens", Kind::Count),
    ("completion_video_tokens", Kind::Count),
    ("reported_cost", Kind::Cost),
    ("quality", Kind::Quality),
    ("unaccounted_tokens", Kind::Difference),
];

impl Serialize for Checked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Amount(amount) => amount.serialize(serializer),
            Self::Attrs(attrs) => attrs.serialize(serializer),
            Self::Instant(instant) => format_instant(*instant).serialize(serializer),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Ledger {
    /// Checks a row; a `null` means the column's default.
    pub fn check(&'static self, row: &Value) -> Result<Row, Error> {
        let Value::Object(columns) = row else {
            return Err(Error::WrongShape {
                name: "an event",
                expected: "a JSON object",
                found: json_type(row),
            });
        };
        let mut checked = Row::new(self);
        columns.iter().try_for_each(|(name, value)| checked.set(name, value))?;
        checked.complete()
    }

    fn unknown(&self, name: &str) -> Error {
        let source = self.required.map(|_| SOURCE);
        let known: Vec<&str> = self.columns.iter().map(|(name, _)| *name).chain(source).collect();
        Error::UnknownKey { key: name.to_owned(), known: known.join(", ") }
    }
}

/// The JSON type of a value as it is named in messages.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Whether a `jsonb` can hold it: no text has the character that it cannot, and no number is beyond a `numeric`.
fn is_storable(value: &Value) -> bool {
    /// Digits before the point, and behind it, of which a `numeric` has that many at least.
    const MOST_DIGITS: usize = 16_000;
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Number(number) => {
            let text = number.to_string();
            let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
            let exponent = exponent.trim_start_matches('+').parse().unwrap_or(i64::MAX).unsigned_abs();
            usize::try_from(exponent)
                .is_ok_and(|exponent| digits.len().saturating_add(exponent) <= MOST_DIGITS)
        }
        Value::Array(items) => items.iter().all(is_storable),
        Value::Object(fields) => fields.iter().all(|(key, value)| !key.contains('\0') && is_storable(value)),
        Value::Null | Value::Bool(_) => true,
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Attrs => "a JSON object",
        Kind::Cost => {
            "an amount from 0 to below 10^15 with at most 60 decimals, such as 0.0006; only a correction, which names an event in corrects, may be negative"
        }
        Kind::Count => {
            "a whole number of tokens from 0 to 2147483647; only a correction, which names an event in corrects, may be negative"
        }
        Kind::Currency => "an ISO 4217 code in capitals, such as USD",
        Kind::Difference => "a whole number of tokens from -2147483647 to 2147483647",
        Kind::Id => "a whole number from 0 to 9223372036854775807",
        Kind::Instant => "an ISO 8601 instant from year 0001 to 9999, such as 2025-06-01T23:59:59.999999Z",
        Kind::Quality => "estimated or partial; what the provider reported has none",
        Kind::Requests => "1; only a correction, which names an event in corrects, may say 0 or -1",
        Kind::Text => "a text of 1 to 500 bytes",
    }
}

/// A string of digits is taken as well: exact clients do not trust JSON numbers with money.
fn cost(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            money::cost(&text).or_else(|| money::cost(&money::plain(&text)?))
        }
        Value::String(text) => money::cost(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn written(element: Value) -> String {
        let event = USAGE_EVENTS.check(&element).expect("a good event");
        serde_json::to_string(&event).expect("json")
    }

    #[test]
    fn a_good_event_keeps_its_digits_and_loses_its_nulls() {
        let element: Value = serde_json::from_str(
            r#"{"model":"gpt-4.1","app_id":7,"cost":0.000000000000000000123,"task_id":null,
                "occurred_at":"2025-06-01 23:59:59.999999","attrs":{"team":"x"}}"#,
        )
        .expect("json");
        assert_eq!(
            written(element),
            r#"{"app_id":7,"attrs":{"team":"x"},"cost":0.000000000000000000123,"model":"gpt-4.1","occurred_at":"2025-06-01T23:59:59.999999Z"}"#
        );
        assert_eq!(written(json!({"model": "m", "cost": "1.50"})), r#"{"cost":1.50,"model":"m"}"#);
        let exponent: Value = serde_json::from_str(r#"{"model": "m", "cost": 1e-05}"#).expect("json");
        assert_eq!(written(exponent), r#"{"cost":0.00001,"model":"m"}"#);
    }

    #[test]
    fn a_bad_value_is_named_with_what_was_expected() {
        let bad = [
            json!({"prompt_tokens": -1}),
            json!({"prompt_tokens": 1.5}),
            json!({"prompt_tokens": "5"}),
            json!({"prompt_tokens": 1_000_000_000_001_i64}),
            json!({"completion_tokens": 9_223_372_036_854_775_808_u64}),
            json!({"app_id": -7}),
            json!({"cost": -0.01}),
            json!({"cost": "NaN"}),
            json!({"currency": "usd"}),
            json!({"occurred_at": "yesterday"}),
            json!({"occurred_at": "infinity"}),
            json!({"model": ""}),
            json!({"model": "m".repeat(501)}),
            json!({"attrs": [1]}),
            json!({"attrs": {"team": ["a\u{0}b"]}}),
            json!({"request_id": "a\u{0}b"}),
            json!({"reported_cost": -1}),
            json!({"quality": "reported"}),
            json!({"unaccounted_tokens": -2_147_483_648_i64}),
        ];
        for mut element in bad {
            let key = element.as_object().and_then(|o| o.keys().next().cloned());
            if let Some(columns) = element.as_object_mut() {
                columns.entry("model").or_insert("m".into());
            }
            match USAGE_EVENTS.check(&element) {
                Err(Error::BadValue { name, .. }) => assert_eq!(Some(name), key),
                other => panic!("{key:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_unknown_key_a_missing_model_and_a_non_object_are_refused() {
        let unknown = USAGE_EVENTS.check(&json!({"model": "m", "tokens": 5}));
        assert!(matches!(unknown, Err(Error::UnknownKey { key, .. }) if key == "tokens"));
        for element in [json!({}), json!({"model": null})] {
            let missing = USAGE_EVENTS.check(&element);
            assert_eq!(missing, Err(Error::NullArgument { name: "model" }));
        }
        assert!(matches!(USAGE_EVENTS.check(&json!([1])), Err(Error::WrongShape { .. })));
    }

    #[test]
    fn a_correction_takes_back_counts_and_cost_and_nothing_else() {
        for (number, event, correction) in
            [(-1, false, true), (-MOST_TOKENS - 1, false, false), (5, true, true)]
        {
            assert_eq!(Kind::Count.accepts_number(number, false), event);
            assert_eq!(Kind::Count.accepts_number(number, true), correction);
        }
        assert!(Kind::Cost.accepts_amount("-0.5", true) && !Kind::Cost.accepts_amount("-0.5", false));
        assert!(
            Kind::Cost.accepts_amount("-1000000000000000.5", true) && !Kind::Cost.accepts_amount("1e3", true)
        );
        assert!(!Kind::Cost.accepts_amount("--0.5", true) && !Kind::Cost.accepts_amount("NaN", true));
        assert!(!Kind::Id.accepts_number(-1, true));
        for (number, event, correction) in
            [(-2, false, false), (-1, false, true), (0, false, true), (1, true, true), (2, false, false)]
        {
            assert_eq!(Kind::Requests.accepts_number(number, false), event);
            assert_eq!(Kind::Requests.accepts_number(number, true), correction);
        }
        assert!(Kind::Difference.accepts_number(-5, false));
        assert!(
            !Kind::Instant.accepts_number(i64::MAX, true) && !Kind::Instant.accepts_number(i64::MIN, false)
        );
    }

    proptest! {
        #[test]
        fn no_json_panics(text in "[\\[\\]{}\":,0-9a-z_. -]{0,80}", count in any::<i64>()) {
            if let Ok(value) = serde_json::from_str(&text) {
                USAGE_EVENTS.check(&value).ok();
            }
            let counted = USAGE_EVENTS.check(&json!({"model": "m", "prompt_tokens": count}));
            prop_assert_eq!(counted.is_ok(), (0..=MOST_TOKENS).contains(&count));
        }
    }
}
