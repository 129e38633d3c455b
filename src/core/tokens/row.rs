//! What was read, as checked rows of the ledger; what the caller knows better is laid over it.

use serde_json::{Map, Value};

use super::error::cut;
use super::{BySpan, ParseError, Usage, parse, spans};
use crate::Error;
use crate::calendar::format_instant;
use crate::event::{Row, SOURCE, USAGE_EVENTS, json_type};

/// The columns that a caller may give beside a response. What was used is the response's to say.
pub const GIVEN: [&str; 16] = [
    "app_id",
    "llm_id",
    "user_id",
    "vendor",
    "model",
    "service_tier",
    "cost",
    "currency",
    "occurred_at",
    "task_id",
    "rule_type",
    "inference_tokens",
    "request_id",
    SOURCE,
    "attrs",
    "quality",
];

/// The currency in which providers say what a response cost.
const REPORTED_IN: &str = "USD";

/// Columns given by a caller, and the currency of a cost that is given without one.
pub struct Given<'a> {
    pub columns: Map<String, Value>,
    pub default_currency: &'a str,
}

/// The events that a response tells of. The first is the response's own.
pub fn rows(provider: &str, response: &Value, given: &Given) -> Result<Vec<Row>, Error> {
    let usages = parse(provider, response)?;
    usages.iter().enumerate().map(|(place, usage)| given.row(usage, place, &usages[0])).collect()
}

/// The events that an element of a batch tells of: `provider` and `response`, and columns beside them.
pub fn element_rows(element: Value, default_currency: &str) -> Result<Vec<Row>, Error> {
    let Value::Object(mut columns) = element else {
        return Err(Error::WrongShape {
            name: "an element",
            expected: "a JSON object with provider and response",
            found: json_type(&element),
        });
    };
    let response = columns.remove("response").filter(|response| !response.is_null());
    let response = response.ok_or(Error::NullArgument { name: "response" })?;
    let provider = match columns.remove("provider") {
        Some(Value::String(provider)) => provider,
        None | Some(Value::Null) => return Err(Error::NullArgument { name: "provider" }),
        Some(other) => return Err(ParseError::UnknownProvider { provider: cut(&other.to_string()) }.into()),
    };
    match columns.keys().find(|key| !GIVEN.contains(&key.as_str())) {
        Some(key) => Err(Error::UnknownKey {
            key: key.clone(),
            known: ["provider", "response"].into_iter().chain(GIVEN).collect::<Vec<_>>().join(", "),
        }),
        None => rows(&provider, &response, &Given { columns, default_currency }),
    }
}

/// The event of each span that reported usage of its own, by its place among the spans, or why it has none.
pub fn span_rows(export: &Value, given: &Given) -> Result<BySpan<Row, Error>, Error> {
    let read = spans::read(export)?.into_iter();
    let row = |usage: Usage| given.row(&usage, 0, &usage);
    Ok(read.map(|(place, usage)| (place, usage.map_err(Error::from).and_then(row))).collect())
}

impl Given<'_> {
    /// The row of the event at this place among those of a response, whose own event is `own`.
    fn row(&self, usage: &Usage, place: usize, own: &Usage) -> Result<Row, Error> {
        let is_own = place == 0;
        let is_of_another_model = usage.model.is_some() && usage.model != own.model;
        let own_id = self.columns.get("request_id").and_then(Value::as_str).or(own.response_id.as_deref());
        let mut row = columns(usage);
        for (name, value) in self.columns.iter().filter(|(_, value)| !value.is_null()) {
            let value = match name.as_str() {
                "model" if is_of_another_model => continue,
                "inference_tokens" | "request_id" if !is_own => continue,
                // What the whole response cost is counted once.
                "cost" if !is_own => 0.into(),
                _ => value.clone(),
            };
            row.insert(name.clone(), value);
        }
        let is_id_given = self.columns.get("request_id").is_some_and(|id| !id.is_null());
        if let Some(id) = own_id
            && !is_own
            && (is_id_given || usage.response_id.is_none())
        {
            row.insert("request_id".into(), format!("{id}#{}", place + 1).into());
        }
        self.settle_currency(&mut row);
        USAGE_EVENTS.check(Value::Object(row))
    }

    /// A reported cost is in the currency of the event, or none.
    fn settle_currency(&self, row: &mut Map<String, Value>) {
        let said = row.get("currency").and_then(Value::as_str);
        let currency = said.or(row.contains_key("cost").then_some(self.default_currency));
        if currency.is_some_and(|currency| currency != REPORTED_IN) {
            row.remove("reported_cost");
        } else if row.contains_key("reported_cost") {
            row.insert("currency".into(), REPORTED_IN.into());
        }
    }
}

/// The columns of the ledger that the usage fills.
fn columns(usage: &Usage) -> Map<String, Value> {
    let counts = [
        ("prompt_tokens", usage.prompt_tokens),
        ("cache_read_tokens", usage.cache_read_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("completion_tokens", usage.completion_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
        ("cache_write_1h_tokens", usage.cache_write_1h_tokens),
        ("prompt_audio_tokens", usage.prompt_audio_tokens),
        ("completion_audio_tokens", usage.completion_audio_tokens),
        ("cache_read_audio_tokens", usage.cache_read_audio_tokens),
        ("cache_read_image_tokens", usage.cache_read_image_tokens),
        ("prompt_image_tokens", usage.prompt_image_tokens),
        ("prompt_video_tokens", usage.prompt_video_tokens),
        ("completion_image_tokens", usage.completion_image_tokens),
        ("completion_video_tokens", usage.completion_video_tokens),
        ("unaccounted_tokens", usage.unaccounted_tokens),
    ];
    let texts = [
        ("vendor", (!usage.vendor.is_empty()).then_some(&*usage.vendor)),
        ("model", usage.model.as_deref()),
        ("request_id", usage.response_id.as_deref()),
        ("service_tier", usage.service_tier.as_deref()),
        ("quality", usage.is_partial.then_some("partial")),
    ];
    let mut row = Map::new();
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
    row.extend(texts);
    let counts = counts.into_iter().filter(|(_, count)| *count != 0);
    row.extend(counts.map(|(name, count)| (name.to_owned(), count.into())));
    row.extend(usage.reported_cost.clone().map(|cost| ("reported_cost".to_owned(), Value::Number(cost))));
    let occurred_at = usage.occurred_at.and_then(format_instant);
    row.extend(occurred_at.map(|instant| ("occurred_at".to_owned(), instant.into())));
    row
}
