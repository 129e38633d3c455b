//! Any JSON is read or refused, by every provider: never a panic, never a negative count, never a part that is more than its
//! whole, and kinds that add up to the provider's total with what is unaccounted. Bad spans do not take good ones with them.

use llm_usage_core::tokens::{Given, Usage, element_rows, parse, span_rows};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

const PROVIDERS: &str = "openai azure anthropic gemini vertex_ai bedrock mistral cohere xai openrouter ollama perplexity \
    huggingface watsonx vercel otel nobody";
const WORDS: &str = "type event_type message message_start message_delta usage response id model grok google/x \
    response.completed response.done session.created input_tokens output_tokens total_tokens input_tokens_details \
    prompt_tokens completion_tokens prompt_tokens_details cached_tokens cache_write_tokens num_cached_tokens \
    completion_tokens_details output_tokens_details audio_tokens reasoning_tokens cache_creation iterations compaction \
    advisor_message cache_creation_input_tokens cache_read_input_tokens ephemeral_1h_input_tokens \
    ephemeral_5m_input_tokens usageMetadata promptTokenCount candidatesTokenCount responseTokenCount totalTokenCount \
    thoughtsTokenCount cachedContentTokenCount toolUsePromptTokenCount promptTokensDetails cacheTokensDetails modality \
    AUDIO tokenCount total_input_tokens total_output_tokens total_thought_tokens total_tool_use_tokens \
    inputTokens outputTokens totalTokens cacheReadInputTokens metadata amazon-bedrock-invocationMetrics inputTokenCount \
    outputTokenCount headers x-amzn-bedrock-input-token-count results meta billed_units tokens cost total_cost \
    cost_in_usd_ticks citation_tokens prompt_eval_count eval_count details generated_tokens choices finish_reason \
    custom_id body result data spans resourceSpans scopeSpans attributes key value intValue stringValue spanId \
    parentSpanId gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.operation.name chat gen_ai.request.model \
    openinference.span.kind LLM llm.token_count.prompt llm.token_count.completion serverContent turnComplete";
const NUMBERS: &str =
    "0 1 7 40 163 999 2147483647 -3 1.5 2e400 1e-999999999 123456789012345678901 true \"7\" \"0.1\"";

fn words() -> Vec<&'static str> {
    WORDS.split_whitespace().collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let numbers: Vec<Value> = NUMBERS.split(' ').flat_map(serde_json::from_str).collect();
    let word = prop_oneof![9 => select(words()).prop_map(String::from), 1 => any::<String>()];
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
    let names = words();
    let counts = prop::collection::vec(0..200_i64, names.len());
    counts.prop_map(move |counts| {
        let flat: Value = names.iter().copied().zip(counts).collect();
        let list = json!([{"modality": "AUDIO", "tokenCount": flat["tokenCount"]}]);
        let mut usage = flat.clone();
        for name in names.iter().filter(|name| name.ends_with("_details")) {
            usage[*name] = flat.clone();
        }
        for name in ["promptTokensDetails", "cacheTokensDetails"] {
            usage[name] = list.clone();
        }
        for name in ["cache_creation", "billed_units", "tokens"] {
            usage[name] = flat.clone();
        }
        usage["iterations"] = json!([flat]);
        usage
    })
}

fn check(response: &Value) -> Result<(), TestCaseError> {
    for provider in PROVIDERS.split(' ') {
        match parse(provider, response) {
            Ok(usages) => {
                prop_assert!(!usages.is_empty());
                usages.iter().try_for_each(check_usage)?;
                check_rows(provider, response)?;
            }
            Err(error) => {
                let said = [error.message(), error.detail(), error.hint()];
                prop_assert!(said.iter().all(|said| !said.is_empty() && !said.contains('\0')));
            }
        }
    }
    Ok(())
}

/// The caller's cost has no currency of the provider's.
fn check_rows(provider: &str, response: &Value) -> Result<(), TestCaseError> {
    let element = json!({"provider": provider, "response": response, "model": "m", "cost": 1});
    for row in element_rows(element, "EUR").unwrap_or_default() {
        let row = serde_json::to_value(&row).unwrap_or_default();
        prop_assert!(row.get("reported_cost").is_none() && row.get("currency").is_none());
    }
    Ok(())
}

fn check_usage(usage: &Usage) -> Result<(), TestCaseError> {
    for (part, whole) in [
        (0, usage.cache_read_tokens),
        (usage.reasoning_tokens, usage.completion_tokens),
        (usage.prompt_audio_tokens, usage.prompt_tokens),
        (usage.cache_write_1h_tokens, usage.cache_write_tokens),
        (usage.completion_audio_tokens, usage.completion_tokens),
        (usage.cache_read_audio_tokens, usage.cache_read_tokens),
        (usage.cache_read_image_tokens, usage.cache_read_tokens),
        (usage.prompt_image_tokens, usage.prompt_tokens),
        (usage.prompt_video_tokens, usage.prompt_tokens),
        (usage.completion_image_tokens, usage.completion_tokens),
        (usage.completion_video_tokens, usage.completion_tokens),
    ] {
        prop_assert!(0 <= part && part <= whole, "{usage:?}");
    }
    let input = usage.prompt_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
    let sum = input + usage.completion_tokens + usage.unaccounted_tokens;
    prop_assert_eq!(sum, usage.provider_total.unwrap_or(sum));
    prop_assert!(usage.provider_total.is_some() || usage.unaccounted_tokens == 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_json_is_read_or_refused(json in any_json()) {
        check(&json)?;
        check(&json!({"usage": json, "usageMetadata": json, "meta": json, "headers": json}))?;
        check(&json!([{"usage": json}, {"type": "message_delta", "usage": json}, json]))?;
        check(&json!({"resourceSpans": [{"scopeSpans": [{"spans": [json, {"attributes": json}]}]}]}))?;
        check(&json!([{"custom_id": "a", "response": {"body": {"usage": json}}}]))?;
    }

    #[test]
    fn no_part_exceeds_its_whole(usage in any_usage()) {
        check(&json!({"usage": usage, "usageMetadata": usage, "meta": usage}))?;
        check(&json!({"type": "message", "model": "m", "usage": usage}))?;
        check(&json!({"type": "response.done", "response": {"usage": usage}}))?;
        check(&json!({"model": "google/x", "usage": usage}))?;
        check(&usage)?;
    }

    #[test]
    fn good_spans_stay(spans in prop::collection::vec((any::<bool>(), any_json()), 0..12)) {
        let export: Vec<Value> = spans.iter().enumerate().map(|(place, (is_good, json))| {
            let attributes = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "good",
                "gen_ai.usage.input_tokens": place, "gen_ai.usage.output_tokens": 1});
            let bad = json!({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": json});
            json!({"spanId": format!("s{place}"), "attributes": if *is_good { attributes } else { bad }})
        }).collect();
        let given = Given { columns: Map::new(), default_currency: "USD" };
        let rows = span_rows(&Value::from(export), &given).unwrap_or_default();
        let good = |place: &usize| {
            rows.iter().any(|(at, row)| {
                let row = row.as_ref().map(|row| serde_json::to_value(row).unwrap_or_default());
                at == place && row.is_ok_and(|row| row["model"] == "good" && row["completion_tokens"] == 1)
            })
        };
        let all_good = spans.iter().enumerate().filter(|(_, (is_good, _))| *is_good).all(|(place, _)| good(&place));
        prop_assert!(all_good, "{rows:?}");
    }
}
