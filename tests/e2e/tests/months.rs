//! Years in minutes: months come and go, with late events, new prices, new partitions and retention, and at the end of each
//! every report is what a recount of all that was ever recorded says.

use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};
use e2e::cluster::Cluster;
use e2e::ledger::{Edge, Event, Message, Session, Way};
use e2e::look::{CHUNKS, compare, verify};
use e2e::random::Random;
use e2e::recount::Range;
use e2e::writer::{write_chats, write_events};
use postgres::Client;

/// What was dropped is kept here, and with what is still there it is all that was ever recorded.
const KEPT: &str = "
CREATE EXTENSION llm_usage;
CREATE SCHEMA kept;
CREATE TABLE kept.old_usage_events AS TABLE llm_usage.usage_events;
CREATE TABLE kept.old_sessions AS TABLE llm_usage.sessions;
CREATE TABLE kept.old_messages AS TABLE llm_usage.messages;
CREATE VIEW kept.usage_events AS TABLE llm_usage.usage_events UNION ALL TABLE kept.old_usage_events;
CREATE VIEW kept.sessions AS TABLE llm_usage.sessions UNION ALL TABLE kept.old_sessions;
CREATE VIEW kept.messages AS TABLE llm_usage.messages UNION ALL TABLE kept.old_messages;
INSERT INTO llm_usage.users (id, email) VALUES (1, 'dev@example.com');
INSERT INTO llm_usage.apps (id, name, owner_id) VALUES (1, 'Helpdesk', 1);
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, start_date)
  VALUES ('App', 1, 100, NULL), ('App', 2, 7, '2024-01-31'), ('LLM', 1, 3, '2024-01-15');";
const PRICE: &str =
    "INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token, output_per_token)
    VALUES ('acme', 'house', $1, $2::bigint / 1000000.0, 0.00001) ON CONFLICT DO NOTHING";
const CORRECT: &str = "INSERT INTO llm_usage.usage_events (occurred_at, app_id, llm_id, model, prompt_tokens, cost, currency, corrects)
    SELECT occurred_at, app_id, llm_id, model, -prompt_tokens, -cost, currency, id FROM llm_usage.usage_events
     WHERE corrects IS NULL ORDER BY id DESC OFFSET $1 LIMIT 1";
/// Months that are not dropped yet.
const RETENTION: u32 = 4;

struct Simulation {
    client: Client,
    random: Random,
    made: u64,
    dropped: u64,
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(Default::default()).and_utc()
}

fn months_before(month: NaiveDate, count: u64) -> NaiveDate {
    month - Months::new(u32::try_from(count).expect("few"))
}

impl Simulation {
    fn new(cluster: &Cluster, seed: u64) -> Self {
        let mut client = cluster.connect(&cluster.create_empty_database());
        client.batch_execute(KEPT).expect("the extension");
        Self { client, random: Random::new(seed), made: 0, dropped: 0 }
    }

    fn run(&mut self, statement: &str) {
        self.client.batch_execute(statement).expect(statement);
    }

    /// Any instant from one month to before another, on an edge now and then.
    fn instant(&mut self, from: NaiveDate, to: NaiveDate) -> DateTime<Utc> {
        let micros = (midnight(to) - midnight(from)).num_microseconds().expect("some months").unsigned_abs();
        let at = midnight(from) + TimeDelta::microseconds(self.random.below(micros).cast_signed());
        if self.random.below(8) == 0 { midnight(at.date_naive()) } else { at }
    }

    /// In this month mostly; late by months, those that were dropped included, or early.
    fn occurred_at(&mut self, month: NaiveDate) -> DateTime<Utc> {
        let back = match self.random.below(12) {
            0 => 1,
            1 => 1 + self.random.below(8),
            _ => 0,
        };
        let of = months_before(month, back);
        let of = if self.random.below(20) == 0 { month + Months::new(1) } else { of };
        self.instant(of, of + Months::new(1))
    }

    fn event(&mut self, month: NaiveDate, way: Way) -> Event {
        self.made += 1;
        let occurred_at = self.occurred_at(month);
        let mut count = |bound: u64| self.random.below(bound).cast_signed();
        Event {
            way,
            occurred_at,
            app_id: count(4),
            llm_id: count(3),
            user_id: Some(count(9)).filter(|user| *user > 0),
            prompt: count(2000),
            cache_read: count(50),
            completion: count(500),
            inference: count(20),
            model: ["gpt-4.1", "house", "House", "never-priced"][count(4).unsigned_abs() as usize].to_owned(),
            rule_type: (count(4) == 0).then(|| "PII".to_owned()),
            request_id: self.made.to_string(),
            ..Event::default()
        }
    }

    fn write(&mut self, month: NaiveDate) {
        let way = self.random.pick(&[Way::Insert, Way::Copy, Way::Record, Way::Batch]);
        let events: Vec<Event> = (0..self.random.below(40)).map(|_| self.event(month, way)).collect();
        let chats: Vec<DateTime<Utc>> = (0..self.random.below(4)).map(|_| self.occurred_at(month)).collect();
        let app_id = self.random.below(3).cast_signed();
        let consumer = self.random.below(9).to_string();
        let sessions: Vec<Session> = chats
            .iter()
            .map(|at| Session { way, started_at: *at, app_id, consumer_id: Some(consumer.clone()) })
            .collect();
        let messages: Vec<Message> =
            chats.iter().map(|at| Message { way, sent_at: *at, app_id, session_id: Some(1) }).collect();
        let mut transaction = self.client.transaction().expect("a transaction");
        write_events(&mut transaction, &events, "USD").expect("the events");
        write_chats(&mut transaction, &sessions, &messages).expect("the chats");
        transaction.commit().expect("it commits");
    }

    /// What happens in a month, in any order.
    fn live(&mut self, month: NaiveDate) {
        for _ in 0..12 {
            self.write(month);
            match self.random.below(8) {
                0 => {
                    let (at, price) =
                        (self.instant(month, month + Months::new(1)), self.random.below(90).cast_signed());
                    self.client.execute(PRICE, &[&at, &price]).expect("a price");
                }
                1 => {
                    let back = self.random.below(20).cast_signed();
                    self.client.execute(CORRECT, &[&back]).expect("a correction");
                }
                2 => self.run("SELECT llm_usage.maintain(1)"),
                3 => self.run("SELECT llm_usage.fold(at_most => 30)"),
                4 => self.run("SELECT llm_usage.rebuild(1)"),
                5 | 6 => self.run("SELECT llm_usage.fold()"),
                _ => {}
            }
        }
    }

    /// Drops a month, some of which may have come after it was dropped before.
    fn drop_month(&mut self, month: NaiveDate) {
        self.run("SELECT llm_usage.maintain(1); SELECT llm_usage.fold()");
        let mut transaction = self.client.transaction().expect("a transaction");
        for (ledger, column) in
            [("usage_events", "occurred_at"), ("sessions", "started_at"), ("messages", "sent_at")]
        {
            let keep = format!(
                "INSERT INTO kept.old_{ledger} SELECT * FROM llm_usage.{ledger} WHERE {column} >= $1 AND {column} < $2"
            );
            let bounds = [midnight(month), midnight(month + Months::new(1))];
            transaction.execute(&keep, &[&bounds[0], &bounds[1]]).expect("it is kept");
        }
        let rows: i64 = transaction
            .query_one("SELECT llm_usage.drop_month($1)", &[&month])
            .expect("it is dropped")
            .get(0);
        transaction.commit().expect("it commits");
        self.dropped += rows.unsigned_abs();
    }

    /// A range from one month to before another, of whole days or of any instants.
    fn range(&mut self, from: NaiveDate, to: NaiveDate, days: bool) -> Range {
        let mut instants: Vec<DateTime<Utc>> = (0..4).map(|_| self.instant(from, to)).collect();
        if days {
            instants.iter_mut().for_each(|at| *at = midnight(at.date_naive()));
        }
        instants.sort_unstable();
        instants.dedup();
        let end = instants[instants.len() - 1] + Days::new(1);
        let (first, last) = (instants[0], end);
        let random = &mut self.random;
        Range {
            from: (!days || random.below(4) > 0).then_some(Edge::At(first)),
            to: (random.below(4) > 0).then_some(Edge::At(last)),
            app_id: random.pick(&[None, Some(0), Some(1), Some(2)]),
            user_id: random.pick(&[None, Some(1)]),
            model: Some(random.pick(&["gpt-4.1", "house", "never-priced"]).to_owned()),
            starts: instants,
            end,
        }
    }

    /// Everything that is asked at the end of a month; returns how often it compared.
    fn check(&mut self, first: NaiveDate, kept: NaiveDate, month: NaiveDate) -> u64 {
        verify(&mut self.client).expect("it verifies");
        let to = month + Months::new(2);
        // Of dropped months whole days are known; 0 cuts a range at midnight.
        let mut ranges: Vec<(Range, &[i32])> =
            (0..2).map(|_| (self.range(months_before(first, 8), to, true), &CHUNKS[..1])).collect();
        ranges.push((self.range(kept, to, false), &CHUNKS[..]));
        compare(&mut self.client, "kept", &ranges, &mut self.random).expect("it compares")
    }
}

/// Months up to the present one, from so many before it; returns how often it compared.
fn simulate(cluster: &Cluster, seed: u64, months: u64) -> u64 {
    let mut simulation = Simulation::new(cluster, seed);
    let present = Utc::now().date_naive().with_day(1).expect("a first day");
    let (first, mut compared) = (months_before(present, months), 0);
    // Whatever comes late for a month before may have been dropped, too.
    let mut kept = months_before(first, 8);
    for month in (0..=months).rev().map(|back| months_before(present, back)) {
        simulation.live(month);
        while kept + Months::new(RETENTION) <= month {
            simulation.drop_month(kept);
            kept = kept + Months::new(1);
        }
        if simulation.random.below(3) == 0 {
            let again = kept - Months::new(1 + u32::try_from(simulation.random.below(4)).expect("few"));
            simulation.drop_month(again);
        }
        compared += simulation.check(first, kept, month);
    }
    assert!(simulation.dropped > 0 && compared > 0);
    println!(
        "{months} months: {} events, {} rows dropped, {compared} comparisons",
        simulation.made, simulation.dropped
    );
    compared
}

#[test]
fn every_month_ends_exact() {
    let seconds =
        std::env::var("MONTHS_SECONDS").map_or(0, |text| text.parse().expect("a number of seconds"));
    let (start, months) = (Instant::now(), if seconds == 0 { 5 } else { 24 });
    for seed in 0.. {
        simulate(Cluster::shared(), seed, months);
        if start.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
}
