//! Writers, folds, maintenance, rebuilds and readers at once, on a server that is killed again and again: no answer ever
//! differs from a recount, and what was acknowledged is there, once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::attempt::{Attempt, Writer, check_attempts, commit_prepared};
use e2e::cluster::{Cluster, wait_until};
use e2e::look::{check_indexes, look, range, verify};
use e2e::random::Random;
use e2e::recount::recount;
use postgres::error::SqlState;
use postgres::{Client, Error};

const WRITERS: u64 = 8;
/// Besides the writers two fold by hand, two read, and one maintains.
const THREADS: u64 = WRITERS + 5;
/// A server is killed this often, then comes a new one: a recount of all there is takes longer and longer.
const KILLS: u64 = 4;
/// What each server has, so that a worker folds and maintains as well.
const SETTINGS: [&str; 3] =
    ["shared_preload_libraries = 'llm_usage'", "llm_usage.fold_interval = '100ms'", "fsync = on"];
/// How readers are planned, which no answer may depend on.
const PLANNED: [&str; 5] = [
    "RESET ALL",
    "SET plan_cache_mode = force_generic_plan; SET TimeZone = 'Asia/Kathmandu'",
    "SET plan_cache_mode = force_custom_plan; SET DateStyle = 'German'",
    "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
     SET min_parallel_index_scan_size = 0",
    "SET enable_indexscan = off; SET enable_hashjoin = off; SET enable_hashagg = off",
];
const REGISTER: &str = "
CREATE EXTENSION llm_usage;
INSERT INTO llm_usage.users (id, email) VALUES (1, 'dev@example.com');
INSERT INTO llm_usage.apps (id, name, owner_id) VALUES (1, 'Helpdesk', 1), (2, 'Näxt', NULL);
INSERT INTO llm_usage.llms (id, name) VALUES (1, 'Claude');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, currency, start_date)
  VALUES ('App', 1, 100.5, 'USD', NULL), ('App', 2, 0, 'EUR', '2024-01-31'), ('App', 9, 7, 'USD', '2024-01-15'),
         ('LLM', 1, 12.3456789, 'USD', '2025-03-20'), ('LLM', 2, 3, 'JPY', NULL);
";

/// What was done.
#[derive(Default)]
struct Counts {
    kills: AtomicU64,
    transactions: AtomicU64,
    folds: AtomicU64,
    partitions: AtomicU64,
    rebuilt: AtomicU64,
    looks: AtomicU64,
    comparisons: AtomicU64,
}

/// One server's life from start to kill, as its threads share it.
struct Round<'a> {
    cluster: &'a Cluster,
    counts: &'a Counts,
    number: u64,
    /// From here on, connections may break.
    is_killed: AtomicBool,
    is_over: AtomicBool,
}

/// Ends the round when a thread panics.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

impl Round<'_> {
    /// Whether to go on after this; panics if it failed, unless that is the kill's doing.
    fn goes_on<T>(&self, result: &Result<T, Error>) -> bool {
        if let Err(error) = result {
            let shut_down = error.code().is_none_or(|code| code.code().starts_with("57P0"));
            assert!(self.is_killed.load(Ordering::SeqCst) && shut_down, "{error:?}");
        }
        result.is_ok() && !self.is_over.load(Ordering::SeqCst)
    }

    fn client(&self) -> Option<Client> {
        let connected = self.cluster.try_connect("postgres");
        if self.goes_on(&connected) { connected.ok() } else { None }
    }

    fn random(&self, thread: u64) -> Random {
        Random::new(self.number * 1000 + thread)
    }

    fn write(&self, thread: u64) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        let Some(mut client) = self.client() else { return attempts };
        client.batch_execute("SET synchronous_commit = on").expect("a setting");
        let name = format!("{}-{thread}", self.number);
        let seed = self.number * 1000 + 500 + thread;
        let mut random = self.random(thread);
        let mut writer = Writer::new(client, name, seed, 1 + 2 * (self.number % KILLS));
        loop {
            let mut attempt = writer.write();
            let result = attempt.error.take().map_or(Ok(()), Err);
            let goes_on = self.goes_on(&result);
            attempt.error = result.err();
            attempts.push(attempt);
            if !goes_on {
                return attempts;
            }
            add(&self.counts.transactions, 1);
            thread::sleep(Duration::from_millis(random.below(80)));
        }
    }

    fn fold(&self, thread: u64) {
        let (Some(mut client), mut random) = (self.client(), self.random(thread)) else { return };
        loop {
            let folded = fold_once(&mut client, &mut random);
            if !self.goes_on(&folded) {
                return;
            }
            add(&self.counts.folds, u64::from(folded.is_ok_and(|rows| rows.is_some_and(|rows| rows > 0))));
            thread::sleep(Duration::from_millis(random.below(200)));
        }
    }

    fn maintain(&self, thread: u64) {
        let (Some(mut client), mut random) = (self.client(), self.random(thread)) else { return };
        loop {
            let kept = maintain_once(&mut client, &mut random, self.counts);
            if !self.goes_on(&kept) {
                return;
            }
            thread::sleep(Duration::from_millis(random.below(400)));
        }
    }

    fn read(&self, thread: u64) {
        let (Some(mut client), mut random) = (self.client(), self.random(thread)) else { return };
        loop {
            if !self.goes_on(&client.batch_execute(random.pick(&PLANNED))) {
                return;
            }
            let compared = if random.below(2) == 0 {
                recount(&mut client, &range(&mut random))
            } else {
                let pause = Duration::from_millis(random.below(600));
                let times = 1 + random.below(4);
                look(&mut client, &mut random, times, || thread::sleep(pause))
            };
            if !self.goes_on(&compared) {
                return;
            }
            add(&self.counts.looks, 1);
            add(&self.counts.comparisons, compared.unwrap_or_default());
        }
    }

    /// Lets everyone work for a while, then kills the server; returns what was tried.
    fn run(&self, duration: Duration) -> Vec<Attempt> {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    scope.spawn(move || {
                        let _finish = Finish(&self.is_over);
                        self.work(thread)
                    })
                })
                .collect();
            let start = Instant::now();
            while start.elapsed() < duration && !self.is_over.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            self.is_killed.store(true, Ordering::SeqCst);
            self.cluster.crash();
            threads.into_iter().flat_map(|thread| thread.join().expect("no difference, no failure")).collect()
        })
    }

    /// Returns what was written.
    fn work(&self, thread: u64) -> Vec<Attempt> {
        match thread {
            0..WRITERS => return self.write(thread),
            8..=9 => self.fold(thread),
            10..=11 => self.read(thread),
            _ => self.maintain(thread),
        }
        Vec::new()
    }
}

/// One fold by hand: impatient or not, of all or of a part, kept or not.
fn fold_once(client: &mut Client, random: &mut Random) -> Result<Option<i64>, Error> {
    let patience = random.pick(&[0.0, 0.01, 0.3]);
    let at_most = random.pick(&[None, None, Some(1_i64), Some(100)]);
    let is_kept = random.below(4) > 0;
    let mut transaction = client.transaction()?;
    let query = "SELECT llm_usage.fold(make_interval(secs => $1), $2)";
    let folded = transaction.query_one(query, &[&patience, &at_most])?.get(0);
    thread::sleep(Duration::from_millis(random.below(30)));
    if is_kept {
        transaction.commit()?;
        return Ok(folded);
    }
    transaction.rollback()?;
    Ok(None)
}

/// Maintenance, part of a rebuild, or a check.
fn maintain_once(client: &mut Client, random: &mut Random, counts: &Counts) -> Result<(), Error> {
    match random.below(4) {
        0 => match client.query_one("SELECT count(*) FROM llm_usage.maintain(1)", &[]) {
            Ok(row) => add(&counts.partitions, row.get::<_, i64>(0).unsigned_abs()),
            // As documented: when others hold it up, try again.
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {}
            Err(error) => return Err(error),
        },
        1 => {
            let months: i32 = random.pick(&[0, 1, 1, 2]);
            client.query_one("SELECT llm_usage.rebuild($1)", &[&months])?;
            add(&counts.rebuilt, months.unsigned_abs().into());
        }
        _ => verify(client)?,
    }
    Ok(())
}

/// One server from its beginning to its last kill.
fn torture(counts: &Counts, era: u64, round: Duration) {
    let cluster = Cluster::new(&SETTINGS);
    cluster.connect("postgres").batch_execute(REGISTER).expect("the extension");
    let mut attempts = Vec::new();
    for kill in 0..KILLS {
        let (is_killed, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let number = era * KILLS + kill;
        let round_of = Round { cluster: &cluster, counts, number, is_killed, is_over };
        attempts.extend(round_of.run(round));
        add(&counts.kills, 1);
        cluster.start();
        let mut client = cluster.connect("postgres");
        let mut random = Random::new(number);
        verify(&mut client).expect("it verifies");
        fold_once(&mut client, &mut random).expect("a fold beside what is prepared");
        commit_prepared(&mut client);
        verify(&mut client).expect("it verifies");
        check_attempts(&mut client, &mut attempts);
        add(&counts.comparisons, look(&mut client, &mut random, 1, || ()).expect("a look"));
    }
    let mut client = cluster.connect("postgres");
    wait_until("all is folded", || {
        client.execute("SELECT llm_usage.fold()", &[]).expect("a fold");
        let tail = "SELECT FROM llm_usage.status() HAVING sum(tail_events) = 0";
        client.query_opt(tail, &[]).expect(tail).is_some()
    });
    verify(&mut client).expect("it verifies");
    check_attempts(&mut client, &mut attempts);
    check_indexes(&mut client);
}

#[test]
fn no_answer_differs_whatever_happens() {
    let seconds =
        std::env::var("TORTURE_SECONDS").map_or(15, |text| text.parse().expect("a number of seconds"));
    let (start, duration) = (Instant::now(), Duration::from_secs(seconds));
    let counts = Counts::default();
    let round = (duration / u32::try_from(KILLS).expect("few")).min(Duration::from_secs(5));
    for era in 0.. {
        torture(&counts, era, round);
        println!("after {:?}: {counts}", start.elapsed());
        if start.elapsed() + round > duration {
            break;
        }
    }
    assert!(counts.comparisons.load(Ordering::Relaxed) > 0);
}

impl std::fmt::Display for Counts {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [kills, transactions, folds, partitions, rebuilt, looks, comparisons] = [
            &self.kills,
            &self.transactions,
            &self.folds,
            &self.partitions,
            &self.rebuilt,
            &self.looks,
            &self.comparisons,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        write!(
            to,
            "{kills} kills, {transactions} transactions acknowledged, {folds} folds by hand, {partitions} partitions made, \
             {rebuilt} months rebuilt, {looks} looks with {comparisons} comparisons"
        )
    }
}
