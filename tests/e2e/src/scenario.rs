//! A case of a property: who asks, in which settings, and how what is asked about got there.

use std::cell::RefCell;
use std::fmt::Debug;

use chrono::{DateTime, Utc};
use postgres::{Client, Transaction};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::cluster::Cluster;
use crate::ledger::Book;
use crate::writer;

/// Settings of the session, none of which an answer may depend on.
const SETTINGS: [(&str, &[&str]); 4] = [
    ("TimeZone", &["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati", "America/Los_Angeles"]),
    ("DateStyle", &["ISO, MDY", "German", "SQL, DMY"]),
    ("IntervalStyle", &["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
    ("search_path", &["", "public", "llm_usage"]),
];

/// Where the question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// In the transaction that writes.
    Within,
    /// There, but the rest of it is read-only.
    WithinReadOnly,
    /// In a READ ONLY transaction of another session, after the writer's commit.
    Afterwards,
}

/// When maintenance runs: not at all, or before the event of this number.
type Maintained = Option<prop::sample::Index>;

/// One case but for its question.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub book: Book,
    settings: Vec<&'static str>,
    asked: Asked,
    maintained: Maintained,
    /// Before the events of which numbers there is a fold, or behind the last.
    folded: Vec<prop::sample::Index>,
}

/// Cases of a book.
pub fn scenarios(book: impl Strategy<Value = Book>) -> impl Strategy<Value = Scenario> {
    let settings = SETTINGS.map(|(_, values)| select(values));
    let asked =
        prop_oneof![6 => Just(Asked::Within), 3 => Just(Asked::WithinReadOnly), 1 => Just(Asked::Afterwards)];
    let maintained = proptest::option::weighted(0.3, any::<prop::sample::Index>());
    let folded = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let parts = (book, settings.to_vec(), asked, maintained, folded);
    parts.prop_map(|(book, settings, asked, maintained, folded)| Scenario {
        book,
        settings,
        asked,
        maintained,
        folded,
    })
}

/// What one look at the database needs: a transaction, and its time.
pub struct Asking<'a, 'b> {
    pub transaction: &'a mut Transaction<'b>,
    pub now: DateTime<Utc>,
    pub book: &'a Book,
}

/// Runs `test` on 64 cases, or as many as `PROPTEST_CASES` says; leaves no file behind.
pub fn property<T: Debug>(cases: impl Strategy<Value = T>, test: impl Fn(T) -> Result<(), TestCaseError>) {
    let mut config = Config { failure_persistence: None, max_shrink_time: 15_000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    if let Err(failure) = TestRunner::new(config).run(&cases, test) {
        panic!("{failure}");
    }
}

/// Prepares each case in the database, and asks there.
pub fn check<Q: Debug>(
    cases: impl Strategy<Value = (Scenario, Q)>,
    ask: impl Fn(Asking, &Q) -> Result<(), TestCaseError>,
) {
    let cluster = Cluster::shared();
    let client = RefCell::new(cluster.connect(&cluster.create_database()));
    property(cases, |(scenario, question)| {
        let ask = |asking: Asking| ask(asking, &question);
        match scenario.asked {
            Asked::Afterwards => afterwards(cluster, &scenario, ask),
            _ => within(&mut client.borrow_mut(), &scenario, ask),
        }
    });
}

/// One transaction, rolled back in the end.
fn within(
    client: &mut Client,
    scenario: &Scenario,
    ask: impl Fn(Asking) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut transaction = client.transaction().expect("a transaction");
    scenario.set(&mut transaction);
    scenario.write(&mut transaction);
    if scenario.asked == Asked::WithinReadOnly {
        transaction.batch_execute("SET TRANSACTION READ ONLY").expect("the rest is read-only");
    }
    scenario.ask(transaction, ask)
}

/// In a database of its own, since what is recorded stays.
fn afterwards(
    cluster: &Cluster,
    scenario: &Scenario,
    ask: impl Fn(Asking) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let database = cluster.create_database();
    let mut writer = cluster.connect(&database);
    let mut transaction = writer.transaction().expect("a transaction");
    scenario.set(&mut transaction);
    scenario.write(&mut transaction);
    transaction.commit().expect("it commits");
    let mut reader = cluster.connect(&database);
    let mut transaction = reader.build_transaction().read_only(true).start().expect("a transaction");
    scenario.set(&mut transaction);
    let outcome = scenario.ask(transaction, ask);
    cluster.drop_database(&database);
    outcome
}

impl Scenario {
    fn set(&self, transaction: &mut Transaction) {
        let settings = SETTINGS.iter().map(|(name, _)| *name).zip(self.settings.iter().copied());
        for (name, value) in settings.chain([("llm_usage.default_currency", self.book.default_currency)]) {
            transaction.execute("SELECT set_config($1, $2, true)", &[&name, &value]).expect("a setting");
        }
    }

    fn write(&self, transaction: &mut Transaction) {
        let Book { events, sessions, messages, default_currency, .. } = &self.book;
        writer::register(transaction, &self.book);
        let before = |index: &prop::sample::Index| index.index(events.len() + 1);
        let maintained = self.maintained.as_ref().map(before);
        let mut stops: Vec<usize> = self.folded.iter().map(before).chain(maintained).collect();
        stops.extend([0, events.len()]);
        stops.sort_unstable();
        stops.dedup();
        let with_chats = stops[stops.len() / 2];
        for (place, stop) in stops.iter().enumerate() {
            if *stop == with_chats {
                writer::write_chats(transaction, sessions, messages).expect("the chats");
            }
            if maintained == Some(*stop) {
                transaction.execute("SELECT llm_usage.maintain()", &[]).expect("maintenance");
            }
            if self.folded.iter().map(before).any(|fold| fold == *stop) {
                transaction.execute("SELECT llm_usage.fold()", &[]).expect("a fold");
            }
            let next = stops.get(place + 1).copied().unwrap_or(events.len());
            writer::write_events(transaction, &events[*stop..next], default_currency).expect("the events");
        }
    }

    fn ask(
        &self,
        mut transaction: Transaction,
        ask: impl Fn(Asking) -> Result<(), TestCaseError>,
    ) -> Result<(), TestCaseError> {
        let now = transaction.query_one("SELECT now()", &[]).expect("the time").get(0);
        let differences =
            transaction.query("SELECT v::text FROM llm_usage.verify() v", &[]).expect("it verifies");
        let differences: Vec<String> = differences.iter().map(|row| row.get(0)).collect();
        prop_assert!(differences.is_empty(), "{:?}", differences);
        ask(Asking { transaction: &mut transaction, now, book: &self.book })
    }
}
