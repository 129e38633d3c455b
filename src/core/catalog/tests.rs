use super::*;

fn read(text: &str) -> Catalog {
    parse(&serde_json::from_str(text).expect("json")).expect("a catalogue")
}

fn shown(catalog: &Catalog) -> Vec<String> {
    catalog.rows.iter().map(|row| serde_json::to_string(row).expect("json")).collect()
}

#[test]
fn tiers_and_long_contexts_become_rows_of_their_own() {
    let catalog = read(
        r#"{"sample_spec": {"input_cost_per_token": 0.0},
            "g": {"litellm_provider": "vertex_ai-language-models", "mode": "chat",
                  "input_cost_per_token": 1.25e-06, "output_cost_per_token": 0.00001,
                  "cache_read_input_token_cost": 1.25e-07,
                  "input_cost_per_token_above_200k_tokens": 2.5e-06,
                  "input_cost_per_token_above_200k_tokens_priority": 4.5e-06,
                  "input_cost_per_token_batches": 6.25e-07,
                  "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 0.000009,
                  "output_cost_per_token_above_12hr": 7,
                  "max_tokens": 8192},
            "w": {"litellm_provider": "xai", "cache_creation_input_token_cost_above_12hr_flex": 7}}"#,
    );
    assert_eq!(
        shown(&catalog),
        [
            r#"{"vendor":"vertex_ai","model":"g","service_tier":"","above_tokens":0,"is_default":true,"cache_read_per_token":1.25e-07,"input_per_token":1.25e-06,"output_per_token":0.00001}"#,
            r#"{"vendor":"vertex_ai","model":"g","service_tier":"","above_tokens":200000,"is_default":true,"cache_read_per_token":1.25e-07,"cache_write_1h_per_token":0.000009,"input_per_token":2.5e-06,"output_per_token":0.00001}"#,
            r#"{"vendor":"vertex_ai","model":"g","service_tier":"batch","above_tokens":0,"is_default":true,"input_per_token":6.25e-07}"#,
            r#"{"vendor":"vertex_ai","model":"g","service_tier":"priority","above_tokens":200000,"is_default":true,"input_per_token":4.5e-06}"#,
            r#"{"vendor":"xai","model":"w","service_tier":"flex","above_tokens":0,"is_default":true,"cache_write_1h_per_token":7}"#,
        ]
    );
    assert_eq!(catalog.problems, []);
}

#[test]
fn an_hour_in_claudes_cache_costs_the_same_multiple_in_a_batch() {
    let prices = r#"{"litellm_provider": "anthropic", "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06, "cache_creation_input_token_cost_batches": 1.875e-06}"#;
    let thirds = prices.replace("3.75e-06", "3e-06").replace("1.875e-06", "1e-06").replace("6e-06", "5e-06");
    let catalog = read(&format!(r#"{{"claude-x": {prices}, "claude-y": {thirds}, "other": {prices}}}"#));
    let hours: Vec<_> = catalog.rows.iter().map(|row| row.prices.get("cache_write_1h_per_token")).collect();
    let hours: Vec<_> = hours.into_iter().map(|hour| hour.map(Number::to_string)).collect();
    assert_eq!(
        hours,
        [Some("6e-06"), Some("0.000003"), Some("5e-06"), None, Some("6e-06"), None]
            .map(|hour| hour.map(String::from))
    );
}

#[test]
fn tiered_pricing_becomes_rows() {
    let catalog = read(
        r#"{"dashscope/q": {"litellm_provider": "dashscope", "tiered_pricing": [
            {"input_cost_per_token": 5e-08, "range": [0, 256000.0]},
            {"input_cost_per_token": 2.5e-07, "range": [256000.0, 1000000.0]}]}}"#,
    );
    assert_eq!(
        shown(&catalog),
        [
            r#"{"vendor":"dashscope","model":"q","service_tier":"","above_tokens":0,"is_default":false,"input_per_token":5e-08}"#,
            r#"{"vendor":"dashscope","model":"q","service_tier":"","above_tokens":256000,"is_default":false,"input_per_token":2.5e-07}"#,
        ]
    );
}

#[test]
fn what_is_not_priced_by_the_token_is_skipped_and_free_is_free() {
    let catalog = read(
        r#"{"whisper": {"litellm_provider": "openai", "input_cost_per_second": 0.0001, "output_cost_per_token": 0.0},
            "dall-e": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 1e-6},
            "ollama/llama": {"litellm_provider": "ollama", "input_cost_per_token": 0.0, "output_cost_per_token": 0}}"#,
    );
    assert_eq!(catalog.skipped, 2);
    assert_eq!(
        shown(&catalog),
        [
            r#"{"vendor":"ollama","model":"llama","service_tier":"","above_tokens":0,"is_default":false,"input_per_token":0.0,"output_per_token":0}"#
        ]
    );
}

#[test]
fn a_bad_entry_is_reported_and_the_others_are_taken() {
    let catalog = read(
        r#"{"a": {"litellm_provider": "x", "input_cost_per_token": -1},
            "b": {"input_cost_per_token": 1}, "c": 5,
            "d": {"litellm_provider": "x", "input_cost_per_token": "1e-6"},
            "e": {"litellm_provider": "x", "input_cost_per_token": 1, "off_peak_pricing": {}}}"#,
    );
    let keys: Vec<&str> = catalog.problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c", "e"]);
    assert_eq!(catalog.rows.len(), 1);
    assert!(parse(&Value::Null).is_err());
}

#[test]
fn the_prefixed_entry_wins_and_the_bare_name_is_then_nobodys() {
    let both = r#"{"m": {"litellm_provider": "v", "input_cost_per_token": A},
                   "v/m": {"litellm_provider": "v", "input_cost_per_token": 2}}"#;
    let same = read(&both.replace('A', "2"));
    assert_eq!((same.rows.len(), same.rows[0].is_default), (1, true));
    assert_eq!(same.problems, []);
    let other = read(&both.replace('A', "1"));
    assert_eq!((other.rows.len(), other.rows[0].is_default), (1, false));
    assert_eq!(other.rows[0].prices["input_per_token"].to_string(), "2");
    assert_eq!(other.problems[0].key, "m");
}
