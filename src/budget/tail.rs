//! The events that are not folded yet, as a session remembers them: before every call only those are read that came since the
//! last one. What was seen committed stays committed, and stays in the ledger.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use bigdecimal::BigDecimal;
use llm_usage_core::event::event_column;
use pgrx::pg_sys::panic::ErrorReport;

use super::{Entity, Kind};
use crate::error::failed;
use crate::ledger::{self, CORRECTS, ID, REQUESTS};
use crate::pg;
use crate::pg::lookup::{self, Is};
use crate::pg::row::Columns;

/// A longer tail is read by SQL, which does not carry it over row by row.
const MOST_EVENTS: usize = 20_000;
/// Each missing id is looked for one by one.
const MOST_MISSING: usize = 200;
/// So many ids before the last are read again where one of them is missing: that is quicker than to look for it.
const FEW: i64 = 100;

/// What events add up to, in one currency.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    pub cost: BigDecimal,
    pub requests: i64,
    pub unpriced_requests: i64,
    pub tokens: i64,
}

/// An event as budgets count it.
struct Event {
    id: i64,
    occurred_at: i64,
    app_id: i64,
    llm_id: i64,
    user_id: Option<i64>,
    model: Rc<str>,
    vendor: Option<Rc<str>>,
    currency: Rc<str>,
    requests: i64,
    unpriced_requests: i64,
    tokens: i64,
    cost: BigDecimal,
}

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
    events: Vec<Event>,
    words: HashSet<Rc<str>>,
}

thread_local! {
    static TAIL: RefCell<Tail> = RefCell::default();
}

/// Reads what the snapshot has and memory has not; returns how far the ledger is folded. `None`: the tail is too long.
pub fn read() -> Result<Option<Folded>, ErrorReport> {
    let Some(folded) = folded()? else { return Ok(None) };
    let mut tail = TAIL.take();
    if tail.folded.0 != folded.0 || tail.folded.1 > folded.1 {
        tail = Tail { folded: (folded.0, 0), ..Tail::default() };
    }
    tail.forget(folded.1);
    if tail.is_too_long {
        TAIL.set(tail);
        return Ok(None);
    }
    let read_up_to = tail.read_up_to;
    let oldest = tail.missing.iter().copied().min().filter(|id| read_up_to - id < FEW);
    let from = oldest.map_or(read_up_to, |id| id - 1);
    let known = if oldest.is_some() { tail.ids_after(from) } else { HashSet::new() };
    let (mut found, mut last) = (Vec::new(), read_up_to);
    let is_read = pg::tail::rows(folded.0, &[Is::Above(from)], ledger::names, |row| {
        let id = row.number(ID);
        last = last.max(id);
        if !known.contains(&id) {
            found.push(tail.event(row)?);
        }
        Ok(found.len() <= MOST_EVENTS)
    })?;
    // An id may have been set far ahead.
    let skipped = usize::try_from(last - read_up_to).unwrap_or(usize::MAX);
    if !is_read || tail.events.len() + found.len().max(skipped) > MOST_EVENTS {
        TAIL.set(Tail { folded, is_too_long: true, ..Tail::default() });
        return Ok(None);
    }
    if oldest.is_none() && !tail.missing.is_empty() {
        let missing: Vec<Is> = tail.missing.iter().copied().map(Is::Number).collect();
        pg::tail::rows(folded.0, &missing, ledger::names, |row| {
            found.push(tail.event(row)?);
            Ok(true)
        })?;
    }
    tail.add(found, last);
    tail.is_too_long = tail.missing.len() > MOST_MISSING;
    TAIL.set(tail);
    Ok(Some(folded))
}

/// `None` if that cannot be told.
fn folded() -> Result<Option<Folded>, ErrorReport> {
    const LEDGER: &str = "usage_events";
    let mut up_to = 0;
    let names = || ["folded_up_to"].into_iter();
    let is_told =
        lookup::rows(pg::relation(c"_fold_progress"), &[[(c"ledger", Is::Named(LEDGER))]], names, |row| {
            up_to = row.number(0);
            Ok(false)
        })?;
    Ok(is_told.then(|| (pg::relation(c"usage_events"), up_to)))
}

/// Adds what the entity did in `[from, to)` to the sums; costs in the currency only.
pub fn add_up(entity: &Entity, (from, to): (i64, i64), currency: &str, sums: &mut Sums) {
    TAIL.with_borrow(|tail| {
        let counts = |event: &&Event| (from..to).contains(&event.occurred_at) && entity.made(event);
        for event in tail.events.iter().filter(counts) {
            sums.requests += event.requests;
            sums.unpriced_requests += event.unpriced_requests;
            sums.tokens += event.tokens;
            if &*event.currency == currency {
                sums.cost += &event.cost;
            }
        }
    });
}

impl Entity {
    fn made(&self, event: &Event) -> bool {
        let is = |word: &str| self.value.as_deref() == Some(word);
        match self.kind {
            Kind::App => self.id == Some(event.app_id),
            Kind::Llm => self.id == Some(event.llm_id),
            Kind::User => event.user_id.is_some() && self.id == event.user_id,
            Kind::Model => is(&event.model),
            Kind::Vendor => event.vendor.as_deref().is_some_and(is),
            Kind::Attribute | Kind::All => true,
        }
    }
}

impl Tail {
    /// What is folded by now.
    fn forget(&mut self, folded_up_to: i64) {
        if folded_up_to > self.folded.1 {
            self.events.retain(|event| event.id > folded_up_to);
            self.missing.retain(|id| *id > folded_up_to);
            self.folded.1 = folded_up_to;
            self.is_too_long = self.missing.len() > MOST_MISSING;
        }
        self.read_up_to = self.read_up_to.max(folded_up_to);
        if self.words.len() > MOST_EVENTS {
            self.words.clear();
        }
    }

    fn add(&mut self, found: Vec<Event>, last: i64) {
        let ids: HashSet<i64> = found.iter().map(|event| event.id).collect();
        self.missing.retain(|id| !ids.contains(id));
        self.missing.extend((self.read_up_to + 1..last).filter(|id| !ids.contains(id)));
        self.read_up_to = last;
        self.events.extend(found);
    }

    fn ids_after(&self, id: i64) -> HashSet<i64> {
        self.events.iter().map(|event| event.id).filter(|known| *known > id).collect()
    }

    fn event(&mut self, row: &Columns) -> Result<Event, ErrorReport> {
        const MODEL: usize = event_column("model");
        const VENDOR: usize = event_column("vendor");
        const USER: usize = event_column("user_id");
        const COST: usize = event_column("cost");
        const TOKENS: [usize; 4] = [
            event_column("prompt_tokens"),
            event_column("cache_read_tokens"),
            event_column("cache_write_tokens"),
            event_column("completion_tokens"),
        ];
        // As _requests() has it.
        let requests = match row.is_null(REQUESTS) {
            false => row.number(REQUESTS),
            true => i64::from(row.is_null(CORRECTS)),
        };
        Ok(Event {
            id: row.number(ID),
            occurred_at: row.instant(const { event_column("occurred_at") }),
            app_id: row.number(const { event_column("app_id") }),
            llm_id: row.number(const { event_column("llm_id") }),
            user_id: (!row.is_null(USER)).then(|| row.number(USER)),
            model: self.word(row.text(MODEL).unwrap_or_default()),
            vendor: row.text(VENDOR).map(|vendor| self.word(vendor)),
            currency: self.word(row.text(const { event_column("currency") }).unwrap_or_default()),
            requests,
            unpriced_requests: if row.is_null(COST) { requests } else { 0 },
            tokens: TOKENS.iter().map(|column| row.number(*column)).sum(),
            cost: match row.is_null(COST) {
                true => BigDecimal::default(),
                false => row.decimal(COST).parse().map_err(failed)?,
            },
        })
    }

    /// The word, kept once.
    fn word(&mut self, text: &str) -> Rc<str> {
        if let Some(word) = self.words.get(text) {
            return word.clone();
        }
        let word: Rc<str> = text.into();
        self.words.insert(word.clone());
        word
    }
}
