//! A fold, a rebuild, a batch or maintenance that is stopped in its middle has done nothing, and the next one does it.

use std::thread;

use e2e::cluster::{Cluster, wait_until};
use e2e::look::{look, verify};
use e2e::random::Random;
use postgres::Client;
use postgres::error::SqlState;

/// Events of two months and a session.
const WRITE: &str = "
    INSERT INTO llm_usage.usage_events (occurred_at, app_id, user_id, model, prompt_tokens)
      VALUES (now(), 1, 2, 'm', 1), ('2001-02-03Z', 1, 2, 'm', 1);
    INSERT INTO llm_usage.sessions (app_id, consumer_id) VALUES (1, 'ann')";
const FOLDED: &str = "SELECT folded_up_to FROM llm_usage.status() WHERE ledger = 'usage_events'";

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).expect(statement);
}

fn number(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).expect(query).get(0)
}

/// Compares everything with everything.
fn check(client: &mut Client) {
    verify(client).expect("it verifies");
    assert!(look(client, &mut Random::new(1), 2, || ()).expect("a look") > 0);
}

/// What stops a statement in its middle.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Cancel,
    Timeout,
    Terminate,
}

/// Runs the statement until it waits for the lock that another session takes, in the middle of its work, and stops it there.
fn stop_in_the_middle(database: &str, statement: &'static str, lock: &str, how: Stop) {
    let connect = || Cluster::shared().connect(database);
    let (mut victim, mut holder, mut observer) = (connect(), connect(), connect());
    let pid = number(&mut victim, "SELECT pg_backend_pid()::bigint");
    run(&mut holder, &format!("BEGIN; {lock}"));
    if let Stop::Timeout = how {
        run(&mut victim, "SET statement_timeout = '500ms'");
    }
    let waiting = thread::spawn(move || victim.execute(statement, &[]).expect_err("it is stopped"));
    let query = "SELECT FROM pg_stat_activity WHERE pid::bigint = $1 AND wait_event_type = 'Lock'";
    wait_until("it waits in the middle", || {
        waiting.is_finished() || observer.query_opt(query, &[&pid]).expect(query).is_some()
    });
    match how {
        Stop::Cancel => run(&mut observer, &format!("SELECT pg_cancel_backend({pid})")),
        Stop::Terminate => run(&mut observer, &format!("SELECT pg_terminate_backend({pid})")),
        Stop::Timeout => {}
    }
    let error = waiting.join().expect("the thread");
    // Who is terminated may not be told why.
    let is_told = matches!(how, Stop::Terminate) || error.code() == Some(&SqlState::QUERY_CANCELED);
    assert!(is_told, "{statement} and {how:?}: {error:?}");
}

#[test]
fn a_fold_or_rebuild_that_is_stopped_in_its_middle_leaves_everything_exact() {
    let database = Cluster::shared().create_database();
    let mut client = Cluster::shared().connect(&database);
    let parts = [
        ("SELECT llm_usage.fold()", "LOCK llm_usage._by_session_day IN EXCLUSIVE MODE"),
        ("SELECT llm_usage.fold()", "LOCK llm_usage._active_users_hour IN EXCLUSIVE MODE"),
        ("SELECT llm_usage.rebuild()", "LOCK llm_usage._by_session_day IN EXCLUSIVE MODE"),
        ("SELECT llm_usage.rebuild()", "LOCK llm_usage._by_model_hour IN EXCLUSIVE MODE"),
    ];
    for (statement, lock) in parts {
        for how in [Stop::Cancel, Stop::Timeout, Stop::Terminate] {
            run(&mut client, WRITE);
            let before = number(&mut client, FOLDED);
            stop_in_the_middle(&database, statement, lock, how);
            assert_eq!(number(&mut client, FOLDED), before);
            check(&mut client);
            wait_until("it is folded", || {
                run(&mut client, "SELECT llm_usage.fold()");
                number(&mut client, FOLDED) > before
            });
            check(&mut client);
        }
    }
    run(&mut client, "SELECT llm_usage.rebuild()");
    check(&mut client);
}

/// An event trigger that waits in the middle of what makes or drops the partition of a month.
const WAITS: &str = "
    CREATE FUNCTION public.wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF to_regclass('llm_usage.sessions_2001_02') IS NULL AND tg_tag = 'DROP TABLE'
         OR to_regclass('llm_usage.sessions_2001_02') IS NOT NULL AND tg_tag = 'CREATE TABLE' THEN
        PERFORM pg_advisory_xact_lock(1);
      END IF;
    END $$;
    CREATE EVENT TRIGGER waits ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')
      EXECUTE FUNCTION public.wait()";
const CHATS: &str = "INSERT INTO llm_usage.sessions (started_at, consumer_id) VALUES ('2001-02-03Z', 'ann')";
/// Everything that is in the ledgers, wherever it is.
const ROWS: &str =
    "SELECT (SELECT count(*) FROM llm_usage.usage_events) + (SELECT count(*) FROM llm_usage.sessions)";
const PARTITIONS: &str = "SELECT count(*) FROM pg_inherits";

#[test]
fn maintenance_that_is_stopped_in_its_middle_leaves_everything_exact() {
    let database = Cluster::shared().create_database();
    let mut client = Cluster::shared().connect(&database);
    run(&mut client, WRITE);
    run(&mut client, CHATS);
    run(&mut client, "SELECT llm_usage.fold()");
    run(&mut client, WAITS);
    for statement in ["SELECT llm_usage.maintain(1)", "SELECT llm_usage.drop_month('2001-02-28')"] {
        for how in [Stop::Cancel, Stop::Timeout, Stop::Terminate] {
            let before = [ROWS, PARTITIONS].map(|query| number(&mut client, query));
            stop_in_the_middle(&database, statement, "SELECT pg_advisory_xact_lock(1)", how);
            assert_eq!([ROWS, PARTITIONS].map(|query| number(&mut client, query)), before);
            check(&mut client);
        }
        let before = number(&mut client, PARTITIONS);
        run(&mut client, statement);
        assert_ne!(number(&mut client, PARTITIONS), before);
    }
    // The rollups keep what the ledgers have no more.
    verify(&mut client).expect("it verifies");
}

#[test]
fn a_batch_that_is_stopped_in_its_middle_leaves_everything_exact() {
    let database = Cluster::shared().create_database();
    let mut client = Cluster::shared().connect(&database);
    run(&mut client, WRITE);
    run(&mut client, "SELECT llm_usage.maintain(1)");
    let batch = r#"SELECT llm_usage.record_usage_batch('[{"model": "m", "app_id": 1, "prompt_tokens": 3},
        {"model": "m", "app_id": 1, "prompt_tokens": 4, "occurred_at": "2001-02-03T00:00:00Z"}]')"#;
    for how in [Stop::Cancel, Stop::Timeout, Stop::Terminate] {
        let before = number(&mut client, ROWS);
        // The first event of it is written by then.
        stop_in_the_middle(&database, batch, "LOCK llm_usage.usage_events_2001_02 IN EXCLUSIVE MODE", how);
        assert_eq!(number(&mut client, ROWS), before);
        check(&mut client);
        run(&mut client, batch);
        assert_eq!(number(&mut client, ROWS), before + 2);
        run(&mut client, "SELECT llm_usage.fold()");
        check(&mut client);
    }
}
