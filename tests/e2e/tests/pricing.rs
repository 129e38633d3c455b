//! What events without a given cost cost, to the last digit, and from when on a price holds.

use std::cell::RefCell;

use bigdecimal::BigDecimal;
use e2e::arbitrary::{price_rows, priced_events};
use e2e::cluster::Cluster;
use e2e::ledger::{Event, Way};
use e2e::look::{differences, range};
use e2e::oracle::{self, Priced};
use e2e::random::Random;
use e2e::recount::recount;
use e2e::scenario::property;
use e2e::writer::{write_events, write_prices};
use postgres::{Client, GenericClient, Transaction};
use proptest::prelude::*;

/// What the ledger holds of the events, in their order: cost, currency, priced.
fn recorded(transaction: &mut Transaction) -> Vec<(Option<String>, String, Option<bool>)> {
    let query = "SELECT trim_scale(cost)::text, currency, priced FROM llm_usage.usage_events ORDER BY id";
    let rows = transaction.query(query, &[]).expect("the ledger");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

fn expected(priced: Priced) -> (Option<String>, String, Option<bool>) {
    (priced.cost.as_ref().map(oracle::digits), priced.currency, priced.priced)
}

/// The event that takes back all of another one.
fn taken_back(event: &Event) -> Event {
    Event {
        way: Way::Insert,
        prompt: -event.prompt,
        cache_read: -event.cache_read,
        cache_write: -event.cache_write,
        completion: -event.completion,
        reasoning: -event.reasoning,
        cache_write_1h: event.cache_write_1h.map(|count| -count),
        prompt_audio: event.prompt_audio.map(|count| -count),
        completion_audio: event.completion_audio.map(|count| -count),
        media: event.media.map(|count| count.map(|count| -count)),
        cost: event.cost.as_ref().map(|cost| -cost),
        request_id: format!("{} back", event.request_id),
        corrects: Some(event.request_id.clone()),
        ..event.clone()
    }
}

#[test]
fn every_event_is_priced_exactly_and_taken_back_for_the_same() {
    let cluster = Cluster::shared();
    let client = RefCell::new(cluster.connect(&cluster.create_database()));
    let currency = prop_oneof![Just("USD"), Just("EUR")];
    property((price_rows(), priced_events(), currency), |(prices, events, currency)| {
        let mut client = client.borrow_mut();
        let mut transaction = client.transaction().expect("a transaction");
        let setting = "SELECT set_config('llm_usage.default_currency', $1, true)";
        transaction.execute(setting, &[&currency]).expect("a setting");
        write_prices(&mut transaction, &prices);
        let back: Vec<Event> = events.iter().map(taken_back).collect();
        write_events(&mut transaction, &events, currency).expect("the events");
        write_events(&mut transaction, &back, currency).expect("the events");
        let priced: Vec<Priced> =
            events.iter().map(|event| oracle::price(event, &prices, currency)).collect();
        let priced_back =
            priced.iter().map(|of| Priced { cost: of.cost.as_ref().map(|cost| -cost), ..of.clone() });
        let expected: Vec<_> = priced.iter().cloned().chain(priced_back).map(expected).collect();
        prop_assert_eq!(recorded(&mut transaction), expected);
        Ok(())
    });
}

/// What an event costs in the end, as the ledger's rows for it add up.
fn standing(transaction: &mut Transaction) -> Vec<(String, Option<String>, String)> {
    let query = "SELECT request_id, trim_scale(sum(cost))::text, currency FROM llm_usage.usage_events
        GROUP BY request_id, currency, cost IS NULL
        HAVING (sum(llm_usage._requests(requests, corrects)), sum(prompt_tokens), sum(completion_tokens), coalesce(sum(cost), 0))
            <> (0, 0, 0, 0)
        ORDER BY length(request_id), request_id";
    let rows = transaction.query(query, &[]).expect("the ledger");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

fn fold_if(transaction: &mut Transaction, wanted: bool) {
    if wanted {
        transaction.execute("SELECT llm_usage.fold()", &[]).expect("a fold");
    }
}

/// Calls `reprice()`; how many events it names.
fn repriced(transaction: &mut Transaction, dry_run: bool) -> i64 {
    let query =
        "SELECT coalesce(sum(events), 0)::bigint FROM llm_usage.reprice(dry_run => $1, reason => 'late')";
    transaction.query_one(query, &[&dry_run]).expect(query).get(0)
}

#[test]
fn repriced_events_are_as_if_recorded_at_the_new_prices() {
    let cluster = Cluster::shared();
    let client = RefCell::new(cluster.connect(&cluster.create_database()));
    let random = RefCell::new(Random::new(7));
    property(
        (price_rows(), price_rows(), priced_events(), any::<[bool; 3]>()),
        |(old, new, events, folds)| {
            let mut client = client.borrow_mut();
            let mut transaction = client.transaction().expect("a transaction");
            write_prices(&mut transaction, &old);
            write_events(&mut transaction, &events, "USD").expect("the events");
            fold_if(&mut transaction, folds[0]);
            transaction.execute("DELETE FROM llm_usage.model_prices", &[]).expect("no prices");
            write_prices(&mut transaction, &new);
            let mut changed = 0;
            let mut expected = Vec::new();
            for event in &events {
                let before = oracle::price(event, &old, "USD");
                let now = oracle::price(event, &new, "USD");
                // What has no price any more, and what was given, stays.
                let after = if now.priced == Some(true) { now } else { before.clone() };
                let amount = |cost: &Option<BigDecimal>| cost.as_ref().map(oracle::digits);
                if (amount(&before.cost), &before.currency) != (amount(&after.cost), &after.currency) {
                    changed += 1;
                }
                expected.push((event.request_id.clone(), amount(&after.cost), after.currency));
            }
            expected.sort_by_key(|(name, ..)| (name.len(), name.clone()));
            prop_assert_eq!(repriced(&mut transaction, true), changed);
            prop_assert_eq!(repriced(&mut transaction, false), changed);
            fold_if(&mut transaction, folds[1]);
            prop_assert_eq!(repriced(&mut transaction, false), 0);
            prop_assert_eq!(standing(&mut transaction), expected);
            fold_if(&mut transaction, folds[2]);
            prop_assert_eq!(differences(&mut transaction).expect("it verifies"), Vec::<String>::new());
            let range = range(&mut random.borrow_mut());
            recount(&mut transaction, &range).expect("it recounts");
            Ok(())
        },
    );
}

fn add_price(client: &mut impl GenericClient, input_per_token: &str) {
    let insert = "INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token)
        VALUES ('acme', 'm', $1::text::timestamptz, $2::text::numeric)
        ON CONFLICT (model, vendor, service_tier, above_tokens, source, valid_from)
        DO UPDATE SET input_per_token = excluded.input_per_token";
    client.execute(insert, &[&"2025-01-01 00:00:00+00", &input_per_token]).expect("a price");
}

/// Records an event of one prompt token and returns its cost, which is the price.
fn cost(client: &mut impl GenericClient) -> Option<String> {
    let record = "SELECT r::text FROM llm_usage.record_usage('m', prompt_tokens => 1) r";
    client.query_one(record, &[]).expect("it is recorded");
    let read = "SELECT cost::text FROM llm_usage.usage_events ORDER BY id DESC LIMIT 1";
    client.query_one(read, &[]).expect("the event").get(0)
}

fn two_sessions() -> (Client, Client) {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    (cluster.connect(&database), cluster.connect(&database))
}

fn price(digits: &str) -> Option<String> {
    Some(digits.to_owned())
}

#[test]
fn a_price_holds_in_its_transaction_and_is_gone_with_it() {
    let (mut client, _) = two_sessions();
    assert_eq!(cost(&mut client), None);
    let mut transaction = client.transaction().expect("a transaction");
    add_price(&mut transaction, "0.1");
    assert_eq!(cost(&mut transaction), price("0.1"));
    let mut savepoint = transaction.transaction().expect("a savepoint");
    add_price(&mut savepoint, "0.2");
    assert_eq!(cost(&mut savepoint), price("0.2"));
    savepoint.rollback().expect("back to the savepoint");
    assert_eq!(cost(&mut transaction), price("0.1"));
    let mut savepoint = transaction.transaction().expect("a savepoint");
    savepoint.execute("DELETE FROM llm_usage.model_prices WHERE model = 'm'", &[]).expect("no price");
    assert_eq!(cost(&mut savepoint), None);
    savepoint.rollback().expect("back to the savepoint");
    assert_eq!(cost(&mut transaction), price("0.1"));
    transaction.rollback().expect("back to the start");
    assert_eq!(cost(&mut client), None);
}

#[test]
fn a_price_holds_for_other_sessions_as_soon_as_it_is_committed() {
    let (mut writer, mut other) = two_sessions();
    for digits in ["0.1", "0.2", "0.3"] {
        let before = cost(&mut other);
        let mut transaction = writer.transaction().expect("a transaction");
        add_price(&mut transaction, digits);
        assert_eq!(cost(&mut transaction), price(digits));
        assert_eq!(cost(&mut other), before);
        transaction.commit().expect("it commits");
        assert_eq!(cost(&mut other), price(digits));
        // A transaction that is open since before the next change sees it with its next statement.
        let mut open = other.transaction().expect("a transaction");
        assert_eq!(cost(&mut open), price(digits));
        add_price(&mut writer, "0.7");
        assert_eq!(cost(&mut open), price("0.7"));
        open.rollback().expect("back to the start");
    }
    writer.execute("DELETE FROM llm_usage.model_prices WHERE model = 'm'", &[]).expect("no price");
    assert_eq!(cost(&mut other), None);
}

#[test]
fn a_repeatable_read_transaction_keeps_the_prices_of_its_snapshot() {
    let (mut writer, mut other) = two_sessions();
    add_price(&mut writer, "0.1");
    assert_eq!(cost(&mut other), price("0.1"));
    let level = postgres::IsolationLevel::RepeatableRead;
    let mut transaction = other.build_transaction().isolation_level(level).start().expect("a transaction");
    assert_eq!(cost(&mut transaction), price("0.1"));
    add_price(&mut writer, "0.2");
    assert_eq!(cost(&mut transaction), price("0.1"));
    transaction.commit().expect("it commits");
    assert_eq!(cost(&mut other), price("0.2"));
}
