//! OpenAI: chat completions, completions, embeddings, Responses, transcriptions; the same on Azure.
//!
//! Source: OpenAI API reference: chat completion object and chunk object, `usage`; completion
//! object; embeddings; response object, `usage`, and its streaming events; transcription, `usage`.
//! The input has cached and cache-written tokens inside, the output has reasoning inside.

use super::{Format, ParseError, Usage};
use super::{count, first_count, has, uncached};
use serde_json::Value;

/// OpenAI's own endpoints.
pub(super) const FORMAT: Format = Format {
    looked_for: "usage.prompt_tokens, usage.completion_tokens, usage.input_tokens and \
        usage.output_tokens, also in the response of a response.completed, response.incomplete or \
        response.failed event and in a transcript.text.done event",
    body_hint: "Pass the whole response body. A transcription billed by duration has no tokens.",
    stream_hint: "Request a chat stream with stream_options.include_usage: \
        \"stream_options\": {\"include_usage\": true}. Pass every event, the last one above all.",
    read: |events| read(events, false),
};

/// The same shapes, served by Azure (Microsoft Foundry Models REST reference, chat completions).
pub(super) const AZURE: Format = Format { read: |events| read(events, true), ..FORMAT };

/// Where a `usage` object keeps its counts.
struct Fields {
    input: &'static str,
    output: &'static str,
    cache_read: &'static [&'static str],
    cache_write: &'static str,
    reasoning: &'static str,
    input_audio: &'static str,
}

/// Only chat completions answer in audio.
const OUTPUT_AUDIO: &str = "/completion_tokens_details/audio_tokens";

/// Chat completions, completions, embeddings; and runs of an assistant, which say `token_details`.
const CHAT: Fields = Fields {
    input: "/prompt_tokens",
    output: "/completion_tokens",
    cache_read: &["/prompt_tokens_details/cached_tokens", "/prompt_token_details/cached_tokens"],
    cache_write: "/prompt_tokens_details/cache_write_tokens",
    reasoning: "/completion_tokens_details/reasoning_tokens",
    input_audio: "/prompt_tokens_details/audio_tokens",
};

/// Responses; and transcriptions, which alone have audio and say `input_token_details`.
const RESPONSES: Fields = Fields {
    input: "/input_tokens",
    output: "/output_tokens",
    cache_read: &["/input_tokens_details/cached_tokens"],
    cache_write: "/input_tokens_details/cache_write_tokens",
    reasoning: "/output_tokens_details/reasoning_tokens",
    input_audio: "/input_token_details/audio_tokens",
};

/// The last usage stands: a stream that repeats it repeats a running sum.
fn read(events: &[Value], on_azure: bool) -> Result<Option<Usage>, ParseError> {
    let Some((usage, fields)) = events.iter().rev().find_map(usage_of) else {
        return Ok(None);
    };
    let get = |pointer| count(usage, pointer).map(Option::unwrap_or_default);
    let (input, completion) = (get(fields.input)?, get(fields.output)?);
    let total = count(usage, "/total_tokens")?;
    let cache_read = first_count(usage, fields.cache_read)?.unwrap_or_default();
    let cache_write = get(fields.cache_write)?;
    let model = last_text(events, "model");
    let prompt = if on_azure && model.as_deref().is_some_and(is_grok) {
        input
    } else {
        uncached(input, cache_read + cache_write, completion, total)?
    };
    // How much of what is cached is audio is not said: audio is what cannot be cached.
    let cached_inside = input - prompt;
    Ok(Some(Usage {
        model,
        response_id: last_text(events, "id"),
        service_tier: last_text(events, "service_tier"),
        prompt_tokens: prompt,
        cache_read_tokens: cache_read,
        cache_write_tokens: cache_write,
        completion_tokens: completion,
        reasoning_tokens: get(fields.reasoning)?,
        prompt_audio_tokens: (get(fields.input_audio)? - cached_inside).clamp(0, prompt),
        completion_audio_tokens: get(OUTPUT_AUDIO)?.min(completion),
        provider_total: total,
        ..Usage::default()
    }))
}

/// Grok on Azure leaves what the host puts before the prompt out of `prompt_tokens` and of the
/// total, yet counts it as cached: 163 beside a prompt of 7 and a total of 8. The counts do not
/// show that where the prompt is the longer one, so the model decides.
fn is_grok(model: &str) -> bool {
    let start = model.get(..4);
    start.is_some_and(|start| start.eq_ignore_ascii_case("grok"))
}

/// The usage of an event, if it has counts. Bodies and chunks have no `type`. Of the events that
/// have one, only these close a stream; elsewhere, and in other formats, `usage` is not the sum.
fn usage_of(event: &Value) -> Option<(&Value, &'static Fields)> {
    let usage = match event_type(event) {
        None | Some("transcript.text.done") => event.get("usage")?,
        Some("response.completed" | "response.incomplete" | "response.failed") => {
            event.pointer("/response/usage")?
        }
        Some(_) => return None,
    };
    let there = |fields: &&Fields| has(usage, fields.input) || has(usage, fields.output);
    let fields = [&CHAT, &RESPONSES].into_iter().find(there)?;
    Some((usage, fields))
}

/// The last text that bodies, chunks and responses have under `key`. Azure opens its streams with
/// empty ones, the closing chunk drops the tier, and other events have ids of their own.
fn last_text(events: &[Value], key: &str) -> Option<String> {
    let mut texts = events.iter().rev().filter_map(|event| {
        let named = match event_type(event) {
            None => event,
            Some(_) => event.get("response")?,
        };
        named.get(key)?.as_str()
    });
    texts.find(|text| !text.is_empty()).map(str::to_owned)
}

fn event_type(event: &Value) -> Option<&str> {
    event.get("type")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::super::{ParseError, Usage, parse};
    use serde_json::{Value, json};

    fn openai(response: &Value) -> Usage {
        parse("openai", response).unwrap()
    }

    fn kinds(usage: &Usage) -> [i64; 5] {
        [
            usage.prompt_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.completion_tokens,
            usage.reasoning_tokens,
        ]
    }

    #[test]
    fn chat_has_cached_inside_prompt_and_reasoning_inside_completion() {
        let usage = openai(&json!({
            "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5.1",
            "service_tier": "priority",
            "usage": {"prompt_tokens": 3000, "completion_tokens": 420, "total_tokens": 3420,
                "prompt_tokens_details": {"cached_tokens": 2816, "cache_write_tokens": 100},
                "completion_tokens_details": {"reasoning_tokens": 384, "audio_tokens": null}},
        }));
        assert_eq!(kinds(&usage), [84, 2816, 100, 420, 384]);
        assert_eq!((usage.provider_total, usage.unexplained()), (Some(3420), 0));
        assert_eq!(usage.model.as_deref(), Some("gpt-5.1"));
        assert_eq!(usage.response_id.as_deref(), Some("chatcmpl-1"));
        assert_eq!(usage.service_tier.as_deref(), Some("priority"));
    }

    #[test]
    fn a_stream_counts_its_last_usage_only() {
        let chunk = |usage: Value| json!({"id": "c1", "model": "gpt-4o-mini", "usage": usage});
        let usage = openai(&json!([
            {"id": "", "model": "", "choices": []},
            {"id": "c1", "model": "gpt-4o-mini", "service_tier": "default", "choices": []},
            chunk(json!({"prompt_tokens": 20, "completion_tokens": null})),
            chunk(json!({"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29})),
            chunk(Value::Null),
            {"id": "", "model": "", "choices": []},
        ]));
        assert_eq!(kinds(&usage), [20, 0, 0, 9, 0]);
        assert_eq!(usage.response_id.as_deref(), Some("c1"));
        assert_eq!(usage.service_tier.as_deref(), Some("default"));
    }

    #[test]
    fn audio_is_counted_where_it_is_certainly_not_cached() {
        let audio = |cached: i64| {
            let usage = openai(&json!({"usage": {
                "prompt_tokens": 60, "completion_tokens": 90, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 45},
                "completion_tokens_details": {"audio_tokens": 70},
            }}));
            assert_eq!(usage.completion_audio_tokens, 70);
            (usage.prompt_tokens, usage.prompt_audio_tokens)
        };
        assert_eq!(audio(0), (60, 45));
        assert_eq!(audio(30), (30, 15));
        assert_eq!(audio(50), (10, 0));
    }

    #[test]
    fn embeddings_have_input_only() {
        let usage = openai(&json!({"object": "list", "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 11, "total_tokens": 11}}));
        assert_eq!((kinds(&usage), usage.unexplained()), ([11, 0, 0, 0, 0], 0));
    }

    #[test]
    fn a_response_stream_is_read_from_its_terminal_event() {
        let event = |status: &str, usage: &Value| {
            json!({"type": format!("response.{status}"),
                "response": {"id": "resp_1", "model": "gpt-5-nano", "usage": usage}})
        };
        let counts = json!({"input_tokens": 900, "input_tokens_details": {"cached_tokens": 640},
            "output_tokens": 300, "output_tokens_details": {"reasoning_tokens": 256},
            "total_tokens": 1200});
        for status in ["completed", "incomplete", "failed"] {
            let created = event("created", &Value::Null);
            let usage = openai(&json!([created, event(status, &counts), {"type": "x", "id": "x"}]));
            assert_eq!(kinds(&usage), [260, 640, 0, 300, 256]);
            assert_eq!(usage.response_id.as_deref(), Some("resp_1"));
        }
        assert!(parse("openai", &json!([event("in_progress", &counts)])).is_err());
    }

    #[test]
    fn a_transcription_has_audio_input() {
        let usage = openai(&json!([
            {"type": "transcript.text.segment", "id": "seg_0"},
            {"type": "transcript.text.done", "usage": {"type": "tokens",
                "input_tokens": 50, "output_tokens": 21, "total_tokens": 71,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 46}}},
        ]));
        assert_eq!((kinds(&usage), usage.prompt_audio_tokens), ([50, 0, 0, 21, 0], 46));
        assert_eq!(usage.response_id, None);
        let whisper = json!({"text": "a", "usage": {"type": "duration", "seconds": 4}});
        assert!(matches!(parse("openai", &whisper), Err(ParseError::NoUsage { .. })));
    }

    #[test]
    fn grok_on_azure_has_cached_beside_prompt() {
        let cached = |provider: &str, model: &str, prompt: i64| {
            let usage = json!({"prompt_tokens": prompt, "completion_tokens": 2,
                "total_tokens": prompt + 2, "prompt_tokens_details": {"cached_tokens": 160}});
            parse(provider, &json!({"model": model, "usage": usage})).unwrap()
        };
        let short = cached("azure", "grok-4-fast", 9);
        assert_eq!(kinds(&short), [9, 160, 0, 2, 0]);
        assert_eq!(short.unexplained(), -160);
        let long = cached("azure", "Grok-4-fast", 240);
        assert_eq!(kinds(&long), [240, 160, 0, 2, 0]);
        for (provider, model) in [("azure", "gpt-5"), ("openai", "grok-4-fast")] {
            assert_eq!(kinds(&cached(provider, model, 240)), [80, 160, 0, 2, 0]);
        }
    }

    #[test]
    fn no_usage_is_an_error_that_says_how_to_get_it() {
        let stream = parse("openai", &json!([{"id": "c1", "choices": []}])).unwrap_err();
        assert!(stream.hint().contains("stream_options.include_usage"));
        assert!(stream.detail().contains("usage.prompt_tokens"));
        let message = json!({"type": "message", "usage": {"input_tokens": 5, "output_tokens": 5}});
        assert!(parse("openai", &message).is_err(), "another provider's shape");
        let total = json!({"usage": {"prompt_tokens": null, "total_tokens": 5}});
        assert!(parse("openai", &total).is_err(), "a total alone tells no kind");
    }
}
