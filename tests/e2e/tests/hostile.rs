//! Everything public is called with arguments that nobody would send: nothing panics, nothing fails inside, the server goes on,
//! and no session grows.

use std::fs;

use e2e::attempt::Writer;
use e2e::cluster::Cluster;
use e2e::hostile::Caller;
use e2e::look::verify;
use postgres::Client;
use postgres::error::SqlState;

const USED: &str = "
INSERT INTO llm_usage.apps (id, slug, name) VALUES (1, 'helpdesk', 'Helpdesk');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 1, 100);
SELECT llm_usage.create_api_key('postgres');
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens) VALUES ('2001-02-03Z', 1, 'm', 5);
SELECT llm_usage.maintain(1), llm_usage.fold();
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens) VALUES ('1999-02-03Z', 1, 'm', 5)";

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A server of its own, whose log is of these calls alone, and a database that was used.
fn used() -> (Cluster, String) {
    let cluster = Cluster::new(&["fsync = off"]);
    let database = cluster.create_database();
    let mut writer = Writer::new(cluster.connect(&database), "one".to_owned(), 1, 3);
    for number in 0..30 {
        assert!(writer.write().error.is_none());
        if number == 20 {
            writer.client.batch_execute(USED).expect("it is used");
        }
    }
    (cluster, database)
}

/// Everything that the ledgers and tables hold.
fn contents(client: &mut Client) -> String {
    let query = "SELECT concat_ws(' ', (SELECT md5(string_agg(e::text, '|' ORDER BY e.id)) FROM llm_usage.usage_events e),
        (SELECT count(*) FROM llm_usage.sessions), (SELECT count(*) FROM llm_usage.model_prices),
        (SELECT count(*) FROM llm_usage.api_keys), (SELECT md5(string_agg(s::text, '|')) FROM llm_usage._fold_progress s),
        (SELECT count(*) FROM pg_class))";
    client.query_one(query, &[]).expect(query).get(0)
}

fn check(cluster: &Cluster, caller: &Caller, wrong: &[String]) {
    let some = wrong[..wrong.len().min(20)].join("\n");
    assert!(wrong.is_empty(), "{} calls ended as none may:\n{some}", wrong.len());
    let log = cluster.log();
    for word in ["PANIC", "panicked", "terminated by signal", "recovery"] {
        assert!(!log.contains(word), "{log}");
    }
    let mut in_vain = Vec::new();
    for (callable, ends) in caller.callables.iter().zip(&caller.ends) {
        assert!(ends.calls() > 0, "{} was not called", callable.name);
        // An object at random has seldom the keys of a function's arguments.
        let takes_an_object =
            callable.name.starts_with("llm_usage_http.") && callable.name.ends_with("(json)");
        if !takes_an_object && !ends.by_code.contains_key("00000") {
            in_vain.push((&callable.name, ends));
        }
    }
    // A document at random is seldom one that can be recorded.
    assert!(in_vain.len() <= 5, "never got anywhere: {in_vain:?}");
}

/// By how much a session that leaks nothing may seem to grow, in kB.
const MOST_GROWTH: u64 = 256;

/// What a session holds of its own, in kB.
fn resident(process: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its state");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn no_argument_breaks_anything_and_no_session_grows() {
    let (cluster, database) = used();
    let mut client = cluster.connect(&database);
    let used = contents(&mut client);
    for session in 0..number("HOSTILE_SESSIONS", 1) {
        let mut caller = Caller::new(cluster.connect(&database), session as u64 * 1_000_000_000);
        let (process, calls) = (caller.process(), number("HOSTILE_CALLS", 4_500));
        // Caches fill up first; what they hold by then is asked for again.
        let mut wrong = caller.call(calls / 3);
        wrong.extend(caller.repeat());
        let mut sizes = vec![resident(process)];
        // What leaks grows each time; what the allocator keeps grows a few times, by a megabyte or two, and then no more.
        let is_flat = |sizes: &[u64]| sizes.windows(2).any(|pair| pair[1] <= pair[0] + MOST_GROWTH);
        while !is_flat(&sizes) && sizes.len() < 12 {
            wrong.extend(caller.repeat());
            sizes.push(resident(process));
        }
        println!("{calls} calls and more in one session, kB before and after each third: {sizes:?}");
        check(&cluster, &caller, &wrong);
        assert!(is_flat(&sizes), "{sizes:?} kB");
        assert_eq!(contents(&mut client), used, "each was undone");
    }
    verify(&mut client).expect("it verifies");
}

#[test]
fn what_fails_inside_is_found() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let define = "CREATE FUNCTION llm_usage.fails_inside(at date) RETURNS int LANGUAGE plpgsql AS $$
        BEGIN IF at > '3000-01-01' THEN RAISE EXCEPTION 'defect' USING ERRCODE = 'XX000'; END IF; RETURN 1; END $$;
        CREATE FUNCTION llm_usage.answers_500(at date) RETURNS text LANGUAGE sql
        RETURN set_config('response.status', CASE WHEN at IS NULL THEN '500' ELSE '' END, true)";
    cluster.connect(&database).batch_execute(define).expect("functions");
    let mut caller = Caller::new(cluster.connect(&database), 2);
    let wrong = caller.call(3_000);
    for name in ["fails_inside", "answers_500"] {
        assert!(wrong.iter().any(|call| call.contains(name)), "{wrong:?}");
    }
}

#[test]
fn a_database_of_another_encoding_is_refused() {
    let cluster = Cluster::shared();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let create = format!(
            "CREATE DATABASE {encoding} TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'"
        );
        cluster.connect("postgres").batch_execute(&create).expect(&create);
        let mut client = cluster.connect(&encoding.to_lowercase());
        let error = client.batch_execute("CREATE EXTENSION llm_usage").expect_err("it is refused");
        assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{error:?}");
    }
}
