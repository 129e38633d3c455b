//! A request key is recorded once: by many sessions at once, after a rollback, after a crash; and one event is voided once.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use e2e::cluster::{Cluster, wait_until};
use e2e::random::Random;
use postgres::{Client, Error};
use serde_json::{Value, json};

const SESSIONS: u64 = 16;
const KEYS: u64 = 10_000;
/// Elements of a batch.
const BATCH: usize = 250;

fn number(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error}")).get(0)
}

fn status(client: &mut Client, call: &str) -> String {
    client.query_one(&format!("SELECT (llm_usage.{call}).status"), &[]).expect(call).get(0)
}

/// What a key says is the same in every session.
fn element(key: u64) -> Value {
    json!({"model": "m", "app_id": key % 7, "prompt_tokens": key, "request_id": format!("key-{key}")})
}

fn shuffled(random: &mut Random) -> Vec<u64> {
    let mut keys: Vec<u64> = (0..KEYS).collect();
    for place in (1..keys.len()).rev() {
        let other = random.below(place as u64 + 1);
        keys.swap(place, usize::try_from(other).expect("a place"));
    }
    keys
}

/// How many elements got each status.
type Statuses = BTreeMap<String, usize>;

fn record_batch(client: &mut Client, keys: &[u64], statuses: &mut Statuses) -> Result<(), Error> {
    let batch = Value::Array(keys.iter().map(|key| element(*key)).collect());
    let row = client.query_one("SELECT llm_usage.record_usage_batch($1)", &[&batch])?;
    let answer: Value = row.get(0);
    let known = answer["known"].as_array().expect("an array");
    assert_eq!(answer["ids"].as_array().map(Vec::len), Some(keys.len()));
    *statuses.entry("recorded".to_owned()).or_default() += keys.len() - known.len();
    for element in known {
        *statuses.entry(element["status"].as_str().expect("a status").to_owned()).or_default() += 1;
    }
    Ok(())
}

fn record_one(client: &mut Client, key: u64) -> Result<String, Error> {
    let record =
        "SELECT status FROM llm_usage.record_usage('m', app_id => $1, prompt_tokens => $2, request_id => $3)";
    let (app, tokens) = ((key % 7).cast_signed(), key.cast_signed());
    Ok(client.query_one(record, &[&app, &tokens, &format!("key-{key}")])?.get(0))
}

/// Every fourth session goes one by one, the others in batches; each in an order of its own.
fn record_all(client: &mut Client, session: u64) -> Statuses {
    let mut statuses = Statuses::new();
    let keys = shuffled(&mut Random::new(session));
    if session.is_multiple_of(4) {
        for key in keys {
            *statuses.entry(record_one(client, key).expect("no deadlock")).or_default() += 1;
        }
        return statuses;
    }
    for batch in keys.chunks(BATCH) {
        record_batch(client, batch, &mut statuses).expect("no deadlock");
    }
    statuses
}

#[test]
fn sixteen_sessions_record_the_same_ten_thousand_keys_once() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let start = Barrier::new(usize::try_from(SESSIONS).expect("few"));
    let statuses: Vec<Statuses> = thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|session| {
                let (mut client, start) = (cluster.connect(&database), &start);
                scope.spawn(move || {
                    start.wait();
                    record_all(&mut client, session)
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("a session")).collect()
    });
    let of =
        |status: &str| -> usize { statuses.iter().filter_map(|of_session| of_session.get(status)).sum() };
    let keys = usize::try_from(KEYS).expect("few");
    assert_eq!(of("recorded"), keys);
    assert_eq!(of("duplicate"), keys * (usize::try_from(SESSIONS).expect("few") - 1));
    let mut client = cluster.connect(&database);
    let events = "SELECT count(*) FROM llm_usage.usage_events";
    assert_eq!(number(&mut client, events), KEYS.cast_signed());
    let named = "SELECT count(*) FROM llm_usage._request_keys k
        JOIN llm_usage.usage_events e ON e.id = k.event_id AND e.app_id = k.app_id AND e.request_id = k.request_id";
    assert_eq!(number(&mut client, named), KEYS.cast_signed());
    client.execute("SELECT llm_usage.fold()", &[]).expect("a fold");
    assert_eq!(number(&mut client, "SELECT count(*) FROM llm_usage.verify()"), 0);
}

/// Of each key a batch tells two things that are not so, in one order or the other.
fn untrue(round: u64, places: [u64; 2]) -> Value {
    let other = |key: u64, place: u64| {
        let mut element = element(key);
        element["prompt_tokens"] = json!(1_000_000 + 2 * round + place);
        element
    };
    Value::Array((0..60).flat_map(|key| places.map(|place| other(key, place))).collect())
}

#[test]
fn conflicts_of_the_same_keys_at_once_wait_in_turn() {
    const ROUNDS: u64 = 10;
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    record_batch(&mut client, &(0..60).collect::<Vec<_>>(), &mut Statuses::new()).expect("a batch");
    let start = Barrier::new(2);
    let errors: Vec<Error> = thread::scope(|scope| {
        let sessions = [[0, 1], [1, 0]].map(|places| {
            let (mut client, start) = (cluster.connect(&database), &start);
            scope.spawn(move || {
                let record = "SELECT llm_usage.record_usage_batch($1)";
                let round = |round| {
                    start.wait();
                    client.query_one(record, &[&untrue(round, places)]).err()
                };
                (0..ROUNDS).filter_map(round).collect::<Vec<_>>()
            })
        });
        sessions.into_iter().flat_map(|session| session.join().expect("a session")).collect()
    });
    assert!(errors.is_empty(), "{errors:?}");
    let told = "SELECT sum(times)::bigint FROM llm_usage.conflicts";
    assert_eq!(number(&mut client, told), (60 * 2 * 2 * ROUNDS).cast_signed());
    assert_eq!(number(&mut client, "SELECT count(*) FROM llm_usage.usage_events"), 60);
}

#[test]
fn a_rollback_of_the_first_lets_the_second_record() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let (mut first, mut second) = (cluster.connect(&database), cluster.connect(&database));
    let call = "record_usage('m', request_id => 'r', prompt_tokens => 5)";
    let mut watcher = cluster.connect(&database);
    for (end, expected) in [("ROLLBACK", "recorded"), ("COMMIT", "duplicate")] {
        let call = call.replace("'r'", &format!("'{end}'"));
        first.batch_execute(&format!("BEGIN; SELECT llm_usage.{call}")).expect("it is recorded");
        let status = thread::scope(|scope| {
            let second = &mut second;
            let waiting = scope.spawn(move || status(second, &call));
            let blocked = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            wait_until("the second waits", || number(&mut watcher, blocked) == 1);
            first.batch_execute(end).expect("it ends");
            waiting.join().expect("the second")
        });
        assert_eq!(status, expected, "after {end}");
    }
    assert_eq!(number(&mut watcher, "SELECT count(*) FROM llm_usage.usage_events"), 2);
}

#[test]
fn a_snapshot_that_is_older_than_the_key_is_told_so() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let (mut one, mut other) = (cluster.connect(&database), cluster.connect(&database));
    other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").expect("a snapshot");
    assert_eq!(status(&mut one, "record_usage('m', request_id => 'r')"), "recorded");
    let refused = other.execute("SELECT llm_usage.record_usage('m', request_id => 'r')", &[]);
    assert_eq!(refused.expect_err("a retry").code().map(|code| code.code()), Some("40001"));
    other.batch_execute("ROLLBACK").expect("it ends");
    assert_eq!(status(&mut other, "record_usage('m', request_id => 'r')"), "duplicate");
}

/// What each session has acknowledged when the server is killed, or was about to.
fn record_until_crash(client: &mut Client, session: u64, acknowledged: &AtomicUsize) {
    for key in shuffled(&mut Random::new(session)) {
        if record_one(client, key).is_err() {
            return;
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn after_a_crash_every_key_is_recorded_once() {
    let cluster = Cluster::new(&["fsync = on"]);
    let database = cluster.create_database();
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        for session in 0..4 {
            let (mut client, acknowledged) = (cluster.connect(&database), &acknowledged);
            scope.spawn(move || record_until_crash(&mut client, session, acknowledged));
        }
        wait_until("enough is acknowledged", || acknowledged.load(Ordering::Relaxed) >= 2000);
        cluster.crash();
    });
    cluster.start();
    let mut client = cluster.connect(&database);
    let events = number(&mut client, "SELECT count(*) FROM llm_usage.usage_events");
    assert!(events > 0 && events < KEYS.cast_signed());
    let twice = "SELECT count(*) FROM (SELECT 1 FROM llm_usage.usage_events GROUP BY request_id HAVING count(*) > 1) t";
    assert_eq!(number(&mut client, twice), 0);
    // Everyone sends all again, as who was not answered does.
    let mut statuses = Statuses::new();
    for batch in (0..KEYS).collect::<Vec<_>>().chunks(BATCH) {
        record_batch(&mut client, batch, &mut statuses).expect("it records");
    }
    assert_eq!(statuses["duplicate"], usize::try_from(events).expect("few"));
    assert_eq!(number(&mut client, "SELECT count(*) FROM llm_usage.usage_events"), KEYS.cast_signed());
    assert_eq!(number(&mut client, twice), 0);
}

#[test]
fn one_of_many_voids_is_written() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    assert_eq!(
        status(&mut client, "record_usage('m', app_id => 1, prompt_tokens => 5, cost => 7)"),
        "recorded"
    );
    let id = number(&mut client, "SELECT id FROM llm_usage.usage_events");
    // Whoever comes second to an event waits as whoever comes first.
    assert_eq!(status(&mut client, &format!("correct_usage({id}, prompt_tokens => 100)")), "corrected");
    let start = Barrier::new(8);
    let mut statuses: Vec<String> = thread::scope(|scope| {
        let sessions: Vec<_> = (0..8)
            .map(|session| {
                let (mut client, start) = (cluster.connect(&database), &start);
                scope.spawn(move || {
                    start.wait();
                    if session % 2 == 0 {
                        return status(&mut client, &format!("void_usage({id})"));
                    }
                    let call = format!("SELECT llm_usage.correct_usage({id}, prompt_tokens => {session})");
                    client
                        .execute(&call, &[])
                        .map_or_else(|_| "refused".to_owned(), |_| "corrected".to_owned())
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("a session")).collect()
    });
    statuses.retain(|status| status == "voided");
    assert_eq!(statuses.len(), 1);
    let left = "SELECT abs(sum(prompt_tokens)) + abs(sum(cost))::bigint
                     + abs(sum(llm_usage._requests(requests, corrects))) FROM llm_usage.usage_events";
    assert_eq!(number(&mut client, left), 0);
}

#[test]
fn maintenance_drops_keys_that_are_older_than_the_window() {
    let cluster =
        Cluster::new(&["llm_usage.idempotency_window = '1h'", "shared_preload_libraries = 'llm_usage'"]);
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    for key in ["old", "new"] {
        assert_eq!(status(&mut client, &format!("record_usage('m', request_id => '{key}')")), "recorded");
    }
    let age = "UPDATE llm_usage._request_keys SET recorded_at = recorded_at - interval '61 minutes' WHERE request_id = 'old'";
    client.execute(age, &[]).expect("it is older");
    // Who holds a key is not waited for.
    let mut holder = cluster.connect(&database);
    holder.batch_execute("BEGIN; SELECT FROM llm_usage._request_keys FOR UPDATE").expect("it is held");
    client.execute("SELECT llm_usage.maintain()", &[]).expect("maintenance");
    assert_eq!(number(&mut client, "SELECT count(*) FROM llm_usage._request_keys"), 2);
    holder.batch_execute("COMMIT").expect("it ends");
    client.execute("SELECT llm_usage.maintain()", &[]).expect("maintenance");
    assert_eq!(status(&mut client, "record_usage('m', request_id => 'new')"), "duplicate");
    assert_eq!(status(&mut client, "record_usage('m', request_id => 'old')"), "recorded");
}
