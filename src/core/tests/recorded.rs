//! Recorded responses of real APIs give the kinds that their collection expects. The collection lies beside the checkout,
//! not in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use llm_usage_core::tokens::{ParseError, Usage, parse};
use serde_json::Value;

/// The provider and API of each folder that is read. Batch files, live sessions and interactions are no single response.
const FOLDERS: [&str; 12] = [
    "anthropic-messages",
    "azure-chat",
    "azure-responses",
    "gemini-generate-content",
    "openai-assistants-run",
    "openai-chat",
    "openai-completions",
    "openai-embeddings",
    "openai-responses",
    "openai-transcription",
    "vertex-generate-content",
    "vertex-messages",
];

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
    let files: Vec<(String, PathBuf)> =
        FOLDERS.iter().flat_map(|folder| files(&collection, folder)).collect();
    assert!(files.len() >= 30, "only {} responses were found", files.len());
    let differences: Vec<String> =
        files.iter().flat_map(|(name, path)| compare(&expected[name], name, path)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn files(collection: &Path, folder: &str) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(collection.join(folder)).expect(folder);
    let paths = entries.map(|entry| entry.expect(folder).path());
    paths
        .map(|path| (format!("{folder}/{}", path.file_name().expect(folder).to_string_lossy()), path))
        .collect()
}

fn compare(expected: &Value, name: &str, path: &Path) -> Vec<String> {
    let recorded: Value = serde_json::from_str(&fs::read_to_string(path).expect(name)).expect(name);
    let provider = recorded["provider"].as_str().expect(name);
    let known = KINDS.iter().any(|kind| expected[*kind].is_number());
    match parse(provider, &recorded["body"]) {
        Err(ParseError::NoUsage { .. }) if !known => Vec::new(),
        Ok(usage) if known => differences(expected, &usage, name),
        other => vec![format!("{name}: {other:?}")],
    }
}

fn differences(expected: &Value, usage: &Usage, name: &str) -> Vec<String> {
    let mut found = vec![
        ("prompt_tokens", usage.prompt_tokens),
        ("cache_read_tokens", usage.cache_read_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("completion_tokens", usage.completion_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
    ];
    if expected["cache_write_1h_tokens"].is_number() {
        found.push(("cache_write_1h_tokens", usage.cache_write_1h_tokens));
    }
    found.push(("provider_total", usage.provider_total.unwrap_or_default()));
    let wrong =
        found.into_iter().filter(|(kind, count)| expected[*kind].as_i64().unwrap_or_default() != *count);
    wrong.map(|(kind, count)| format!("{name}: {kind} is {count}, not {}", expected[kind])).collect()
}
