//! A ledger's rows behind the fold, and others that are few, without a plan over all its partitions.

use std::slice;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::POSTGRES_EPOCH;
use super::lookup::{self, Is, Key};
use super::row::{Columns, Names};

/// Whether any partition holds a row with a greater id that the running statement can see: all of them are asked, in
/// its snapshot, through the keys of their own. True as well where that cannot be told, and of what is no ledger: nobody
/// learns here of tables that he may not read.
pub fn has_rows_after(ledger: pg_sys::Oid, id: i64) -> bool {
    let has_rows = |partition| lookup::is_any(partition, (c"id", Is::Above(id))).unwrap_or(true);
    partitions_of(ledger, ALL_TIME).is_none_or(|partitions| partitions.into_iter().any(has_rows))
}

/// Hands over the rows that are like one of the keys, in no order, until it is told that no more are wanted. False if that cannot be
/// answered.
pub fn rows<'k>(
    ledger: pg_sys::Oid,
    keys: &[impl AsRef<[Key<'k>]>],
    names: Names,
    wants_more: impl FnMut(&Columns) -> Result<bool, ErrorReport>,
) -> Result<bool, ErrorReport> {
    rows_between(ledger, ALL_TIME, keys, names, wants_more)
}

/// The same of keys that are within a time, in microseconds since 1970.
pub fn rows_between<'k>(
    ledger: pg_sys::Oid,
    time: (i64, i64),
    keys: &[impl AsRef<[Key<'k>]>],
    names: Names,
    mut wants_more: impl FnMut(&Columns) -> Result<bool, ErrorReport>,
) -> Result<bool, ErrorReport> {
    let Some(partitions) = partitions_of(ledger, time) else { return Ok(false) };
    let mut goes_on = true;
    for partition in partitions {
        let is_answered = lookup::rows(partition, keys, names, |row| {
            goes_on = wants_more(row)?;
            Ok(goes_on)
        })?;
        if !is_answered || !goes_on {
            return Ok(is_answered);
        }
    }
    Ok(true)
}

const ALL_TIME: (i64, i64) = (i64::MIN, i64::MAX);

/// Those that may have rows of a time; `None` of what is no ledger.
fn partitions_of(ledger: pg_sys::Oid, time: (i64, i64)) -> Option<Vec<pg_sys::Oid>> {
    // SAFETY: no such table is an error; what is opened is closed again, and stays locked like what a statement reads.
    unsafe {
        let relation = pg_sys::relation_open(ledger, pg_sys::AccessShareLock as i32);
        let partitions = is_ledger(relation).then(|| partitions(relation, time));
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        partitions
    }
}

unsafe fn is_ledger(relation: pg_sys::Relation) -> bool {
    // SAFETY: the relation is open.
    unsafe {
        let form = &*(*relation).rd_rel;
        form.relkind as u8 == pg_sys::RELKIND_PARTITIONED_TABLE
            && form.relnamespace == pg_sys::get_namespace_oid(c"llm_usage".as_ptr(), true)
    }
}

unsafe fn partitions(ledger: pg_sys::Relation, (from, to): (i64, i64)) -> Vec<pg_sys::Oid> {
    // SAFETY: the ledger is open and partitioned; the list is copied, since opening a partition may renew it.
    unsafe {
        let partitions = &*pg_sys::RelationGetPartitionDesc(ledger, false);
        let oids = match usize::try_from(partitions.nparts) {
            Ok(count) if count > 0 => slice::from_raw_parts(partitions.oids, count),
            _ => return Vec::new(),
        };
        // Each bound but the first and the last is where one ends and another begins; between some there is none but the default one.
        let bounds = &*partitions.boundinfo;
        let count = usize::try_from(bounds.ndatums).unwrap_or_default();
        let bound = |place: usize| match **bounds.kind.add(place) {
            pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_MINVALUE => i64::MIN,
            pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_MAXVALUE => i64::MAX,
            _ => ((**bounds.datums.add(place)).value() as i64).saturating_add(POSTGRES_EPOCH),
        };
        let is_of_time = |place: &usize| {
            let begins = place.checked_sub(1).map_or(i64::MIN, bound);
            let ends = if *place < count { bound(*place) } else { i64::MAX };
            begins < to && from < ends
        };
        let of_bounds = |place| usize::try_from(*bounds.indexes.add(place)).ok();
        let default = usize::try_from(bounds.default_index).ok();
        let within = (0..=count).filter(is_of_time).filter_map(of_bounds);
        within.chain(default).filter_map(|index| oids.get(index).copied()).collect()
    }
}
