//! Lines of batch result files: a response each, of its own id, at the price of the batch tier.
//!
//! Sources: OpenAI (also Azure, Groq, Mistral, Together) Batch API, output file; Claude Message Batches, results; Gemini
//! Batch API, result lines.

use serde_json::Value;

use super::ParseError;
use super::count::{at, text};

/// Where a line keeps its response.
const BODIES: [&str; 3] = ["response/body", "result/message", "response"];
/// What only a line has.
const NAMES: [&str; 2] = ["custom_id", "key"];
/// Ids of the line, used where its response has none.
const IDS: [&str; 3] = ["response/request_id", "id", "custom_id"];

pub(super) struct Line<'a> {
    pub body: &'a Value,
    pub id: Option<&'a str>,
}

/// Of a batch itself: its sum is of many requests, which its lines tell one by one.
pub(super) fn summed_up(provider: &'static str) -> ParseError {
    ParseError::NoUsage {
        provider,
        looked_for: "the lines of the batch's output file".into(),
        hint: "A batch only sums up its requests. Pass the lines of its output file as an array.".into(),
    }
}

/// The lines, if the events are lines. A request that failed has no response.
pub(super) fn lines(events: &[Value]) -> Option<Vec<Line<'_>>> {
    let is_line = |event: &Value| {
        let (named, answered) = (NAMES.iter(), ["response", "result", "error"].iter());
        named.clone().any(|name| event.get(name).is_some())
            && answered.clone().any(|name| event.get(name).is_some())
    };
    if !events.first().is_some_and(is_line) {
        return None;
    }
    let line = |event| {
        let body = BODIES.iter().find_map(|path| at(event, path).filter(|body| body.is_object()))?;
        Some(Line { body, id: IDS.iter().find_map(|path| text(event, path)) })
    };
    Some(events.iter().filter_map(line).collect())
}
