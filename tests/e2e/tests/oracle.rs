//! Every report against a plain recomputation, letter by letter.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use e2e::arbitrary::{book, chat_book, day_edges, events};
use e2e::cluster::Cluster;
use e2e::focus::{Bound, Focus, about_a_model, about_an_app};
use e2e::ledger::{Book, Edge, Event};
use e2e::oracle;
use e2e::scenario::{Asking, Scenario, check, scenarios};
use e2e::writer::write_events;
use postgres::Transaction;
use postgres::types::{Date, Timestamp, ToSql};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const MOST_EVENTS: usize = 40;

/// Cases cluster around it; the reports themselves take the time from their transaction.
fn today() -> NaiveDate {
    let mut client = Cluster::shared().connect("postgres");
    client.query_one("SELECT (now() AT TIME ZONE 'UTC')::date", &[]).expect("the date").get(0)
}

fn event_book(today: NaiveDate) -> impl Strategy<Value = Scenario> {
    let book = events(today, MOST_EVENTS).prop_map(|events| Book {
        default_currency: "USD",
        events,
        ..Book::default()
    });
    scenarios(book)
}

fn answer(transaction: &mut Transaction, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> String {
    transaction.query_one(query, parameters).expect(query).get(0)
}

fn stamp(bound: Bound<DateTime<Utc>>) -> Option<Timestamp<DateTime<Utc>>> {
    bound.map(Edge::instant)
}

fn date(bound: Bound<NaiveDate>) -> Option<Date<NaiveDate>> {
    bound.map(Edge::date)
}

#[test]
fn token_usage_for_app_is_exact() {
    let today = today();
    let cases = (about_an_app(event_book(today), today), option::of((day_edges(today), day_edges(today))))
        .prop_map(|((scenario, focus), days)| {
            let day = |bound: Bound<DateTime<Utc>>| match bound {
                Some(Edge::At(at)) => Edge::At(at.date_naive()),
                Some(Edge::Past) | None => Edge::Past,
                Some(Edge::Future) => Edge::Future,
            };
            let (start, end) = days.unwrap_or((day(focus.start), day(focus.end)));
            (scenario, (start, end, focus.app_id))
        });
    check(cases, |Asking { transaction, book, .. }, &(start, end, app_id)| {
        let query = "SELECT llm_usage.token_usage_for_app($1, $2, $3)::text";
        let answered = answer(transaction, query, &[&start.date(), &end.date(), &app_id]);
        prop_assert_eq!(answered, oracle::token_usage_for_app(&book.events, start, end, app_id));
        Ok(())
    });
}

#[test]
fn token_usage_grouped_is_exact() {
    let today = today();
    let scopes: [Option<&[&str]>; 7] = [
        None,
        Some(&[]),
        Some(&["task"]),
        Some(&["rule_type"]),
        Some(&["task", "rule_type"]),
        Some(&["rule_type", "task", "rule_type"]),
        Some(&["task", "task"]),
    ];
    let cases = (about_an_app(event_book(today), today), select(scopes.to_vec()))
        .prop_map(|((scenario, focus), group_by)| (scenario, (focus.start, focus.end, group_by)));
    check(cases, |Asking { transaction, book, now }, &(start, end, group_by)| {
        let query = "SELECT llm_usage.token_usage_grouped($1, $2, $3)::text";
        let answered = answer(transaction, query, &[&stamp(start), &stamp(end), &group_by]);
        prop_assert_eq!(answered, oracle::token_usage_grouped(&book.events, now, start, end, group_by));
        Ok(())
    });
}

#[test]
fn app_token_usage_is_exact() {
    let today = today();
    let cases = about_an_app(event_book(today), today);
    check(cases, |Asking { transaction, book, .. }, &Focus { app_id, start, end, .. }| {
        let query = "SELECT llm_usage.app_token_usage($1, $2, $3)::text";
        let answered = answer(transaction, query, &[&app_id, &stamp(start), &stamp(end)]);
        prop_assert_eq!(answered, oracle::app_token_usage(&book.events, app_id, start, end));
        Ok(())
    });
}

#[test]
fn app_usage_is_exact() {
    let today = today();
    let grains = select(vec![None, Some("day"), Some("week"), Some("month")]);
    let cases = (about_an_app(scenarios(chat_book(today)), today), grains)
        .prop_map(|((scenario, focus), grain)| (scenario, (focus, grain)));
    check(cases, |Asking { transaction, book, .. }, &(Focus { app_id, start, end, .. }, grain)| {
        let query = "SELECT llm_usage.app_usage($1, $2, $3, $4)::text";
        let answered = answer(transaction, query, &[&app_id, &stamp(start), &stamp(end), &grain]);
        let expected = oracle::app_usage(book, app_id, start, end, grain.unwrap_or("day"));
        prop_assert_eq!(answered, expected);
        Ok(())
    });
}

/// How long a range is, where its end is not an event's, and into how many parts it is cut.
fn cuts() -> impl Strategy<Value = (Option<TimeDelta>, Option<i32>)> {
    let micros = prop_oneof![
        3 => 1..20_i64,
        3 => 1..=100 * 86_400_000_000_i64,
        2 => (1..60_i64).prop_map(|days| days * 86_400_000_000),
        1 => -1..=0_i64,
    ];
    let chunks = prop_oneof![
        3 => Just(0),
        4 => 1..12_i32,
        1 => 100..=500_i32,
        1 => select(&[-1, i32::MIN, 10_000, 10_001, i32::MAX][..]),
    ];
    (option::of(micros.prop_map(TimeDelta::microseconds)), option::weighted(0.8, chunks))
}

#[test]
fn model_usage_statistics_is_exact() {
    let today = today();
    let cases =
        (about_a_model(event_book(today), today), cuts()).prop_map(|((scenario, focus), (width, chunks))| {
            let finite = |bound: Bound<DateTime<Utc>>| match bound {
                Some(Edge::At(at)) => Some(at),
                _ => None,
            };
            let (mut start, mut end) = (finite(focus.start), finite(focus.end));
            if start.is_some() && end.is_some() && start > end {
                (start, end) = (end, start);
            }
            let end = width.and_then(|width| start?.checked_add_signed(width)).or(end);
            (scenario, (focus.model, start, end, chunks))
        });
    check(cases, |Asking { transaction, book, now }, (model, start, end, chunks)| {
        let (start, end, chunks) = (*start, *end, *chunks);
        let last = end.unwrap_or(now);
        let first = start.unwrap_or(last - TimeDelta::days(30));
        let named = [first, last].iter().all(|at| (1..=9999).contains(&at.year()));
        // What has no name, or is a book of its own, is refused for other reasons.
        prop_assume!(named && (last - first).num_days() < 2000);
        let expected = oracle::model_usage_statistics(&book.events, now, model, start, end, chunks);
        let query = "SELECT llm_usage.model_usage_statistics($1, $2, $3, $4)::text";
        match (expected, transaction.query_one(query, &[model, &start, &end, &chunks])) {
            (Ok(expected), Ok(row)) => prop_assert_eq!(row.get::<_, String>(0), expected),
            (Err(oracle::Refusal), Err(error)) => {
                prop_assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{}", error);
            }
            (expected, answered) => prop_assert!(false, "{:?}, not {:?}", answered, expected),
        }
        Ok(())
    });
}

#[test]
fn budget_usage_is_exact() {
    let today = today();
    let bound = move || option::of(day_edges(today));
    // Whole months, which are read in another way than days.
    let months = (-13..3_i32, 0..14).prop_map(move |(first, more)| {
        let start = |months: i32| {
            let month = today.year() * 12 + today.month0().cast_signed() + months;
            let day =
                NaiveDate::from_ymd_opt(month.div_euclid(12), month.rem_euclid(12).cast_unsigned() + 1, 1);
            day.expect("a month")
        };
        (Some(Edge::At(start(first))), Some(Edge::At(start(first + more) - TimeDelta::days(1))))
    });
    let cases = (scenarios(book(today, MOST_EVENTS)), prop_oneof![2 => (bound(), bound()), 1 => months]);
    check(cases, |Asking { transaction, book, now }, &(start, end)| {
        // From the start of the month of an end that has none.
        prop_assume!(start.is_some() || matches!(end, None | Some(Edge::At(_))));
        let query = "SELECT llm_usage.budget_usage($1, $2)::text";
        let answered = answer(transaction, query, &[&date(start), &date(end)]);
        let expected = oracle::budget_usage(book, now.date_naive(), start, end);
        prop_assert!(oracle::same_but_for_usage(&answered, &expected), "{}\nnot\n{}", answered, expected);
        Ok(())
    });
}

#[test]
fn budget_activity_is_exact_on_any_day() {
    let first: NaiveDate = "2020-01-01".parse().expect("a date");
    let any_day = (0..3660_i64).prop_map(move |days| first + TimeDelta::days(days));
    let edge_day = (2020..2030_i32, 1..=12_u32, prop_oneof![1..=2_u32, 27..=31_u32]);
    let edge_day = edge_day
        .prop_filter_map("shorter months", |(year, month, day)| NaiveDate::from_ymd_opt(year, month, day));
    let today = prop_oneof![any_day, edge_day];
    let cases = today.prop_flat_map(|today| {
        let asked = (e2e::arbitrary::days(today), e2e::arbitrary::days(today));
        (scenarios(book(today, MOST_EVENTS)), (Just(today), asked))
    });
    check(cases, |Asking { transaction, book, .. }, &(today, (from_day, to_day))| {
        let rows = transaction
            .query(oracle::BUDGET_ACTIVITY, &[&today, &from_day, &to_day])
            .expect("budget_activity");
        let answered: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let spending = oracle::spending(book, today, |day| from_day <= day && day < to_day);
        let expected: Vec<String> = spending.iter().map(oracle::Spending::text).collect();
        prop_assert_eq!(answered, expected);
        Ok(())
    });
}

/// The figures that the documents of the reports are checked with first; the oracle has to pass as well.
#[test]
fn the_first_figures_are_right() {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    let event = |at: &str, model: &str, tokens: (i64, i64, i64), cost: &str| Event {
        occurred_at: at.parse().expect("an instant"),
        app_id: 7,
        model: model.to_owned(),
        prompt: tokens.0,
        cache_read: tokens.1,
        completion: tokens.2,
        cost: cost.parse().ok(),
        request_id: at.to_owned(),
        ..Event::default()
    };
    let events = [
        event("2025-06-01T23:59:59.999999Z", "gpt-4.1", (100, 0, 50), "0.0006"),
        event("2025-06-02T00:00:00Z", "claude-sonnet-4-20250514", (10, 5, 3), "0.000081"),
    ];
    let mut transaction = client.transaction().expect("a transaction");
    write_events(&mut transaction, &events, "USD").expect("the events");
    let (start, end) = ("2025-06-01".parse().expect("a date"), "2025-06-03".parse().expect("a date"));
    let query = "SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-03', 7)::text";
    let days = r#"{"data":[150,18],"labels":["2025-06-01","2025-06-02"]}"#;
    assert_eq!(answer(&mut transaction, query, &[]), days);
    assert_eq!(oracle::token_usage_for_app(&events, Edge::At(start), Edge::At(end), 7), days);
    let total = concat!(
        r#"{"data":{"total":{"input_tokens":115,"output_tokens":53,"total_tokens":168,"request_count":2},"#,
        r#""by_model":[{"model":"gpt-4.1","input_tokens":100,"output_tokens":50,"total_tokens":150,"request_count":1},"#,
        r#"{"model":"claude-sonnet-4-20250514","input_tokens":15,"output_tokens":3,"total_tokens":18,"request_count":1}]}}"#,
    );
    assert_eq!(answer(&mut transaction, "SELECT llm_usage.app_token_usage(7)::text", &[]), total);
    assert_eq!(oracle::app_token_usage(&events, 7, None, None), total);
}
