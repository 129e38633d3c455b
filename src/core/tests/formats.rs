//! Our own fixtures, one for each provider and shape, give the rows that stand beside them; and what may be broken in them is
//! an error or a row, never a panic or a negative count.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use llm_usage_core::event::Row;
use llm_usage_core::tokens::{Given, ParseError, parse, rows};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

static FIXTURES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/formats");
    let entries = fs::read_dir(folder).expect("the fixtures");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path| fs::read_to_string(path).expect("a file");
    let parsed = |text: String| serde_json::from_str::<Vec<Value>>(&text).expect("an array of fixtures");
    files.into_iter().flat_map(|path| parsed(read(path))).collect()
});

fn read(fixture: &Value, response: &Value) -> Result<Vec<Value>, llm_usage_core::Error> {
    let model = fixture.get("model").cloned().unwrap_or(Value::Null);
    let columns = Map::from_iter([("model".to_owned(), model)]);
    let given = Given { columns, default_currency: "USD" };
    let provider = fixture["provider"].as_str().expect("a provider");
    let columns = |row: &Row| serde_json::to_value(row).expect("columns");
    rows(provider, response, &given).map(|rows| rows.iter().map(columns).collect())
}

#[test]
fn every_shape_gives_the_rows_beside_it() {
    assert!(FIXTURES.len() >= 60, "only {} fixtures", FIXTURES.len());
    let mut wrong = Vec::new();
    for fixture in FIXTURES.iter() {
        let (shape, expected) = (&fixture["shape"], fixture["events"].as_array().expect("events"));
        match read(fixture, &fixture["response"]) {
            Ok(rows) if rows == *expected => {}
            other => wrong.push(format!("{shape}:\n  {other:?}\n  instead of {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Nothing of a provider is tested by another's fixture.
#[test]
fn every_provider_that_a_message_names_has_a_fixture() {
    let Err(unknown) = parse("nobody", &json!({})) else { panic!("nobody is known") };
    let hint = unknown.hint();
    let names = hint.trim_start_matches("Use one of: ").split('.').next().unwrap_or_default();
    let vendor_of = |fixture: &Value| fixture["events"][0]["vendor"].clone();
    for name in names.split(", ").filter(|name| *name != "opentelemetry") {
        let body = json!({"usage": {"prompt_tokens": 1, "input_tokens": 1}, "type": "message"});
        let vendor = match parse(name, &body) {
            Err(ParseError::NoUsage { provider, .. }) => provider.to_owned(),
            Ok(usages) => usages[0].vendor.clone().into_owned(),
            Err(other) => panic!("{name}: {other:?}"),
        };
        assert!(
            FIXTURES.iter().any(|fixture| vendor_of(fixture) == vendor.as_str()),
            "{name} has no fixture"
        );
    }
}

/// Every place in a document, as the pointers of `serde_json`.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| {
                places(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found)
            });
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, item)| places(item, &format!("{at}/{place}"), found));
        }
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..4096_i64).prop_map(Value::from),
        "[0-9.eE+-]{1,12}".prop_map(Value::from),
        "-?[0-9]{1,25}(\\.[0-9]{1,3})?(e-?[0-9]{1,9})?"
            .prop_map(|text| serde_json::from_str(&text).unwrap_or_default()),
    ]
}

fn is_sound(row: &Value) -> bool {
    let count = |name: &str| row.get(name).map_or(0, |value| value.as_i64().unwrap_or(-1));
    let wholes = ["prompt_tokens", "cache_read_tokens", "cache_write_tokens", "completion_tokens"];
    let parts = [
        ("reasoning_tokens", "completion_tokens"),
        ("completion_audio_tokens", "completion_tokens"),
        ("cache_read_audio_tokens", "cache_read_tokens"),
        ("cache_read_image_tokens", "cache_read_tokens"),
        ("prompt_image_tokens", "prompt_tokens"),
        ("prompt_video_tokens", "prompt_tokens"),
        ("completion_image_tokens", "completion_tokens"),
        ("completion_video_tokens", "completion_tokens"),
        ("prompt_audio_tokens", "prompt_tokens"),
        ("cache_write_1h_tokens", "cache_write_tokens"),
    ];
    wholes.iter().all(|whole| count(whole) >= 0)
        && parts.iter().all(|(part, whole)| 0 <= count(part) && count(part) <= count(whole))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_broken_response_is_sound_or_refused(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any_value()), 1..4),
    ) {
        let fixture = which.get(&FIXTURES);
        let mut response = fixture["response"].clone();
        for (place, value) in changes {
            let mut found = Vec::new();
            places(&response, "", &mut found);
            let at = place.get(&found).clone();
            if let Some(changed) = response.pointer_mut(&at) {
                *changed = value;
            }
        }
        match read(fixture, &response) {
            Ok(rows) => prop_assert!(!rows.is_empty() && rows.iter().all(is_sound), "{rows:?}"),
            Err(error) => prop_assert!(!error.message().is_empty() && !error.hint().is_empty()),
        }
    }
}
