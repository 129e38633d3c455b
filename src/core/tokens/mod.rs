//! Token usage of one model request, read from the provider's response.
//!
//! A format is found by its fields. It declares which of its counts lie inside others; the kinds
//! that come out are disjoint: `input = prompt + cache_read + cache_write`.
//!
//! One response gives one [`Usage`]. Not read yet is what would give several: another model's part
//! in a response (an Anthropic advisor), the lines of a batch file, the turns of a live session.

mod anthropic;
mod count;
mod error;
mod gemini;
mod openai;

pub use error::ParseError;

use count::{MAX_COUNT, bad_count, count, first_count, has, kind, uncached};
use error::cut;
use serde_json::Value;

/// A provider, the names it is asked for by, and the formats it answers in, tried in this order.
struct Provider {
    names: &'static [&'static str],
    vendor: &'static str,
    formats: &'static [Format],
}

/// A response format: how it is read, and what to say where a response has no such usage.
struct Format {
    looked_for: &'static str,
    body_hint: &'static str,
    stream_hint: &'static str,
    /// Reads the events of a stream, or a body as the only event. `None`: no usage of this format.
    read: fn(&[Value]) -> Result<Option<Usage>, ParseError>,
}

// One provider a line.
#[rustfmt::skip]
const PROVIDERS: &[Provider] = &[
    Provider { names: &["openai"], vendor: "openai", formats: &[openai::FORMAT] },
    Provider { names: &["azure"], vendor: "azure", formats: &[openai::AZURE] },
    Provider { names: &["anthropic"], vendor: "anthropic", formats: &[anthropic::FORMAT] },
    Provider { names: &["gemini", "google"], vendor: "gemini", formats: &[gemini::FORMAT] },
    Provider { names: &["vertex_ai", "vertex"], vendor: "vertex_ai", formats: &[gemini::FORMAT, anthropic::FORMAT] },
];

/// What one request used. No count is negative; a count that the response leaves out is 0. The
/// fields it comes from: OpenAI API reference, `usage`; Claude API reference, `usage`; Gemini API
/// reference, `UsageMetadata`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The provider's canonical name.
    pub vendor: &'static str,
    /// The model that answered, by the provider's own name for it.
    pub model: Option<String>,
    /// The provider's id of the response.
    pub response_id: Option<String>,
    /// The service tier that the provider says it served the request in.
    pub service_tier: Option<String>,
    /// Input neither served from a cache nor written to one.
    pub prompt_tokens: i64,
    /// Input served from a cache.
    pub cache_read_tokens: i64,
    /// Input written to a cache.
    pub cache_write_tokens: i64,
    /// Part of `cache_write_tokens`: written to be kept for an hour. Never more than the whole.
    pub cache_write_1h_tokens: i64,
    /// All output, reasoning included.
    pub completion_tokens: i64,
    /// Part of `completion_tokens`, as reported: some models report more reasoning than output.
    pub reasoning_tokens: i64,
    /// Part of `prompt_tokens`: audio that is certainly not cached. Never more than the whole.
    pub prompt_audio_tokens: i64,
    /// Part of `completion_tokens`: audio. Never more than the whole.
    pub completion_audio_tokens: i64,
    /// The total that the provider reports, where it reports one.
    pub provider_total: Option<i64>,
}

impl Usage {
    /// Tokens of the provider's total that no kind explains; 0 without a total. Negative where the
    /// total leaves cached tokens out, as that of Grok on Azure does.
    pub fn unexplained(&self) -> i64 {
        let input = self.prompt_tokens + self.cache_read_tokens + self.cache_write_tokens;
        let explained = input + self.completion_tokens;
        self.provider_total.map_or(0, |total| total - explained)
    }
}

/// Reads what a response of `provider` used. `response` is the body, or for a stream the array of
/// its parsed events. Each format's file names the provider's document that it follows.
///
/// # Errors
/// A provider that is not known, a response without usage, or counts that cannot be.
pub fn parse(provider: &str, response: &Value) -> Result<Usage, ParseError> {
    let called = |name: &&str| name.eq_ignore_ascii_case(provider);
    let known = PROVIDERS.iter().find(|p| p.names.iter().any(called));
    let known = known.ok_or_else(|| ParseError::UnknownProvider { provider: cut(provider) })?;
    let (events, streamed) = match response {
        Value::Object(_) => (std::slice::from_ref(response), false),
        Value::Array(events) if events.iter().any(Value::is_object) => (events.as_slice(), true),
        other => return Err(ParseError::NotAnObject { found: kind(other) }),
    };
    for format in known.formats {
        if let Some(usage) = (format.read)(events)? {
            let vendor = known.vendor;
            return Ok(Usage { vendor, ..usage });
        }
    }
    Err(no_usage(known, streamed))
}

fn no_usage(known: &Provider, streamed: bool) -> ParseError {
    let looked_for: Vec<_> = known.formats.iter().map(|f| f.looked_for).collect();
    let hint = |f: &Format| if streamed { f.stream_hint } else { f.body_hint };
    let hints: Vec<_> = known.formats.iter().map(hint).collect();
    ParseError::NoUsage {
        provider: known.vendor,
        looked_for: looked_for.join("; and for "),
        hint: hints.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    #[test]
    fn names_have_no_case_and_lead_to_one_vendor() {
        let body = json!({"usageMetadata": {"promptTokenCount": 3}});
        let vendor = |name| parse(name, &body).map(|usage| usage.vendor);
        assert_eq!(vendor("Google"), Ok("gemini"));
        assert_eq!(vendor("GEMINI"), Ok("gemini"));
        assert_eq!(vendor("Vertex"), Ok("vertex_ai"));
        assert_eq!(vendor("vertex_ai"), Ok("vertex_ai"));
    }

    const WORDS: &str = "type message message_start message_delta usage response id model grok \
        response.completed input_tokens output_tokens total_tokens input_tokens_details \
        prompt_tokens completion_tokens prompt_tokens_details cached_tokens cache_write_tokens \
        completion_tokens_details audio_tokens reasoning_tokens cache_creation iterations \
        cache_creation_input_tokens cache_read_input_tokens ephemeral_1h_input_tokens compaction \
        usageMetadata promptTokenCount candidatesTokenCount totalTokenCount thoughtsTokenCount \
        cachedContentTokenCount promptTokensDetails cacheTokensDetails modality AUDIO tokenCount";
    const NUMBERS: &str = "0 1 7 40 163 999 2147483647 -3 1.5 2e400 123456789012345678901";

    fn any_json() -> impl Strategy<Value = Value> {
        let numbers: Vec<Value> = NUMBERS.split(' ').flat_map(serde_json::from_str).collect();
        let words: Vec<&str> = WORDS.split(' ').collect();
        let word = prop_oneof![9 => select(words).prop_map(String::from), 1 => any::<String>()];
        let text = word.clone().prop_map(Value::from);
        let leaf = prop_oneof![7 => select(numbers), 2 => text, 1 => Just(Value::Null)];
        leaf.prop_recursive(5, 80, 10, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from);
            let pairs = prop::collection::vec((word.clone(), inner), 0..12);
            prop_oneof![1 => list, 4 => pairs.prop_map(Value::from_iter)]
        })
    }

    /// A usage object with every kind of part, of counts that need not fit together.
    fn any_usage() -> impl Strategy<Value = Value> {
        let names: Vec<&str> = WORDS.split(' ').collect();
        let counts = prop::collection::vec(0..200_i64, names.len());
        counts.prop_map(move |counts| {
            let flat: Value = names.iter().copied().zip(counts.iter().copied()).collect();
            let list = json!([{"modality": "AUDIO", "tokenCount": flat["tokenCount"]}]);
            let mut usage = flat.clone();
            for name in names.iter().filter(|name| name.ends_with("_details")) {
                usage[*name] = flat.clone();
            }
            for name in ["promptTokensDetails", "candidatesTokensDetails"] {
                usage[name] = list.clone();
            }
            usage["cache_creation"] = flat;
            usage
        })
    }

    fn check(response: &Value) -> Result<(), TestCaseError> {
        for name in PROVIDERS.iter().flat_map(|provider| provider.names) {
            match parse(name, response) {
                Ok(usage) => check_usage(&usage)?,
                Err(error) => prop_assert!(!error.message().is_empty() && !error.hint().is_empty()),
            }
        }
        Ok(())
    }

    fn check_usage(usage: &Usage) -> Result<(), TestCaseError> {
        for (part, whole) in [
            (0, usage.cache_read_tokens),
            (0, usage.reasoning_tokens),
            (usage.prompt_audio_tokens, usage.prompt_tokens),
            (usage.cache_write_1h_tokens, usage.cache_write_tokens),
            (usage.completion_audio_tokens, usage.completion_tokens),
        ] {
            prop_assert!(0 <= part && part <= whole, "{usage:?}");
        }
        usage.unexplained();
        Ok(())
    }

    proptest! {
        #[test]
        fn any_json_is_read_or_refused(json in any_json()) {
            check(&json)?;
            check(&json!({"usage": json, "usageMetadata": json}))?;
            check(&json!([{"usage": json}, {"type": "message_delta", "usage": json}]))?;
        }

        #[test]
        fn no_part_exceeds_its_whole(usage in any_usage()) {
            check(&json!({"usage": usage, "usageMetadata": usage}))?;
            check(&json!({"type": "message", "usage": usage}))?;
        }
    }
}
