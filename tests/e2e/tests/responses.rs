//! What providers answer, recorded as it came: the ledger holds what the fixtures say, and prices it by what was used.

use std::fs;
use std::path::Path;

use bigdecimal::BigDecimal;
use e2e::cluster::Cluster;
use postgres::Client;
use serde_json::{Value, json};

fn database() -> Client {
    let cluster = Cluster::shared();
    cluster.connect(&cluster.create_database())
}

fn fixtures() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/formats");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the fixtures").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let read = |path| serde_json::from_str(&fs::read_to_string(path).expect("a file")).expect("fixtures");
    files.into_iter().flat_map(|path| -> Vec<Value> { read(path) }).collect()
}

/// The rows of the ledger as the fixtures write them: without what is a default.
fn ledger(client: &mut Client) -> Vec<Value> {
    let query = "SELECT jsonb_strip_nulls(to_jsonb(e) - '{id,app_id,llm_id,inference_tokens,priced,cost,currency,occurred_at}'::text[]
                        || jsonb_build_object('currency', CASE WHEN reported_cost IS NOT NULL THEN currency END,
                             'occurred_at', CASE WHEN occurred_at < '2026-02-01Z' THEN
                                to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') END))
                   FROM llm_usage.usage_events e ORDER BY id";
    let rows = client.query(query, &[]).expect("the ledger");
    let without_zeros = |row: Value| {
        let fields = row.as_object().expect("an object").clone();
        Value::from_iter(fields.into_iter().filter(|(_, value)| *value != json!(0)))
    };
    rows.iter().map(|row| without_zeros(row.get(0))).collect()
}

fn recorded(client: &mut Client, batch: &Value) -> Value {
    let query = "SELECT llm_usage.record_response_batch($1::json)::jsonb";
    client.query_one(query, &[batch]).expect("a batch").get(0)
}

#[test]
fn every_fixture_is_recorded_whatever_stands_beside_it() {
    let mut client = database();
    let garbage = [
        json!(7),
        json!({}),
        json!({"provider": "acme", "response": {}}),
        json!({"provider": "openai", "response": {"usage": {"prompt_tokens": -1}}}),
        json!({"provider": "openai", "response": {"usage": {"prompt_tokens": 5}}}),
        json!({"provider": "openai", "prompt_tokens": 5, "response": {"model": "m", "usage": {"prompt_tokens": 5}}}),
        json!({"provider": "openai", "app_id": -1, "response": {"model": "m", "usage": {"prompt_tokens": 5}}}),
    ];
    let (mut batch, mut expected, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (fixture, garbage) in fixtures().iter().zip(garbage.iter().cycle()) {
        batch.push(json!({"provider": fixture["provider"], "response": fixture["response"], "model": fixture["model"]}));
        expected.extend(fixture["events"].as_array().expect("events").clone());
        bad.push(json!(batch.len()));
        batch.push(garbage.clone());
    }
    let answer = recorded(&mut client, &batch.into());
    assert_eq!(answer["recorded"], json!(expected.len()));
    let indexes: Vec<&Value> =
        answer["errors"].as_array().expect("errors").iter().map(|e| &e["index"]).collect();
    assert_eq!(indexes, bad.iter().collect::<Vec<_>>());
    let found = ledger(&mut client);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

/// One price of each kind, so that a cost tells which tokens were counted as what.
fn set_prices(client: &mut Client, vendor: &str, model: &str, tier: &str, times: i32) {
    let query = "INSERT INTO llm_usage.model_prices
                   (vendor, model, service_tier, valid_from, currency, input_per_token, cache_read_per_token,
                    cache_write_per_token, cache_write_1h_per_token, output_per_token, reasoning_per_token)
                 SELECT $1, $2, $3, '2020-01-01Z', 'USD', 10 * t, 1 * t, 12 * t, 20 * t, 40 * t, 60 * t
                   FROM (SELECT $4::integer AS t) f";
    client.execute(query, &[&vendor, &model, &tier, &times]).expect("a price");
}

/// What the response cost, and its input as the reports show it.
fn cost_and_input(client: &mut Client, provider: &str, response: &Value) -> (BigDecimal, i64) {
    let query = "SELECT id, cost::text FROM llm_usage.record_response($1, $2)";
    let row = client.query_one(query, &[&provider, response]).expect("a response");
    let cost: String = row.get::<_, Option<String>>(1).expect("a cost");
    let query = "SELECT prompt_tokens + cache_read_tokens + cache_write_tokens FROM llm_usage.usage_events WHERE id = $1";
    let input: i32 = client.query_one(query, &[&row.get::<_, i64>(0)]).expect("the event").get(0);
    (cost.parse().expect("a decimal"), i64::from(input))
}

/// The same request, of 1000 input tokens of which 600 were read from a cache and 300 written to one, as
/// providers report it that have cached tokens inside the input and beside it.
#[test]
fn complaint_1_cached_tokens_are_counted_twice() {
    let mut client = database();
    let inside = json!({"model": "m", "usage": {"prompt_tokens": 1000, "completion_tokens": 5, "total_tokens": 1005,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300}}});
    let response = json!({"model": "m", "usage": {"input_tokens": 1000, "output_tokens": 5, "total_tokens": 1005,
        "input_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300}}});
    let message = json!({"type": "message", "model": "m", "usage": {"input_tokens": 100, "output_tokens": 5,
        "cache_read_input_tokens": 600, "cache_creation_input_tokens": 300}});
    let converse = json!({"model": "m", "usage": {"inputTokens": 100, "outputTokens": 5, "totalTokens": 1005,
        "cacheReadInputTokens": 600, "cacheWriteInputTokens": 300}});
    let cases = [
        ("openai", "openai", &inside),
        ("openai", "openai", &response),
        ("openrouter", "openrouter", &inside),
        ("anthropic", "anthropic", &message),
        ("vertex", "vertex_ai", &message),
        ("bedrock", "bedrock", &message),
        ("bedrock", "bedrock", &converse),
    ];
    for vendor in ["openai", "openrouter", "anthropic", "vertex_ai", "bedrock"] {
        set_prices(&mut client, vendor, "m", "", 1);
    }
    let true_cost = BigDecimal::from(100 * 10 + 600 + 300 * 12 + 5 * 40);
    // One reading for all: what stands as input at the price of input, and what stands as cached on top of it.
    let naive = |response: &Value| {
        let count = |names: &[&str]| names.iter().find_map(|name| response["usage"].pointer(name)?.as_i64());
        let input = count(&["/prompt_tokens", "/input_tokens", "/inputTokens"]).expect("an input");
        BigDecimal::from(input * 10 + 600 + 300 * 12 + 5 * 40)
    };
    assert!(cases.iter().any(|(_, _, response)| naive(response) == true_cost));
    assert!(cases.iter().any(|(_, _, response)| naive(response) != true_cost));
    for (provider, vendor, response) in cases {
        let (cost, input) = cost_and_input(&mut client, provider, response);
        assert_eq!((cost, input), (true_cost.clone(), 1000), "{provider} as {vendor}");
    }
}

/// 100 tokens of output of which 70 were reasoning, inside the output and beside it; and the tier that the
/// request was served in, whatever the provider calls its ordinary one.
#[test]
fn complaint_2_reasoning_and_service_tiers_are_priced_wrong() {
    let mut client = database();
    for vendor in ["openai", "xai", "gemini", "vertex_ai", "groq"] {
        set_prices(&mut client, vendor, "m", "", 2);
        set_prices(&mut client, vendor, "m", "flex", 1);
        set_prices(&mut client, vendor, "m", "batch", 3);
    }
    let chat = |completion: i64, tier: Value| {
        json!({"model": "m", "service_tier": tier, "usage": {"prompt_tokens": 10, "completion_tokens": completion,
            "total_tokens": 110, "completion_tokens_details": {"reasoning_tokens": 70}}})
    };
    let gemini = |tier: &str, name: &str| {
        json!({"modelVersion": "m", "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 30,
            "thoughtsTokenCount": 70, "totalTokenCount": 110, name: tier}})
    };
    let line =
        json!([{"custom_id": "a", "response": {"status_code": 200, "body": chat(100, json!("default"))}}]);
    let once = 10 * 10 + 30 * 40 + 70 * 60;
    for (provider, response, times) in [
        ("openai", chat(100, Value::Null), 2),
        ("openai", chat(100, json!("default")), 2),
        ("openai", chat(100, json!("flex")), 1),
        ("openai", line, 3),
        ("groq", chat(100, json!("on_demand")), 2),
        ("xai", chat(30, Value::Null), 2),
        ("gemini", gemini("standard", "serviceTier"), 2),
        ("gemini", gemini("flex", "serviceTier"), 1),
        ("vertex_ai", gemini("ON_DEMAND", "trafficType"), 2),
        ("vertex_ai", gemini("ON_DEMAND_FLEX", "trafficType"), 1),
    ] {
        let (cost, _) = cost_and_input(&mut client, provider, &response);
        assert_eq!(cost, BigDecimal::from(once * times), "{provider}: {response}");
    }
    // A tier without a price is not taken for the ordinary one.
    let scale = chat(100, json!("scale"));
    let row = client.query_one("SELECT cost IS NULL FROM llm_usage.record_response('openai', $1)", &[&scale]);
    assert!(row.expect("a response").get::<_, bool>(0));
}
