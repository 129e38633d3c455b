//! What was read, as checked rows of the ledger; what the caller knows better is laid over it.

use serde_json::{Map, Value};

use super::error::cut;
use super::{BySpan, ParseError, Usage, parse, spans};
use crate::Error;
use crate::event::{Checked, Kind, Row, SOURCE, event_column, json_type};

const COST: usize = event_column("cost");
const CURRENCY: usize = event_column("currency");
const REPORTED_COST: usize = event_column("reported_cost");
const REQUEST: usize = event_column("request_id");
const TIME: usize = event_column("occurred_at");

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
        let given_id = self.columns.get("request_id").filter(|id| !id.is_null());
        let own_id = given_id.and_then(Value::as_str).or(own.response_id.as_deref());
        let mut row = Row::of_event();
        for (name, value) in self.columns.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_str() {
                "model" if is_of_another_model => {}
                "inference_tokens" | "request_id" if !is_own => {}
                // What the whole response cost is counted once.
                "cost" if !is_own => row.fill(COST, Checked::Amount(0.into()))?,
                _ => row.set(name, value)?,
            }
        }
        if let Some(id) = own_id
            && !is_own
            && (given_id.is_some() || usage.response_id.is_none())
        {
            row.fill(REQUEST, Checked::Text(format!("{id}#{}", place + 1)))?;
        }
        if let Some(cost) = &usage.reported_cost
            && self.is_in_reported_currency(&row)
        {
            row.fill(REPORTED_COST, Checked::Amount(cost.clone()))?;
            row.fill(CURRENCY, Checked::Text(REPORTED_IN.to_owned()))?;
        }
        fill(&mut row, usage)?;
        row.complete()
    }

    /// A reported cost is in the currency of the event, or none.
    fn is_in_reported_currency(&self, row: &Row) -> bool {
        match row.get(CURRENCY) {
            Some(Checked::Text(said)) => said == REPORTED_IN,
            _ => row.get(COST).is_none() || self.default_currency == REPORTED_IN,
        }
    }
}

/// What the usage says, where the caller said nothing.
fn fill(row: &mut Row, usage: &Usage) -> Result<(), Error> {
    let counts = [
        (const { event_column("prompt_tokens") }, usage.prompt_tokens),
        (const { event_column("cache_read_tokens") }, usage.cache_read_tokens),
        (const { event_column("cache_write_tokens") }, usage.cache_write_tokens),
        (const { event_column("completion_tokens") }, usage.completion_tokens),
        (const { event_column("reasoning_tokens") }, usage.reasoning_tokens),
        (const { event_column("cache_write_1h_tokens") }, usage.cache_write_1h_tokens),
        (const { event_column("prompt_audio_tokens") }, usage.prompt_audio_tokens),
        (const { event_column("completion_audio_tokens") }, usage.completion_audio_tokens),
        (const { event_column("cache_read_audio_tokens") }, usage.cache_read_audio_tokens),
        (const { event_column("cache_read_image_tokens") }, usage.cache_read_image_tokens),
        (const { event_column("prompt_image_tokens") }, usage.prompt_image_tokens),
        (const { event_column("prompt_video_tokens") }, usage.prompt_video_tokens),
        (const { event_column("completion_image_tokens") }, usage.completion_image_tokens),
        (const { event_column("completion_video_tokens") }, usage.completion_video_tokens),
        (const { event_column("unaccounted_tokens") }, usage.unaccounted_tokens),
    ];
    let texts = [
        (const { event_column("vendor") }, (!usage.vendor.is_empty()).then_some(&*usage.vendor)),
        (const { event_column("model") }, usage.model.as_deref()),
        (REQUEST, usage.response_id.as_deref()),
        (const { event_column("service_tier") }, usage.service_tier.as_deref()),
        (const { event_column("quality") }, usage.is_partial.then_some("partial")),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            row.fill(column, Checked::Text(text.to_owned()))?;
        }
    }
    for (column, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        row.fill(column, Checked::Number(count))?;
    }
    match usage.occurred_at.filter(|at| Kind::Instant.accepts_number(*at, false)) {
        Some(at) => row.fill(TIME, Checked::Instant(at)),
        None => Ok(()),
    }
}
