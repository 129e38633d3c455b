//! Rows written and deleted without a plan: to set one up takes longer than to do what it says. Only where nothing but a trigger of
//! ours stands between an INSERT and the table.

use std::ffi::CStr;
use std::rc::Rc;
use std::slice;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::lookup::{self, Key};
use super::plain;
use super::rights::may_freely;
use super::row::{Columns, Names, Room, places};
use crate::error::failed;

/// A table that is open to take rows. After an error the server closes it.
pub struct Table {
    relation: pg_sys::Relation,
    executor: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    places: Rc<[usize]>,
    /// Whether the key of the last row was: then the next is not looked for, but written, which finds it as well. A known one leaves a
    /// dead row behind by that, so after it is looked again.
    was_new: bool,
}

impl Table {
    /// `None` if rows have to be written by a statement: of what is no plain table, has other columns than those named, or more that an
    /// INSERT would do than to fire the trigger that calls the named function of ours.
    pub fn open(
        table: pg_sys::Oid,
        names: Names,
        types: &[pg_sys::Oid],
        trigger: Option<&CStr>,
    ) -> Result<Option<Self>, ErrorReport> {
        // SAFETY: no such table is an error; what is opened is closed again, and stays locked like what a statement writes.
        unsafe {
            let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock as i32);
            let places = places(relation, names)?;
            if !plain::has_columns(relation, &places, types) || !plain::only_inserts(relation, trigger) {
                pg_sys::table_close(relation, pg_sys::NoLock as i32);
                return Ok(None);
            }
            let executor = pg_sys::CreateExecutorState();
            let result: *mut pg_sys::ResultRelInfo =
                PgBox::<pg_sys::ResultRelInfo>::alloc_node(pg_sys::NodeTag::T_ResultRelInfo).into_pg();
            pg_sys::InitResultRelInfo(result, relation, 0, std::ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(result, true);
            let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
            Ok(Some(Self { relation, executor, result, slot, places, was_new: false }))
        }
    }

    /// Closes it after what was written.
    pub fn close(self) {
        // SAFETY: opened above, and not used any more.
        unsafe {
            pg_sys::ExecCloseIndices(self.result);
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::FreeExecutorState(self.executor);
            pg_sys::table_close(self.relation, pg_sys::NoLock as i32);
        }
    }

    /// Writes a row, whose values stand in the order of the names.
    pub fn insert(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) {
        self.fill(values, nulls);
        // SAFETY: table, slot and indexes are open.
        unsafe {
            pg_sys::simple_table_tuple_insert(self.relation, self.slot);
            self.insert_into_indexes(None);
        }
        self.rest();
    }

    /// The same, but for a row whose key is there already: false, and nothing is written. Who writes the same key now is waited for.
    /// Only in READ COMMITTED: another isolation level has to look whether it may know of the row.
    pub fn insert_if_new(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) -> Result<bool, ErrorReport> {
        self.fill(values, nulls);
        // SAFETY: as above; the row is a promise to others, who wait for the token, until its indexes have it.
        unsafe {
            let access = &*(*self.relation).rd_tableam;
            let (Some(insert), Some(complete)) =
                (access.tuple_insert_speculative, access.tuple_complete_speculative)
            else {
                return Err(failed("the table's access method knows no keys"));
            };
            let (relation, slot) = (self.relation, self.slot);
            let mut is_looked_for = !self.was_new;
            loop {
                if is_looked_for && !self.is_new() {
                    self.was_new = false;
                    self.rest();
                    return Ok(false);
                }
                let command = pg_sys::GetCurrentCommandId(true);
                let token = pg_sys::SpeculativeInsertionLockAcquire(pg_sys::GetCurrentTransactionId());
                pg_guard_ffi_boundary(|| insert(relation, slot, command, 0, std::ptr::null_mut(), token));
                let mut is_taken = false;
                self.insert_into_indexes(Some(&mut is_taken));
                pg_guard_ffi_boundary(|| complete(relation, slot, token, !is_taken));
                pg_sys::SpeculativeInsertionLockRelease(pg_sys::GetCurrentTransactionId());
                if !is_taken {
                    self.was_new = true;
                    self.rest();
                    return Ok(true);
                }
                is_looked_for = true;
            }
        }
    }

    fn fill(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) {
        // SAFETY: the slot has a place for each column; the values live until the row is written.
        unsafe {
            pg_sys::ExecClearTuple(self.slot);
            let natts = usize::try_from((*(*self.relation).rd_att).natts).unwrap_or_default();
            slice::from_raw_parts_mut((*self.slot).tts_isnull, natts).fill(true);
            for (column, place) in self.places.iter().enumerate() {
                *(*self.slot).tts_values.add(*place) = values[column];
                *(*self.slot).tts_isnull.add(*place) = nulls[column];
            }
            pg_sys::ExecStoreVirtualTuple(self.slot);
            if !(*(*self.relation).rd_att).constr.is_null() {
                pg_sys::ExecConstraints(self.result, self.slot, self.executor);
            }
        }
    }

    /// What was computed for the row is forgotten.
    fn rest(&mut self) {
        // SAFETY: the context is the executor's own.
        unsafe {
            let context = (*self.executor).es_per_tuple_exprcontext;
            if !context.is_null() {
                pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            }
        }
    }

    unsafe fn is_new(&mut self) -> bool {
        let mut conflict = pg_sys::ItemPointerData::default();
        let (result, slot, executor) = (self.result, self.slot, self.executor);
        // SAFETY: the slot is filled, the indexes are open; no list means all that are unique.
        unsafe {
            #[cfg(not(feature = "pg18"))]
            let is_new = pg_sys::ExecCheckIndexConstraints(
                result,
                slot,
                executor,
                &mut conflict,
                std::ptr::null_mut(),
            );
            #[cfg(feature = "pg18")]
            let is_new = pg_sys::ExecCheckIndexConstraints(
                result,
                slot,
                executor,
                &mut conflict,
                &mut (*slot).tts_tid,
                std::ptr::null_mut(),
            );
            is_new
        }
    }

    /// With a place for it, it is said there if the key was taken meanwhile.
    unsafe fn insert_into_indexes(&mut self, is_taken: Option<&mut bool>) {
        let only_if_new = is_taken.is_some();
        let is_taken = is_taken.map_or(std::ptr::null_mut(), std::ptr::from_mut);
        let (result, slot, executor, all) = (self.result, self.slot, self.executor, std::ptr::null_mut());
        // SAFETY: the slot holds a row that the table has; the indexes are open.
        unsafe {
            if (*result).ri_NumIndices == 0 {
                return;
            }
            #[cfg(feature = "pg15")]
            pg_sys::ExecInsertIndexTuples(result, slot, executor, false, only_if_new, is_taken, all);
            #[cfg(not(feature = "pg15"))]
            pg_sys::ExecInsertIndexTuples(result, slot, executor, false, only_if_new, is_taken, all, false);
        }
    }
}

/// What became of rows that were to be deleted.
#[derive(Clone, Copy, PartialEq)]
pub enum Deleted {
    /// So many of them were.
    Rows(usize),
    /// Another session was faster with one of them.
    Gone,
}

/// Deletes the rows of a table that are like a key, in the active snapshot, and hands each over. `None` if that has to be done by a
/// statement.
pub fn delete(
    table: pg_sys::Oid,
    key: &[Key],
    names: Names,
    mut read: impl FnMut(&Columns) -> Result<(), ErrorReport>,
) -> Result<Option<Deleted>, ErrorReport> {
    let mut rows = Vec::new();
    let mut result = Ok(());
    // SAFETY: no such table is an error; what is opened is closed again, and stays locked like what a statement writes.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock as i32);
        let mut room = Room::of(relation, names)?;
        let is_answered = may_freely(table, pg_sys::ACL_DELETE)
            && !super::is_read_only()
            && plain::only_deletes(relation)
            && lookup::scan(relation, &[key], |row| {
                rows.push((*row).t_self);
                result = read(&room.read(row));
                result.is_ok()
            });
        result?;
        let mut deleted = is_answered.then_some(Deleted::Rows(rows.len()));
        if is_answered && !rows.iter_mut().all(|row| delete_row(relation, row)) {
            deleted = Some(Deleted::Gone);
        }
        pg_sys::table_close(relation, pg_sys::NoLock as i32);
        Ok(deleted)
    }
}

/// Whether it was there to be deleted; who deletes it now is waited for.
///
/// # Safety
/// The table is open, and the row one that the active snapshot sees.
unsafe fn delete_row(table: pg_sys::Relation, row: &mut pg_sys::ItemPointerData) -> bool {
    // SAFETY: a table has an access method.
    unsafe {
        let Some(delete) = (*(*table).rd_tableam).tuple_delete else { return false };
        let (command, snapshot) = (pg_sys::GetCurrentCommandId(true), pg_sys::GetActiveSnapshot());
        let mut failure = pg_sys::TM_FailureData::default();
        let result = pg_guard_ffi_boundary(|| {
            delete(table, row, command, snapshot, std::ptr::null_mut(), true, &mut failure, false)
        });
        result == pg_sys::TM_Result::TM_Ok
    }
}

/// What was written by now is seen by what comes.
pub fn show_written() {
    // SAFETY: between two commands of the transaction.
    unsafe { pg_sys::CommandCounterIncrement() };
}

/// Whether who asks may write rows to a table, and no policy is to be asked for them.
pub fn is_writable(table: pg_sys::Oid) -> bool {
    may_freely(table, pg_sys::ACL_INSERT) && !super::is_read_only()
}

/// The partition of a ledger that has an instant, in microseconds since 1970. `None` if rows have to be written by a statement: of the
/// default partition, and where more is to be done for one.
pub fn partition_of(ledger: pg_sys::Oid, at: i64) -> Option<pg_sys::Oid> {
    let at = at.saturating_sub(super::POSTGRES_EPOCH);
    // SAFETY: no such table is an error; bounds and partitions are looked at while the ledger is open.
    unsafe {
        let relation = pg_sys::table_open(ledger, pg_sys::RowExclusiveLock as i32);
        let partition = plain::routes_rows(relation).then(|| {
            // Without what is being detached, as in every statement that reads what is committed.
            let partitions = &*pg_sys::RelationGetPartitionDesc(relation, true);
            place_of(partitions, at).map(|place| *partitions.oids.add(place))
        });
        pg_sys::table_close(relation, pg_sys::NoLock as i32);
        partition.flatten()
    }
}

/// # Safety
/// The partitions are those of a range of one `timestamptz`.
unsafe fn place_of(partitions: &pg_sys::PartitionDescData, at: i64) -> Option<usize> {
    use pg_sys::PartitionRangeDatumKind::{PARTITION_RANGE_DATUM_MINVALUE, PARTITION_RANGE_DATUM_VALUE};
    if partitions.boundinfo.is_null() {
        return None;
    }
    // SAFETY: there is a datum and its kind for each bound, and an index more than those.
    unsafe {
        let bounds = &*partitions.boundinfo;
        let count = usize::try_from(bounds.ndatums).ok().filter(|count| *count > 0)?;
        let is_reached = |bound: usize| match **bounds.kind.add(bound) {
            PARTITION_RANGE_DATUM_VALUE => (**bounds.datums.add(bound)).value() as i64 <= at,
            kind => kind == PARTITION_RANGE_DATUM_MINVALUE,
        };
        let (mut reached, mut end) = (0, count);
        while reached < end {
            let middle = reached.midpoint(end);
            if is_reached(middle) { reached = middle + 1 } else { end = middle }
        }
        usize::try_from(*bounds.indexes.add(reached)).ok()
    }
}
