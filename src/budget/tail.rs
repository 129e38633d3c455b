//! The events that are not folded yet, as a session remembers their sums: before every call only those are read that came since
//! the last one. What was seen committed stays committed, and stays in the ledger.

use std::cell::RefCell;
use std::collections::HashSet;

use llm_usage_core::budget::Entity;
use llm_usage_core::event::{MOST_BYTES, event_column};
use llm_usage_core::tail::{self, Event, Sums};
use pgrx::pg_sys::panic::ErrorReport;

use crate::direct::{EVENTS, folded_up_to};
use crate::error::failed;
use crate::ledger::{self, ID};
use crate::pg::lookup::Is;
use crate::pg::row::Columns;
use crate::{pg, query};

use super::Remembered;

/// A longer tail is read by SQL, which does not carry it over row by row.
const MOST_EVENTS: usize = 100_000;
/// Each takes about a hundred bytes of the session.
pub const MOST_SUMS: usize = 50_000;
/// Each is looked for in every event.
const MOST_KEYS: usize = 20;
/// Each missing id is looked for one by one.
const MOST_MISSING: usize = 200;
/// So many ids before the last are read again where one of them is missing: that is quicker than to look for it.
const FEW: i64 = 100;

/// Which ledger is folded, and up to which id: the extension may be created anew.
pub type Folded = (pgrx::pg_sys::Oid, i64);

#[derive(Default)]
struct Tail {
    folded: Folded,
    /// Whether there is too much of it to go on before the next fold.
    is_too_long: bool,
    /// Up to which id it was read, and which before that were not there: of transactions that were under way, or rolled back.
    read_up_to: i64,
    missing: Vec<i64>,
    /// The ids of the last few.
    last: Vec<i64>,
    events: usize,
    sums: tail::Tail,
}

thread_local! {
    static TAIL: RefCell<Tail> = RefCell::default();
    /// The keys of attributes that budgets are of; none where those are too many.
    static KEYS: RefCell<Remembered<(), Vec<Box<str>>>> = RefCell::default();
}

/// Reads what the snapshot has and memory has not; returns how far the ledger is folded. `None`: the tail is too long. Budgets are
/// as they are at a generation.
pub fn read(generation: u64) -> Result<Option<Folded>, ErrorReport> {
    let Some(folded) = folded()? else { return Ok(None) };
    let keys = remembered_keys(generation)?;
    let mut tail = TAIL.take();
    if tail.folded != folded || keys.iter().any(|key| !tail.sums.has(key)) {
        tail = Tail::of(folded, &keys);
    }
    if !tail.is_too_long && !tail.read()? {
        tail = Tail { is_too_long: true, ..Tail::of(folded, &keys) };
    }
    let is_too_long = tail.is_too_long;
    TAIL.set(tail);
    Ok((!is_too_long).then_some(folded))
}

fn remembered_keys(generation: u64) -> Result<Vec<Box<str>>, ErrorReport> {
    let known = KEYS.with_borrow_mut(|known| known.of(generation).get(&()).cloned());
    if let Some(keys) = known {
        return Ok(keys);
    }
    let keys = keys()?;
    if pg::generation() == generation {
        KEYS.with_borrow_mut(|known| known.of(generation).insert((), keys.clone()));
    }
    Ok(keys)
}

/// The keys of attributes that are told apart.
pub fn keys() -> Result<Vec<Box<str>>, ErrorReport> {
    let args = [i64::try_from(MOST_KEYS + 1).map_err(failed)?.into()];
    let mut keys =
        query::select_by_index(include_str!("keys.sql"), &args, |row| row.text(1).map(String::into))?;
    if keys.len() > MOST_KEYS {
        keys.clear();
    }
    Ok(keys)
}

/// `None` if that cannot be told.
fn folded() -> Result<Option<Folded>, ErrorReport> {
    Ok(folded_up_to(&EVENTS)?.map(|up_to| (pg::relation(EVENTS.table), up_to)))
}

/// What an entity did in `[from, to)` by what was read; costs in the currency only. `None` if that cannot be told.
pub fn sums(entity: &Entity, range: (i64, i64), currency: &str) -> Option<Sums> {
    TAIL.with_borrow(|tail| tail.sums.sums(entity, range, currency))
}

impl Tail {
    /// Of nothing yet.
    fn of(folded: Folded, keys: &[Box<str>]) -> Self {
        let sums = tail::Tail::of_keys(keys.iter().cloned());
        Self { folded, read_up_to: folded.1, sums, ..Self::default() }
    }

    /// Goes on to read; false if there is too much.
    fn read(&mut self) -> Result<bool, ErrorReport> {
        let read_up_to = self.read_up_to;
        let oldest = self.missing.iter().copied().min().filter(|id| read_up_to - id < FEW);
        let from = oldest.map_or(read_up_to, |id| id - 1);
        let known: HashSet<i64> = self.last.iter().copied().filter(|id| *id > from).collect();
        let mut found = HashSet::new();
        let is_read = pg::tail::rows(self.folded.0, &[[(c"id", Is::Above(from))]], ledger::NAMES, |row| {
            let id = row.number(ID);
            if !known.contains(&id) {
                found.insert(id);
                add(&mut self.sums, row)?;
            }
            Ok(self.has_room(found.len()))
        })?;
        if !is_read || !self.has_room(found.len()) {
            return Ok(false);
        }
        if oldest.is_none() && !self.missing.is_empty() {
            let missing: Vec<_> = self.missing.iter().map(|id| [(c"id", Is::Number(*id))]).collect();
            pg::tail::rows(self.folded.0, &missing, ledger::NAMES, |row| {
                found.insert(row.number(ID));
                add(&mut self.sums, row)?;
                Ok(true)
            })?;
        }
        let last = found.iter().copied().fold(read_up_to, i64::max);
        // An id may have been set far ahead.
        if usize::try_from(last - read_up_to).is_ok_and(|ids| self.has_room(ids)) {
            self.missing.retain(|id| !found.contains(id));
            self.missing.extend((read_up_to + 1..last).filter(|id| !found.contains(id)));
            self.last.extend(&found);
            self.last.retain(|id| last - id < FEW);
            self.events += found.len();
            self.read_up_to = last;
            return Ok(self.missing.len() <= MOST_MISSING);
        }
        Ok(false)
    }

    fn has_room(&self, events: usize) -> bool {
        self.events + events <= MOST_EVENTS && self.sums.size() <= MOST_SUMS
    }
}

pub fn add(sums: &mut tail::Tail, row: &Columns) -> Result<(), ErrorReport> {
    const ATTRS: usize = event_column("attrs");
    let mut attrs = row.json_fields(ATTRS, sums.keys());
    // No budget is of a longer one.
    attrs.retain(|(_, value)| value.len() <= MOST_BYTES);
    sums.add(&event(row, attrs)?);
    Ok(())
}

fn event<'a>(row: &'a Columns, attrs: Vec<(String, String)>) -> Result<Event<'a>, ErrorReport> {
    const MODEL: usize = event_column("model");
    const VENDOR: usize = event_column("vendor");
    const CURRENCY: usize = event_column("currency");
    const USER: usize = event_column("user_id");
    const COST: usize = event_column("cost");
    const TOKENS: [usize; 4] = [
        event_column("prompt_tokens"),
        event_column("cache_read_tokens"),
        event_column("cache_write_tokens"),
        event_column("completion_tokens"),
    ];
    let cost = (!row.is_null(COST)).then(|| row.decimal(COST).parse().map_err(failed)).transpose()?;
    Ok(Event {
        occurred_at: row.instant(const { event_column("occurred_at") }),
        app_id: row.number(const { event_column("app_id") }),
        llm_id: row.number(const { event_column("llm_id") }),
        user_id: (!row.is_null(USER)).then(|| row.number(USER)),
        model: row.text(MODEL).unwrap_or_default(),
        vendor: row.text(VENDOR),
        attrs,
        currency: row.text(CURRENCY).unwrap_or_default(),
        requests: ledger::requests(row),
        cost,
        tokens: TOKENS.iter().map(|column| row.number(*column)).sum(),
    })
}
