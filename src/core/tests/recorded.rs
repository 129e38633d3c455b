//! Recorded responses of real APIs give the kinds that their collection expects. The collection lies beside the checkout,
//! not in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use llm_usage_core::tokens::{ParseError, Usage, parse};
use serde_json::Value;

const KINDS: [&str; 4] = ["prompt_tokens", "cache_read_tokens", "cache_write_tokens", "completion_tokens"];

#[test]
fn every_recorded_response_gives_the_expected_kinds() {
    let collection = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/responses");
    let Ok(expected) = fs::read_to_string(collection.join("expected.json")) else {
        // Past the test runner, which keeps to itself what a passing test prints.
        writeln!(
            std::io::stderr(),
            "NOT CHECKED: there are no recorded responses in {}",
            collection.display()
        )
        .expect("stderr");
        return;
    };
    let expected: Value = serde_json::from_str(&expected).expect("expected.json");
    let files = files(&collection);
    assert!(files.len() >= 30, "only {} responses were found", files.len());
    let differences: Vec<String> =
        files.iter().flat_map(|(name, path)| compare(&expected[name], name, path)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The files of all folders, by the names that `expected.json` has for them.
fn files(collection: &Path) -> Vec<(String, PathBuf)> {
    let entries = |path: &Path| {
        let entries = fs::read_dir(path).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let folders = entries(collection).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder));
    files.map(|path| (path.strip_prefix(collection).expect("inside").display().to_string(), path)).collect()
}

fn compare(expected: &Value, name: &str, path: &Path) -> Vec<String> {
    let recorded: Value = serde_json::from_str(&fs::read_to_string(path).expect(name)).expect(name);
    let provider = recorded["provider"].as_str().expect(name);
    let known = KINDS.iter().any(|kind| expected[*kind].is_number());
    let usages = match parse(provider, &recorded["body"]) {
        Err(ParseError::NoUsage { .. }) if !known => return Vec::new(),
        Ok(usages) if known => usages,
        other => return vec![format!("{name}: {other:?}")],
    };
    let events: Vec<&Value> = match expected["events"].as_array() {
        Some(events) => events.iter().collect(),
        None => std::iter::once(expected)
            .chain(expected["extra_events"].as_array().into_iter().flatten())
            .collect(),
    };
    if events.len() != usages.len() {
        return vec![format!("{name}: {} events instead of {}", usages.len(), events.len())];
    }
    events.into_iter().zip(&usages).flat_map(|(event, usage)| differences(event, usage, name)).collect()
}

fn differences(expected: &Value, usage: &Usage, name: &str) -> Vec<String> {
    let sum =
        usage.prompt_tokens + usage.cache_read_tokens + usage.cache_write_tokens + usage.completion_tokens;
    let mut found = vec![
        ("prompt_tokens", usage.prompt_tokens),
        ("cache_read_tokens", usage.cache_read_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("completion_tokens", usage.completion_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
        ("provider_total", usage.provider_total.unwrap_or_default()),
    ];
    if expected["cache_write_1h_tokens"].is_number() {
        found.push(("cache_write_1h_tokens", usage.cache_write_1h_tokens));
    }
    let wrong =
        found.into_iter().filter(|(kind, count)| expected[*kind].as_i64().unwrap_or_default() != *count);
    let mut wrong: Vec<String> =
        wrong.map(|(kind, count)| format!("{name}: {kind} is {count}, not {}", expected[kind])).collect();
    if usage.provider_total.is_some_and(|total| sum + usage.unaccounted_tokens != total) {
        wrong.push(format!("{name}: the kinds and what is unaccounted are not the total: {usage:?}"));
    }
    let dollars = |value: &Value| value.as_f64().map(|cost| (cost * 1e12).round());
    let reported = usage.reported_cost.clone().map_or(Value::Null, Value::Number);
    if dollars(&expected["provider_cost_usd"]) != dollars(&reported) {
        wrong.push(format!(
            "{name}: the provider's cost is {reported}, not {}",
            expected["provider_cost_usd"]
        ));
    }
    if expected["model"].is_string() && expected["model"].as_str() != usage.model.as_deref() {
        wrong.push(format!("{name}: the model is {:?}", usage.model));
    }
    // Only what the input is unknown of was recorded in part.
    if usage.is_partial != expected["prompt_tokens"].is_null() {
        wrong.push(format!("{name}: partial is {}", usage.is_partial));
    }
    wrong
}
