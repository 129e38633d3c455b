//! A rollup that was tampered with is noticed and put right, month by month, by hand or by the worker.

use std::thread;
use std::time::Duration;

use e2e::attempt::Writer;
use e2e::cluster::{Cluster, wait_until};
use e2e::look::{differences, look, verify};
use e2e::random::Random;
use postgres::Client;
use postgres::error::SqlState;

/// One statement for each table of the rollups, in turn a changed, a missing, and a superfluous row or all of them.
const TAMPER: &str = r#"DO $$
DECLARE rollup text; ordinal bigint; columns text; sum text; BEGIN
  FOR rollup, ordinal IN SELECT name, row_number() OVER (ORDER BY name) FROM llm_usage._rollup_tables LOOP
    SELECT string_agg(quote_ident(attname), ', '),
           coalesce(min(attname) FILTER (WHERE attname IN ('requests', 'inference_tokens', 'sessions', 'users')), 'points')
      INTO columns, sum
      FROM pg_attribute WHERE attrelid = ('llm_usage.' || rollup)::regclass AND attnum > 0;
    EXECUTE CASE ordinal % 3
      WHEN 0 THEN format('DELETE FROM llm_usage.%I WHERE ctid = (SELECT min(ctid) FROM llm_usage.%1$I)', rollup)
      WHEN 1 THEN format('DELETE FROM llm_usage.%I', rollup)
      ELSE format('UPDATE llm_usage.%I SET %I = %s', rollup, sum,
                  CASE sum WHEN 'users' THEN '(SELECT llm_usage._bitmap_agg(42))' WHEN 'points' THEN 'points || points' ELSE sum || ' + 1' END)
    END;
    INSERT INTO public.tampered VALUES (rollup);
  END LOOP;
END $$"#;

fn run(client: &mut Client, statement: &str) {
    client.batch_execute(statement).expect(statement);
}

fn number(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).expect(query).get(0)
}

fn months_left(client: &mut Client) -> i64 {
    number(client, "SELECT min(months_to_rebuild) FROM llm_usage.status()")
}

/// Events, sessions and messages of some months, some of them not folded, and one app's hour with more than its row has room for, also
/// where a fold finds a part of it.
fn fill(client: &mut Client, writer: Client) {
    run(
        client,
        r#"INSERT INTO llm_usage.reported_attrs VALUES ('team');
           INSERT INTO llm_usage.usage_events (model, attrs, occurred_at)
           SELECT 'm', jsonb_build_object('team', n % 3), now() - n * interval '9 days' FROM generate_series(1, 12) n;
           INSERT INTO llm_usage.usage_events (model, occurred_at) SELECT 'm', '2025-03-05 10:00Z' FROM generate_series(1, 700)"#,
    );
    let mut writer = Writer::new(writer, "filler".to_owned(), 1, 6);
    for transaction in 0..60 {
        let attempt = writer.write();
        assert!(attempt.error.is_none(), "{:?}", attempt.error);
        if transaction % 20 == 10 {
            run(client, "SELECT llm_usage.fold(); SELECT llm_usage.maintain(1)");
        }
    }
}

/// Tampers with every table of the rollups, and sees that each is reported.
fn tamper(client: &mut Client) {
    run(client, "CREATE TABLE IF NOT EXISTS public.tampered (rollup text)");
    run(client, TAMPER);
    let missed = "SELECT coalesce(string_agg(t.rollup, ' '), '') FROM public.tampered t
        WHERE t.rollup NOT IN (SELECT v.rollup FROM llm_usage.verify() v)";
    assert_eq!(client.query_one(missed, &[]).expect(missed).get::<_, String>(0), "");
    assert!(number(client, "SELECT count(*) FROM public.tampered") > 10);
}

/// Compares everything with everything.
fn check(client: &mut Client) {
    verify(client).expect("it verifies");
    assert!(look(client, &mut Random::new(1), 3, || ()).expect("a look") > 0);
}

/// A rebuild of everything that is cancelled where it waits for the lock of a reader of one rollup.
fn cancel_rebuild(database: &str, call: &'static str) {
    let connect = || Cluster::shared().connect(database);
    let (mut victim, mut holder, mut observer) = (connect(), connect(), connect());
    let pid: i32 = victim.query_one("SELECT pg_backend_pid()", &[]).expect("a process id").get(0);
    run(&mut holder, "BEGIN; LOCK TABLE llm_usage._by_user_day IN SHARE MODE");
    let waiting = thread::spawn(move || victim.execute(call, &[]).expect_err("it is cancelled"));
    let query = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
    wait_until("it waits in the middle", || observer.query_opt(query, &[&pid]).expect(query).is_some());
    run(&mut observer, &format!("SELECT pg_cancel_backend({pid})"));
    assert_eq!(waiting.join().expect("the thread").code(), Some(&SqlState::QUERY_CANCELED));
}

#[test]
fn what_was_tampered_with_is_put_right_step_by_step() {
    let database = Cluster::shared().create_database();
    let connect = || Cluster::shared().connect(&database);
    let (mut client, mut other) = (connect(), connect());
    fill(&mut client, connect());
    check(&mut client);
    tamper(&mut client);
    let before = differences(&mut client).expect("verify").len();
    run(&mut client, "SELECT llm_usage.rebuild(0)");
    let months = months_left(&mut client);
    assert!(months > 4, "{months} months");
    for left in (0..months).rev() {
        cancel_rebuild(
            &database,
            if left % 2 == 0 { "SELECT llm_usage.rebuild(1)" } else { "SELECT llm_usage.rebuild()" },
        );
        assert_eq!(months_left(&mut client), left + 1);
        // What comes meanwhile goes into months that were rebuilt, and into others.
        run(&mut other, "INSERT INTO llm_usage.usage_events (model, prompt_tokens, occurred_at)
            SELECT 'm', 1, now() - n * interval '20 days' FROM generate_series(0, 9) n; SELECT llm_usage.fold()");
        assert_eq!(number(&mut client, "SELECT llm_usage.rebuild(1)::bigint"), left);
        assert_eq!(months_left(&mut client), left);
        check_rebuilt(&mut client);
    }
    assert!(before > 0);
    check(&mut client);
    assert_eq!(number(&mut client, "SELECT llm_usage.rebuild()::bigint"), 0);
    check(&mut client);
}

/// No day of a month that was rebuilt differs, in any rollup.
fn check_rebuilt(client: &mut Client) {
    let query = "SELECT count(*) FROM llm_usage.verify() v
        WHERE v.rollup LIKE '%\\_hour' AND (date_trunc('month', (coalesce(v.found, v.expected) ->> 'bucket')::timestamptz, 'UTC')
              AT TIME ZONE 'UTC')::date IN (SELECT r.month FROM llm_usage._rebuild r WHERE r.rebuilt)";
    assert_eq!(number(client, query), 0);
    let rebuilt = "SELECT count(*) FROM (
        SELECT day, requests, total_tokens FROM llm_usage.usage_by_day EXCEPT ALL
        SELECT (occurred_at AT TIME ZONE 'UTC')::date, sum(CASE WHEN corrects IS NULL THEN 1 ELSE coalesce(requests, 0) END),
               sum(prompt_tokens::numeric + cache_read_tokens + cache_write_tokens + completion_tokens)
          FROM llm_usage.usage_events GROUP BY 1, currency) d
       WHERE date_trunc('month', d.day)::date IN (SELECT r.month FROM llm_usage._rebuild r WHERE r.rebuilt)";
    assert_eq!(number(client, rebuilt), 0);
}

#[test]
fn the_worker_finishes_a_rebuild_that_was_only_begun() {
    let cluster =
        Cluster::new(&["shared_preload_libraries = 'llm_usage'", "llm_usage.fold_interval = '50ms'"]);
    let mut client = cluster.connect("postgres");
    run(&mut client, "CREATE EXTENSION llm_usage");
    fill(&mut client, cluster.connect("postgres"));
    let is_folded = "SELECT count(*) FROM llm_usage.status() WHERE tail_events > 0";
    wait_until("all is folded", || number(&mut client, is_folded) == 0);
    tamper(&mut client);
    run(&mut client, "SELECT llm_usage.rebuild(0)");
    let mut seen = vec![months_left(&mut client)];
    wait_until("the worker has rebuilt all", || {
        thread::sleep(Duration::from_millis(5));
        seen.push(months_left(&mut client));
        seen.last() == Some(&0)
    });
    assert!(seen.windows(2).all(|pair| pair[0] >= pair[1]) && seen[0] > 0, "{seen:?}");
    check(&mut client);
}

#[test]
fn a_rebuild_beside_readers_changes_no_answer() {
    let database = Cluster::shared().create_database();
    let connect = || Cluster::shared().connect(&database);
    let mut client = connect();
    fill(&mut client, connect());
    let mut readers = [connect(), connect()];
    thread::scope(|scope| {
        let threads: Vec<_> = readers
            .iter_mut()
            .map(|reader| {
                scope.spawn(move || {
                    (0..6)
                        .map(|seed| look(reader, &mut Random::new(seed), 2, || ()).expect("a look"))
                        .sum::<u64>()
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            run(&mut client, "SELECT llm_usage.rebuild(1); SELECT llm_usage.fold()");
        }
        assert!(threads.into_iter().all(|thread| thread.join().expect("no difference") > 0));
    });
    check(&mut client);
}

#[test]
fn a_month_that_is_dropped_while_a_rebuild_is_under_way_stays_as_it_was() {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    run(
        &mut client,
        "INSERT INTO llm_usage.usage_events (occurred_at, model, prompt_tokens)
           VALUES ('2001-02-03Z', 'm', 5), ('2001-03-03Z', 'm', 7);
         SELECT llm_usage.maintain(0); SELECT llm_usage.fold(); SELECT llm_usage.rebuild(0)",
    );
    let tokens = "SELECT sum(total_tokens)::bigint FROM llm_usage.usage_by_day";
    run(&mut client, "SELECT llm_usage.drop_month('2001-02-03'); SELECT llm_usage.rebuild(1)");
    assert_eq!((number(&mut client, tokens), months_left(&mut client)), (12, 0));
    // The last month that it has left may be dropped, too; the next rebuild is one of what there is by then.
    run(&mut client, "SELECT llm_usage.rebuild(0); SELECT llm_usage.drop_month('2001-03-03')");
    assert_eq!((number(&mut client, tokens), months_left(&mut client)), (12, 0));
    run(
        &mut client,
        "INSERT INTO llm_usage.usage_events (occurred_at, model, prompt_tokens) VALUES ('2001-04-03Z', 'm', 1);
         SELECT llm_usage.fold(); UPDATE llm_usage._by_model_day SET requests = 2 WHERE bucket > '2001-04-01Z'",
    );
    assert_eq!(differences(&mut client).expect("it verifies").len(), 2);
    run(&mut client, "SELECT llm_usage.rebuild()");
    verify(&mut client).expect("it verifies");
    assert_eq!(number(&mut client, tokens), 13);
}
