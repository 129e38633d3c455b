//! Whether all that an INSERT or a DELETE would do to a table is to write or delete the row: only then the executor can be passed.

use std::ffi::CStr;
use std::slice;

use pgrx::prelude::*;
use pgrx::tupdesc::PgTupleDesc;

/// Whether a table has these columns, of these types, and no others but such as were dropped.
///
/// # Safety
/// The table is open.
pub unsafe fn has_columns(table: pg_sys::Relation, places: &[usize], types: &[pg_sys::Oid]) -> bool {
    // SAFETY: the descriptor lives as long as the table is open.
    let descriptor = unsafe { PgTupleDesc::from_pg_unchecked((*table).rd_att) };
    let is_like = |(place, of): (&usize, &pg_sys::Oid)| {
        descriptor.get(*place).is_some_and(|column| column.atttypid == *of && column.atttypmod == -1)
    };
    places.len() == types.len()
        && descriptor.iter().filter(|column| !column.attisdropped).count() == places.len()
        && places.iter().zip(types).all(is_like)
}

/// Whether an INSERT into a table, or into what it is a partition of, fires no trigger of it but one that calls the named function of
/// ours.
///
/// # Safety
/// The table is open.
pub unsafe fn only_inserts(table: pg_sys::Relation, function: Option<&CStr>) -> bool {
    // SAFETY: the table is open.
    unsafe {
        if !is_table(table) {
            return false;
        }
        let of_insert = triggers_of(table, pg_sys::TRIGGER_TYPE_INSERT);
        match function {
            None => of_insert.is_empty(),
            // A partition's triggers of statements are not its ledger's.
            Some(function) => {
                let is_of_row = |trigger: &&&pg_sys::Trigger| is_of(trigger, pg_sys::TRIGGER_TYPE_ROW);
                let of_row: Vec<_> = of_insert.iter().filter(is_of_row).collect();
                matches!(of_row[..], [trigger] if fires(trigger) && calls(trigger, function))
            }
        }
    }
}

/// Whether a DELETE from a table fires no trigger; an error if subscribers could not be told of it.
///
/// # Safety
/// The table is open.
pub unsafe fn only_deletes(table: pg_sys::Relation) -> bool {
    // SAFETY: the table is open.
    unsafe {
        let is_plain = is_table(table) && triggers_of(table, pg_sys::TRIGGER_TYPE_DELETE).is_empty();
        if is_plain {
            pg_sys::CheckCmdReplicaIdentity(table, pg_sys::CmdType::CMD_DELETE);
        }
        is_plain
    }
}

/// Whether an INSERT into a ledger only finds the partition.
///
/// # Safety
/// The ledger is open.
pub unsafe fn routes_rows(ledger: pg_sys::Relation) -> bool {
    // SAFETY: the ledger is open.
    unsafe {
        let is_of_statement = |trigger: &&pg_sys::Trigger| !is_of(trigger, pg_sys::TRIGGER_TYPE_ROW);
        (*ledger).rd_rules.is_null()
            && !triggers_of(ledger, pg_sys::TRIGGER_TYPE_INSERT).iter().any(is_of_statement)
    }
}

/// Whether it is one that rules leave alone.
///
/// # Safety
/// It is open.
unsafe fn is_table(table: pg_sys::Relation) -> bool {
    // SAFETY: the table is open.
    unsafe { (*(*table).rd_rel).relkind as u8 == pg_sys::RELKIND_RELATION && (*table).rd_rules.is_null() }
}

/// # Safety
/// The table stays open as long as they are used.
unsafe fn triggers_of<'a>(table: pg_sys::Relation, event: u32) -> Vec<&'a pg_sys::Trigger> {
    // SAFETY: a table has so many triggers.
    unsafe {
        let Some(triggers) = (*table).trigdesc.as_ref() else { return Vec::new() };
        let count = usize::try_from(triggers.numtriggers).unwrap_or_default();
        let all = slice::from_raw_parts(triggers.triggers, count);
        all.iter().filter(|trigger| is_of(trigger, event)).collect()
    }
}

fn is_of(trigger: &pg_sys::Trigger, kind: u32) -> bool {
    u32::from(trigger.tgtype.cast_unsigned()) & kind != 0
}

/// Whether it is enabled, and this session none that applies what another server did.
fn fires(trigger: &pg_sys::Trigger) -> bool {
    // SAFETY: a plain variable of this process.
    let is_replica =
        unsafe { pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32 };
    !is_replica && matches!(trigger.tgenabled as u8, b'O' | b'A')
}

/// Whether it calls a function of ours for every row.
unsafe fn calls(trigger: &pg_sys::Trigger, function: &CStr) -> bool {
    // SAFETY: the trigger's function is there.
    unsafe {
        let name = pg_sys::get_func_name(trigger.tgfoid);
        let ours = pg_sys::get_namespace_oid(c"llm_usage".as_ptr(), true);
        trigger.tgqual.is_null()
            && !name.is_null()
            && CStr::from_ptr(name) == function
            && pg_sys::get_func_namespace(trigger.tgfoid) == ours
    }
}
