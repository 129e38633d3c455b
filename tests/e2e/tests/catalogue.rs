//! The public price catalogue as it is: imported, imported again, and used to price calls whose cost was computed by hand.

use e2e::cluster::Cluster;
use postgres::Client;
use serde_json::Value;

/// Vendor (empty: none given), model, prompt, cache read, cache write, of which for an hour, completion tokens, and the
/// cost at the prices in the comment, per million tokens: input, cache read, cache write, for an hour, output.
type Call = (&'static str, &'static str, i64, i64, i64, i64, i64, &'static str);

const CALLS: [Call; 16] = [
    // 2.50, 1.25, -, -, 10: 0.0030850 + 0.0096000 + 0.0056700
    ("openai", "gpt-4o", 1234, 7680, 0, 0, 567, "0.018355"),
    ("", "gpt-4o", 1234, 7680, 0, 0, 567, "0.018355"),
    ("azure", "gpt-4o", 1234, 7680, 0, 0, 567, "0.018355"),
    // 2, 0.50, -, -, 8: 0.000002 + 0.0000005 + 0.000008
    ("openai", "gpt-4.1", 1, 1, 0, 0, 1, "0.0000105"),
    // 0.15, 0.075, -, -, 0.60: 0.00014985 + 0.000009600 + 0.0000006
    ("", "gpt-4o-mini", 999, 128, 0, 0, 1, "0.00016005"),
    // 2, 0.50, -, -, 8
    ("", "o3", 1_000_000, 0, 0, 0, 125_000, "3"),
    // 1.25, 0.125, -, -, 10: 0.00000125 + 0.000000375 + 0.00007
    ("", "gpt-5", 1, 3, 0, 0, 7, "0.000071625"),
    // 3, 0.30, 3.75, 6, 15: 0.000012 + 0.0003489 + 9 at 3.75 0.00003375 + 3259 at 6 0.019554 + 0.007575
    ("anthropic", "claude-sonnet-4-5", 4, 1163, 3268, 3259, 505, "0.02752365"),
    // 5, 0.50, 6.25, 10, 25: 0.0005 + 0.000005 + 0.000625 + 0.0025
    ("", "claude-opus-4-5", 100, 10, 100, 0, 100, "0.00363"),
    // 1, 0.10, 1.25, 2, 5: 0.007244 + 0.00091
    ("", "claude-haiku-4-5-20251001", 7244, 0, 0, 0, 182, "0.008154"),
    // 1.25, 0.125, -, -, 10, up to 200,000 input tokens: 0.2375 + 0.00125 + 0.00001
    ("gemini", "gemini-2.5-pro", 190_000, 10_000, 0, 0, 1, "0.23876"),
    // above 2.50, 0.25, -, -, 15: 0.4750025 + 0.0025 + 0.000015
    ("gemini", "gemini-2.5-pro", 190_001, 10_000, 0, 0, 1, "0.4775175"),
    // 0.30, 0.03, -, -, 2.50, the catalogue's own name: 0.0003591 + 0.00003243 + 0.000155
    ("", "gemini/gemini-2.5-flash", 1197, 1081, 0, 0, 62, "0.00054653"),
    // 0.50, 0.05, -, -, 1.50: 0.000005 + 0.00003
    ("mistral", "mistral-large-latest", 10, 0, 0, 0, 20, "0.000035"),
    // 0.28, 0.028, -, -, 0.42: 0.00000924 + 0.00014336 + 0.00000672
    ("deepseek", "deepseek-chat", 33, 5120, 0, 0, 16, "0.00015932"),
    // 0.02, output free
    ("", "text-embedding-3-small", 8191, 0, 0, 0, 0, "0.00016382"),
];

fn import(client: &mut Client, catalog: &Value) -> Value {
    client.query_one("SELECT llm_usage.import_prices($1)", &[catalog]).expect("an import").get(0)
}

#[test]
fn the_public_catalogue_prices_well_known_models_to_the_last_digit() {
    let path = std::env::var("LLM_USAGE_CATALOG")
        .expect("LLM_USAGE_CATALOG does not name the catalogue that `make test` fetches: run `make test`");
    let text = std::fs::read_to_string(&path).expect("the catalogue");
    let catalog: Value = serde_json::from_str(&text).expect("the catalogue");
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());

    let first = import(&mut client, &catalog);
    assert!(first["added"].as_i64() > Some(2000), "{first}");
    let again = import(&mut client, &catalog);
    assert_eq!((&again["added"], &again["changed"]), (&0.into(), &0.into()), "{again}");

    let statement = "SELECT cost::text, currency FROM llm_usage.record_usage($2, vendor => nullif($1, ''), prompt_tokens => $3,
        cache_read_tokens => $4, cache_write_tokens => $5, cache_write_1h_tokens => $6, completion_tokens => $7)";
    for (vendor, model, prompt, read, write, hour, completion, cost) in CALLS {
        let row = client
            .query_one(statement, &[&vendor, &model, &prompt, &read, &write, &hour, &completion])
            .expect("an event");
        let priced: (Option<&str>, &str) = (row.get(0), row.get(1));
        assert_eq!(priced, (Some(cost), "USD"), "{vendor} {model}");
    }
}
