//! How many responses a second are read and checked on one core: `cargo run --release -p llm_usage_core --example parse`.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use llm_usage_core::tokens::{Given, rows};
use serde_json::{Map, Value};

const ROUNDS: usize = 2000;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/formats");
    let entries = std::fs::read_dir(folder).expect("the fixtures");
    let files = entries.map(|entry| std::fs::read_to_string(entry.expect("a file").path()).expect("a text"));
    let fixtures = files.flat_map(|file| serde_json::from_str::<Vec<Value>>(&file).expect("fixtures"));
    let responses: Vec<(String, String)> = fixtures
        .map(|fixture| {
            (fixture["provider"].as_str().unwrap_or_default().to_owned(), fixture["response"].to_string())
        })
        .collect();
    let columns = Map::from_iter([("model".to_owned(), Value::from("m"))]);
    let given = Given { columns, default_currency: "USD" };
    let (started, mut events) = (Instant::now(), 0);
    for _ in 0..ROUNDS {
        for (provider, response) in &responses {
            let response = serde_json::from_str(response).expect("json");
            events += black_box(rows(provider, &response, &given)).map_or(0, |rows| rows.len());
        }
    }
    let read = ROUNDS * responses.len();
    let second = read as f64 / started.elapsed().as_secs_f64();
    println!("{read} responses, {events} events: {second:.0} responses a second");
}
