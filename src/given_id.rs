//! Ids are given by the tables and by nobody else: the fold goes by them, and two rows of one id would be one event.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::thread::LocalKey;

use llm_usage_core::Error;
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::pg::row::Columns;
use crate::pg::transaction::End;
use crate::{error, pg, query};

/// What a session knows of a ledger's ids.
#[derive(Clone, Copy)]
struct Known {
    generation: u64,
    sequence: pg_sys::Oid,
    /// It has drawn from the sequence, which can be asked for the last number then.
    has_drawn: bool,
    /// The sequence is locked since those numbers of transactions that ended and of numbers left over.
    locked: Option<(u64, u64)>,
    /// What it draws lies ahead of the fold, as it does unless the sequence was set back.
    is_ahead: bool,
    /// How often numbers may have been left over by then.
    left_over: u64,
    /// The greatest id that was found good, which it is once, and the one before it.
    last: i64,
    before: i64,
    /// In this transaction, by the number of those that ended, ids above the other number are the session's to give.
    free_above: Option<(u64, i64)>,
    /// The last two that were found good since those numbers of transactions that ended and of numbers left over.
    checked: (u64, u64, [Option<i64>; 2]),
}

impl Known {
    const NOTHING: Self = Self {
        generation: 0,
        sequence: pg_sys::InvalidOid,
        has_drawn: false,
        locked: None,
        is_ahead: false,
        left_over: 0,
        last: i64::MIN,
        before: i64::MIN,
        free_above: None,
        checked: (0, 0, [None; 2]),
    };

    fn checked_now(&self) -> [Option<i64>; 2] {
        let (ended, left_over, ids) = self.checked;
        if (ended, left_over) == (ENDED.get(), LEFT_OVER.get()) { ids } else { [None; 2] }
    }
}

/// So many numbers before the last may have been drawn for rows around the one that has it.
const FEW: i64 = 100;

thread_local! {
    static USAGE_EVENTS: Cell<Known> = const { Cell::new(Known::NOTHING) };
    static SESSIONS: Cell<Known> = const { Cell::new(Known::NOTHING) };
    static MESSAGES: Cell<Known> = const { Cell::new(Known::NOTHING) };
    /// Drawn by this session for rows of `usage_events` that it writes in this transaction; ascending.
    static DRAWN: RefCell<VecDeque<Drawn>> = const { RefCell::new(VecDeque::new()) };
    /// How often a number may have been drawn that no row was written with, and that is no more locked against the fold.
    static LEFT_OVER: Cell<u64> = const { Cell::new(0) };
    /// Transactions that ended.
    static ENDED: Cell<u64> = const { Cell::new(0) };
    /// How many had when a part of one was undone last.
    static UNDONE: Cell<Option<u64>> = const { Cell::new(None) };
    /// The last id of those that were drawn for rows of `usage_events` before their INSERT.
    static LAST_DRAWN: Cell<i64> = const { Cell::new(0) };
}

/// What was undone before this library was loaded is not known.
pub fn begin() {
    LEFT_OVER.set(u64::from(pg::transaction::may_have_undone()));
}

/// What was drawn in a transaction, or in a part of it that was undone, is of no use after it: the fold passes it.
pub fn forget(end: End) {
    DRAWN.with_borrow_mut(|drawn| match end {
        End::Kept => drawn.clear(),
        End::Undone(from) => drawn.retain(|drawn| drawn.within < from),
    });
    match end {
        End::Kept => ENDED.set(ENDED.get() + 1),
        End::Undone(from) => {
            UNDONE.set(Some(ENDED.get()));
            ENDED.set(ENDED.get() + u64::from(from == pg::transaction::WHOLE));
            LEFT_OVER.set(LEFT_OVER.get() + 1);
        }
    }
}

struct Drawn {
    id: i64,
    within: pg_sys::SubTransactionId,
    /// The row that it was drawn for may still come.
    is_awaited: bool,
}

/// A ledger whose rows have ids.
#[derive(Clone, Copy, PartialEq)]
pub enum Ledger {
    UsageEvents,
    Sessions,
    Messages,
}

impl Ledger {
    fn known(self) -> &'static LocalKey<Cell<Known>> {
        match self {
            Self::UsageEvents => &USAGE_EVENTS,
            Self::Sessions => &SESSIONS,
            Self::Messages => &MESSAGES,
        }
    }

    fn names(self) -> (&'static CStr, &'static CStr) {
        match self {
            Self::UsageEvents => (c"usage_events", c"usage_events_id_seq"),
            Self::Sessions => (c"sessions", c"sessions_id_seq"),
            Self::Messages => (c"messages", c"messages_id_seq"),
        }
    }

    /// The id of a row that comes with this one. Refuses what this session has not drawn for the row: the fold may have passed it,
    /// or it is another row's. Who owns the ledger may restore rows, with ids that are ahead of all that were drawn, or by
    /// `pg_restore`. Of a number that may be left over from before, which the fold may have passed, a new one takes the place.
    pub fn checked_id(self, given: Option<i64>) -> Result<Checked, ErrorReport> {
        let Some(given) = given else { return Err(error::violation(&Error::NoId)) };
        let mut known = self.known().get();
        let generation = pg::known_generation();
        if known.generation != generation {
            let sequence = pg::relation(self.names().1);
            if known.sequence != sequence {
                known = Known::NOTHING;
            }
            (known.generation, known.sequence) = (generation, sequence);
        }
        let origin = match self == Self::UsageEvents && take_drawn(given) {
            true => Some(Origin::Drawn),
            false => known.origin(given)?,
        };
        let (id, is_restored) = match origin {
            Some(Origin::Drawn) => (given, false),
            Some(Origin::Restored) => (given, true),
            Some(Origin::Doubtful) => {
                known.left_over = LEFT_OVER.get();
                let drawn = pg::draw_ids(pg::relation(self.names().0), known.sequence, 1);
                (error::required("id", drawn.first().copied())?, false)
            }
            None => {
                self.known().set(known);
                return Err(error::violation(&Error::GivenId { id: given }));
            }
        };
        if !is_restored && (!known.is_ahead || id < known.last) {
            self.refuse_folded(id)?;
            known.is_ahead = true;
        }
        if id > known.last {
            (known.before, known.last) = (known.last, id);
        }
        known.checked = (ENDED.get(), LEFT_OVER.get(), [Some(id), known.checked_now()[0]]);
        self.known().set(known);
        Ok(Checked { id, is_renewed: id != given, is_restored })
    }

    /// Refuses an id that the fold has passed: the row would be in no report.
    fn refuse_folded(self, id: i64) -> Result<(), ErrorReport> {
        let ledger = self.names().0.to_str().map_err(error::failed)?;
        let folded = pg::with_rights(|| {
            query::select_latest("SELECT llm_usage._folded_up_to($1)", &[ledger.into()], |row| row.get(1))
        })?;
        match folded.first().copied().flatten() {
            Some(folded_up_to) if id <= folded_up_to => {
                Err(error::report(&Error::FoldedId { ledger, id, folded_up_to }))
            }
            _ => Ok(()),
        }
    }
}

/// An id that may be written.
#[derive(Clone, Copy)]
pub struct Checked {
    pub id: i64,
    /// It is another than the given one.
    pub is_renewed: bool,
    /// With its row it was brought by who owns the ledger.
    pub is_restored: bool,
}

/// Where an id comes from that is accepted.
enum Origin {
    /// Drawn by this session while it has kept the fold from passing it.
    Drawn,
    /// Drawn by this session, perhaps before that, or perhaps for a row around one that a trigger wrote.
    Doubtful,
    /// Brought by who owns the ledger.
    Restored,
}

impl Known {
    fn origin(&mut self, id: i64) -> Result<Option<Origin>, ErrorReport> {
        // Asked first: to ask for the last number locks the sequence, too. The lock is kept until a part of the transaction is undone.
        let now = (ENDED.get(), LEFT_OVER.get());
        let has_drawn_now = self.locked == Some(now) || pg::is_drawn_from(self.sequence);
        self.locked = has_drawn_now.then_some(now);
        let is_sure = has_drawn_now && self.left_over == LEFT_OVER.get();
        let is_used = id == self.last;
        if is_sure && self.has_drawn && !is_used && pg::last_drawn(self.sequence) == id {
            return Ok(Some(Origin::Drawn));
        }
        let transaction = ENDED.get();
        if self.free_above.is_some_and(|(of, bound)| of == transaction && id > bound) {
            return Ok(Some(Origin::Restored));
        }
        let found = pg::with_rights(|| {
            let args = [self.sequence.into()];
            query::select_latest(include_str!("given_id.sql"), &args, |row| Ok((row.get(1)?, row.get(2)?)))
        })?;
        let (drawn, bound): (Option<i64>, Option<i64>) = found.first().copied().unwrap_or_default();
        let is_last = drawn == Some(id);
        self.has_drawn |= is_last;
        self.free_above = bound.map(|bound| (transaction, bound));
        let newest = drawn.map_or(self.last, |drawn| drawn.max(self.last));
        let oldest = self.before.max(newest.saturating_sub(FEW)).max(0);
        let is_around = has_drawn_now && (oldest + 1..newest).contains(&id);
        Ok(if bound.is_some_and(|bound| id > bound) {
            Some(Origin::Restored)
        } else if is_used {
            None
        } else if is_last && is_sure {
            Some(Origin::Drawn)
        } else if is_last || is_around {
            Some(Origin::Doubtful)
        } else {
            None
        })
    }
}

/// Whether the id was drawn for a row that is written now; it is so once.
fn take_drawn(id: i64) -> bool {
    DRAWN.with_borrow_mut(|drawn| {
        let place = drawn.binary_search_by_key(&id, |drawn| drawn.id);
        place.is_ok_and(|place| drawn.remove(place).is_some())
    })
}

/// Draws ids for rows of `usage_events` that are about to be written: a request key names its event before that is there.
pub fn draw(ledger: pg_sys::Oid, how_many: usize) -> Vec<i64> {
    let ids = pg::draw_ids(ledger, pg::relation(Ledger::UsageEvents.names().1), how_many);
    let within = pg::transaction::subtransaction();
    let awaited = ids.iter().map(|id| Drawn { id: *id, within, is_awaited: true });
    DRAWN.with_borrow_mut(|drawn| drawn.extend(awaited));
    LAST_DRAWN.set(ids.last().copied().unwrap_or_default());
    ids
}

/// Of ids that were drawn so, which ascend, no row is written: their request keys were known.
pub fn release(ids: &[i64]) {
    DRAWN.with_borrow_mut(|drawn| {
        for drawn in drawn.iter_mut().filter(|drawn| ids.binary_search(&drawn.id).is_ok()) {
            drawn.is_awaited = false;
        }
    });
}

/// Ids that this transaction has for rows of a ledger which may not be there yet: of the row whose trigger runs, and of one that wrote
/// it; of rows to come; and the one it drew last, unless a part of it was undone, which may have taken that row back.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _ids_under_way(ledger: &str, last_drawn: Option<i64>) -> Vec<i64> {
    let ledger = match ledger {
        "sessions" => Ledger::Sessions,
        "messages" => Ledger::Messages,
        _ => Ledger::UsageEvents,
    };
    let mut ids: Vec<i64> = ledger.known().get().checked_now().into_iter().flatten().collect();
    if UNDONE.get() != Some(ENDED.get()) {
        ids.extend(last_drawn.filter(|id| ledger != Ledger::UsageEvents || *id != LAST_DRAWN.get()));
    }
    if ledger == Ledger::UsageEvents {
        DRAWN.with_borrow(|drawn| {
            ids.extend(drawn.iter().filter(|drawn| drawn.is_awaited).map(|drawn| drawn.id));
        });
    }
    ids
}

/// Whether this transaction may have drawn from a sequence.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _is_drawn_from(sequence: pg_sys::Oid) -> bool {
    pg::is_drawn_from(sequence)
}

/// The trigger, in its schema.
#[pg_schema]
pub mod llm_usage {
    use super::*;

    /// BEFORE INSERT FOR EACH ROW on `sessions` and `messages`: refuses an id that was not drawn for the row (23514),
    /// or that the fold has passed (55000).
    #[pg_trigger]
    fn _check_id<'a>(
        trigger: &'a PgTrigger<'a>,
    ) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgTriggerError> {
        Ok(error::raise(check_row(trigger)))
    }
}

fn check_row<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, ErrorReport> {
    let ledger = match trigger.extra_args().unwrap_or_default().first().map(String::as_str) {
        Some("sessions") => Ledger::Sessions,
        _ => Ledger::Messages,
    };
    let row = Columns::of(trigger, &["id"])?;
    let id = ledger.checked_id((!row.is_null(0)).then(|| row.number(0)))?;
    match id.is_renewed {
        false => Columns::unchanged(trigger),
        true => row.with(trigger, [(0, id.id.into_datum())]).map(Some),
    }
}
