//! Maintenance step by step beside one other session: it must neither hide an event nor stand in a writer's way.

use std::thread;

use e2e::cluster::{Cluster, wait_until};
use postgres::error::SqlState;
use postgres::{Client, IsolationLevel, Transaction};
use serde_json::Value;

/// A month without a partition, so that its events lie in the default partition.
const INSERT: &str = "INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, cost)
    VALUES ('2001-02-03 04:05:06Z', 7, 'm', 5, 0)";
const INSERT_SESSION: &str = "INSERT INTO llm_usage.sessions (started_at) VALUES ('2001-02-03 04:05:06Z')";
const MAINTAIN: &str = "SELECT count(*) FROM llm_usage.maintain(0)";
/// Questions about just that month, each with the place of its count of tokens.
const QUESTIONS: [(&str, &str); 9] = [
    ("SELECT llm_usage.app_token_usage(7, '2001-02-01Z', '2001-03-01Z')::text", "/data/total/total_tokens"),
    ("SELECT llm_usage.token_usage_for_app('2001-02-03', '2001-02-03', 7)::text", "/data/0"),
    (
        "SELECT llm_usage.model_usage_statistics('m', '2001-02-03Z', '2001-02-04Z')::text",
        "/data/0/summary_tokens",
    ),
    (
        "SELECT json_agg(total_tokens)::text FROM llm_usage.app_activity(7, '2001-02-01Z', '2001-03-01Z')",
        "/0",
    ),
    (
        "SELECT json_agg(total_tokens)::text FROM llm_usage.user_activity(NULL, '2001-02-03Z', '2001-02-04Z')",
        "/0",
    ),
    ("SELECT json_agg(total_tokens)::text FROM llm_usage.usage_by_day", "/0"),
    ("SELECT json_agg(total_tokens)::text FROM llm_usage.usage_by_app WHERE day = '2001-02-03'", "/0"),
    ("SELECT json_agg(total_tokens)::text FROM llm_usage.usage_by_model WHERE model = 'm'", "/0"),
    (
        "SELECT json_agg(prompt_tokens)::text FROM llm_usage.usage_events
          WHERE date_trunc('month', occurred_at, 'UTC') = '2001-02-01Z'",
        "/0",
    ),
];

fn sessions() -> (Client, Client, Client) {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    (cluster.connect(&database), cluster.connect(&database), cluster.connect(&database))
}

fn process(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).expect("a process id").get(0)
}

/// Whether the session of this process waits for a lock.
fn waits(observer: &mut Client, process: i32) -> bool {
    let query = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
    observer.query_opt(query, &[&process]).expect("its state").is_some()
}

/// The count of tokens in an answer, `None` where there is none.
fn tokens(answer: Option<&str>, place: &str) -> Option<i64> {
    let answer: Value = serde_json::from_str(answer?).expect("json");
    answer.pointer(place).and_then(Value::as_i64)
}

#[test]
fn a_write_that_waits_for_maintenance_is_not_refused() {
    let (mut maintainer, mut writer, mut observer) = sessions();
    writer.execute(INSERT, &[]).expect("it is inserted");
    let mut maintenance = maintainer.transaction().expect("a transaction");
    maintenance.query_one(MAINTAIN, &[]).expect("maintenance");
    let process = process(&mut writer);
    let waiting = thread::spawn(move || writer.execute(INSERT, &[]).map_err(|error| format!("{error:?}")));
    wait_until("the write waits or is there", || waits(&mut observer, process) || waiting.is_finished());
    maintenance.commit().expect("it commits");
    assert_eq!(waiting.join().expect("the thread"), Ok(1));
    let count = "SELECT count(*) FROM llm_usage.usage_events";
    assert_eq!(observer.query_one(count, &[]).expect(count).get::<_, i64>(0), 2);
}

#[test]
fn a_question_that_waits_for_maintenance_sees_what_was_moved() {
    for (question, place) in QUESTIONS {
        let (mut maintainer, mut reader, mut observer) = sessions();
        observer.execute(INSERT, &[]).expect("it is inserted");
        let mut maintenance = maintainer.transaction().expect("a transaction");
        maintenance.query_one(MAINTAIN, &[]).expect("maintenance");
        let process = process(&mut reader);
        let waiting = thread::spawn(move || -> Option<String> {
            reader.query_one(question, &[]).expect(question).get(0)
        });
        // A question that need not wait is as welcome.
        wait_until("the question waits or is there", || {
            waits(&mut observer, process) || waiting.is_finished()
        });
        maintenance.commit().expect("it commits");
        let answer = waiting.join().expect("the thread");
        assert_eq!(tokens(answer.as_deref(), place), Some(5), "{question}: {answer:?}");
    }
}

#[test]
fn a_statement_that_began_before_maintenance_sees_what_was_moved() {
    // The reports lock the ledger when they get there; what else there is has it locked by then, and keeps maintenance out.
    for &(question, place) in &QUESTIONS[..3] {
        let (mut maintainer, mut reader, mut observer) = sessions();
        observer.execute(INSERT, &[]).expect("it is inserted");
        observer.execute("SELECT pg_advisory_lock(1)", &[]).expect("the lock");
        let process = process(&mut reader);
        // The snapshot is taken before the lock is waited for, the question runs after it.
        let late = format!("SELECT pg_advisory_lock(1), ({question})");
        let waiting =
            thread::spawn(move || -> Option<String> { reader.query_one(&late, &[]).expect(question).get(1) });
        wait_until("the session waits for a lock", || waits(&mut observer, process));
        maintainer.query_one(MAINTAIN, &[]).expect("maintenance");
        observer.execute("SELECT pg_advisory_unlock(1)", &[]).expect("no lock");
        let answer = waiting.join().expect("the thread");
        assert_eq!(tokens(answer.as_deref(), place), Some(5), "{question}: {answer:?}");
    }
}

#[test]
fn a_snapshot_older_than_maintenance_sees_what_was_moved() {
    for (question, place) in QUESTIONS {
        let (mut maintainer, mut reader, mut observer) = sessions();
        observer.execute(INSERT, &[]).expect("it is inserted");
        let level = IsolationLevel::RepeatableRead;
        let mut transaction: Transaction =
            reader.build_transaction().isolation_level(level).start().expect("a transaction");
        transaction.query_one("SELECT count(*) FROM llm_usage.apps", &[]).expect("a snapshot");
        maintainer.query_one(MAINTAIN, &[]).expect("maintenance");
        let answer: Option<String> = transaction.query_one(question, &[]).expect(question).get(0);
        assert_eq!(tokens(answer.as_deref(), place), Some(5), "{question}: {answer:?}");
    }
}

#[test]
fn a_transaction_over_two_ledgers_does_not_fail_because_of_maintenance() {
    for statements in [[INSERT, INSERT_SESSION], [INSERT_SESSION, INSERT]] {
        let (mut maintainer, mut writer, mut observer) = sessions();
        for statement in statements {
            writer.execute(statement, &[]).expect("it is inserted");
        }
        let mut transaction = writer.transaction().expect("a transaction");
        transaction.execute(statements[0], &[]).expect("it is inserted");
        let process = process(&mut maintainer);
        let maintenance = thread::spawn(move || maintainer.query_one(MAINTAIN, &[]).map(|_| ()));
        wait_until("maintenance waits or is over", || {
            waits(&mut observer, process) || maintenance.is_finished()
        });
        transaction.execute(statements[1], &[]).expect("the second ledger takes its row");
        transaction.commit().expect("it commits");
        // Maintenance may give way, as documented.
        if let Err(error) = maintenance.join().expect("the thread") {
            assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{error:?}");
        }
    }
}
