//! Values that nobody would send, and some that let a call get past its first check, as the texts of their types.

use serde_json::{Map, Value};

use crate::random::Random;

const TEXTS: [&str; 40] = [
    "",
    " ",
    "a",
    "App",
    "gpt-4.1",
    "house",
    "day",
    "month",
    "task",
    "rule_type",
    "reader",
    "writer",
    "postgres",
    "openai",
    "anthropic",
    "gemini",
    "EUR",
    "null",
    "-1",
    "7",
    "007",
    "9223372036854775808",
    "1e400",
    "NaN",
    "Infinity",
    "infinity",
    "2025-06-01",
    "2025-02-30",
    "0000-00-00",
    "2025-06-01T23:59:59.999999Z",
    "9999-12-31T23:59:59.9999999+14:00",
    "294277-01-01T00:00:00Z",
    "\u{1}\u{8}\t\n\r\u{1b}\u{7f}\u{85}\u{2028}",
    "\u{feff}\u{202e}\u{0}",
    "𝔘 🏳️‍🌈 ﷽ ß İ ǆ \u{10ffff}",
    "e\u{301}\u{301}\u{301}\u{301}",
    "\\x00 %00 %s {} $1 :x ?",
    "'; DROP SCHEMA llm_usage CASCADE; --",
    "\"quoted\" \\",
    "[1,2",
];
const INTEGERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "2",
    "7",
    "120",
    "32767",
    "32768",
    "2147483647",
    "-2147483648",
    "9223372036854775807",
    "-9223372036854775808",
];
const NUMERICS: [&str; 11] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0.000",
    "-1",
    "0.1",
    "1e-16383",
    "1e131071",
    "-1e131071",
    "12345678901234567890.12345678901234567890",
];
const INSTANTS: [&str; 14] = [
    "infinity",
    "-infinity",
    "4713-11-24 00:00:00+00 BC",
    "0044-03-15 12:00:00+00 BC",
    "0001-12-31 23:59:59.999999+00 BC",
    "0001-01-01 00:00:00+00",
    "1582-10-10 00:00:00+00",
    "1969-12-31 23:59:59.999999+00",
    "2025-06-01 00:00:00+00",
    "2025-06-01 23:59:59.999999+15:59",
    "9999-12-31 23:59:59.999999+00",
    "10000-01-01 00:00:00+00",
    "294276-12-31 23:59:59.999999+00",
    "now",
];
const DATES: [&str; 9] = [
    "infinity",
    "-infinity",
    "4714-11-24 BC",
    "0001-12-31 BC",
    "0001-01-01",
    "2001-02-03",
    "2025-06-01",
    "9999-12-31",
    "5874897-12-31",
];
const INTERVALS: [&str; 7] = [
    "0",
    "1 microsecond",
    "-1 second",
    "178000000 years",
    "-178000000 years",
    "1 month -30 days +24:00:00",
    "2562047788:00:54.775807",
];
/// What the functions look for in a document.
const KEYS: [&str; 36] = [
    "model",
    "app_id",
    "user_id",
    "vendor",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cache_read_tokens",
    "cost",
    "currency",
    "occurred_at",
    "attrs",
    "rule_type",
    "corrects",
    "id",
    "usage",
    "usageMetadata",
    "message",
    "type",
    "input_tokens",
    "output_tokens",
    "cache_creation",
    "cache_creation_input_tokens",
    "prompt_tokens_details",
    "cached_tokens",
    "promptTokenCount",
    "candidatesTokenCount",
    "choices",
    "litellm_provider",
    "mode",
    "input_cost_per_token",
    "output_cost_per_token",
    "input_cost_per_token_above_200k_tokens",
    "events",
    "provider",
    "response",
];
const NUMBERS: [&str; 12] = [
    "0",
    "-0",
    "1",
    "5",
    "100",
    "-1",
    "1.5",
    "1e2",
    "9223372036854775808",
    "1e400",
    "-1e-400",
    "12345678901234567890.5",
];

/// What gets a call past its first check, by the name of the argument.
const PLAUSIBLE: [(&str, &[&str]); 6] = [
    ("role", &["postgres"]),
    ("access", &["reader", "writer", "admin", "anonymous"]),
    ("provider", &["openai", "anthropic", "gemini", "azure"]),
    ("group_by", &["day", "week", "month"]),
    ("currency", &["EUR", "USD"]),
    ("model", &["gpt-4.1", "house"]),
];
/// Documents that are good but for what stands at @.
const DOCUMENTS: [&str; 10] = [
    r#"{"model": "gpt-4.1", "usage": {"prompt_tokens": @, "completion_tokens": @}}"#,
    r#"{"model": "m", "usage": {"input_tokens": @, "output_tokens": @, "cache_read_input_tokens": @}}"#,
    r#"{"modelVersion": "g", "usageMetadata": {"promptTokenCount": @, "candidatesTokenCount": @}}"#,
    r#"{"model": "m", "prompt_tokens": @, "cost": @}"#,
    r#"{"app_id": @}"#,
    r#"{"provider": "openai", "response": {"model": "m", "usage": {"prompt_tokens": @, "completion_tokens": 5}}}"#,
    r#"{"events": [{"model": "m", "app_id": @}, {"model": "m", "completion_tokens": @}], "all_or_nothing": false}"#,
    r#"[{"model": "m", "app_id": @}, {"model": @}]"#,
    r#"{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": @, "output_cost_per_token": @}}"#,
    r#"{"model": "m", "attrs": {"k": @}, "occurred_at": "2025-06-01T00:00:00Z"}"#,
];

/// A value for an argument of a name and a type, as text; `None` is NULL. Panics for a type that it does not know: teach it.
pub fn value(name: &str, of_type: &str, random: &mut Random) -> Option<String> {
    let plausible = PLAUSIBLE.iter().find(|(of, _)| *of == name && matches!(of_type, "text" | "name"));
    match plausible {
        Some((_, values)) if random.below(2) == 0 => Some(random.pick(values).to_owned()),
        _ => any_value(of_type, random),
    }
}

/// A value that nobody would mind.
pub fn mild(name: &str, of_type: &str, random: &mut Random) -> String {
    if let Some((_, values)) = PLAUSIBLE.iter().find(|(of, _)| *of == name) {
        return random.pick(values).to_owned();
    }
    if let Some(element) = of_type.strip_suffix("[]") {
        return format!("{{{}}}", mild("", element, random));
    }
    let value = match of_type {
        "json" | "jsonb" => return random.pick(&DOCUMENTS).replace('@', "5"),
        "text" | "name" => "task",
        "boolean" => "true",
        "interval" => "1 second",
        "date" => "2025-06-01",
        "timestamp with time zone" => "2025-06-01 00:00:00+00",
        _ => "7",
    };
    value.to_owned()
}

fn any_value(of_type: &str, random: &mut Random) -> Option<String> {
    if random.below(10) == 0 {
        return None;
    }
    if let Some(element) = of_type.strip_suffix("[]") {
        return Some(array(element, random));
    }
    let known: &[&str] = match of_type {
        "text" | "name" | "character varying" => return Some(text(random)),
        "json" | "jsonb" => return Some(json(random)),
        "boolean" => &["true", "false"],
        "smallint" | "integer" | "bigint" => &INTEGERS,
        "numeric" => &NUMERICS,
        "timestamp with time zone" | "timestamp without time zone" => &INSTANTS,
        "date" => &DATES,
        "interval" => &INTERVALS,
        other => panic!("no hostile value of the type {other} is known"),
    };
    let known = random.pick(known);
    // A small number is a good one for most.
    if INTEGERS.contains(&known) && random.below(3) == 0 {
        return Some(random.below(100).to_string());
    }
    Some(known.to_owned())
}

fn text(random: &mut Random) -> String {
    let text = match random.below(60) {
        0 => "x".repeat(300_000),
        1 => "🦀".repeat(70),
        2 => (0..=random.below(40))
            .filter_map(|_| char::from_u32(u32::try_from(random.below(0x11_0000)).ok()?))
            .collect(),
        _ => random.pick(&TEXTS).to_owned(),
    };
    // No text of the server holds it; no client can send it.
    text.replace('\0', "")
}

fn array(element: &str, random: &mut Random) -> String {
    let count = match random.below(40) {
        0 => 20_000,
        1..=4 => 0,
        _ => 1 + random.below(6),
    };
    // A long one of long texts would be a test of the test.
    let mut items = Vec::new();
    for _ in 0..count {
        let item = any_value(element, random).filter(|item| count < 100 || item.len() < 100);
        items.push(item.map_or("NULL".to_owned(), |item| {
            format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""))
        }));
    }
    let items = items.join(",");
    match random.below(10) {
        0 if count > 0 => format!("{{{{{items}}},{{{items}}}}}"),
        1 if count > 0 => format!("[-5:{}]={{{items}}}", i64::try_from(count).unwrap_or(0) - 6),
        _ => format!("{{{items}}}"),
    }
}

/// A document at random; now and then one that is deep, wide or broken.
fn json(random: &mut Random) -> String {
    match random.below(40) {
        0 => format!("{}{}", "[".repeat(3_000), "]".repeat(3_000)),
        1 => format!("{}1{}", "{\"usage\":".repeat(200), "}".repeat(200)),
        2 => format!("[{}]", vec!["{\"model\":\"m\"}"; 5_000].join(",")),
        3 => format!("{{\"model\":\"m\",\"cost\":{}}}", "9".repeat(100_000)),
        4 => "{\"model\": \"\\u0000\", \"id\": \"\\ud800\"}".to_owned(),
        5 => "{\"model\":\"m\",\"model\":1,\"\":null}".to_owned(),
        6 => random.pick(&["", "{", "nul", "[1,]", "\"", "1e", "{\"a\"}"]).to_owned(),
        7..=26 => random.pick(&DOCUMENTS).replace('@', random.pick(&NUMBERS)),
        _ => {
            let depth = 1 + random.below(4);
            document(random, depth).to_string()
        }
    }
}

fn document(random: &mut Random, depth: u64) -> Value {
    match random.below(if depth == 0 { 5 } else { 9 }) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => serde_json::from_str(random.pick(&NUMBERS)).unwrap_or_default(),
        3 | 4 => text(random).chars().take(300).collect::<String>().into(),
        5 => (0..random.below(4)).map(|_| document(random, depth - 1)).collect(),
        _ => {
            let mut object: Map<String, Value> = (0..random.below(7))
                .map(|_| (random.pick(&KEYS).to_owned(), document(random, depth - 1)))
                .collect();
            // Most need a model.
            if random.below(2) == 0 {
                object.insert("model".to_owned(), "gpt-4.1".into());
            }
            object.into()
        }
    }
}
