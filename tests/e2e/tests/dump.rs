//! A database in use is dumped and restored: the copy answers the same, letter by letter, and goes on where the other is.

use std::fs;

use e2e::cluster::{Cluster, wait_until};
use e2e::used::{FIRST, PUBLIC, assert_same, check_copy, text, used_database};
use postgres::Client;

fn dump_and_restore(name: &str, dump: &[&str], restore: &[&str]) {
    let cluster = Cluster::shared();
    let database = used_database(cluster);
    let copy = cluster.create_empty_database();
    let path = cluster.path(name);
    let path = path.to_str().expect("a UTF-8 path");
    cluster.run("pg_dump", &[dump, &["-f", path, "-d", &database]].concat());
    cluster.run("pg_restore", &[restore, &["--exit-on-error", "-d", &copy, path]].concat());
    check_copy(&mut cluster.connect(&database), &mut cluster.connect(&copy));
}

#[test]
fn a_restored_file_answers_the_same() {
    dump_and_restore("file.dump", &["-Fc"], &["--single-transaction"]);
}

#[test]
fn a_directory_restored_in_parallel_answers_the_same() {
    dump_and_restore("directory.dump", &["-Fd", "-j2"], &["-j2"]);
}

#[test]
fn a_fold_at_any_moment_of_a_restore_changes_nothing() {
    let cluster = Cluster::shared();
    let (database, copy) = (used_database(cluster), cluster.create_empty_database());
    let path = cluster.path("plain.sql");
    let script = cluster.run("pg_dump", &["-d", &database]);
    // As a worker may, which cannot know what psql is at.
    let script = script.replace("\n\\.\n", "\n\\.\nSELECT llm_usage.fold();\n");
    assert!(script.matches("llm_usage.fold()").count() > 20);
    fs::write(&path, script).expect("a file");
    let path = path.to_str().expect("a UTF-8 path");
    cluster.run("psql", &["-qX", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-d", &copy, "-f", path]);
    check_copy(&mut cluster.connect(&database), &mut cluster.connect(&copy));
}

/// A server with a worker that folds its one database all the time.
fn with_worker() -> (Cluster, Client) {
    let settings = [
        "shared_preload_libraries = 'llm_usage'",
        "llm_usage.databases = 'used'",
        "llm_usage.fold_interval = '1ms'",
    ];
    let cluster = Cluster::new(&settings);
    cluster.connect("postgres").batch_execute("CREATE DATABASE used TEMPLATE template0").expect("a database");
    let client = cluster.connect("used");
    (cluster, client)
}

fn wait_until_folded(client: &mut Client) {
    let tail = "SELECT sum(tail_events)::text FROM llm_usage.status()";
    wait_until("the worker has folded all", || text(client, tail) == "0");
    assert_eq!(text(client, "SELECT string_agg(v::text, ' ') FROM llm_usage.verify() v"), "");
}

#[test]
fn workers_on_both_sides_change_no_answer() {
    let (source, mut original) = with_worker();
    let once = format!("CREATE EXTENSION llm_usage; {FIRST}");
    original.batch_execute(&once).expect("it is used");
    for (name, format) in [("custom.dump", &["-Fc"][..]), ("directory.dump", &["-Fd", "-j2"])] {
        let path = source.path(name);
        let path = path.to_str().expect("a UTF-8 path");
        // What is not folded yet when the dump begins may be when it ends.
        original.batch_execute("SELECT llm_usage.record_usage('late', app_id => 7, prompt_tokens => 1) FROM generate_series(1, 500)").expect("a tail");
        source.run("pg_dump", &[format, &["-f", path, "-d", "used"]].concat());
        let (target, mut copy) = with_worker();
        let restore = ["-j2", "--exit-on-error", "-d", "used", path];
        // Both run as the same user.
        target.run("pg_restore", &restore);
        assert_same(&mut original, &mut copy, PUBLIC);
        assert_eq!(text(&mut copy, "SELECT string_agg(v::text, ' ') FROM llm_usage.verify() v"), "");
        let more = "INSERT INTO llm_usage.usage_events (occurred_at, model, app_id) VALUES ('2001-02-03Z', 'more', 12);
            SELECT llm_usage.record_session(7, 'new', '2001-02-03Z'), llm_usage.record_message(7, 1, '2001-02-03Z')";
        for client in [&mut original, &mut copy] {
            client.batch_execute(more).expect("it goes on");
            wait_until_folded(client);
        }
        assert_same(&mut original, &mut copy, PUBLIC);
    }
}
