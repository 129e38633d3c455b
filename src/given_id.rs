//! Ids are given by the tables and by nobody else: the fold goes by them, and two rows of one id would be one event.

use std::cell::{Cell, RefCell};
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
    /// How often numbers may have been left over by then.
    left_over: u64,
    /// The last id that was found good: it is so once.
    last: i64,
    /// In the transaction that began then, ids above the number are the session's to give.
    free_above: Option<(i64, i64)>,
}

impl Known {
    const NOTHING: Self = Self {
        generation: 0,
        sequence: pg_sys::InvalidOid,
        has_drawn: false,
        left_over: 0,
        last: i64::MIN,
        free_above: None,
    };
}

thread_local! {
    static USAGE_EVENTS: Cell<Known> = const { Cell::new(Known::NOTHING) };
    static SESSIONS: Cell<Known> = const { Cell::new(Known::NOTHING) };
    static MESSAGES: Cell<Known> = const { Cell::new(Known::NOTHING) };
    /// Drawn by this session, in a subtransaction, for the rows of `usage_events` that it writes next, ascending.
    static DRAWN: RefCell<(pg_sys::SubTransactionId, Vec<i64>)> = const { RefCell::new((0, Vec::new())) };
    /// How often a number may have been drawn that no row was written with, and that is no more locked against the fold.
    static LEFT_OVER: Cell<u64> = const { Cell::new(0) };
}

/// What was drawn in a transaction is of no use after it: the fold passes it.
pub fn forget_at_end() {
    pg::transaction::listen(|end| {
        let is_left = DRAWN.with_borrow_mut(|(drawn_in, ids)| {
            let is_over = end == End::Kept || matches!(end, End::Undone(from) if *drawn_in >= from);
            is_over && ids.drain(..).next().is_some()
        });
        if is_left || end != End::Kept {
            LEFT_OVER.set(LEFT_OVER.get() + 1);
        }
    });
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
    /// `pg_restore`. Of a number that may be left over from before, the fold may have passed it too, a new one takes the place.
    pub fn checked_id(self, given: i64) -> Result<i64, ErrorReport> {
        let mut known = self.known().get();
        let generation = pg::known_generation();
        if known.generation != generation {
            let sequence = pg::relation(self.names().1);
            if known.sequence != sequence {
                known = Known::NOTHING;
            }
            (known.generation, known.sequence) = (generation, sequence);
        }
        let mut id = given;
        if !(self == Self::UsageEvents && take_drawn(given)) {
            if !known.accepts(given)? {
                self.known().set(known);
                return Err(error::violation(&Error::GivenId { id: given }));
            }
            let left_over = LEFT_OVER.get();
            if known.left_over != left_over
                && known.has_drawn
                && pg::last_drawn(known.sequence) == Some(given)
            {
                let drawn = pg::draw_ids(pg::relation(self.names().0), known.sequence, 1);
                id = error::required("id", drawn.first().copied())?;
                known.left_over = left_over;
            }
        }
        known.last = id;
        self.known().set(known);
        Ok(id)
    }
}

impl Known {
    fn accepts(&mut self, id: i64) -> Result<bool, ErrorReport> {
        if self.has_drawn && id != self.last && pg::last_drawn(self.sequence) == Some(id) {
            return Ok(true);
        }
        let transaction = pg::transaction_start();
        if self.free_above.is_some_and(|(of, bound)| of == transaction && id > bound) {
            return Ok(true);
        }
        let args = [id.into(), self.sequence.into()];
        let found = pg::with_rights(|| {
            query::select_latest(include_str!("given_id.sql"), &args, |row| Ok((row.get(1)?, row.get(2)?)))
        })?;
        let (is_drawn, bound) = found.first().copied().unwrap_or_default();
        self.has_drawn = is_drawn == Some(true);
        self.free_above = bound.map(|bound| (transaction, bound));
        Ok(self.has_drawn && id != self.last || bound.is_some_and(|bound| id > bound))
    }
}

/// Whether the id was drawn for a row that is written now; it is so once.
fn take_drawn(id: i64) -> bool {
    DRAWN.with_borrow_mut(|(_, drawn)| {
        let place = drawn.binary_search(&id);
        place.map(|place| drawn.drain(..=place)).is_ok()
    })
}

/// Draws ids for rows of `usage_events` that are written by the next statement: a request key names its event before that
/// is there.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _draw_ids(ledger: pg_sys::Oid, sequence: pg_sys::Oid, how_many: i32) -> Vec<i64> {
    let ids = pg::draw_ids(ledger, sequence, how_many);
    DRAWN.set((pg::transaction::subtransaction(), ids.clone()));
    ids
}

/// The trigger, in its schema.
#[pg_schema]
pub mod llm_usage {
    use super::*;

    /// BEFORE INSERT FOR EACH ROW on `sessions` and `messages`: refuses an id that was not drawn for the row (23514).
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
    let row = Columns::of(trigger, || ["id"].into_iter())?;
    let (given, id) = (row.number(0), ledger.checked_id(row.number(0))?);
    match given == id {
        true => Columns::unchanged(trigger),
        false => row.with(trigger, [(0, id.into_datum())]).map(Some),
    }
}
