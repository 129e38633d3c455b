//! Writers, maintenance and readers at once: what was acknowledged is there, what was not is not, and no reader ever sees
//! anything else.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Months, TimeDelta, Utc};
use e2e::cluster::{Cluster, wait_until};
use e2e::ledger::{Edge, Event, READ_EVENTS, Way};
use e2e::oracle;
use e2e::random::Random;
use e2e::writer::write_events;
use postgres::error::SqlState;
use postgres::{Client, IsolationLevel, Transaction};
use serde_json::Value;

const WRITERS: u64 = 8;
const READERS: u64 = 2;
const APPS: usize = 3;
const MONTHS: usize = 400;
const DURATION: Duration = Duration::from_secs(4);

/// Tokens of one app in one month: those that writers have begun to write, and those that are committed for sure.
#[derive(Default)]
struct Tally {
    attempted: AtomicI64,
    acknowledged: AtomicI64,
}

/// What all threads share.
struct Race {
    database: String,
    /// Whether a transaction may write sessions and messages beside events.
    with_chats: bool,
    over: AtomicBool,
    /// Writers write around this month; maintenance moves it along, so that there always is something to move.
    month: AtomicUsize,
    tallies: Vec<Tally>,
}

impl Race {
    fn connect(&self) -> Client {
        Cluster::shared().connect(&self.database)
    }

    fn is_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn tally(&self, app: usize, month: usize) -> &Tally {
        &self.tallies[app * MONTHS + month]
    }

    /// The present month or one beside it.
    fn pick_month(&self, random: &mut Random) -> usize {
        (self.month.load(Ordering::Relaxed) + random.pick(&[0, 0, 1, 2])).min(MONTHS - 1)
    }

    fn events(&self, random: &mut Random, way: Way, most: u64) -> Vec<(usize, Event)> {
        (0..=random.below(most))
            .map(|_| {
                let month = self.pick_month(random);
                let event = Event {
                    way,
                    occurred_at: month_start(month)
                        + TimeDelta::seconds(random.below(28 * 86_400).cast_signed()),
                    app_id: random.below(APPS as u64).cast_signed(),
                    llm_id: 1,
                    model: random.pick(&["a", "B", "ä"]).to_owned(),
                    request_id: format!("r{}", random.below(u64::MAX)),
                    prompt: random.below(100).cast_signed(),
                    completion: random.below(10).cast_signed(),
                    ..Event::default()
                };
                (month, event)
            })
            .collect()
    }

    fn count(&self, events: &[(usize, Event)], counter: fn(&Tally) -> &AtomicI64) {
        for (month, event) in events {
            let app = usize::try_from(event.app_id).expect("an app");
            let tokens = i64::try_from(event.total()).expect("few tokens");
            counter(self.tally(app, *month)).fetch_add(tokens, Ordering::SeqCst);
        }
    }
}

fn month_start(month: usize) -> DateTime<Utc> {
    let first: DateTime<Utc> = "1990-01-01T00:00:00Z".parse().expect("an instant");
    first + Months::new(u32::try_from(month).expect("a month"))
}

fn write(transaction: &mut Transaction, events: &[(usize, Event)]) {
    let events: Vec<Event> = events.iter().map(|(_, event)| event.clone()).collect();
    write_events(transaction, &events, "USD").expect("the events");
}

fn chat(transaction: &mut Transaction, random: &mut Random, at: DateTime<Utc>) {
    let mut statements = [
        "INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at) VALUES (1, 'c', $1)",
        "INSERT INTO llm_usage.messages (app_id, sent_at) VALUES (1, $1)",
    ];
    if random.below(2) == 0 {
        statements.reverse();
    }
    for statement in statements {
        transaction.execute(statement, &[&at]).expect("a chat");
    }
}

/// One transaction of a writer; returns what it has committed.
fn write_once(race: &Race, client: &mut Client, random: &mut Random) -> Vec<(usize, Event)> {
    let way = random.pick(&[Way::Insert, Way::Copy, Way::Record, Way::Batch]);
    let kept = race.events(random, way, if way == Way::Copy { 60 } else { 8 });
    let lost = race.events(random, way, 8);
    race.count(&kept, |tally| &tally.attempted);
    let mut transaction = client.transaction().expect("a transaction");
    match random.below(if race.with_chats { 8 } else { 6 }) {
        0 => {
            write(&mut transaction, &lost);
            transaction.rollback().expect("it is rolled back");
            transaction = client.transaction().expect("a transaction");
            write(&mut transaction, &kept);
        }
        1 => {
            let (first, second) = kept.split_at(kept.len() / 2);
            write(&mut transaction, first);
            let mut savepoint = transaction.transaction().expect("a savepoint");
            write(&mut savepoint, &lost);
            savepoint.rollback().expect("back to the savepoint");
            let mut savepoint = transaction.transaction().expect("a savepoint");
            write(&mut savepoint, second);
            savepoint.commit().expect("the savepoint is released");
        }
        6 => {
            chat(&mut transaction, random, kept[0].1.occurred_at);
            write(&mut transaction, &kept);
        }
        7 => {
            write(&mut transaction, &kept);
            chat(&mut transaction, random, kept[0].1.occurred_at);
        }
        _ => write(&mut transaction, &kept),
    }
    transaction.commit().expect("it commits");
    race.count(&kept, |tally| &tally.acknowledged);
    kept
}

fn write_all(race: &Race, seed: u64) -> Vec<Event> {
    let (mut client, mut random) = (race.connect(), Random::new(seed));
    let mut committed = Vec::new();
    while race.is_on() {
        committed.extend(write_once(race, &mut client, &mut random).into_iter().map(|(_, event)| event));
    }
    committed
}

/// Returns how many partitions were made.
fn maintain_all(race: &Race) -> i64 {
    let mut client = race.connect();
    let mut made = 0;
    while race.is_on() {
        match client.query_one("SELECT count(*) FROM llm_usage.maintain(0)", &[]) {
            Ok(row) => made += row.get::<_, i64>(0),
            // As documented: when writers hold it up, try again.
            Err(error) => assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{error:?}"),
        }
        race.month.fetch_add(1, Ordering::Relaxed);
    }
    made
}

const REPORT: &str = "SELECT llm_usage.app_token_usage($1, $2, $3)::text";

/// One look at one app in one month.
fn read_once(race: &Race, client: &mut Client, random: &mut Random) {
    let month = race.pick_month(random).saturating_sub(usize::try_from(random.below(3)).unwrap_or_default());
    let (from, to) = (month_start(month), month_start(month + 1));
    let app = usize::try_from(random.below(APPS as u64)).expect("an app");
    let app_id = app as i64;
    let tally = race.tally(app, month);
    let least = tally.acknowledged.load(Ordering::SeqCst);
    let answer = if random.below(2) == 0 {
        client.query_one(REPORT, &[&app_id, &from, &to]).expect(REPORT).get(0)
    } else {
        let level = IsolationLevel::RepeatableRead;
        let mut transaction =
            client.build_transaction().isolation_level(level).read_only(true).start().expect("it");
        // The snapshot is taken here, and maintenance may run before the next statements.
        transaction
            .query_one("SELECT pg_snapshot_xmin(pg_current_snapshot())::text", &[])
            .expect("a snapshot");
        let answer: String = transaction.query_one(REPORT, &[&app_id, &from, &to]).expect(REPORT).get(0);
        // A plain bound would leave out the default partition, where this snapshot still sees what was moved since.
        let ledger =
            format!("{READ_EVENTS} WHERE app_id = $1 AND date_trunc('month', occurred_at, 'UTC') = $2");
        let rows = transaction.query(&ledger, &[&app_id, &from]).expect("the ledger");
        let events: Vec<Event> = rows.iter().map(Event::from_row).collect();
        let bounds = (Some(Edge::At(from)), Some(Edge::At(to)));
        assert_eq!(answer, oracle::app_token_usage(&events, app_id, bounds.0, bounds.1));
        answer
    };
    let most = tally.attempted.load(Ordering::SeqCst);
    let parsed: Value = serde_json::from_str(&answer).expect("json");
    let tokens = parsed["data"]["total"]["total_tokens"].as_i64().expect("a count");
    assert!(
        (least..=most).contains(&tokens),
        "app {app} in the month of {from}: {tokens} tokens, where {least} were committed and {most} begun"
    );
}

/// Returns how often it looked.
fn read_all(race: &Race, seed: u64) -> u64 {
    let (mut client, mut random) = (race.connect(), Random::new(seed));
    let mut looks = 0;
    while race.is_on() {
        read_once(race, &mut client, &mut random);
        looks += 1;
    }
    looks
}

/// Ends the race when the thread that holds it is through, be it by a panic.
struct Finish<'a>(&'a Race);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

fn run_race(with_chats: bool) {
    let race = Race {
        database: Cluster::shared().create_database(),
        with_chats,
        over: AtomicBool::new(false),
        month: AtomicUsize::new(0),
        tallies: (0..APPS * MONTHS).map(|_| Tally::default()).collect(),
    };
    let race = &race;
    let mut committed = Vec::new();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|seed| {
                scope.spawn(move || {
                    let _finish = Finish(race);
                    write_all(race, seed)
                })
            })
            .collect();
        let readers: Vec<_> = (0..READERS)
            .map(|seed| {
                scope.spawn(move || {
                    let _finish = Finish(race);
                    read_all(race, 1000 + seed)
                })
            })
            .collect();
        let maintenance = scope.spawn(move || {
            let _finish = Finish(race);
            maintain_all(race)
        });
        let start = Instant::now();
        while race.is_on() && start.elapsed() < DURATION {
            thread::sleep(Duration::from_millis(20));
        }
        race.over.store(true, Ordering::Relaxed);
        for writer in writers {
            committed.extend(writer.join().expect("a writer"));
        }
        let looks: u64 = readers.into_iter().map(|reader| reader.join().expect("a reader")).sum();
        let made = maintenance.join().expect("maintenance");
        println!("{} events committed, {looks} looks, {made} partitions made", committed.len());
        assert!(looks > 0 && made > 0 && !committed.is_empty());
    });
    let mut client = race.connect();
    client.execute("SELECT llm_usage.maintain(0)", &[]).expect("maintenance");
    for app_id in 0..APPS as i64 {
        let none: Option<DateTime<Utc>> = None;
        let answer: String = client.query_one(REPORT, &[&app_id, &none, &none]).expect(REPORT).get(0);
        assert_eq!(answer, oracle::app_token_usage(&committed, app_id, None, None));
    }
}

#[test]
fn readers_see_exactly_what_was_committed_while_partitions_are_made() {
    run_race(false);
}

#[test]
fn transactions_over_several_ledgers_get_along_with_maintenance() {
    run_race(true);
}

/// The fold may have passed an id that is not new, and two events of one id would be corrected as one.
#[test]
fn an_id_that_another_session_drew_is_refused() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let (mut one, mut other) = (cluster.connect(&database), cluster.connect(&database));
    let insert = "INSERT INTO llm_usage.usage_events (model) VALUES ('m')";
    one.batch_execute(insert).expect("an event");
    other.batch_execute(insert).expect("an event");
    one.batch_execute("CREATE ROLE e2e_liar; SELECT llm_usage.grant_access('e2e_liar', 'writer')")
        .expect("a role");
    // One that is near the session's last, its own again, another sequence's, and pg_restore's privilege.
    one.batch_execute(
        "SET ROLE e2e_liar; SET application_name = 'pg_restore'; CREATE TEMP SEQUENCE mine START 2",
    )
    .ok();
    one.batch_execute("RESET ROLE; SET SESSION AUTHORIZATION e2e_liar").expect("a role");
    for statement in [
        "INSERT INTO llm_usage.usage_events (id, model) OVERRIDING SYSTEM VALUE VALUES (2, 'm')",
        "INSERT INTO llm_usage.usage_events (id, model, app_id) OVERRIDING SYSTEM VALUE VALUES (1, 'm', 9)",
        "INSERT INTO llm_usage.usage_events (id, model) OVERRIDING SYSTEM VALUE VALUES (-5, 'm')",
        "INSERT INTO llm_usage.usage_events (id, model) OVERRIDING SYSTEM VALUE VALUES (9223372036854775807, 'm')",
        "INSERT INTO llm_usage.sessions (id) OVERRIDING SYSTEM VALUE VALUES (1)",
        "INSERT INTO llm_usage.messages (id) OVERRIDING SYSTEM VALUE VALUES (-3)",
    ] {
        let refused = one.batch_execute(statement).expect_err(statement);
        assert_eq!(refused.code(), Some(&SqlState::CHECK_VIOLATION), "{statement}");
    }
    // What it draws itself is good, whatever else is drawn beside it, one by one and many at once.
    one.batch_execute(
        "CREATE TEMP SEQUENCE own START 100;
         INSERT INTO llm_usage.usage_events (model, request_id) SELECT 'm', nextval('own')::text FROM generate_series(1, 3);
         INSERT INTO llm_usage.sessions (consumer_id) SELECT nextval('own')::text FROM generate_series(1, 3);
         INSERT INTO llm_usage.messages DEFAULT VALUES;
         SELECT llm_usage.record_usage('m', request_id => 'r'), llm_usage.record_session();
         SELECT llm_usage.record_usage_batch('[{\"model\": \"m\", \"request_id\": \"r\"}, {\"model\": \"m\"}]');
         DISCARD SEQUENCES;
         INSERT INTO llm_usage.usage_events (model) VALUES ('m');
         RESET SESSION AUTHORIZATION",
    )
    .expect("rows");
    let counts = "SELECT (SELECT count(*) FROM llm_usage.usage_events), (SELECT count(*) FROM llm_usage.sessions),
        (SELECT count(*) FROM llm_usage.messages), llm_usage.fold(), (SELECT count(*) FROM llm_usage.verify())";
    let row = one.query_one(counts, &[]).expect("counts");
    let found: Vec<i64> = (0..5).map(|column| row.get(column)).collect();
    assert_eq!(found, [8, 4, 1, 13, 0]);
    one.batch_execute("DROP OWNED BY e2e_liar; DROP ROLE e2e_liar").expect("no role");
}

/// A partition that is being detached takes no row, as of an INSERT: else it would go with it, and its key would stay.
#[test]
fn nothing_is_recorded_where_it_is_detached() {
    const RECORD: &str = "SELECT llm_usage.record_usage('m', occurred_at => $1, request_id => 'late')";
    const PENDING: &str = "SELECT FROM pg_inherits WHERE inhdetachpending";
    let database = Cluster::shared().create_database();
    let connect = || Cluster::shared().connect(&database);
    let (mut reader, mut client) = (connect(), connect());
    client
        .batch_execute(
            "SELECT llm_usage.maintain();
             ALTER TABLE llm_usage.usage_events DETACH PARTITION llm_usage.usage_events_default",
        )
        .expect("months alone");
    let now = Utc::now();
    let name = now.format("llm_usage.usage_events_%Y_%m");
    let mut reading = reader.transaction().expect("a transaction");
    reading.query("SELECT FROM llm_usage.usage_events", &[]).expect("an answer");
    thread::scope(|scope| {
        let detach = scope.spawn(|| {
            let detach = format!("ALTER TABLE llm_usage.usage_events DETACH PARTITION {name} CONCURRENTLY");
            connect().batch_execute(&detach)
        });
        wait_until("it is being detached", || client.query_opt(PENDING, &[]).expect(PENDING).is_some());
        let error = client.query_one(RECORD, &[&now]).expect_err("no partition");
        assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION), "{error:?}");
        reading.rollback().expect("an end");
        detach.join().expect("no panic").expect("it is detached");
    });
    let keys = client.query("SELECT FROM llm_usage._request_keys", &[]).expect("keys");
    assert!(keys.is_empty());
}
