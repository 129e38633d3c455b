//! A database in use goes to another major version of the server by pg_upgrade: it answers the same and goes on, folded by its worker.

use std::path::PathBuf;

use e2e::cluster::{Cluster, wait_until};
use e2e::look::verify;
use e2e::used::{check_copy, text, used_database};

#[test]
#[ignore = "needs LLM_USAGE_NEW_PG_BIN, a server of a later version: pgrx-config/upgrade"]
fn an_upgraded_server_answers_the_same() {
    let bin = PathBuf::from(std::env::var_os("LLM_USAGE_NEW_PG_BIN").expect("LLM_USAGE_NEW_PG_BIN"));
    let old = Cluster::new(&[]);
    let database = used_database(&old);
    old.stop();
    let new = Cluster::upgraded_from(&old, bin, &[]);
    old.start();
    let (mut original, mut copy) = (old.connect(&database), new.connect(&database));
    let version = "SELECT current_setting('server_version_num')";
    assert!(text(&mut copy, version) > text(&mut original, version));
    verify(&mut copy).expect("it verifies");
    check_copy(&mut original, &mut copy);
    drop(copy);
    new.stop();
    let databases = format!("llm_usage.databases = '{database}'");
    new.configure(&["shared_preload_libraries = 'llm_usage'", &databases]);
    new.start();
    let mut copy = new.connect(&database);
    copy.batch_execute("SELECT llm_usage.record_usage('late', app_id => 7)").expect("it is recorded");
    let tail = "SELECT sum(tail_events)::text FROM llm_usage.status()";
    wait_until("the worker has folded it", || text(&mut copy, tail) == "0");
    verify(&mut copy).expect("it verifies");
}
