//! The file system is full in the middle of a fold, a rebuild, a batch and maintenance: an error, and then everything is exact.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use e2e::attempt::{Writer, check_attempts};
use e2e::cluster::{Cluster, wait_until};
use e2e::look::{look, verify};
use e2e::random::Random;
use postgres::Client;
use postgres::error::SqlState;

/// Events of as many rows in the rollups, in months that have a partition and in one that has none.
const WRITE: &str = "INSERT INTO llm_usage.usage_events (occurred_at, app_id, user_id, model, prompt_tokens)
    SELECT CASE n % 2 WHEN 0 THEN timestamptz '2001-02-01Z' ELSE now() - interval '20 days' END + make_interval(mins => n),
           n % 97, n % 13, 'm' || n % 101, 1 FROM generate_series(1, 3000) n";
const BATCH: &str = "SELECT llm_usage.record_usage_batch((
    SELECT jsonb_agg(jsonb_build_object('model', 'm', 'app_id', n, 'prompt_tokens', 5)) FROM generate_series(1, 3000) n))";

/// What takes up all the room there is, until it is dropped.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(path: PathBuf) -> Self {
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 20, 1 << 12] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("room");
    }
}

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).expect(statement);
}

fn check(client: &mut Client) {
    verify(client).expect("it verifies");
    assert!(look(client, &mut Random::new(1), 1, || ()).expect("a look") > 0);
}

fn begin() -> Cluster {
    // What is written ahead has its room from the start; the last test takes that away.
    let cluster = Cluster::new(&["min_wal_size = 160MB", "max_wal_size = 160MB", "wal_recycle = on"]);
    let mut client = cluster.connect("postgres");
    run(&mut client, "CREATE EXTENSION llm_usage; CREATE TABLE public.t AS SELECT 1");
    for _ in 0..8 {
        run(&mut client, "INSERT INTO public.t VALUES (1); SELECT pg_switch_wal()");
    }
    run(&mut client, "CHECKPOINT");
    cluster
}

#[test]
#[ignore = "needs a small file system as LLM_USAGE_WORK: pgrx-config/test disk"]
fn what_runs_out_of_room_has_done_nothing() {
    let cluster = begin();
    let mut client = cluster.connect("postgres");
    for statement in [
        "SELECT llm_usage.fold()",
        BATCH,
        "SELECT llm_usage.maintain(1)",
        "SELECT llm_usage.rebuild()",
        WRITE,
    ] {
        run(&mut client, WRITE);
        run(&mut client, "CHECKPOINT");
        let rows = "SELECT count(*) FROM llm_usage.usage_events";
        let before: i64 = client.query_one(rows, &[]).expect(rows).get(0);
        let ballast = Ballast::fill(cluster.path("ballast"));
        let error = client.batch_execute(statement).expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::DISK_FULL), "{statement}: {error:?}");
        drop(ballast);
        assert_eq!(client.query_one(rows, &[]).expect(rows).get::<_, i64>(0), before);
        verify(&mut client).expect("it verifies");
        run(&mut client, statement);
        verify(&mut client).expect("it verifies");
    }
    wait_until("all is folded", || {
        run(&mut client, "SELECT llm_usage.fold()");
        let tail = "SELECT FROM llm_usage.status() HAVING sum(tail_events) = 0";
        client.query_opt(tail, &[]).expect(tail).is_some()
    });
    check(&mut client);
    assert!(!cluster.log().contains("PANIC"));
}

#[test]
#[ignore = "needs a small file system as LLM_USAGE_WORK: pgrx-config/test disk"]
fn a_server_that_has_no_room_for_its_log_loses_nothing_that_was_acknowledged() {
    let cluster = begin();
    let mut writer = Writer::new(cluster.connect("postgres"), "one".to_owned(), 1, 2);
    let mut switcher = cluster.connect("postgres");
    let mut attempts = Vec::new();
    let ballast = Ballast::fill(cluster.path("ballast"));
    while attempts.iter().all(|attempt: &e2e::attempt::Attempt| attempt.error.is_none()) {
        attempts.push(writer.write());
        // Where the log is full the server ends.
        switcher.batch_execute("SELECT pg_switch_wal()").ok();
        writer.client.batch_execute("SELECT llm_usage.fold('0')").ok();
    }
    drop(ballast);
    assert!(cluster.log().contains("No space left on device"), "{}", cluster.log());
    cluster.crash();
    cluster.start();
    let mut client = cluster.connect("postgres");
    e2e::attempt::commit_prepared(&mut client);
    check_attempts(&mut client, &mut attempts);
    check(&mut client);
    run(&mut client, "SELECT llm_usage.fold(), llm_usage.maintain(1), llm_usage.rebuild()");
    check(&mut client);
}
