//! The background worker folds and maintains, whatever is done to it, to its database and to the server.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use e2e::cluster::{Cluster, wait_until};
use postgres::Client;

const PRELOAD: &str = "shared_preload_libraries = 'llm_usage'";
const OFTEN: &str = "llm_usage.fold_interval = '50ms'";
/// Longer than what ends in time, shorter than what waits for the end of a sleeping fold.
const PROMPTLY: Duration = Duration::from_secs(20);

/// A fold that leaves a mark, sleeps and fails as it is told.
const PROBE: &str = "
CREATE TABLE IF NOT EXISTS public.folds (pid integer);
CREATE TABLE IF NOT EXISTS public.task AS SELECT 0 AS seconds, false AS fails;
CREATE OR REPLACE FUNCTION llm_usage.fold(patience interval DEFAULT '1 second', at_most bigint DEFAULT NULL)
  RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE task public.task; BEGIN
  SELECT * INTO task FROM public.task;
  INSERT INTO public.folds VALUES (pg_backend_pid());
  PERFORM pg_sleep(task.seconds);
  IF task.fails THEN RAISE EXCEPTION 'the fold fails as told' USING HINT = 'Tell it otherwise.'; END IF;
  RETURN 1;
END $$";

const IDLE_FOLD: &str = "CREATE OR REPLACE FUNCTION llm_usage.fold(patience interval DEFAULT '1 second',
    at_most bigint DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql";

const PID: &str = "SELECT max(pid) FROM pg_stat_activity
    WHERE backend_type = 'llm_usage worker' AND datname = current_database()";

/// Whether the worker is in its own fold, asleep there.
const SLEEPS: &str = "SELECT FROM pg_stat_activity
    WHERE backend_type = 'llm_usage worker' AND application_name = 'llm_usage worker' AND state = 'active'
      AND query = 'SELECT llm_usage.fold(at_most => 1000000)' AND wait_event = 'PgSleep' AND datname = current_database()";

fn start(settings: &[&str]) -> Cluster {
    Cluster::new(&[&[PRELOAD, OFTEN], settings].concat())
}

/// Creates the extension, with a fold that can be watched; both at once, since the worker does not wait.
fn install(client: &mut Client) {
    client
        .batch_execute(&format!("BEGIN; CREATE EXTENSION llm_usage; {PROBE}; COMMIT"))
        .expect("it is there");
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).expect(statement);
}

fn number(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).expect(query).get(0)
}

fn folds(client: &mut Client) -> i64 {
    number(client, "SELECT count(*) FROM public.folds")
}

fn pid(client: &mut Client) -> Option<i32> {
    client.query_one(PID, &[]).expect(PID).get(0)
}

/// Has one fold sleep for longer than the test takes, and those after it no more.
fn send_to_sleep(client: &mut Client) {
    run(client, "UPDATE public.task SET seconds = 1000");
    wait_until("the fold sleeps", || client.query_opt(SLEEPS, &[]).expect(SLEEPS).is_some());
    run(client, "UPDATE public.task SET seconds = 0");
}

/// `SET` or `RESET` of a setting for the whole server.
fn alter_system(client: &mut Client, change: &str) {
    run(client, &format!("ALTER SYSTEM {change}"));
    run(client, "SELECT pg_reload_conf()");
}

/// Waits for two folds that begin after now; returns who did them.
fn wait_for_folds(client: &mut Client) -> i32 {
    let before = folds(client);
    wait_until("it folds", || folds(client) >= before + 2);
    pid(client).expect("a worker")
}

fn has_months(client: &mut Client) -> bool {
    let query =
        "SELECT FROM pg_inherits WHERE inhparent = 'llm_usage.usage_events'::regclass HAVING count(*) = 5";
    client.query_opt(query, &[]).expect(query).is_some()
}

/// Whether nothing is folded for a while; polled, since a fold may be under way at first.
fn rests(client: &mut Client) -> bool {
    let before = folds(client);
    thread::sleep(Duration::from_millis(500));
    folds(client) == before
}

#[test]
fn it_folds_and_maintains_when_the_extension_is_there() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    wait_until("the worker is there", || pid(&mut client).is_some());
    let worker = pid(&mut client);
    for _ in 0..2 {
        install(&mut client);
        assert_eq!(Some(wait_for_folds(&mut client)), worker);
        wait_until("the months are made", || has_months(&mut client));
        // The worker may be on its way into the tables that go.
        wait_until("the extension is dropped", || {
            client.batch_execute("DROP EXTENSION llm_usage CASCADE").is_ok()
        });
    }
    assert_eq!(pid(&mut client), worker);
}

#[test]
fn a_new_interval_holds_at_once() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    for slow in ["1h", "0"] {
        wait_for_folds(&mut client);
        alter_system(&mut client, &format!("SET llm_usage.fold_interval = '{slow}'"));
        wait_until("it rests", || rests(&mut client));
        alter_system(&mut client, "RESET llm_usage.fold_interval");
    }
    wait_for_folds(&mut client);
}

#[test]
fn a_fold_that_fails_is_tried_again() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    let worker = wait_for_folds(&mut client);
    run(&mut client, "UPDATE public.task SET fails = true");
    wait_until("it fails", || cluster.log().contains("the fold fails as told"));
    assert!(cluster.log().contains("Tell it otherwise."));
    run(&mut client, "UPDATE public.task SET fails = false");
    assert_eq!(wait_for_folds(&mut client), worker);
}

#[test]
fn a_fold_can_be_cancelled_and_the_worker_terminated() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    let worker = wait_for_folds(&mut client);
    send_to_sleep(&mut client);
    client.execute("SELECT pg_cancel_backend($1)", &[&worker]).expect("a signal");
    assert_eq!(wait_for_folds(&mut client), worker);
    // It sleeps between folds for the most part.
    for _ in 0..20 {
        client.execute("SELECT pg_cancel_backend($1)", &[&worker]).expect("a signal");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(wait_for_folds(&mut client), worker);
    client.execute("SELECT pg_terminate_backend($1, 10000)", &[&worker]).expect("a signal");
    assert_ne!(wait_for_folds(&mut client), worker);
    assert!(!cluster.log().contains("terminating any other active server processes"));
}

#[test]
fn a_fold_does_not_hold_up_a_fast_shutdown() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    wait_for_folds(&mut client);
    send_to_sleep(&mut client);
    let before = Instant::now();
    cluster.stop();
    assert!(before.elapsed() < PROMPTLY, "{:?}", before.elapsed());
    cluster.start();
    wait_for_folds(&mut cluster.connect("postgres"));
}

#[test]
fn each_database_has_its_own_worker_and_may_come_and_go() {
    let cluster = start(&[r#"llm_usage.databases = ' postgres , "The ""Other""", POSTGRES '"#]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    let worker = wait_for_folds(&mut client);
    for _ in 0..2 {
        run(&mut client, r#"CREATE DATABASE "The ""Other""" TEMPLATE template0"#);
        let mut other = cluster.connect(r#"The "Other""#);
        install(&mut other);
        assert_ne!(wait_for_folds(&mut other), worker);
        drop(other);
        // No FORCE: the worker goes by itself.
        run(&mut client, r#"DROP DATABASE "The ""Other""""#);
    }
    assert_eq!(wait_for_folds(&mut client), worker);
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'llm_usage worker'";
    assert_eq!(number(&mut client, workers), 1);
}

#[test]
fn it_waits_for_the_end_of_a_restore_and_of_read_only_times() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    wait_for_folds(&mut client);
    let mut restore = cluster.connect("postgres");
    run(&mut restore, "SET application_name = 'pg_restore'");
    wait_until("it rests", || rests(&mut client));
    drop(restore);
    wait_for_folds(&mut client);
    // Who could not restore does not stop the folds by its name.
    run(&mut client, "CREATE ROLE stranger LOGIN");
    let mut stranger = cluster.connect_as("stranger", "postgres").expect("a session");
    run(&mut stranger, "SET application_name = 'pg_restore'");
    wait_for_folds(&mut client);
    drop(stranger);
    alter_system(&mut client, "SET default_transaction_read_only = on");
    wait_until("it rests", || rests(&mut client));
    assert!(!cluster.log().contains("read-only transaction"));
    alter_system(&mut client, "RESET default_transaction_read_only");
    wait_for_folds(&mut client);
}

#[test]
fn a_ledger_in_use_does_not_hold_up_the_folds() {
    let cluster = start(&[]);
    let (mut client, mut reader) = (cluster.connect("postgres"), cluster.connect("postgres"));
    run(&mut client, "SET application_name = 'pg_restore'");
    install(&mut client);
    run(&mut reader, "BEGIN; LOCK TABLE llm_usage.usage_events IN ACCESS SHARE MODE");
    run(&mut client, "RESET application_name");
    let refused = "llm_usage.usage_events is in use: its partitions could not be made";
    wait_until("maintenance fails", || cluster.log().contains(refused));
    wait_for_folds(&mut client);
    assert_eq!(cluster.log().matches(refused).count(), 1, "not at once again");
}

#[test]
fn an_idle_fold_takes_no_transaction_id_and_calls_are_counted() {
    let cluster = start(&["track_functions = 'pl'"]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    wait_until("the months are made", || has_months(&mut client));
    run(&mut client, &format!("{IDLE_FOLD} AS 'BEGIN RETURN 0; END'"));
    let calls = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_user_functions WHERE funcname = 'fold'";
    let next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    let wait_for_calls = |client: &mut Client, count: i64| {
        let before = number(client, calls);
        wait_until("it calls", || number(client, calls) >= before + count);
    };
    // By then whoever was at the old function is through with it.
    wait_for_calls(&mut client, 2);
    let before = number(&mut client, next);
    wait_for_calls(&mut client, 20);
    // Autovacuum may have taken some.
    assert!(number(&mut client, next) < before + 10);
}

#[test]
fn it_starts_on_a_standby_when_that_is_promoted() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    install(&mut client);
    wait_for_folds(&mut client);
    cluster.stop();
    File::create(cluster.path("data/standby.signal")).expect("a file");
    cluster.start();
    let mut client = cluster.connect("postgres");
    assert!(rests(&mut client));
    assert_eq!(pid(&mut client), None);
    run(&mut client, "SELECT pg_promote()");
    wait_for_folds(&mut client);
    assert!(!cluster.log().contains("read-only transaction"));
}

#[test]
fn a_stranger_s_function_is_not_called() {
    let cluster = start(&[]);
    let mut client = cluster.connect("postgres");
    run(&mut client, &format!("CREATE SCHEMA llm_usage; {PROBE}"));
    // It looks every two seconds.
    assert!((0..6).all(|_| rests(&mut client)));
    assert_eq!(folds(&mut client), 0);
    run(&mut client, "DROP SCHEMA llm_usage CASCADE");
    install(&mut client);
    wait_for_folds(&mut client);
}

#[test]
fn no_list_of_names_and_an_empty_one_start_no_worker() {
    for (list, warnings) in [("a,,b", 1), ("", 0)] {
        let cluster = start(&[&format!("llm_usage.databases = '{list}'")]);
        let mut client = cluster.connect("postgres");
        install(&mut client);
        assert!(rests(&mut client));
        assert_eq!(folds(&mut client), 0);
        assert_eq!(
            cluster.log().matches("is no list of names, no worker is started: a,,b").count(),
            warnings
        );
    }
}

#[test]
fn without_preloading_there_is_no_worker() {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    assert_eq!(pid(&mut client), None);
    run(&mut client, "LOAD 'llm_usage'");
    let interval: String = client.query_one("SHOW llm_usage.fold_interval", &[]).expect("a setting").get(0);
    assert_eq!(interval, "1s");
}
