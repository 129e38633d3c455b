//! A ledger's rows behind the fold, and others that are few, without a plan over all its partitions.

use std::slice;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::lookup::{self, Is, Key};
use super::row::{Columns, Names};

/// Whether any partition holds a row with a greater id that the running statement can see: all of them are asked, in
/// its snapshot, through the keys of their own. True as well where that cannot be told, and of what is no ledger: nobody
/// learns here of tables that he may not read.
pub fn has_rows_after(ledger: pg_sys::Oid, id: i64) -> bool {
    let has_rows = |partition| lookup::is_any(partition, (c"id", Is::Above(id))).unwrap_or(true);
    partitions_of(ledger).is_none_or(|partitions| partitions.into_iter().any(has_rows))
}

/// Hands over the rows that are like one of the keys, in no order, until it is told that no more are wanted. False if that cannot be
/// answered.
pub fn rows<'k>(
    ledger: pg_sys::Oid,
    keys: &[impl AsRef<[Key<'k>]>],
    names: Names,
    mut wants_more: impl FnMut(&Columns) -> Result<bool, ErrorReport>,
) -> Result<bool, ErrorReport> {
    let Some(partitions) = partitions_of(ledger) else { return Ok(false) };
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

/// `None` of what is no ledger.
fn partitions_of(ledger: pg_sys::Oid) -> Option<Vec<pg_sys::Oid>> {
    // SAFETY: no such table is an error; what is opened is closed again, and stays locked like what a statement reads.
    unsafe {
        let relation = pg_sys::relation_open(ledger, pg_sys::AccessShareLock as i32);
        let partitions = is_ledger(relation).then(|| partitions(relation));
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

unsafe fn partitions(ledger: pg_sys::Relation) -> Vec<pg_sys::Oid> {
    // SAFETY: the ledger is open and partitioned; the list is copied, since opening a partition may renew it.
    unsafe {
        let partitions = &*pg_sys::RelationGetPartitionDesc(ledger, false);
        match usize::try_from(partitions.nparts) {
            Ok(count) if count > 0 => slice::from_raw_parts(partitions.oids, count).to_vec(),
            _ => Vec::new(),
        }
    }
}
