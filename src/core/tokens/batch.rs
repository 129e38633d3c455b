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

/// The tier of a line, whatever it says of itself, but for Claude's modes, which change the price of a batch, too.
pub(super) fn tier(said: Option<&str>) -> String {
    match said {
        Some(said) if said.starts_with("batch") => said.to_owned(),
        Some(modes @ ("fast" | "us" | "fast_us")) => format!("batch_{modes}"),
        _ => "batch".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::super::parse;
    use serde_json::json;

    #[test]
    fn a_line_is_of_the_batch_tier_and_of_the_mode_that_it_says() {
        let tier = |usage: serde_json::Value| {
            let message = json!({"type": "message", "model": "claude-opus-5", "usage": usage});
            let line = json!([{"custom_id": "1", "result": {"type": "succeeded", "message": message}}]);
            parse("anthropic", &line).unwrap().remove(0).service_tier.unwrap()
        };
        assert_eq!(tier(json!({"input_tokens": 1, "output_tokens": 1})), "batch");
        let said = |tier, place| json!({"input_tokens": 1, "output_tokens": 1, "service_tier": tier, "inference_geo": place});
        assert_eq!(tier(said("batch", "us")), "batch_us");
        assert_eq!(tier(said("standard", "us")), "batch_us");
        assert_eq!(tier(said("priority", "global")), "batch");
    }
}
