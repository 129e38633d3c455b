//! Anthropic Messages, by Anthropic itself and on Vertex AI.
//!
//! Source: Claude API reference, Messages, `usage`; "Streaming messages"; "Prompt caching" (how
//! `cache_creation` is split); "Compaction" (`usage.iterations`).
//! The three input counts are disjoint, and the output has thinking inside. No total is given.
//!
//! The top level leaves the passes of a compaction out, so they are added to it. It leaves those of
//! an advisor out too: another model ran them, so they are events of their own, and not read yet.
//! A stream that broke off before its `message_delta` gives what its `message_start` says.

use super::{Format, ParseError, Usage};
use super::{MAX_COUNT, bad_count, count, has};
use serde_json::Value;

/// A message, or the events of its stream.
pub(super) const FORMAT: Format = Format {
    looked_for: "usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens and \
        usage.cache_creation_input_tokens in an object of type message or message_delta, also in \
        the message of a message_start event",
    body_hint: "Of a Claude response, pass the whole body, with its \"type\": \"message\".",
    stream_hint: "Of a Claude stream, pass every event: message_start, message_delta and the rest.",
    read,
};

const INPUT: &str = "/input_tokens";
const OUTPUT: &str = "/output_tokens";
const CACHE_READ: &str = "/cache_read_input_tokens";
const CACHE_WRITE: &str = "/cache_creation_input_tokens";
const CACHE_WRITE_5M: &str = "/cache_creation/ephemeral_5m_input_tokens";
const CACHE_WRITE_1H: &str = "/cache_creation/ephemeral_1h_input_tokens";

/// The counts of one `usage` object or of one iteration in it.
#[derive(Clone, Copy)]
struct Counts {
    input: i64,
    cache_read: i64,
    cache_write: i64,
    cache_write_1h: i64,
    output: i64,
}

fn read(events: &[Value]) -> Result<Option<Usage>, ParseError> {
    let (message, layers) = latest_message(events);
    let counted =
        |usage: &&Value| [INPUT, OUTPUT, CACHE_READ, CACHE_WRITE].iter().any(|field| has(usage, field));
    if !layers.iter().any(counted) {
        return Ok(None);
    }
    let mut counts = Counts::of(&layers)?;
    for iteration in compactions(&layers) {
        counts = counts.plus(Counts::of(&[iteration])?)?;
    }
    let text = |key| message?.get(key)?.as_str().map(str::to_owned);
    let tier = layers.iter().rev().find_map(|usage| usage.get("service_tier")?.as_str());
    Ok(Some(Usage {
        model: text("model"),
        response_id: text("id"),
        service_tier: tier.map(str::to_owned),
        prompt_tokens: counts.input,
        cache_read_tokens: counts.cache_read,
        cache_write_tokens: counts.cache_write,
        cache_write_1h_tokens: counts.cache_write_1h,
        completion_tokens: counts.output,
        reasoning_tokens: latest(&layers, "/output_tokens_details/thinking_tokens")?.unwrap_or_default(),
        ..Usage::default()
    }))
}

/// The message and its `usage` objects, in the order in which each replaces fields of those before.
fn latest_message(events: &[Value]) -> (Option<&Value>, Vec<&Value>) {
    let mut message = None;
    let mut layers = Vec::new();
    for event in events {
        let opened = match event.get("type").and_then(Value::as_str) {
            Some("message") => Some(event),
            Some("message_start") => event.get("message"),
            Some("message_delta") => {
                layers.extend(event.get("usage"));
                continue;
            }
            _ => continue,
        };
        message = opened;
        layers = opened.and_then(|message| message.get("usage")).into_iter().collect();
    }
    (message, layers)
}

/// The count of the last usage that has it: `message_delta` repeats running sums, never increments,
/// and older streams repeat `output_tokens` alone.
fn latest(layers: &[&Value], pointer: &str) -> Result<Option<i64>, ParseError> {
    layers.iter().rev().find_map(|usage| count(usage, pointer).transpose()).transpose()
}

fn compactions<'a>(layers: &[&'a Value]) -> impl Iterator<Item = &'a Value> {
    let iterations = layers.iter().rev().find_map(|usage| usage.get("iterations")?.as_array());
    let compaction = |item: &&Value| item.get("type").and_then(Value::as_str) == Some("compaction");
    iterations.into_iter().flatten().filter(compaction)
}

impl Counts {
    fn of(layers: &[&Value]) -> Result<Self, ParseError> {
        let get = |pointer| latest(layers, pointer).map(Option::unwrap_or_default);
        let written_1h = get(CACHE_WRITE_1H)?;
        let written = match latest(layers, CACHE_WRITE)? {
            Some(written) => written,
            None => get(CACHE_WRITE_5M)? + written_1h,
        };
        Ok(Self {
            input: get(INPUT)?,
            cache_read: get(CACHE_READ)?,
            cache_write: written,
            // A delta may lower the sum without repeating the split.
            cache_write_1h: written_1h.min(written),
            output: get(OUTPUT)?,
        })
    }

    fn plus(self, other: Self) -> Result<Self, ParseError> {
        Ok(Self {
            input: sum(INPUT, self.input, other.input)?,
            cache_read: sum(CACHE_READ, self.cache_read, other.cache_read)?,
            cache_write: sum(CACHE_WRITE, self.cache_write, other.cache_write)?,
            cache_write_1h: sum(CACHE_WRITE_1H, self.cache_write_1h, other.cache_write_1h)?,
            output: sum(OUTPUT, self.output, other.output)?,
        })
    }
}

/// Any number of iterations can be listed, so the sum is held to the bound of a single count.
fn sum(field: &str, a: i64, b: i64) -> Result<i64, ParseError> {
    let sum = a.saturating_add(b);
    if sum > MAX_COUNT { Err(bad_count(field, &sum.to_string())) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use super::super::{ParseError, Usage, parse};
    use serde_json::{Value, json};

    fn anthropic(response: &Value) -> Usage {
        parse("anthropic", response).unwrap()
    }

    fn kinds(usage: &Usage) -> [i64; 5] {
        [
            usage.prompt_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
            usage.completion_tokens,
        ]
    }

    fn split(five_minutes: i64, hour: i64) -> Value {
        json!({"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": hour})
    }

    #[test]
    fn the_three_inputs_are_disjoint() {
        let usage = anthropic(&json!({
            "id": "msg_1", "type": "message", "model": "claude-sonnet-4-5",
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 2100,
                "cache_creation_input_tokens": 950, "cache_creation": split(50, 900),
                "output_tokens": 160, "output_tokens_details": {"thinking_tokens": 64},
                "service_tier": "standard"},
        }));
        assert_eq!(kinds(&usage), [5, 2100, 950, 900, 160]);
        assert_eq!(usage.reasoning_tokens, 64);
        assert_eq!((usage.provider_total, usage.unexplained()), (None, 0));
        assert_eq!(usage.model.as_deref(), Some("claude-sonnet-4-5"));
        assert_eq!(usage.response_id.as_deref(), Some("msg_1"));
        assert_eq!(usage.service_tier.as_deref(), Some("standard"));
    }

    #[test]
    fn writes_are_the_split_where_no_sum_is_given() {
        let usage = anthropic(&json!({"type": "message", "usage": {"input_tokens": 5,
            "output_tokens": 1, "cache_creation_input_tokens": null,
            "cache_creation": split(30, 12)}}));
        assert_eq!(kinds(&usage), [5, 0, 42, 12, 1]);
    }

    fn start(usage: Value) -> Value {
        let message = json!({"id": "msg_2", "model": "claude-haiku-4-5", "usage": usage});
        json!({"type": "message_start", "message": message})
    }

    #[test]
    fn a_delta_replaces_what_it_repeats_and_adds_nothing() {
        let opening = start(json!({"input_tokens": 800, "cache_read_input_tokens": 40, "output_tokens": 3}));
        let usage = anthropic(&json!([opening, {"type": "ping"},
            {"type": "message_delta", "usage": {"input_tokens": 7000,
                "cache_read_input_tokens": 44, "output_tokens": 90}},
            {"type": "message_delta", "usage": {"output_tokens": 150, "input_tokens": null}}]));
        assert_eq!(kinds(&usage), [7000, 44, 0, 0, 150]);
        assert_eq!(usage.response_id.as_deref(), Some("msg_2"));
        let aborted = anthropic(&json!([opening]));
        assert_eq!(kinds(&aborted), [800, 40, 0, 0, 3]);
    }

    #[test]
    fn compaction_is_added_and_an_advisor_is_not() {
        let pass = |kind: &str, input: i64, written: i64, output: i64| {
            json!({"type": kind, "input_tokens": input, "output_tokens": output,
                "cache_creation_input_tokens": written, "cache_creation": split(0, written)})
        };
        let usage = anthropic(&json!({"type": "message", "usage": {
            "input_tokens": 210, "output_tokens": 6, "cache_creation_input_tokens": 0,
            "iterations": [pass("compaction", 90, 51000, 120),
                pass("advisor_message", 2500, 0, 99), pass("message", 210, 0, 6)]}}));
        assert_eq!(kinds(&usage), [300, 0, 51000, 51000, 126]);
    }

    #[test]
    fn iterations_cannot_overflow() {
        let pass = json!({"type": "compaction", "input_tokens": 2_000_000_000_i64});
        let usage = json!({"input_tokens": 1, "iterations": [pass, pass]});
        let error = parse("anthropic", &json!({"type": "message", "usage": usage})).unwrap_err();
        let message = "\"input_tokens\" is not a token count: 4000000001";
        assert_eq!(error.message(), message);
    }

    #[test]
    fn vertex_serves_the_same_shape() {
        let opening = start(json!({"input_tokens": 16, "output_tokens": 5}));
        let delta = json!({"type": "message_delta", "usage": {"output_tokens": 18}});
        let usage = parse("vertex_ai", &json!([opening, delta])).unwrap();
        assert_eq!(usage.vendor, "vertex_ai");
        assert_eq!(kinds(&usage), [16, 0, 0, 0, 18]);
    }

    #[test]
    fn no_usage_and_foreign_shapes_are_errors() {
        let openai = json!({"usage": {"input_tokens": 9, "output_tokens": 1}});
        let empty = json!([{"type": "message_delta", "usage": {}}]);
        for body in [json!({"type": "error", "error": {}}), empty, openai] {
            let error = parse("anthropic", &body).unwrap_err();
            assert!(matches!(error, ParseError::NoUsage { .. }), "{body}");
        }
    }
}
