//! A fold or a rebuild that is stopped in its middle has done nothing, and the next one does it.

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

/// Runs the statement until it waits for the lock of a rollup, in the middle of its work, and stops it there.
fn stop_in_the_middle(database: &str, statement: &'static str, lock: &str, how: Stop) {
    let connect = || Cluster::shared().connect(database);
    let (mut victim, mut holder, mut observer) = (connect(), connect(), connect());
    let pid = number(&mut victim, "SELECT pg_backend_pid()::bigint");
    run(&mut holder, &format!("BEGIN; LOCK TABLE {lock} IN EXCLUSIVE MODE"));
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
        ("SELECT llm_usage.fold()", "llm_usage._by_session_day"),
        ("SELECT llm_usage.fold()", "llm_usage._active_users_hour"),
        ("SELECT llm_usage.rebuild()", "llm_usage._by_session_day"),
        ("SELECT llm_usage.rebuild()", "llm_usage._by_model_hour"),
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
