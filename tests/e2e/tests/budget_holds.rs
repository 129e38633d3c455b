//! Many sessions at one hard budget with room for exactly 1,000 calls: 1,000 go through, never 1,001, whatever happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::cluster::{Cluster, wait_until};
use e2e::look::check_indexes;
use e2e::random::Random;
use postgres::{Client, Error};

const SESSIONS: u64 = 64;
const CALLS: i64 = 1000;
const SETTINGS: &str = "max_connections = 100";

/// What is settled and what is held, seen at one moment; what was recorded before the calls began is left out.
const TAKEN: &str =
    "SELECT (SELECT count(*) FROM llm_usage.usage_events WHERE app_id = 1 AND model <> 'before')
    + (SELECT count(*) FROM llm_usage._held WHERE budget_id = 1 AND expires_at > clock_timestamp())";
const SETTLED: &str = "SELECT count(*) FROM llm_usage.usage_events WHERE app_id = 1 AND model <> 'before'";

fn count(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

/// A budget in requests, of which all but 1,000 are used up, and others that are never short.
fn prepare(client: &mut Client, amount: i64) {
    client
        .batch_execute(&format!(
            "INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount, unit) VALUES
               (1, 'App', 1, {amount}, 'requests'), (2, 'LLM', 2, 1000000, 'requests');
             INSERT INTO llm_usage.budgets (id, entity_type, amount, is_hard) VALUES (3, 'All', 1, false);
             INSERT INTO llm_usage.usage_events (model, app_id, cost)
             SELECT 'before', 1, 0 FROM generate_series(1, {amount} - {CALLS});
             SELECT llm_usage.fold()"
        ))
        .expect("budgets");
}

/// A hold for a call, if it may go ahead.
fn reserve(client: &mut Client, hold_for: &str) -> Result<Option<i64>, Error> {
    let query = format!(
        "SELECT hold_id FROM llm_usage.reserve_budget(1, 'm', llm_id => 2, cost => 0.1, hold_for => '{hold_for}')"
    );
    Ok(client.query_one(&query, &[])?.get(0))
}

fn settle(client: &mut Client, hold: i64) -> Result<(), Error> {
    let settle = "SELECT status FROM llm_usage.settle_budget($1, '{\"cost\": 0.05, \"prompt_tokens\": 3}')";
    client.query_one(settle, &[&hold]).map(|_| ())
}

/// Looks again and again until it is over; panics if more is taken than there is room for.
fn watch(mut client: Client, is_over: &AtomicBool) {
    let mut looks = 0;
    while !is_over.load(Ordering::Relaxed) {
        let taken = count(&mut client, TAKEN);
        assert!(taken <= CALLS, "{taken} calls are settled or held");
        looks += 1;
    }
    assert!(looks > 0);
}

fn is_used_up(client: &mut Client) {
    assert_eq!((count(client, TAKEN), count(client, SETTLED)), (CALLS, CALLS));
    assert_eq!(reserve(client, "1 minute").expect("an answer"), None);
    let differences = "SELECT count(*) FROM llm_usage.verify()";
    client.batch_execute("SELECT llm_usage.fold()").expect("a fold");
    assert_eq!(count(client, differences), 0);
    let standing = "SELECT (spent - budget)::bigint FROM llm_usage.budget_status WHERE budget_id = 1";
    assert_eq!(count(client, standing), 0);
}

/// Sessions that reserve and settle until they are refused; one in four lets its hold go now and then.
fn run_sessions(amount: i64) {
    let cluster = Cluster::new(&[SETTINGS, "fsync = off"]);
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    prepare(&mut client, amount);
    let (is_over, through) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let watcher = cluster.connect(&database);
        scope.spawn(|| watch(watcher, &is_over));
        let mut folder = cluster.connect(&database);
        let is_over = &is_over;
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                folder.batch_execute("SELECT llm_usage.fold()").expect("a fold");
                thread::sleep(Duration::from_millis(20));
            }
        });
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|session| {
                let (mut client, through) = (cluster.connect(&database), &through);
                scope.spawn(move || {
                    let mut random = Random::new(session);
                    while let Some(hold) = reserve(&mut client, "1 minute").expect("an answer") {
                        if session.is_multiple_of(4) && random.below(4) == 0 {
                            let release = "SELECT llm_usage.release_budget($1)";
                            client.execute(release, &[&hold]).expect("it is released");
                            continue;
                        }
                        settle(&mut client, hold).expect("it is settled");
                        through.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for session in sessions {
            session.join().expect("a session");
        }
        // Holds were let go after others had been refused for them.
        while let Some(hold) = reserve(&mut client, "1 minute").expect("an answer") {
            settle(&mut client, hold).expect("it is settled");
            through.fetch_add(1, Ordering::Relaxed);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(through.into_inner(), usize::try_from(CALLS).expect("a count"));
    is_used_up(&mut client);
}

#[test]
fn one_thousand_go_through_where_everyone_waits_for_his_turn() {
    run_sessions(CALLS);
}

/// Far from its limit a budget is shared: 128 transactions of 1 are less than a tenth of it.
#[test]
fn one_thousand_go_through_of_a_budget_that_is_shared_at_first() {
    run_sessions(CALLS * 2);
}

#[test]
fn expired_holds_make_room_and_no_more() {
    let cluster = Cluster::new(&[SETTINGS, "fsync = off"]);
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    prepare(&mut client, CALLS);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = cluster.connect(&database);
        scope.spawn(|| watch(watcher, &is_over));
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|session| {
                let mut client = cluster.connect(&database);
                scope.spawn(move || {
                    let mut random = Random::new(session);
                    let start = Instant::now();
                    while count(&mut client, SETTLED) < CALLS {
                        assert!(start.elapsed() < Duration::from_secs(120), "there is room");
                        // Half of them are forgotten by their callers.
                        let is_forgotten = random.below(2) == 0;
                        let hold_for = if is_forgotten { "30 milliseconds" } else { "1 minute" };
                        match reserve(&mut client, hold_for).expect("an answer") {
                            Some(hold) if !is_forgotten => settle(&mut client, hold).expect("it is settled"),
                            Some(_) => {}
                            None => thread::sleep(Duration::from_millis(10)),
                        }
                    }
                })
            })
            .collect();
        for session in sessions {
            session.join().expect("a session");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    wait_until("the last forgotten holds have expired", || count(&mut client, TAKEN) == CALLS);
    is_used_up(&mut client);
}

#[test]
fn one_thousand_go_through_although_the_server_is_killed() {
    let cluster = Cluster::new(&[SETTINGS]);
    let database = cluster.create_database();
    prepare(&mut cluster.connect(&database), CALLS);
    let acknowledged = AtomicUsize::new(0);
    for round in 0..4_u64 {
        let is_last = round == 3;
        thread::scope(|scope| {
            let (database, acknowledged, cluster) = (&database, &acknowledged, &cluster);
            let before = acknowledged.load(Ordering::Relaxed);
            for _ in 0..SESSIONS {
                let mut client = cluster.connect(database);
                scope.spawn(move || {
                    // A part of them, so that each round has its own.
                    while is_last || acknowledged.load(Ordering::Relaxed) < before + 250 {
                        // What the crash leaves held is free again after a while.
                        match reserve(&mut client, "5 seconds") {
                            Ok(Some(hold)) if settle(&mut client, hold).is_ok() => {
                                acknowledged.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(None) if !is_last || count(&mut client, SETTLED) == CALLS => return,
                            Ok(None) => thread::sleep(Duration::from_millis(20)),
                            _ => return,
                        }
                    }
                });
            }
            if !is_last {
                wait_until("enough is settled", || acknowledged.load(Ordering::Relaxed) >= before + 100);
                cluster.crash();
            }
        });
        if !is_last {
            cluster.start();
        }
        let mut client = cluster.connect(database.as_str());
        let settled = usize::try_from(count(&mut client, SETTLED)).expect("a count");
        // What was acknowledged is there; a session may have been killed before it heard so.
        let heard = acknowledged.load(Ordering::Relaxed);
        let unheard = usize::try_from(SESSIONS * (round + 1)).expect("a count");
        assert!(settled >= heard && settled <= heard + unheard, "{settled}, {heard}");
        assert!(count(&mut client, TAKEN) <= CALLS);
        check_indexes(&mut client);
    }
    is_used_up(&mut cluster.connect(&database));
}

#[test]
fn a_hold_outlives_a_restart_and_is_settled_once() {
    let cluster = Cluster::new(&[]);
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    prepare(&mut client, CALLS);
    let hold = reserve(&mut client, "1 minute").expect("an answer").expect("room");
    let expired = reserve(&mut client, "1 microsecond").expect("an answer").expect("room");
    cluster.stop();
    cluster.start();
    let mut client = cluster.connect(&database);
    assert_eq!(count(&mut client, TAKEN), 1);
    settle(&mut client, hold).expect("it is settled");
    // The call was made, and is recorded, if late.
    settle(&mut client, expired).expect("it is settled");
    assert_eq!((count(&mut client, TAKEN), count(&mut client, SETTLED)), (2, 2));
    for hold in [hold, expired, 4711] {
        let error = settle(&mut client, hold).expect_err("it is gone");
        assert_eq!(error.code().map(|code| code.code()), Some("22023"));
    }
    // Two sessions settle one hold: one records it.
    let hold = reserve(&mut client, "1 minute").expect("an answer").expect("room");
    let settled: usize = thread::scope(|scope| {
        let sessions: Vec<_> = (0..8)
            .map(|_| {
                let mut client = cluster.connect(&database);
                scope.spawn(move || usize::from(settle(&mut client, hold).is_ok()))
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("a session")).sum()
    });
    assert_eq!((settled, count(&mut client, SETTLED)), (1, 3));
}

#[test]
fn a_transaction_that_reserves_again_waits_for_nobody_unseen() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let (mut one, mut other) = (cluster.connect(&database), cluster.connect(&database));
    prepare(&mut one, CALLS * 2);
    other.batch_execute("SET lock_timeout = '100ms'").expect("a setting");
    let mut transaction = one.transaction().expect("a transaction");
    let query = "SELECT hold_id IS NOT NULL FROM llm_usage.reserve_budget(1, 'm', cost => 0)";
    assert!(transaction.query_one(query, &[]).expect(query).get::<_, bool>(0));
    // One unseen hold is allowed for, and others go on beside it; a second one is not.
    assert!(reserve(&mut other, "1 minute").expect("an answer").is_some());
    assert!(transaction.query_one(query, &[]).expect(query).get::<_, bool>(0));
    let error = reserve(&mut other, "1 minute").expect_err("it waits");
    assert_eq!(error.code().map(|code| code.code()), Some("55P03"));
    transaction.commit().expect("it commits");
    assert!(reserve(&mut other, "1 minute").expect("an answer").is_some());
    let mut serializable = one.build_transaction();
    serializable = serializable.isolation_level(postgres::IsolationLevel::RepeatableRead);
    let mut transaction = serializable.start().expect("a transaction");
    let error = transaction.query_one(query, &[]).expect_err("it is refused");
    assert_eq!(error.code().map(|code| code.code()), Some("25001"));
}
