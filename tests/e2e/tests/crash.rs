//! The server is killed in the middle of writing, three times: what was acknowledged is there, once, and the reports count it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use chrono::{DateTime, Utc};
use e2e::cluster::{Cluster, wait_until};
use e2e::ledger::{Edge, Event, READ_EVENTS, Way};
use e2e::oracle;
use e2e::random::Random;
use e2e::writer::write_events;
use postgres::Client;

const WRITERS: u64 = 4;
const APPS: i64 = 3;
/// The server is killed when this many further transactions were acknowledged.
const ACKNOWLEDGED: usize = 200;

/// The events of one transaction, all of them or none.
struct Attempt {
    events: Vec<Event>,
    acknowledged: bool,
}

fn events(random: &mut Random, prefix: &str) -> Vec<Event> {
    let way = random.pick(&[Way::Insert, Way::Copy, Way::Record, Way::Batch]);
    let event = |number: u64, random: &mut Random| Event {
        way,
        // Some in monthly partitions, some in the default one.
        occurred_at: random
            .pick(&["2026-01-31T23:59:59.999999Z", "2001-02-03T00:00:00Z"])
            .parse()
            .expect("an instant"),
        app_id: random.below(APPS.unsigned_abs()).cast_signed(),
        model: random.pick(&["a", "B"]).to_owned(),
        prompt: random.below(1000).cast_signed(),
        completion: random.below(1000).cast_signed(),
        request_id: format!("{prefix}-{number}"),
        ..Event::default()
    };
    (0..=random.below(10)).map(|number| event(number, random)).collect()
}

/// Writes until the server is gone; the last transaction may have been committed all the same.
fn write_until_crash(client: &mut Client, name: &str, seed: u64, acknowledged: &AtomicUsize) -> Vec<Attempt> {
    let mut random = Random::new(seed);
    let mut attempts = Vec::new();
    loop {
        let events = events(&mut random, &format!("{name}-{}", attempts.len()));
        let written = try_write(client, &events);
        attempts.push(Attempt { events, acknowledged: written });
        if !written {
            return attempts;
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether the commit was acknowledged.
fn try_write(client: &mut Client, events: &[Event]) -> bool {
    let Ok(mut transaction) = client.transaction() else { return false };
    write_events(&mut transaction, events, "USD").is_ok() && transaction.commit().is_ok()
}

/// Lets writers write until the server is killed; returns what they tried.
fn write_and_crash(cluster: &Cluster, database: &str, round: u64) -> Vec<Attempt> {
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        let acknowledged = &acknowledged;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let mut client = cluster.connect(database);
                client.batch_execute("SET synchronous_commit = on").expect("a setting");
                let name = format!("{round}-{writer}");
                let seed = round * WRITERS + writer;
                scope.spawn(move || write_until_crash(&mut client, &name, seed, acknowledged))
            })
            .collect();
        wait_until("enough is acknowledged", || acknowledged.load(Ordering::Relaxed) >= ACKNOWLEDGED);
        cluster.crash();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    })
}

/// Every acknowledged transaction is there wholly and once, every other one wholly and once or not at all.
fn check_ledger(client: &mut Client, attempts: &[Attempt]) {
    let rows = client.query(&format!("{READ_EVENTS} ORDER BY e.id"), &[]).expect("the ledger");
    let events: Vec<Event> = rows.iter().map(Event::from_row).collect();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &events {
        *found.entry(&event.request_id).or_default() += 1;
    }
    let mut present = 0;
    for Attempt { events, acknowledged } in attempts {
        let times: Vec<usize> =
            events.iter().map(|event| found.get(event.request_id.as_str()).copied().unwrap_or(0)).collect();
        let all = |expected: usize| times.iter().all(|times| *times == expected);
        assert!(all(1) || (!acknowledged && all(0)), "{} is there {times:?} times", events[0].request_id);
        present += times.iter().sum::<usize>();
    }
    assert_eq!(present, events.len(), "nothing else is there");
    let unbounded: Option<DateTime<Utc>> = None;
    for app_id in 0..APPS {
        let query = "SELECT llm_usage.app_token_usage($1, $2, $2)::text";
        let answer: String = client.query_one(query, &[&app_id, &unbounded]).expect(query).get(0);
        assert_eq!(answer, oracle::app_token_usage(&events, app_id, None, None));
        let query = "SELECT llm_usage.token_usage_for_app('-infinity', 'infinity', $1)::text";
        let answer: String = client.query_one(query, &[&app_id]).expect(query).get(0);
        assert_eq!(answer, oracle::token_usage_for_app(&events, Edge::Past, Edge::Future, app_id));
    }
}

#[test]
fn what_was_acknowledged_survives_three_crashes() {
    let cluster = Cluster::new(&["fsync = on"]);
    let database = cluster.create_database();
    let mut attempts = Vec::new();
    for round in 0..3 {
        attempts.extend(write_and_crash(&cluster, &database, round));
        cluster.start();
        let mut client = cluster.connect(&database);
        check_ledger(&mut client, &attempts);
        client.execute("SELECT llm_usage.maintain()", &[]).expect("maintenance");
        check_ledger(&mut client, &attempts);
    }
    cluster.stop();
    cluster.start();
    check_ledger(&mut cluster.connect(&database), &attempts);
}
