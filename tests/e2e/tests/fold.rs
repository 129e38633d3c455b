//! The fold step by step beside other sessions: it waits for nobody for long, and what it could not see yet is never lost.

use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use e2e::cluster::{Cluster, wait_until};
use e2e::ledger::Edge;
use e2e::look::{look, range, verify};
use e2e::random::Random;
use e2e::recount::{Range, recount};
use postgres::error::SqlState;
use postgres::{Client, IsolationLevel};

const INSERT: &str =
    "INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (1, 'm', 1, 0)";
/// Into a month without a partition.
const INSERT_INTO_PARTITION: &str =
    "INSERT INTO llm_usage.usage_events_default (id, occurred_at, app_id, model, prompt_tokens, currency)
    OVERRIDING SYSTEM VALUE VALUES (nextval('llm_usage.usage_events_id_seq'), '2001-02-03Z', 1, 'm', 1, 'USD')";
const INSERT_SESSION: &str = "INSERT INTO llm_usage.sessions (app_id, consumer_id) VALUES (1, 'ann')";
const FOLD: &str = "SELECT llm_usage.fold('100 milliseconds')";
/// Far more than the patience, far less than for ever.
const PROMPTLY: Duration = Duration::from_secs(20);

/// What `status()` says of the ledger of events.
struct Status {
    folded_up_to: i64,
    tail: i64,
    held: Option<(Option<i32>, DateTime<Utc>, String)>,
}

fn status(client: &mut Client) -> Status {
    let query = "SELECT folded_up_to, tail_events, held_by_pid, held_since, held_by_query
        FROM llm_usage.status() WHERE ledger = 'usage_events'";
    let row = client.query_one(query, &[]).expect(query);
    let since: Option<DateTime<Utc>> = row.get(3);
    let held = since.map(|since| (row.get(2), since, row.get(4)));
    Status { folded_up_to: row.get(0), tail: row.get(1), held }
}

/// Folds with little patience; returns the rows, `None` if another session folds.
fn fold(client: &mut Client) -> Option<i64> {
    let start = Instant::now();
    let rows = client.query_one(FOLD, &[]).expect(FOLD).get(0);
    assert!(start.elapsed() < PROMPTLY, "{:?}", start.elapsed());
    rows
}

fn tokens(client: &mut Client) -> i64 {
    let query = "SELECT (llm_usage.app_token_usage(1) #>> '{data,total,total_tokens}')::bigint";
    client.query_one(query, &[]).expect(query).get(0)
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).expect(statement);
}

fn process(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).expect("a process id").get(0)
}

/// Compares everything with everything.
fn check(client: &mut Client) {
    verify(client).expect("it verifies");
    assert!(look(client, &mut Random::new(1), 3, || ()).expect("a look") > 0);
    verify(client).expect("it verifies");
}

fn sessions() -> (Client, Client, Client) {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    (cluster.connect(&database), cluster.connect(&database), cluster.connect(&database))
}

#[test]
fn a_writer_idle_in_a_transaction_is_named_and_nothing_is_lost() {
    let begun = "SAVEPOINT s; INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens) VALUES (1, 'lost', 9);
        ROLLBACK TO s";
    for (statement, end, kept) in [
        (INSERT, "COMMIT", 1),
        (INSERT, "ROLLBACK", 0),
        (INSERT_INTO_PARTITION, "COMMIT", 1),
        (INSERT_INTO_PARTITION, "ROLLBACK", 0),
        ("SELECT llm_usage.record_usage('m', app_id => 1, prompt_tokens => 1)", "COMMIT", 1),
    ] {
        let (mut writer, mut other, mut folder) = sessions();
        run(&mut other, INSERT);
        let pid = process(&mut writer);
        run(&mut writer, "BEGIN");
        run(&mut writer, begun);
        run(&mut writer, statement);
        run(&mut other, INSERT);
        assert_eq!(fold(&mut folder), Some(0), "{statement}");
        let Status { folded_up_to, tail, held } = status(&mut folder);
        assert_eq!((folded_up_to, tail, tokens(&mut folder)), (0, 2, 2));
        let (by, since, query) = held.expect("it is held up");
        assert_eq!((by, query.as_str()), (Some(pid), statement));
        assert!(since <= Utc::now());
        check(&mut folder);
        run(&mut writer, end);
        assert_eq!(tokens(&mut folder), 2 + kept);
        assert!(status(&mut folder).held.is_none());
        assert_eq!(fold(&mut folder), Some(2 + kept), "{statement} and {end}");
        assert_eq!((status(&mut folder).tail, tokens(&mut folder)), (0, 2 + kept));
        check(&mut folder);
    }
}

#[test]
fn writers_that_overlap_without_end_do_not_stop_the_fold() {
    let (mut one, mut next, mut folder) = sessions();
    run(&mut one, "BEGIN");
    run(&mut one, INSERT);
    let mut folded = Vec::new();
    for round in 1..=8 {
        run(&mut next, "BEGIN");
        run(&mut next, INSERT);
        fold(&mut folder);
        run(&mut one, "COMMIT");
        // At every moment one of them is active.
        assert_eq!(tokens(&mut folder), round);
        fold(&mut folder);
        let Status { folded_up_to, held, .. } = status(&mut folder);
        assert_eq!(held.map(|(pid, ..)| pid), Some(Some(process(&mut next))));
        folded.push(folded_up_to);
        (one, next) = (next, one);
    }
    assert!(folded.windows(2).all(|pair| pair[0] < pair[1]), "{folded:?}");
    run(&mut one, "ROLLBACK");
    assert_eq!(tokens(&mut folder), 8);
    fold(&mut folder);
    assert_eq!(status(&mut folder).tail, 0);
    check(&mut folder);
}

#[test]
fn a_prepared_transaction_is_named_and_waited_for_also_after_a_restart() {
    let cluster = Cluster::new(&[]);
    for (restarts, end, kept) in
        [(0, "COMMIT", 1), (0, "ROLLBACK", 0), (1, "COMMIT", 1), (2, "ROLLBACK", 0), (2, "COMMIT", 1)]
    {
        let database = cluster.create_database();
        let mut writer = cluster.connect(&database);
        run(
            &mut writer,
            &format!("BEGIN; {INSERT}; {INSERT_SESSION}; PREPARE TRANSACTION 'it''s'; {INSERT}"),
        );
        for stop in [Cluster::stop as fn(&Cluster), Cluster::crash].iter().take(restarts) {
            let mut folder = cluster.connect(&database);
            assert_eq!(fold(&mut folder), Some(0), "after {restarts} restarts");
            drop(folder);
            stop(&cluster);
            cluster.start();
        }
        let mut folder = cluster.connect(&database);
        assert_eq!(fold(&mut folder), Some(0), "after {restarts} restarts");
        let Status { folded_up_to, held, .. } = status(&mut folder);
        let (pid, since, query) = held.expect("it is held up");
        assert_eq!((folded_up_to, pid, query.as_str()), (0, None, "PREPARE TRANSACTION 'it''s'"));
        assert!(since <= Utc::now());
        assert_eq!(tokens(&mut folder), 1);
        check(&mut folder);
        run(&mut folder, &format!("{end} PREPARED 'it''s'"));
        assert_eq!(tokens(&mut folder), 1 + kept);
        fold(&mut folder);
        let Status { tail, held, .. } = status(&mut folder);
        assert_eq!((tail, held.is_none(), tokens(&mut folder)), (0, true, 1 + kept));
        check(&mut folder);
    }
}

#[test]
fn only_read_committed_can_fold_and_rebuild() {
    let (mut folder, mut other, _) = sessions();
    run(&mut other, INSERT);
    for level in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        for call in ["SELECT llm_usage.fold()", "SELECT llm_usage.rebuild()"] {
            let mut transaction = folder.build_transaction().isolation_level(level).start().expect("it");
            let error = transaction.execute(call, &[]).expect_err(call);
            assert_eq!(error.code(), Some(&SqlState::ACTIVE_SQL_TRANSACTION), "{error:?}");
        }
    }
    let mut read_only = folder.build_transaction().read_only(true).start().expect("a transaction");
    let error = read_only.execute("SELECT llm_usage.fold()", &[]).expect_err("it cannot write");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION), "{error:?}");
    drop(read_only);
    assert_eq!(status(&mut folder).folded_up_to, 0);
    check(&mut folder);
}

#[test]
fn of_two_folds_at_once_one_steps_back() {
    let (mut one, mut other, mut reader) = sessions();
    for (end, folded) in [("ROLLBACK", 2), ("COMMIT", 0)] {
        run(&mut reader, "BEGIN; SAVEPOINT s");
        run(&mut reader, INSERT);
        run(&mut reader, "COMMIT");
        run(&mut one, "BEGIN");
        // Its own event is folded with it, or not at all.
        run(&mut one, INSERT);
        run(&mut one, FOLD);
        assert_eq!(fold(&mut other), None);
        let before = tokens(&mut reader);
        run(&mut one, end);
        assert_eq!(tokens(&mut reader), before + i64::from(end == "COMMIT"));
        let rows = fold(&mut other).expect("nobody else folds");
        assert!(rows <= folded, "{rows} rows after {end}");
        check(&mut reader);
    }
}

#[test]
fn a_snapshot_older_than_folds_and_maintenance_stays_as_it_was() {
    let (mut reader, mut writer, _) = sessions();
    for month in 1..=6 {
        let at: DateTime<Utc> = format!("2001-0{month}-05T04:05:06.7Z").parse().expect("an instant");
        let write = format!(
            "INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, user_id, rule_type, prompt_tokens)
               VALUES ('{at}', 1, 'm', 1, 'PII', 1);
             SELECT llm_usage.record_session(1, 'ann', '{at}'), llm_usage.record_message(1, NULL, '{at}')"
        );
        // Of two events in the default partition one is folded.
        run(&mut writer, &format!("{write}; SELECT llm_usage.fold(); {write}"));
        let level = IsolationLevel::RepeatableRead;
        let mut old = reader.build_transaction().isolation_level(level).start().expect("a transaction");
        old.query_one("SELECT pg_current_snapshot()::text", &[]).expect("a snapshot");
        run(&mut writer, &format!("{write}; SELECT llm_usage.fold()"));
        run(&mut writer, "SELECT llm_usage.maintain(0); SELECT llm_usage.fold(); SELECT llm_usage.rebuild()");
        run(&mut writer, &write);
        for around in [TimeDelta::microseconds(1), TimeDelta::minutes(7), TimeDelta::days(2)] {
            let bound = |at| Some(Edge::At(at));
            let (from, to, model) = (bound(at - around), bound(at + around), Some("m".to_owned()));
            let question = Range { from, to, model, ..range(&mut Random::new(month)) };
            recount(&mut old, &question).expect("a recount");
            let counted = old.query_one(
                "SELECT llm_usage.app_token_usage(1, $1, $2) #>> '{data,total,request_count}'",
                &[&(at - around), &(at + around)],
            );
            assert_eq!(counted.expect("an answer").get::<_, String>(0), "2");
        }
        drop(old);
        check(&mut reader);
    }
}

#[test]
fn the_ledgers_give_their_ids_one_by_one() {
    let (mut client, ..) = sessions();
    let query = "SELECT count(*) FROM pg_sequences WHERE schemaname = 'llm_usage' AND cache_size = 1 AND increment_by = 1
        AND NOT cycle AND sequencename IN ('usage_events_id_seq', 'sessions_id_seq', 'messages_id_seq')";
    assert_eq!(client.query_one(query, &[]).expect(query).get::<_, i64>(0), 3);
}

#[test]
fn who_is_idle_with_an_alert_a_key_or_a_hold_stops_nobody() {
    let (mut client, mut idle, _) = sessions();
    run(
        &mut client,
        "INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount, unit, is_hard, thresholds) VALUES (1, 'App', 1, 2, 'requests', false, '{100}')",
    );
    run(&mut client, INSERT);
    run(&mut client, INSERT);
    assert_eq!(fold(&mut client), Some(2));
    // A consumer of the alert that has not committed yet, while a correction takes it back.
    run(&mut idle, "BEGIN; SELECT llm_usage.acknowledge_budget_alert(id) FROM llm_usage.budget_alerts");
    run(&mut client, "SELECT llm_usage.void_usage(max(id)) FROM llm_usage.usage_events");
    assert_eq!(fold(&mut client), Some(1));
    let below = "SELECT count(*) FROM llm_usage.budget_alerts WHERE fell_below_at IS NOT NULL AND acknowledged_at IS NOT NULL";
    assert_eq!(fold(&mut client), Some(0));
    run(&mut idle, "COMMIT");
    assert_eq!(fold(&mut client), Some(0));
    assert_eq!(client.query_one(below, &[]).expect(below).get::<_, i64>(0), 1);
    // Who raises the same alert and has not committed yet.
    run(&mut client, "UPDATE llm_usage.budgets SET thresholds = '{10}'");
    run(&mut idle, "BEGIN; SELECT llm_usage.raise_budget_alerts()");
    run(&mut client, INSERT);
    assert_eq!(fold(&mut client), Some(1));
    run(&mut idle, "ROLLBACK");
    assert_eq!(fold(&mut client), Some(0));
    let raised = "SELECT count(*) FROM llm_usage.budget_alerts WHERE threshold = 10";
    assert_eq!(client.query_one(raised, &[]).expect(raised).get::<_, i64>(0), 1);
    // A key that another adds.
    run(&mut idle, "BEGIN; INSERT INTO llm_usage.reported_attrs VALUES ('team')");
    run(
        &mut client,
        "INSERT INTO llm_usage.budgets (id, entity_type, entity_key, entity_value, amount) VALUES (2, 'Attribute', 'team', 'red', 1)",
    );
    run(&mut client, INSERT);
    assert_eq!(fold(&mut client), Some(1));
    run(&mut idle, "ROLLBACK");
    run(&mut client, INSERT);
    assert_eq!(fold(&mut client), Some(1));
    let keys = "SELECT count(*) FROM llm_usage._rolled_up_attrs WHERE key = 'team'";
    assert_eq!(client.query_one(keys, &[]).expect(keys).get::<_, i64>(0), 1);
    // A hold of yesterday that is just being settled.
    run(
        &mut client,
        "SELECT hold_id FROM llm_usage.reserve_budget(1, 'm', cost => 0);
         UPDATE llm_usage.budget_holds SET expires_at = now() - interval '2 days';
         UPDATE llm_usage._held SET expires_at = h.expires_at FROM llm_usage.budget_holds h",
    );
    run(&mut idle, "BEGIN; SELECT llm_usage.settle_budget(id, '{\"cost\": 0}') FROM llm_usage.budget_holds");
    run(
        &mut client,
        "SET statement_timeout = '15s'; SELECT llm_usage._forget_holds(); RESET statement_timeout",
    );
    run(&mut idle, "COMMIT");
    let left =
        "SELECT (SELECT count(*) FROM llm_usage.budget_holds) + (SELECT count(*) FROM llm_usage._held)";
    assert_eq!(client.query_one(left, &[]).expect(left).get::<_, i64>(0), 0);
    assert_eq!(fold(&mut client), Some(1));
    verify(&mut client).expect("it verifies");
}

#[test]
fn a_fold_that_is_not_committed_is_named_and_keeps_a_month_for_seconds_only() {
    let (mut client, mut idle, _) = sessions();
    let pid = process(&mut idle);
    run(&mut client, INSERT);
    run(&mut idle, "BEGIN; SELECT llm_usage.fold()");
    run(&mut client, INSERT);
    assert_eq!(fold(&mut client), None);
    let held = status(&mut client).held.expect("it is named");
    assert_eq!((held.0, held.2.as_str()), (Some(pid), "BEGIN; SELECT llm_usage.fold()"));
    let start = Instant::now();
    let refused =
        client.batch_execute("SELECT llm_usage.drop_month('2020-01-01')").expect_err("it waits no longer");
    assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    assert!(start.elapsed() < PROMPTLY, "{:?}", start.elapsed());
    run(&mut idle, "ROLLBACK");
    assert_eq!(fold(&mut client), Some(2));
    assert!(status(&mut client).held.is_none());
}

#[test]
fn a_month_in_which_a_budget_is_about_to_begin_is_kept() {
    let (mut client, mut other, mut observer) = sessions();
    // The middle of last month, at a half hour (UTC).
    let budget =
        "BEGIN; INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, period, time_zone, start_date)
        VALUES ('App', 1, 100, 'year', 'Asia/Kolkata', date_trunc('month', now())::date - 15)";
    let drop = "SELECT llm_usage.drop_month((date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 day')::date)";
    run(&mut client, "SET TimeZone = 'UTC'");
    run(
        &mut client,
        "INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, cost)
        VALUES (date_trunc('month', now()) - interval '15 days', 1, 'm', 1, 0)",
    );
    run(&mut client, "SELECT llm_usage.maintain(); SELECT llm_usage.fold()");
    run(&mut other, budget);
    let pid = process(&mut client);
    let dropping = thread::spawn(move || client.batch_execute(drop).map_err(|error| error.code().cloned()));
    let waits = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
    wait_until("it waits for the budget", || {
        observer.query_opt(waits, &[&pid]).expect("its state").is_some() || dropping.is_finished()
    });
    run(&mut other, "COMMIT");
    let refused = dropping.join().expect("the thread").expect_err("the budget needs the month");
    assert_eq!(refused, Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
    run(&mut other, "SELECT * FROM llm_usage.check_budget(1, 'm', cost => 1)");
}

#[test]
fn what_anybody_may_lock_holds_up_no_fold_and_no_call() {
    let (mut client, mut stranger, _) = sessions();
    run(&mut client, "INSERT INTO llm_usage.budgets (id, entity_type, amount) VALUES (1, 'All', 10)");
    run(&mut client, "INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (1, 'm', 1)");
    run(
        &mut stranger,
        "SELECT pg_advisory_lock(x'4c4c4d55'::bigint), pg_advisory_lock(x'4c4c4d55'::integer, 0)",
    );
    run(&mut stranger, "SELECT pg_advisory_lock(x'4c4c4d42'::integer, 1)");
    assert_eq!(fold(&mut client), Some(1));
    run(&mut client, "SET lock_timeout = '1s'");
    run(&mut client, "SELECT * FROM llm_usage.reserve_budget(cost => 1)");
}
