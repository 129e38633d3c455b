//! Gemini `generateContent` and its stream, by the Gemini API and by Vertex AI.
//!
//! Source: Gemini API reference, `GenerateContentResponse`, `UsageMetadata`; Vertex AI REST
//! reference, `GenerateContentResponse`, `UsageMetadata`.
//! `promptTokenCount` has cached content inside; tool-use prompts lie beside it, and thoughts lie
//! beside the candidates. The Live API (`responseTokenCount`, one usage a turn) is another format.

use super::{Format, ParseError, Usage};
use super::{count, has, uncached};
use serde_json::Value;

/// A response, or the chunks of its stream.
pub(super) const FORMAT: Format = Format {
    looked_for: "usageMetadata.promptTokenCount, usageMetadata.candidatesTokenCount, \
        usageMetadata.thoughtsTokenCount and usageMetadata.toolUsePromptTokenCount",
    body_hint: "Of a Gemini response, pass the whole body, usageMetadata included.",
    stream_hint: "Of a Gemini stream, pass every chunk: the last usageMetadata stands.",
    read,
};

const PROMPT: &str = "/promptTokenCount";
const CANDIDATES: &str = "/candidatesTokenCount";
const THOUGHTS: &str = "/thoughtsTokenCount";
const TOOL_USE: &str = "/toolUsePromptTokenCount";

/// The last usage stands, not the largest and not the sum: a chunk may correct an estimate.
fn read(events: &[Value]) -> Result<Option<Usage>, ParseError> {
    let Some(usage) = events.iter().rev().find_map(usage_of) else {
        return Ok(None);
    };
    let get = |pointer| count(usage, pointer).map(Option::unwrap_or_default);
    let (input, tool_use, thoughts) = (get(PROMPT)?, get(TOOL_USE)?, get(THOUGHTS)?);
    let completion = get(CANDIDATES)? + thoughts;
    let total = count(usage, "/totalTokenCount")?;
    let cache_read = get("/cachedContentTokenCount")?;
    let plain = uncached(input, cache_read, tool_use + completion, total)?;
    let prompt = plain + tool_use;
    let audio_in = audio(usage, "promptTokensDetails")?.unwrap_or_default();
    let audio_tools = audio(usage, "toolUsePromptTokensDetails")?.unwrap_or_default();
    let audio_out = audio(usage, "candidatesTokensDetails")?.unwrap_or_default();
    // Where the cached tokens are not split, audio is what cannot be cached.
    let audio_cached = match audio(usage, "cacheTokensDetails")? {
        Some(cached) if plain < input => cached,
        _ => input - plain,
    };
    let audio_fresh = (audio_in - audio_cached).max(0).saturating_add(audio_tools);
    let tier = ["serviceTier", "trafficType"].iter().find_map(|key| usage.get(key)?.as_str());
    Ok(Some(Usage {
        model: last_text(events, "modelVersion"),
        response_id: last_text(events, "responseId"),
        service_tier: tier.map(str::to_owned),
        prompt_tokens: prompt,
        cache_read_tokens: cache_read,
        completion_tokens: completion,
        reasoning_tokens: thoughts,
        prompt_audio_tokens: audio_fresh.min(prompt),
        completion_audio_tokens: audio_out.min(completion),
        provider_total: total,
        ..Usage::default()
    }))
}

/// The usage of a chunk, if it has counts.
fn usage_of(event: &Value) -> Option<&Value> {
    let usage = event.get("usageMetadata")?;
    let counted = [PROMPT, CANDIDATES, THOUGHTS, TOOL_USE].iter().any(|field| has(usage, field));
    (counted && !has(usage, "/responseTokenCount")).then_some(usage)
}

/// The audio tokens of a list of counts by modality; `None` where the list is absent.
fn audio(usage: &Value, list: &str) -> Result<Option<i64>, ParseError> {
    let Some(items) = usage.get(list).and_then(Value::as_array) else {
        return Ok(None);
    };
    let is_audio = |item: &&Value| item.get("modality").and_then(Value::as_str) == Some("AUDIO");
    let mut sum = 0_i64;
    for item in items.iter().filter(is_audio) {
        sum = sum.saturating_add(count(item, "/tokenCount")?.unwrap_or_default());
    }
    Ok(Some(sum))
}

fn last_text(events: &[Value], key: &str) -> Option<String> {
    let mut texts = events.iter().rev().filter_map(|event| event.get(key)?.as_str());
    texts.find(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::{ParseError, Usage, parse};
    use serde_json::{Value, json};

    fn gemini(usage: Value) -> Usage {
        parse("gemini", &json!({"usageMetadata": usage})).unwrap()
    }

    fn kinds(usage: &Usage) -> [i64; 4] {
        [usage.prompt_tokens, usage.cache_read_tokens, usage.completion_tokens, usage.reasoning_tokens]
    }

    fn split(text: i64, audio: i64) -> Value {
        let text = json!({"modality": "TEXT", "tokenCount": text});
        json!([text, {"modality": "AUDIO", "tokenCount": audio}])
    }

    #[test]
    fn thoughts_and_tool_use_lie_beside_and_cached_inside() {
        let body = json!({"modelVersion": "gemini-2.5-flash", "responseId": "r1",
            "usageMetadata": {"promptTokenCount": 1100, "cachedContentTokenCount": 1000,
                "toolUsePromptTokenCount": 500, "candidatesTokenCount": 20,
                "thoughtsTokenCount": 45, "totalTokenCount": 1665, "serviceTier": "flex"}});
        let usage = parse("google", &body).unwrap();
        assert_eq!(kinds(&usage), [600, 1000, 65, 45]);
        assert_eq!((usage.provider_total, usage.unexplained()), (Some(1665), 0));
        assert_eq!(usage.model.as_deref(), Some("gemini-2.5-flash"));
        assert_eq!(usage.response_id.as_deref(), Some("r1"));
        assert_eq!(usage.service_tier.as_deref(), Some("flex"));
    }

    #[test]
    fn more_cached_than_prompt_lies_beside_it() {
        let usage = gemini(json!({"promptTokenCount": 100, "cachedContentTokenCount": 400,
            "toolUsePromptTokenCount": 50, "candidatesTokenCount": 10, "totalTokenCount": 560}));
        assert_eq!((kinds(&usage), usage.unexplained()), ([150, 400, 10, 0], 0));
    }

    #[test]
    fn the_last_chunk_stands_even_where_it_is_smaller() {
        let chunk = |prompt: i64, answer: Value| {
            json!({"modelVersion": "gemini-2.0-flash", "usageMetadata": {"promptTokenCount": prompt,
                "candidatesTokenCount": answer, "trafficType": "ON_DEMAND"}})
        };
        let chunks = [chunk(140, Value::Null), chunk(80, json!(12)), json!({})];
        let usage = parse("vertex", &Value::from_iter(chunks)).unwrap();
        assert_eq!((usage.vendor, kinds(&usage)), ("vertex_ai", [80, 0, 12, 0]));
        assert_eq!(usage.service_tier.as_deref(), Some("ON_DEMAND"));
    }

    #[test]
    fn a_count_left_out_is_zero_beside_another() {
        let usage = gemini(json!({"candidatesTokenCount": 18, "thoughtsTokenCount": 50}));
        assert_eq!(kinds(&usage), [0, 0, 68, 50]);
        assert_eq!(usage.provider_total, None);
    }

    #[test]
    fn audio_is_counted_where_it_is_certainly_not_cached() {
        let audio = |cached: i64, split_cached: Value| {
            let usage = gemini(json!({"promptTokenCount": 230, "candidatesTokenCount": 30,
                "cachedContentTokenCount": cached, "promptTokensDetails": split(90, 140),
                "cacheTokensDetails": split_cached, "candidatesTokensDetails": split(5, 25),
                "toolUsePromptTokenCount": 9, "toolUsePromptTokensDetails": split(2, 7)}));
            assert_eq!(usage.completion_audio_tokens, 25);
            usage.prompt_audio_tokens
        };
        assert_eq!(audio(0, Value::Null), 140 + 7);
        assert_eq!(audio(80, split(80, 0)), 140 + 7);
        assert_eq!(audio(100, split(60, 40)), 140 - 40 + 7);
        assert_eq!(audio(100, Value::Null), 140 - 100 + 7);
        assert_eq!(audio(200, Value::Null), 7);
    }

    #[test]
    fn no_usage_and_foreign_shapes_are_errors() {
        let live = json!([{"usageMetadata": {"promptTokenCount": 400, "responseTokenCount": 70}}]);
        let chat = json!({"usage": {"prompt_tokens": 4, "completion_tokens": 1}});
        let total = json!({"usageMetadata": {"totalTokenCount": 4}});
        for body in [live, chat, total, json!({"error": {"code": 429}})] {
            let error = parse("gemini", &body).unwrap_err();
            assert!(matches!(error, ParseError::NoUsage { .. }), "{body}");
        }
    }

    #[test]
    fn a_bad_count_names_its_field() {
        let body = json!({"usageMetadata": {"promptTokenCount": -4}});
        let error = parse("gemini", &body).unwrap_err();
        let message = "\"promptTokenCount\" is not a token count: -4";
        assert_eq!(error.message(), message);
    }
}
