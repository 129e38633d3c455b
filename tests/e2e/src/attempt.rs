//! One transaction of a writer at random, and whether the ledgers hold what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use postgres::{Client, Error, Transaction};

use crate::ledger::{Event, Message, Session, Way};
use crate::random::Random;
use crate::writer::{insert_rows, write_chats, write_events};

const MODELS: [&str; 6] =
    ["gpt-4.1", "gpt-4.1-mini", "claude-sonnet-4-20250514", "house", "House", "acme/rocket"];
const RULES: [Option<&str>; 5] = [None, None, None, Some("toxicity"), Some("PII")];
const TASKS: [Option<&str>; 3] = [None, Some("t1"), Some("T1")];

/// Every row of the ledgers as its writer knows it, with how often it is there.
const ROWS: &str = "SELECT r.row, count(*) FROM (
    SELECT concat_ws('|', 'event', request_id, (extract(epoch FROM occurred_at) * 1000000)::bigint, app_id, llm_id,
        coalesce(user_id::text, ''), model, prompt_tokens, cache_read_tokens, completion_tokens, inference_tokens)
      FROM llm_usage.usage_events
    UNION ALL
    SELECT concat_ws('|', 'session', consumer_id, (extract(epoch FROM started_at) * 1000000)::bigint, app_id)
      FROM llm_usage.sessions
    UNION ALL
    SELECT concat_ws('|', 'message', session_id, (extract(epoch FROM sent_at) * 1000000)::bigint, app_id)
      FROM llm_usage.messages) r (row) GROUP BY r.row";

/// The rows of one transaction, all of them or none.
pub struct Attempt {
    rows: Vec<String>,
    /// Why it was not acknowledged; it may have been committed all the same.
    pub error: Option<Error>,
}

/// What a transaction is to do.
struct Plan {
    kept: Vec<Event>,
    /// What it takes back again.
    lost: Vec<Event>,
    sessions: Vec<Session>,
    messages: Vec<Message>,
    course: u64,
    /// Committed in two phases, under this name.
    prepared: Option<String>,
}

/// Writes one transaction after the other.
pub struct Writer {
    pub client: Client,
    random: Random,
    name: String,
    made: u64,
    /// How many months late an event may be.
    months_late: u64,
    /// What was acknowledged and can be corrected.
    correctable: Vec<Event>,
}

impl Writer {
    /// `name` is no other writer's.
    pub fn new(client: Client, name: String, seed: u64, months_late: u64) -> Self {
        Self { client, random: Random::new(seed), name, made: 0, months_late, correctable: Vec::new() }
    }

    /// One transaction.
    pub fn write(&mut self) -> Attempt {
        let plan = self.plan();
        let error = run(&mut self.client, &plan, &mut self.random).err();
        if error.is_none() {
            let is_named_once = |event: &&Event| event.way != Way::Void;
            self.correctable = plan.kept.iter().filter(is_named_once).cloned().collect();
        }
        Attempt { rows: plan.rows(), error }
    }

    fn plan(&mut self) -> Plan {
        let way = self.random.pick(&[Way::Insert, Way::Insert, Way::Copy, Way::Record, Way::Batch]);
        let most = if way == Way::Copy { 40 } else { 6 };
        let count = 1 + self.random.below(most);
        let mut kept: Vec<Event> = (0..count).map(|_| self.event(way)).collect();
        if let Some(corrected) = self.correctable.pop().filter(|_| self.random.below(8) == 0) {
            let by_function = corrected.corrects.is_none() && self.random.below(2) == 0;
            kept.push(match by_function {
                true => Event { way: Way::Void, ..corrected.taken_back() },
                false => self.correction(&corrected),
            });
        }
        let lost = (0..self.random.below(6)).map(|_| self.event(way)).collect();
        let with_chats = self.random.below(4) == 0;
        let chats = if with_chats { 1 + self.random.below(3) } else { 0 };
        let sessions = (0..chats).map(|_| self.session(way)).collect();
        let messages = (0..chats * 2).map(|_| self.message(way)).collect();
        let prepared = (self.random.below(24) == 0).then(|| format!("{}-{}", self.name, self.made));
        Plan { kept, lost, sessions, messages, course: self.random.below(8), prepared }
    }

    /// Now, late, early, or where an hour or a day turns.
    fn instant(&mut self) -> DateTime<Utc> {
        let now = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).expect("an instant");
        let mut back = |most: TimeDelta| {
            let micros = most.num_microseconds().expect("some months").unsigned_abs();
            TimeDelta::microseconds(self.random.below(micros).cast_signed())
        };
        match back(TimeDelta::microseconds(10)).num_microseconds() {
            Some(0..=2) => now - back(TimeDelta::minutes(90)),
            Some(3) => now - back(TimeDelta::days(3)),
            Some(4) => now - back(TimeDelta::days(35)),
            Some(5) => now + back(TimeDelta::days(70)),
            Some(6 | 7) => {
                let months = self.months_late.cast_signed();
                now - back(TimeDelta::days(31 * months))
            }
            _ => {
                let day = now.date_naive() - Days::new(self.random.below(3));
                let midnight = day.and_time(Default::default()).and_utc();
                let hour = TimeDelta::hours(self.random.pick(&[0, 0, 1, 23]));
                midnight + hour + TimeDelta::microseconds(self.random.pick(&[-1, 0, 1]))
            }
        }
    }

    fn event(&mut self, way: Way) -> Event {
        self.made += 1;
        let occurred_at = self.instant();
        let random = &mut self.random;
        let mut count = |bound: u64| random.below(bound).cast_signed();
        let cost = [None, Some("0.00012345"), Some("7"), Some("0")][count(4).unsigned_abs() as usize];
        let user = count(9);
        let event = Event {
            way,
            occurred_at,
            app_id: count(5),
            llm_id: count(4),
            user_id: (user > 0).then_some(user),
            prompt: count(2000),
            cache_read: count(50),
            completion: count(500),
            inference: count(20),
            request_id: format!("{}-{}", self.name, self.made),
            cost: cost.map(|digits| digits.parse().expect("digits")),
            ..Event::default()
        };
        Event {
            vendor: random.pick(&[None, None, Some("openai")]).map(str::to_owned),
            model: random.pick(&MODELS).to_owned(),
            currency: random.pick(&[None, Some("EUR"), Some("JPY")]).map(str::to_owned),
            rule_type: random.pick(&RULES).map(str::to_owned),
            task_id: random.pick(&TASKS).map(str::to_owned),
            ..event
        }
    }

    fn correction(&mut self, of: &Event) -> Event {
        self.made += 1;
        Event {
            way: Way::Insert,
            prompt: -of.prompt,
            cache_read: -of.cache_read,
            completion: -of.completion,
            inference: -of.inference,
            cost: of.cost.as_ref().map(|cost| -cost),
            request_id: format!("{}-{}", self.name, self.made),
            corrects: Some(of.request_id.clone()),
            ..of.clone()
        }
    }

    fn session(&mut self, way: Way) -> Session {
        let started_at = self.instant();
        let consumer = self.random.pick(&[None, Some("ann"), Some("Ann"), Some("bob")]);
        let own = || format!("{}-{}", self.name, self.made % 50);
        let consumer_id = consumer.map_or_else(own, str::to_owned);
        Session {
            way,
            started_at,
            app_id: self.random.below(4).cast_signed(),
            consumer_id: Some(consumer_id),
        }
    }

    fn message(&mut self, way: Way) -> Message {
        let (sent_at, app_id) = (self.instant(), self.random.below(4).cast_signed());
        Message { way, sent_at, app_id, session_id: Some(self.made.cast_signed()) }
    }
}

impl Plan {
    fn rows(&self) -> Vec<String> {
        let row =
            |fields: &[&dyn Display]| fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("|");
        let events = self.kept.iter().map(|event| {
            let user = event.user_id.map(|user| user.to_string()).unwrap_or_default();
            let at = event.occurred_at.timestamp_micros();
            row(&[
                &"event",
                &event.request_id,
                &at,
                &event.app_id,
                &event.llm_id,
                &user,
                &event.model,
                &event.prompt,
                &event.cache_read,
                &event.completion,
                &event.inference,
            ])
        });
        let sessions = self.sessions.iter().map(|session| {
            let consumer = session.consumer_id.as_deref().unwrap_or_default();
            row(&[&"session", &consumer, &session.started_at.timestamp_micros(), &session.app_id])
        });
        let messages = self.messages.iter().map(|message| {
            let session = message.session_id.unwrap_or_default();
            row(&[&"message", &session, &message.sent_at.timestamp_micros(), &message.app_id])
        });
        events.chain(sessions).chain(messages).collect()
    }
}

fn write(transaction: &mut Transaction, events: &[Event], random: &mut Random) -> Result<(), Error> {
    let at_once = events.iter().all(|event| event.way == Way::Insert && event.corrects.is_none());
    if at_once && random.below(2) == 0 {
        return insert_rows(transaction, events, "USD");
    }
    write_events(transaction, events, "USD")
}

fn run(client: &mut Client, plan: &Plan, random: &mut Random) -> Result<(), Error> {
    let mut transaction = client.transaction()?;
    if plan.course == 0 {
        write(&mut transaction, &plan.lost, random)?;
        write_chats(&mut transaction, &plan.sessions, &plan.messages)?;
        transaction.rollback()?;
        transaction = client.transaction()?;
    }
    let (first, second) = plan.kept.split_at(if plan.course == 1 { plan.kept.len() / 2 } else { 0 });
    write(&mut transaction, first, random)?;
    if plan.course <= 2 {
        // The ids that it took are never seen, and where nothing was written before, its lock is gone, too.
        let mut savepoint = transaction.transaction()?;
        write(&mut savepoint, &plan.lost, random)?;
        savepoint.rollback()?;
    }
    if plan.course == 3 {
        write_chats(&mut transaction, &plan.sessions, &plan.messages)?;
    }
    let mut savepoint = transaction.transaction()?;
    write(&mut savepoint, second, random)?;
    savepoint.commit()?;
    if plan.course != 3 {
        write_chats(&mut transaction, &plan.sessions, &plan.messages)?;
    }
    let Some(name) = &plan.prepared else { return transaction.commit() };
    transaction.batch_execute(&format!("PREPARE TRANSACTION '{name}'"))?;
    drop(transaction);
    thread::sleep(Duration::from_millis(random.below(1000)));
    client.batch_execute(&format!("COMMIT PREPARED '{name}'"))
}

/// Commits what was prepared before the server was killed.
pub fn commit_prepared(client: &mut Client) {
    let rows = client.query("SELECT gid FROM pg_prepared_xacts", &[]).expect("what is prepared");
    for row in rows {
        let name: String = row.get(0);
        client.batch_execute(&format!("COMMIT PREPARED '{name}'")).expect("it commits");
    }
}

/// Panics unless the ledgers hold what was acknowledged, once, and nothing else. An attempt that was not acknowledged is
/// there wholly or not at all; those that are not there are forgotten.
pub fn check_attempts(client: &mut Client, attempts: &mut Vec<Attempt>) {
    let rows = client.query(ROWS, &[]).expect(ROWS);
    let found: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    // The first row of each is an event, which has a name of its own.
    attempts.retain(|attempt| attempt.error.is_none() || found.contains_key(&attempt.rows[0]));
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    for attempt in attempts.iter_mut() {
        attempt.error = None;
        for row in &attempt.rows {
            *expected.entry(row.clone()).or_default() += 1;
        }
    }
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let times = |rows: &BTreeMap<String, i64>, name: &String| rows.get(name).copied().unwrap_or(0);
    for name in names {
        assert_eq!(times(&found, name), times(&expected, name), "found and expected: {name}");
    }
}
