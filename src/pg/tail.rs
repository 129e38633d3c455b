//! Whether a ledger has rows behind the fold, without a plan over all its partitions.

use std::slice;

use pgrx::prelude::*;

/// Whether any partition holds a row with a greater id that the running statement can see: all of them are asked, in
/// its snapshot, through the keys of their own. True as well where that cannot be told, and of what is no ledger: nobody
/// learns here of tables that he may not read.
pub fn has_rows_after(ledger: pg_sys::Oid, id: i64) -> bool {
    // SAFETY: no such table is an error; what is opened is closed again, and stays locked like what a statement reads.
    unsafe {
        let relation = pg_sys::relation_open(ledger, pg_sys::AccessShareLock as i32);
        let partitions = is_ledger(relation).then(|| partitions(relation));
        let found = partitions.is_none_or(|all| all.into_iter().any(|one| partition_has_rows_after(one, id)));
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        found
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

unsafe fn partition_has_rows_after(partition: pg_sys::Oid, id: i64) -> bool {
    // SAFETY: as above.
    unsafe {
        let table = pg_sys::try_relation_open(partition, pg_sys::AccessShareLock as i32);
        if table.is_null() {
            return true;
        }
        let found = key_of(table).is_none_or(|(key, column)| {
            let index = pg_sys::index_open(key, pg_sys::AccessShareLock as i32);
            let found = index_has_rows_after(table, index, column, id);
            pg_sys::index_close(index, pg_sys::NoLock as i32);
            found
        });
        pg_sys::relation_close(table, pg_sys::NoLock as i32);
        found
    }
}

/// The primary key of a partition and the number of its column id.
unsafe fn key_of(table: pg_sys::Relation) -> Option<(pg_sys::Oid, pg_sys::AttrNumber)> {
    // SAFETY: the table is open; its list of indexes is the caller's own.
    unsafe {
        pg_sys::list_free(pg_sys::RelationGetIndexList(table));
        let column = pg_sys::get_attnum((*table).rd_id, c"id".as_ptr());
        let key = (*table).rd_pkindex;
        let is_table = (*(*table).rd_rel).relkind as u8 == pg_sys::RELKIND_RELATION;
        let is_bigint = pg_sys::get_atttype((*table).rd_id, column) == pg_sys::INT8OID;
        (is_table && is_bigint && key != pg_sys::InvalidOid).then_some((key, column))
    }
}

unsafe fn index_has_rows_after(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    column: pg_sys::AttrNumber,
    id: i64,
) -> bool {
    // SAFETY: both are open; a key begins with its first column.
    unsafe {
        if (*(*index).rd_index).indkey.values.as_slice(1) != [column] {
            return true;
        }
        let mut greater = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut greater,
            column,
            pg_sys::BTGreaterStrategyNumber as _,
            pg_sys::Oid::from_u32(pg_sys::F_INT8GT),
            pg_sys::Datum::from(id),
        );
        let snapshot = pg_sys::GetActiveSnapshot();
        let scan = pg_sys::systable_beginscan_ordered(table, index, snapshot, 1, &mut greater);
        let row = pg_sys::systable_getnext_ordered(scan, pg_sys::ScanDirection::ForwardScanDirection);
        pg_sys::systable_endscan_ordered(scan);
        !row.is_null()
    }
}
