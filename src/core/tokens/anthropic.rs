//! Claude's messages and the events of their streams, by Anthropic, on Bedrock, Vertex AI and Azure.
//!
//! A `message_delta` repeats running sums, never increments, and older streams repeat `output_tokens` alone. The top level
//! leaves the passes of a compaction out, so they are added to it. It leaves those of an advisor out, too: another model ran
//! them, so they are requests of their own. Of a fallback it is the attempt that answered, whose model only that pass names.

use serde_json::{Map, Value};

use super::count::text;
use super::events::{one, tier};
use super::format::Format;
use super::settle::settle;
use super::{ParseError, Usage};

/// The pass of a model that answered in place of the one that was asked.
const FALLBACK: &str = "fallback_message";

pub(super) fn read(format: &Format, events: &[Value]) -> Result<Vec<Usage>, ParseError> {
    let stream = Stream::of(events);
    let usage = Value::Object(stream.usage);
    if !format.counted(&usage) {
        return Ok(Vec::new());
    }
    let name = |path| stream.message.and_then(|message| text(message, path));
    let passes = || usage.get("iterations").and_then(Value::as_array).into_iter().flatten();
    let answered = passes().rfind(|pass| text(pass, "type") == Some(FALLBACK));
    let model = answered.and_then(|pass| text(pass, "model")).or(name("model"));
    let mut counts = format.counts(&usage)?;
    let mut others = Vec::new();
    for pass in passes() {
        match (text(pass, "type"), text(pass, "model")) {
            (Some("message" | FALLBACK), _) => {}
            (_, Some(other)) if Some(other) != model => {
                others.push(Usage { model: Some(other.to_owned()), ..one(format, pass)? });
            }
            _ => counts = counts.plus(&format.counts(pass)?),
        }
    }
    let service_tier = service_tier(&usage);
    let mut own = settle(format, &counts);
    own.is_partial |= stream.is_open;
    own.model = model.map(str::to_owned);
    own.response_id = name("id").map(str::to_owned);
    own.service_tier = service_tier.clone();
    let others = others.into_iter().map(|other| Usage { service_tier: service_tier.clone(), ..other });
    Ok(std::iter::once(own).chain(others).collect())
}

/// The tier, and what else changes the price of all tokens: the fast mode, and inference in the US alone.
fn service_tier(usage: &Value) -> Option<String> {
    let said = text(usage, "service_tier").and_then(tier);
    let modes = [("speed", "fast"), ("inference_geo", "us")].into_iter();
    let modes: Vec<&str> =
        modes.filter(|(field, mode)| text(usage, field) == Some(mode)).map(|(_, mode)| mode).collect();
    match said {
        said if modes.is_empty() => said,
        Some(said) if said != "standard" => Some(format!("{said}_{}", modes.join("_"))),
        _ => Some(modes.join("_")),
    }
}

/// What is known of the last message.
#[derive(Default)]
struct Stream<'a> {
    message: Option<&'a Value>,
    /// Each field as it was said last.
    usage: Map<String, Value>,
    /// A `message_start` without the `message_delta` that closes it: a stream that broke off.
    is_open: bool,
}

impl<'a> Stream<'a> {
    fn of(events: &'a [Value]) -> Self {
        let mut stream = Self::default();
        for event in events {
            match event.get("type").and_then(Value::as_str) {
                Some("message") => stream = Self { message: Some(event), ..Self::default() },
                Some("message_start") => {
                    stream = Self { message: event.get("message"), is_open: true, ..Self::default() };
                }
                Some("message_delta") => {
                    stream.is_open &= !event.get("usage").is_some_and(Value::is_object);
                    stream.take(event);
                    continue;
                }
                _ => continue,
            }
            if let Some(message) = stream.message {
                stream.take(message);
            }
        }
        stream
    }

    fn take(&mut self, message: &Value) {
        let fields = message.get("usage").and_then(Value::as_object).into_iter().flatten();
        let given = fields.filter(|(_, value)| !value.is_null());
        self.usage.extend(given.map(|(name, value)| (name.clone(), value.clone())));
    }
}
