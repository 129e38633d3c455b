//! One look at a database in use: every report, and what stands behind it, against the ledgers in the same snapshot.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Timelike, Utc};
use postgres::types::ToSql;
use postgres::{Client, Error, GenericClient, IsolationLevel, Transaction};

use crate::focus::Bound;
use crate::ledger::{Book, Budget, Edge, Entity, Event, Message, READ_EVENTS, Session, User, Way};
use crate::oracle;
use crate::random::Random;
use crate::recount::{Range, of_schema, recount, recount_of};

/// Into how many parts a range is cut; 0: into days.
pub const CHUNKS: [i32; 4] = [0, 1, 7, 100];
const GRAINS: [&str; 3] = ["day", "week", "month"];
const SCOPES: [&[&str]; 4] = [&[], &["task"], &["rule_type"], &["task", "rule_type"]];

/// Reads all that a report may depend on, the ledgers as a schema has them.
fn read_book(transaction: &mut Transaction, schema: &str) -> Result<Book, Error> {
    let mut rows = |query: &str| transaction.query(&of_schema(query, schema), &[]);
    let events = rows(READ_EVENTS)?;
    let sessions = rows("SELECT started_at, app_id, consumer_id FROM llm_usage.sessions")?;
    let messages = rows("SELECT sent_at, app_id, session_id FROM llm_usage.messages")?;
    let users = rows("SELECT id, email FROM llm_usage.users")?;
    let apps = rows("SELECT id, coalesce(name, 'App ' || id), owner_id FROM llm_usage.apps")?;
    let llms = rows("SELECT id, coalesce(name, 'LLM ' || id), NULL::bigint FROM llm_usage.llms")?;
    let budgets = rows(
        "SELECT entity_type = 'App', entity_id, amount::text, currency, start_date FROM llm_usage.budgets",
    )?;
    let (way, entity) = (Way::Insert, |row: &postgres::Row| Entity {
        id: row.get(0),
        name: row.get(1),
        owner_id: row.get(2),
    });
    Ok(Book {
        default_currency: "USD",
        events: events.iter().map(Event::from_row).collect(),
        sessions: sessions
            .iter()
            .map(|row| Session { way, started_at: row.get(0), app_id: row.get(1), consumer_id: row.get(2) })
            .collect(),
        messages: messages
            .iter()
            .map(|row| Message { way, sent_at: row.get(0), app_id: row.get(1), session_id: row.get(2) })
            .collect(),
        users: users.iter().map(|row| User { id: row.get(0), email: row.get(1) }).collect(),
        apps: apps.iter().map(entity).collect(),
        llms: llms.iter().map(entity).collect(),
        budgets: budgets.iter().map(budget).collect(),
    })
}

fn budget(row: &postgres::Row) -> Budget {
    Budget {
        entity_type: if row.get(0) { "App" } else { "LLM" },
        entity_id: row.get(1),
        amount: row.get::<_, String>(2).parse().expect("a numeric"),
        currency: row.get(3),
        start_date: row.get(4),
    }
}

/// An instant on the edge of a month, a day, an hour or 5 minutes, or off all edges.
fn instant(random: &mut Random) -> DateTime<Utc> {
    let micros = TimeDelta::days(60).num_microseconds().expect("days").unsigned_abs();
    let back = if random.below(3) == 0 { 6 * micros } else { micros };
    let now = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).expect("an instant");
    let at = now + TimeDelta::days(20) - TimeDelta::microseconds(random.below(back).cast_signed());
    let midnight = at.date_naive().and_time(Default::default()).and_utc();
    match random.below(6) {
        0 => midnight - Days::new(midnight.day0().into()),
        1 => midnight,
        2 => midnight + TimeDelta::hours(at.hour().into()),
        3 => midnight + TimeDelta::minutes(i64::from(at.hour() * 60 + at.minute() / 5 * 5)),
        4 => midnight + TimeDelta::microseconds(random.pick(&[-1, 1])),
        _ => at,
    }
}

fn bound(random: &mut Random) -> Bound<DateTime<Utc>> {
    match random.below(8) {
        0 => None,
        1 => Some(random.pick(&[Edge::Past, Edge::Future])),
        _ => Some(Edge::At(instant(random))),
    }
}

/// A question at random; two bounds are mostly in their order.
pub fn range(random: &mut Random) -> Range {
    let (mut from, mut to) = (bound(random), bound(random));
    if from.is_some() && to.is_some() && from > to && random.below(10) > 0 {
        (from, to) = (to, from);
    }
    let mut starts: Vec<DateTime<Utc>> = (0..2 + random.below(12)).map(|_| instant(random)).collect();
    starts.sort_unstable();
    starts.dedup();
    // An end before the last start leaves parts empty; instants may be the same.
    let end = match random.below(4) {
        0 => instant(random),
        _ => *starts.last().expect("an instant") + TimeDelta::microseconds(1),
    };
    starts.truncate(starts.len().max(2) - 1);
    let app_id = random.pick(&[None, Some(0), Some(1), Some(2), Some(3), Some(99)]);
    let model = random.pick(&[None, Some("gpt-4.1"), Some("house"), Some("House"), Some("never-seen")]);
    let user_id = random.pick(&[None, Some(1), Some(2), Some(99)]);
    Range { from, to, app_id, user_id, model: model.map(str::to_owned), starts, end }
}

/// Compares every report with its oracle; returns how many were compared.
fn compare_reports(
    transaction: &mut Transaction,
    book: &Book,
    range: &Range,
    chunks: &[i32],
    random: &mut Random,
) -> Result<u64, Error> {
    let now: DateTime<Utc> = transaction.query_one("SELECT now()", &[])?.get(0);
    let events = &book.events;
    let mut asked = 0;
    let mut ask = |report: &str, parameters: &[&(dyn ToSql + Sync)]| -> Result<String, Error> {
        asked += 1;
        Ok(transaction.query_one(&format!("SELECT llm_usage.{report}::text"), parameters)?.get(0))
    };
    let (from, to, app) = (range.from, range.to, range.app_id.unwrap_or(4));
    let (from_at, to_at) = (from.map(Edge::instant), to.map(Edge::instant));
    let (first, last) = (day(from).unwrap_or(Edge::Past), day(to).unwrap_or(Edge::Future));
    let answer = ask("token_usage_for_app($1, $2, $3)", &[&first.date(), &last.date(), &app])?;
    assert_eq!(answer, oracle::token_usage_for_app(events, first, last, app), "{range:?}");
    let budgets = ask("budget_usage($1, $2)", &[&first.date(), &last.date()])?;
    let expected = oracle::budget_usage(book, now.date_naive(), Some(first), Some(last));
    assert!(oracle::same_but_for_usage(&budgets, &expected), "{range:?}\n{budgets}\nnot\n{expected}");
    let scopes = random.pick(&SCOPES);
    let answer = ask("token_usage_grouped($1, $2, $3)", &[&from_at, &to_at, &scopes])?;
    assert_eq!(answer, oracle::token_usage_grouped(events, now, from, to, Some(scopes)), "{range:?}");
    let grain = random.pick(&GRAINS);
    let answer = ask("app_usage($1, $2, $3, $4)", &[&app, &from_at, &to_at, &grain])?;
    assert_eq!(answer, oracle::app_usage(book, app, from, to, grain), "{range:?}");
    let answer = ask("app_token_usage($1, $2, $3)", &[&app, &from_at, &to_at])?;
    assert_eq!(answer, oracle::app_token_usage(events, app, from, to), "{range:?}");
    let model = range.model.as_deref().unwrap_or("gpt-4.1");
    let after = range.starts[0] + TimeDelta::microseconds(1);
    let (start, end) = (Some(range.starts[0]), Some(range.end.max(after)));
    let chunks = Some(random.pick(chunks));
    let answer = ask("model_usage_statistics($1, $2, $3, $4)", &[&model, &start, &end, &chunks])?;
    assert_eq!(
        Ok(answer),
        oracle::model_usage_statistics(events, now, model, start, end, chunks),
        "{range:?} in {chunks:?}"
    );
    Ok(asked)
}

fn day(bound: Bound<DateTime<Utc>>) -> Bound<NaiveDate> {
    bound.map(|bound| match bound {
        Edge::At(at) => Edge::At(at.date_naive()),
        Edge::Past => Edge::Past,
        Edge::Future => Edge::Future,
    })
}

/// Compares what depends on budget periods, and how many rows there are.
fn compare_rest(transaction: &mut Transaction, book: &Book, random: &mut Random) -> Result<u64, Error> {
    let today = transaction.query_one("SELECT (now() AT TIME ZONE 'UTC')::date", &[])?.get(0);
    let budgets: String = transaction.query_one("SELECT llm_usage.budget_usage()::text", &[])?.get(0);
    let expected = oracle::budget_usage(book, today, None, None);
    assert!(oracle::same_but_for_usage(&budgets, &expected), "{budgets}\nnot\n{expected}");
    let [today, one, other] = [(); 3].map(|()| instant(random).date_naive());
    let (from, to) = (one.min(other), one.max(other));
    let rows = transaction.query(oracle::BUDGET_ACTIVITY, &[&today, &from, &to])?;
    let answered: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let spending = oracle::spending(book, today, |day| from <= day && day < to);
    let expected: Vec<String> = spending.iter().map(oracle::Spending::text).collect();
    assert_eq!(answered, expected, "on {today} from {from} to {to}");
    let rows = transaction.query("SELECT events FROM llm_usage.status()", &[])?;
    let answered: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let expected = [book.events.len(), book.sessions.len(), book.messages.len()];
    assert_eq!(answered, expected.map(|count| i64::try_from(count).expect("few")));
    Ok(3)
}

/// Compares everything in one snapshot, as often as told, with `meanwhile` after the snapshot is taken; returns how often it
/// compared.
pub fn look(
    client: &mut Client,
    random: &mut Random,
    times: u64,
    mut meanwhile: impl FnMut(),
) -> Result<u64, Error> {
    let level = IsolationLevel::RepeatableRead;
    let mut transaction = client.build_transaction().isolation_level(level).start()?;
    // This takes the snapshot, and no lock of a ledger: maintenance and folds may run before the first question.
    transaction.query_one("SELECT pg_current_snapshot()::text", &[])?;
    if random.below(4) == 0 {
        let own =
            "SELECT llm_usage.record_usage('gpt-4.1', app_id => 1, prompt_tokens => 3, request_id => 'own' || pg_backend_pid()),
            llm_usage.record_session(1, 'own'), llm_usage.record_message(1)";
        transaction.execute(own, &[])?;
    }
    meanwhile();
    let mut compared = 0;
    let mut book = None;
    for _ in 0..times {
        let range = range(random);
        // Half of the looks ask before they read the ledger, which would lock it.
        if random.below(2) == 0 {
            compared += recount(&mut transaction, &range)?;
        }
        if book.is_none() {
            book = Some(read_book(&mut transaction, "llm_usage")?);
        }
        let book = book.as_ref().expect("it was read");
        compared += compare_reports(&mut transaction, book, &range, &CHUNKS, random)?;
        compared += compare_rest(&mut transaction, book, random)?;
    }
    transaction.rollback()?;
    Ok(compared)
}

/// Compares everything over the ranges with the ledgers as a schema has them, each with the chunks it may be cut into; returns
/// how often it compared.
pub fn compare(
    client: &mut Client,
    schema: &str,
    ranges: &[(Range, &[i32])],
    random: &mut Random,
) -> Result<u64, Error> {
    let mut transaction =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start()?;
    let book = read_book(&mut transaction, schema)?;
    let mut compared = compare_rest(&mut transaction, &book, random)?;
    for (range, chunks) in ranges {
        compared += recount_of(&mut transaction, schema, range)?;
        compared += compare_reports(&mut transaction, &book, range, chunks, random)?;
    }
    transaction.rollback()?;
    Ok(compared)
}

/// Panics if the rollups differ from the ledgers.
pub fn verify(client: &mut impl GenericClient) -> Result<(), Error> {
    let differences = differences(client)?;
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

/// Every index has every row of its table: some are written past the executor.
pub fn check_indexes(client: &mut Client) {
    const CHECK: &str = "SELECT bt_index_check(c.oid, true)
        FROM pg_class c JOIN pg_am a ON a.oid = c.relam
       WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relkind = 'i' AND a.amname = 'btree'";
    let available = "SELECT FROM pg_available_extensions WHERE name = 'amcheck'";
    if client.query_opt(available, &[]).expect(available).is_none() {
        println!("NOT TESTED: that indexes have every row (the server has no amcheck)");
        return;
    }
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS amcheck").expect("amcheck");
    let checked = client.query(CHECK, &[]).expect(CHECK).len();
    assert!(checked > 30, "{checked}");
}

/// What `verify()` reports.
pub fn differences(client: &mut impl GenericClient) -> Result<Vec<String>, Error> {
    let rows = client.query("SELECT v::text FROM llm_usage.verify() v", &[])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
