//! Events, chats, entities and budgets.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{CONSUMERS, MODELS, RULES, TASKS, amounts, currencies, instants, text};
use crate::ledger::{Book, Budget, Entity, Event, Message, Session, User, Way};

const WAYS: [Way; 4] = [Way::Insert, Way::Copy, Way::Record, Way::Batch];

/// Token kinds of one event; only a `few`, so that models tie for their rank.
fn token_kinds(few: bool) -> BoxedStrategy<(i64, i64, i64, i64, i64)> {
    if few {
        return (0..2_i64, Just(0), Just(0), 0..2_i64, 0..2_i64).boxed();
    }
    let count = || prop_oneof![2 => Just(0_i64), 6 => 1..5_000_i64, 1 => 0..=i64::from(i32::MAX)];
    (count(), count(), count(), count(), count()).boxed()
}

/// Apps that other apps' ids begin with, so that no prefix is taken for the whole.
fn app_ids() -> impl Strategy<Value = i64> {
    select(&[0_i64, 1, 1, 1, 2, 12, 3][..])
}

fn requests(today: NaiveDate, few_tokens: bool) -> impl Strategy<Value = Event> {
    let when_and_who = (select(&WAYS[..]), instants(today), app_ids(), 0..3_i64, option::of(1..4_i64));
    let what = (text(&MODELS), option::of(text(&RULES)), option::of(text(&TASKS)));
    let cost = (option::weighted(0.8, amounts()), option::weighted(0.8, currencies()));
    let quality = select(&[None, None, None, None, Some("partial"), Some("estimated")][..]);
    let said = (option::weighted(0.1, amounts()), option::weighted(0.1, -9..9_i64), quality);
    (when_and_who, what, token_kinds(few_tokens), cost, said).prop_map(
        |(
            (way, occurred_at, app_id, llm_id, user_id),
            (model, rule_type, task_id),
            (prompt, cache_read, cache_write, completion, inference),
            (cost, currency),
            (reported_cost, unaccounted, quality),
        )| Event {
            way,
            occurred_at,
            app_id,
            llm_id,
            user_id,
            model,
            prompt,
            cache_read,
            cache_write,
            completion,
            reasoning: completion / 3,
            inference,
            cost,
            currency: currency.map(str::to_owned),
            rule_type,
            task_id,
            reported_cost,
            unaccounted,
            quality: quality.map(str::to_owned),
            ..Event::default()
        },
    )
}

/// How an event is corrected: which one, and whether wholly, at another time, or towards another model.
type Correction = (Index, bool, Option<DateTime<Utc>>, Option<String>);

fn corrections(today: NaiveDate) -> impl Strategy<Value = Correction> {
    (
        any::<Index>(),
        any::<bool>(),
        option::weighted(0.3, instants(today)),
        option::weighted(0.2, text(&MODELS)),
    )
}

fn correct(event: &Event, wholly: bool, at: Option<DateTime<Utc>>, model: Option<String>) -> Event {
    let share = if wholly { 1 } else { 3 };
    let taken_back = |count: i64| -(count / share);
    Event {
        way: Way::Insert,
        occurred_at: at.unwrap_or(event.occurred_at),
        model: model.unwrap_or_else(|| event.model.clone()),
        prompt: taken_back(event.prompt),
        cache_read: taken_back(event.cache_read),
        // A correction may add as well.
        cache_write: if wholly { -event.cache_write } else { event.cache_write },
        completion: taken_back(event.completion),
        reasoning: taken_back(event.reasoning),
        inference: taken_back(event.inference),
        cost: event.cost.as_ref().map(|cost| if wholly { -cost } else { cost * BigDecimal::from(-1) / 4 }),
        corrects: Some(event.request_id.clone()),
        requests: wholly.then_some(-1),
        ..event.clone()
    }
}

/// Which event a function corrects, how, and what it shall be.
type Amendment = (Index, Way, (i64, i64), Option<BigDecimal>, Option<String>);

fn amendments() -> impl Strategy<Value = Amendment> {
    let ways = select(&[Way::Void, Way::Correct, Way::Correct, Way::Supersede][..]);
    let model = option::weighted(0.3, text(&MODELS));
    (any::<Index>(), ways, (0..5_000_i64, 0..5_000_i64), option::of(amounts()), model)
}

/// The rows by which one of the first `requests` events is corrected: all of its rows taken back, one by one, and what stands
/// instead. `present` is what each stands at.
fn amend(events: &mut Vec<Event>, present: &mut [Option<Event>], amendment: Amendment) {
    let (target, way, (prompt, completion), cost, model) = amendment;
    let target = target.index(present.len());
    let name = events[target].request_id.clone();
    let by_hand = |event: &Event| event.way == Way::Insert && event.corrects.as_ref() == Some(&name);
    let corrected_by_hand = events.iter().any(by_hand);
    let replacement = match (way, &present[target]) {
        (Way::Void, _) => None,
        // What of it stands depends on what the correction by hand was.
        (_, None) => return,
        (Way::Correct, Some(_)) if corrected_by_hand => return,
        (Way::Correct, Some(event)) => Some(Event {
            prompt,
            completion,
            model: model.unwrap_or_else(|| event.model.clone()),
            cost: cost.or_else(|| event.cost.clone()),
            ..event.clone()
        }),
        (_, Some(event)) => {
            let has_key = [Way::Record, Way::Batch].contains(&events[target].way);
            if !has_key || events[target].quality.is_none() || event.quality.is_none() || corrected_by_hand {
                return;
            }
            Some(Event { prompt, completion, cost, quality: None, unaccounted: None, ..event.clone() })
        }
    };
    let of_event = |event: &&Event| event.request_id == name || event.corrects.as_ref() == Some(&name);
    let mut rows: Vec<Event> = events.iter().filter(of_event).map(Event::taken_back).collect();
    rows[0].way = if way == Way::Void { Way::Void } else { Way::Along };
    present[target] = replacement.clone();
    if let Some(event) = replacement {
        rows.insert(0, Event { way, requests: Some(1), corrects: Some(name), ..event });
    }
    events.extend(rows);
}

/// Up to `most` requests, and corrections of some of them, by hand and by functions.
pub fn events(today: NaiveDate, most: usize) -> impl Strategy<Value = Vec<Event>> {
    let requests = prop_oneof![
        2 => vec(requests(today, false), 0..most),
        1 => vec(requests(today, true), 0..most),
    ];
    (requests, vec(corrections(today), 0..4), vec(amendments(), 0..8)).prop_map(
        |(mut events, corrections, amendments)| {
            for (number, event) in events.iter_mut().enumerate() {
                event.request_id = format!("r{number}");
            }
            let requests = events.len();
            for (target, wholly, at, model) in corrections {
                if requests > 0 {
                    let mut correction = correct(&events[target.index(requests)], wholly, at, model);
                    correction.request_id = format!("r{}", events.len());
                    events.push(correction);
                }
            }
            let mut present: Vec<Option<Event>> = events[..requests].iter().cloned().map(Some).collect();
            for amendment in amendments.into_iter().filter(|_| requests > 0) {
                amend(&mut events, &mut present, amendment);
            }
            events
        },
    )
}

/// A book of sessions and messages.
pub fn chat_book(today: NaiveDate) -> impl Strategy<Value = Book> {
    let session = (select(&WAYS[..]), instants(today), 0..3_i64, option::of(text(&CONSUMERS)))
        .prop_map(|(way, started_at, app_id, consumer_id)| Session { way, started_at, app_id, consumer_id });
    let message = (select(&WAYS[..]), instants(today), 0..3_i64, option::of(1..100_i64))
        .prop_map(|(way, sent_at, app_id, session_id)| Message { way, sent_at, app_id, session_id });
    (vec(session, 0..25), vec(message, 0..25)).prop_map(|(sessions, messages)| Book {
        default_currency: "USD",
        sessions,
        messages,
        ..Book::default()
    })
}

fn anchors() -> impl Strategy<Value = Option<NaiveDate>> {
    let month = select(&["2023-01-01", "2024-12-01", "2031-05-01"][..]);
    let anchor = (month, 1..=31_u32).prop_map(|(month, day)| {
        let month: NaiveDate = month.parse().expect("a date");
        month.with_day(day).expect("months of 31 days")
    });
    option::weighted(0.75, anchor)
}

fn budgets(entity_type: &'static str, ids: &'static [i64]) -> impl Strategy<Value = Vec<Budget>> {
    let amount = prop_oneof![1 => Just(BigDecimal::from(0)), 5 => amounts()];
    let budget = (select(ids), amount, currencies(), anchors()).prop_map(
        move |(entity_id, amount, currency, start_date)| Budget {
            entity_type,
            entity_id,
            amount,
            currency: currency.to_owned(),
            start_date,
        },
    );
    vec(budget, 0..5).prop_map(|budgets| unique(budgets, |budget| budget.entity_id))
}

fn entities(ids: &'static [i64]) -> impl Strategy<Value = Vec<Entity>> {
    let name = text(&["Chat", "chat \"usage\":5,", "Übersetzer\\", "App 12"]);
    let entity = (select(ids), name, option::of(1..5_i64)).prop_map(|(id, name, owner_id)| Entity {
        id,
        name,
        owner_id,
    });
    vec(entity, 0..5).prop_map(|entities| unique(entities, |entity| entity.id))
}

fn unique<T>(values: Vec<T>, key: impl Fn(&T) -> i64) -> Vec<T> {
    let by_key: BTreeMap<i64, T> = values.into_iter().map(|value| (key(&value), value)).collect();
    by_key.into_values().collect()
}

/// A book of events, entities and budgets, each registered or not.
pub fn book(today: NaiveDate, most_events: usize) -> impl Strategy<Value = Book> {
    let user = (1..5_i64, option::of(text(&["dev@example.com", "öl@example.com"])))
        .prop_map(|(id, email)| User { id, email });
    let users = vec(user, 0..4).prop_map(|users| unique(users, |user| user.id));
    (
        prop_oneof![3 => Just("USD"), 1 => Just("EUR")],
        events(today, most_events),
        users,
        (entities(&[1, 2, 3, 7]), entities(&[1, 2, 9])),
        (budgets("App", &[1, 2, 3, 12, 40]), budgets("LLM", &[1, 2, 30])),
    )
        .prop_map(|(default_currency, events, users, (apps, llms), (apps_budgets, llms_budgets))| Book {
            default_currency,
            events,
            users,
            apps,
            llms: llms.into_iter().map(|llm| Entity { owner_id: None, ..llm }).collect(),
            budgets: [apps_budgets, llms_budgets].concat(),
            ..Book::default()
        })
}
