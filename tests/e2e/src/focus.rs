//! What a question is about: something that was recorded, so that there is something to get wrong.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arbitrary::{MODELS, instant_edges};
use crate::ledger::{Book, Edge};
use crate::scenario::Scenario;

/// A bound of a range; `None`: left out.
pub type Bound<T> = Option<Edge<T>>;

/// An app or a model that occurs, in a range with bounds anywhere or at one of its own rows.
#[derive(Debug)]
pub struct Focus {
    pub app_id: i64,
    pub model: String,
    pub start: Bound<DateTime<Utc>>,
    pub end: Bound<DateTime<Utc>>,
}

/// What of a row may be asked for; sessions and messages have no model.
#[derive(Clone, Copy)]
struct Asked<'a> {
    app_id: i64,
    model: &'a str,
    at: DateTime<Utc>,
}

/// A bound anywhere, or at a row but for some microseconds.
type Aim = (Bound<DateTime<Utc>>, Option<(Index, i64)>);

fn rows(book: &Book) -> Vec<Asked<'_>> {
    let events = book.events.iter();
    let events = events.map(|row| Asked { app_id: row.app_id, model: &row.model, at: row.occurred_at });
    let sessions = book.sessions.iter();
    let sessions = sessions.map(|row| Asked { app_id: row.app_id, model: "", at: row.started_at });
    let messages = book.messages.iter().map(|row| Asked { app_id: row.app_id, model: "", at: row.sent_at });
    events.chain(sessions).chain(messages).collect()
}

fn focus(book: &Book, pick: Index, aims: (Aim, Aim), are_together: fn(Asked, Asked) -> bool) -> Focus {
    let (start, end) = aims;
    let rows = rows(book);
    let Some(picked) = rows.get(pick.index(rows.len().max(1))) else {
        return Focus { app_id: 1, model: MODELS[0].to_owned(), start: start.0, end: end.0 };
    };
    let together: Vec<&Asked> = rows.iter().filter(|row| are_together(*picked, **row)).collect();
    let bound = |(anywhere, at_row): Aim| {
        let at_row = at_row.map(|(pick, micros)| {
            Edge::At(together[pick.index(together.len())].at + TimeDelta::microseconds(micros))
        });
        at_row.or(anywhere)
    };
    Focus { app_id: picked.app_id, model: picked.model.to_owned(), start: bound(start), end: bound(end) }
}

fn aims(today: NaiveDate) -> impl Strategy<Value = (Index, (Aim, Aim))> {
    let aim = move || (instant_edges(today), option::of((any::<Index>(), -1..=1_i64)));
    (any::<Index>(), (aim(), aim()))
}

/// Questions about an app, one in ten about one that nobody knows.
pub fn about_an_app(
    scenario: impl Strategy<Value = Scenario>,
    today: NaiveDate,
) -> impl Strategy<Value = (Scenario, Focus)> {
    (scenario, aims(today), 0..10).prop_map(|(scenario, (pick, aims), known)| {
        let mut focus = focus(&scenario.book, pick, aims, |one, other| one.app_id == other.app_id);
        if known == 0 {
            focus.app_id = 99;
        }
        (scenario, focus)
    })
}

/// Questions about a model, one in ten about one that was never seen.
pub fn about_a_model(
    scenario: impl Strategy<Value = Scenario>,
    today: NaiveDate,
) -> impl Strategy<Value = (Scenario, Focus)> {
    (scenario, aims(today), 0..10).prop_map(|(scenario, (pick, aims), known)| {
        let mut focus = focus(&scenario.book, pick, aims, |one, other| one.model == other.model);
        if known == 0 {
            focus.model = "never-seen".to_owned();
        }
        (scenario, focus)
    })
}
