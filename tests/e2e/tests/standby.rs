//! A hot standby answers as its primary does, letter by letter; when it is promoted, it goes on where the primary was.

use std::thread;
use std::time::Duration;

use e2e::attempt::Writer;
use e2e::cluster::{Cluster, wait_until};
use e2e::look::{look, range, verify};
use e2e::random::Random;
use e2e::recount::recount;
use postgres::Client;

/// All that is asked of both servers.
const QUESTIONS: [&str; 27] = [
    "SELECT llm_usage.token_usage_for_app('-infinity', 'infinity', 1)::text",
    "SELECT llm_usage.token_usage_for_app((now() - interval '20 days')::date, now()::date, 2)::text",
    "SELECT llm_usage.budget_usage()::text",
    "SELECT llm_usage.budget_usage('-infinity', 'infinity')::text",
    "SELECT llm_usage.token_usage_grouped('-infinity', 'infinity', '{task,rule_type}')::text",
    "SELECT llm_usage.app_usage(1, group_by => 'week')::text",
    "SELECT llm_usage.app_token_usage(1)::text",
    "SELECT llm_usage.model_usage_statistics('gpt-4.1', date_trunc('month', now()), date_trunc('day', now()) + interval '1 day', 7)::text",
    "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM llm_usage.app_activity() a",
    "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM llm_usage.model_activity() a",
    "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM llm_usage.user_activity() a",
    "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM llm_usage.rule_activity() a",
    "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM llm_usage.entity_activity() a",
    "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM llm_usage.session_activity() a",
    "SELECT concat(llm_usage.session_consumers(1), ' ', llm_usage.active_users())",
    "SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM llm_usage.usage_by_day v",
    "SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM llm_usage.usage_by_app v",
    "SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM llm_usage.usage_by_model v",
    "SELECT llm_usage_http.app_token_usage('1')::text",
    "SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM llm_usage.usage_by_user v",
    "SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM llm_usage.active_users_by_day v",
    "SELECT string_agg(concat_ws(' ', budget_id, period_start, spent, held, other_currencies), '|' ORDER BY budget_id) FROM llm_usage.budget_status",
    "SELECT string_agg(c::text, ' ') FROM generate_series(1, 3) app, llm_usage.check_budget(app, 'gpt-4.1', prompt_tokens => 10) c",
    "SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM llm_usage.attr_activity('team') a",
    "SELECT string_agg(v::text, ' ' ORDER BY v::text) FROM llm_usage.unpriced_models v",
    "SELECT string_agg(concat_ws(' ', ledger, events, folded_up_to, tail_events, last_fold_at, last_fold_events,
        unpriced_events, months_to_rebuild), '|') FROM llm_usage.status()",
    "SELECT count(*)::text FROM llm_usage.verify()",
];

/// What the primary does, the last one leaving a tail.
const STEPS: [&str; 6] = [
    "SELECT llm_usage.fold(at_most => 20)",
    "SELECT llm_usage.maintain(1)",
    "SELECT llm_usage.fold()",
    "SELECT llm_usage.rebuild(1)",
    "BEGIN; SELECT llm_usage.fold(); SELECT llm_usage.rebuild(2); ROLLBACK",
    "SELECT 1",
];

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).expect(statement);
}

fn text(client: &mut Client, query: &str) -> String {
    let text: Option<String> =
        client.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error}")).get(0);
    text.unwrap_or_default()
}

fn answers(client: &mut Client) -> Vec<(&'static str, String)> {
    QUESTIONS.map(|question| (question, text(client, question))).to_vec()
}

/// Waits until the standby has replayed what the primary has written.
fn catch_up(primary: &mut Client, standby: &mut Client) {
    let written = text(primary, "SELECT pg_current_wal_insert_lsn()::text");
    // An event that is not committed yet may be the last.
    run(primary, "SELECT txid_current(); SELECT pg_switch_wal()");
    let query = format!("SELECT (pg_last_wal_replay_lsn() >= '{written}')::text");
    wait_until("the standby has caught up", || text(standby, &query) == "true");
}

/// Compares both, and the standby with its own ledgers.
fn compare(primary: &mut Client, standby: &mut Client, seed: u64) {
    // Until neither a fold nor midnight came between: the primary's worker may be running.
    let mut expected = answers(primary);
    loop {
        catch_up(primary, standby);
        let answered = answers(standby);
        let before = std::mem::replace(&mut expected, answers(primary));
        if before == expected {
            assert_eq!(answered, expected);
            break;
        }
    }
    let mut random = Random::new(seed);
    for _ in 0..3 {
        recount(standby, &range(&mut random)).expect("a recount");
    }
}

fn write(writer: &mut Writer, transactions: u64) {
    for _ in 0..transactions {
        let attempt = writer.write();
        assert!(attempt.error.is_none(), "{:?}", attempt.error);
    }
}

fn begin(client: &mut Client) {
    run(
        client,
        "CREATE EXTENSION llm_usage; INSERT INTO llm_usage.apps (id, name) VALUES (1, 'Helpdesk');
        INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, start_date)
          VALUES ('App', 1, 100, NULL), ('LLM', 2, 7, '2024-01-31')",
    );
}

#[test]
fn a_standby_answers_as_its_primary_and_goes_on_when_promoted() {
    let primary = Cluster::new(&[]);
    let mut client = primary.connect("postgres");
    begin(&mut client);
    let mut writer = Writer::new(primary.connect("postgres"), "one".to_owned(), 1, 6);
    write(&mut writer, 20);
    run(&mut client, "SELECT llm_usage.fold()");
    let worker = ["shared_preload_libraries = 'llm_usage'", "llm_usage.fold_interval = '50ms'"];
    let standby = Cluster::standby_of(&primary, &[]);
    let mut replica = standby.connect("postgres");
    compare(&mut client, &mut replica, 1);
    for (seed, step) in (2..).zip(STEPS) {
        write(&mut writer, 10);
        run(&mut client, step);
        compare(&mut client, &mut replica, seed);
    }
    drop(replica);
    // With a worker, too, which has nothing to do before the promotion.
    standby.stop();
    standby.configure(&worker);
    standby.start();
    let mut replica = standby.connect("postgres");
    write(&mut writer, 10);
    compare(&mut client, &mut replica, 8);
    thread::sleep(Duration::from_secs(3));
    compare(&mut client, &mut replica, 9);
    run(&mut client, &format!("BEGIN; {PREPARED}; PREPARE TRANSACTION 'late'"));
    run(&mut client, "SELECT llm_usage.fold('0')");
    catch_up(&mut client, &mut replica);
    promote(&primary, &standby, &mut replica);
}

const PREPARED: &str =
    "INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens) VALUES (1, 'late', 5)";

/// The primary is gone; the standby goes on, the transaction that was prepared there included.
fn promote(primary: &Cluster, standby: &Cluster, replica: &mut Client) {
    primary.crash();
    let before = text(replica, "SELECT sum(events)::text FROM llm_usage.status()");
    run(replica, "SELECT pg_promote()");
    let mut writer = Writer::new(standby.connect("postgres"), "two".to_owned(), 2, 6);
    write(&mut writer, 20);
    let folds =
        "SELECT count(*)::text FROM llm_usage.status() WHERE last_fold_at > pg_postmaster_start_time()";
    wait_until("the worker folds", || text(replica, folds) != "0");
    verify(replica).expect("it verifies");
    assert_ne!(text(replica, "SELECT sum(events)::text FROM llm_usage.status()"), before);
    run(replica, "COMMIT PREPARED 'late'");
    let late = "SELECT sum(requests)::text FROM llm_usage.model_activity('late')";
    assert_eq!(text(replica, late), "1");
    let tail = "SELECT sum(tail_events)::text FROM llm_usage.status()";
    wait_until("all is folded", || text(replica, tail) == "0");
    verify(replica).expect("it verifies");
    assert_eq!(text(replica, late), "1");
    assert!(look(replica, &mut Random::new(3), 3, || ()).expect("a look") > 0);
    run(replica, "SELECT llm_usage.fold(); SELECT llm_usage.rebuild(); SELECT llm_usage.maintain()");
    verify(replica).expect("it verifies");
    assert!(!standby.log().contains("read-only transaction"));
    assert!(!standby.log().contains("during recovery"));
}

#[test]
fn a_standby_in_use_never_differs_from_its_own_ledgers() {
    let primary =
        Cluster::new(&["shared_preload_libraries = 'llm_usage'", "llm_usage.fold_interval = '50ms'"]);
    let mut client = primary.connect("postgres");
    begin(&mut client);
    // Maintenance must not cancel who reads.
    let standby = Cluster::standby_of(&primary, &["max_standby_streaming_delay = -1"]);
    let mut replica = standby.connect("postgres");
    catch_up(&mut client, &mut replica);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut random = Random::new(7);
            let compare = |_| recount(&mut replica, &range(&mut random)).expect("a recount");
            (0..12).map(compare).sum::<u64>()
        });
        let mut writer = Writer::new(primary.connect("postgres"), "one".to_owned(), 3, 6);
        while !reader.is_finished() {
            write(&mut writer, 5);
            run(&mut client, "SELECT llm_usage.maintain(1)");
        }
        assert!(reader.join().expect("no difference") > 0);
    });
    compare(&mut client, &mut standby.connect("postgres"), 4);
}
