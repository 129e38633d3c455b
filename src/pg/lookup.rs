//! Rows found by a table's primary key, in the active snapshot and without a plan: to set one up takes longer than to read what is
//! asked before each call.

use std::ffi::CStr;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::POSTGRES_EPOCH;
use super::row::{Columns, Room};

/// A column of the key, by its name, and what it has to be.
pub type Key<'a> = (&'static CStr, Is<'a>);

#[derive(Clone, Copy)]
pub enum Is<'a> {
    Number(i64),
    Above(i64),
    /// Microseconds since 1970.
    At(i64),
    After(i64),
    Named(&'a str),
}

impl Is<'_> {
    /// Type of the column, the operator's place in its order, and the operator's function.
    fn operator(self) -> (pg_sys::Oid, u32, u32) {
        match self {
            Self::Number(_) => (pg_sys::INT8OID, pg_sys::BTEqualStrategyNumber, pg_sys::F_INT8EQ),
            Self::Above(_) => (pg_sys::INT8OID, pg_sys::BTGreaterStrategyNumber, pg_sys::F_INT8GT),
            Self::At(_) => (pg_sys::TIMESTAMPTZOID, pg_sys::BTEqualStrategyNumber, pg_sys::F_TIMESTAMPTZ_EQ),
            Self::After(_) => {
                (pg_sys::TIMESTAMPTZOID, pg_sys::BTGreaterStrategyNumber, pg_sys::F_TIMESTAMPTZ_GT)
            }
            Self::Named(_) => (pg_sys::TEXTOID, pg_sys::BTEqualStrategyNumber, pg_sys::F_TEXTEQ),
        }
    }

    fn datum(self) -> pg_sys::Datum {
        match self {
            Self::Number(number) | Self::Above(number) => pg_sys::Datum::from(number),
            Self::At(instant) | Self::After(instant) => {
                pg_sys::Datum::from(instant.saturating_sub(POSTGRES_EPOCH))
            }
            Self::Named(name) => name.into_datum().unwrap_or(pg_sys::Datum::from(0)),
        }
    }
}

/// Hands over the rows of a table whose primary key begins like one of the keys, of each in the table's order, until it is told
/// that no more are wanted. False if that cannot be answered: of what is no table, or has another key.
pub fn rows<'k, I: Iterator<Item = &'static str>>(
    table: pg_sys::Oid,
    keys: &[impl AsRef<[Key<'k>]>],
    names: impl Fn() -> I,
    mut wants_more: impl FnMut(&Columns) -> Result<bool, ErrorReport>,
) -> Result<bool, ErrorReport> {
    let mut result = Ok(());
    // SAFETY: what is opened is closed again, and stays locked like what a statement reads.
    unsafe {
        let relation = pg_sys::try_relation_open(table, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Ok(false);
        }
        let mut room = Room::of(relation, names)?;
        let is_answered = scan(relation, keys, |tuple| {
            wants_more(&room.read(tuple)).unwrap_or_else(|error| {
                result = Err(error);
                false
            })
        });
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        result.map(|()| is_answered)
    }
}

/// Whether there is any such row; `None` if that cannot be answered.
pub fn is_any(table: pg_sys::Oid, key: Key) -> Option<bool> {
    let mut is_found = false;
    // SAFETY: as above.
    unsafe {
        let relation = pg_sys::try_relation_open(table, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return None;
        }
        let is_answered = scan(relation, &[[key]], |_| {
            is_found = true;
            false
        });
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        is_answered.then_some(is_found)
    }
}

/// # Safety
/// The table is open.
unsafe fn scan<'k>(
    table: pg_sys::Relation,
    keys: &[impl AsRef<[Key<'k>]>],
    mut wants_more: impl FnMut(pg_sys::HeapTuple) -> bool,
) -> bool {
    // SAFETY: the table is open, and so is the index while it is read; its list of indexes is the caller's own.
    unsafe {
        if !(*table).rd_indexvalid {
            pg_sys::list_free(pg_sys::RelationGetIndexList(table));
        }
        let key = (*table).rd_pkindex;
        if (*(*table).rd_rel).relkind as u8 != pg_sys::RELKIND_RELATION || key == pg_sys::InvalidOid {
            return false;
        }
        let index = pg_sys::index_open(key, pg_sys::AccessShareLock as i32);
        let mut is_answered = true;
        for keys in keys {
            let Some(keys) = scan_keys(table, index, keys.as_ref()) else {
                is_answered = false;
                break;
            };
            if !scan_index(table, index, keys, &mut wants_more) {
                break;
            }
        }
        pg_sys::index_close(index, pg_sys::NoLock as i32);
        is_answered
    }
}

/// Whether more are wanted.
///
/// # Safety
/// Both are open.
unsafe fn scan_index(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    mut keys: Vec<pg_sys::ScanKeyData>,
    mut wants_more: impl FnMut(pg_sys::HeapTuple) -> bool,
) -> bool {
    // SAFETY: both are open; a row is there until the next one is asked for.
    unsafe {
        let (snapshot, count) = (pg_sys::GetActiveSnapshot(), keys.len() as i32);
        let scan = pg_sys::systable_beginscan_ordered(table, index, snapshot, count, keys.as_mut_ptr());
        let mut goes_on = true;
        while goes_on {
            let row = pg_sys::systable_getnext_ordered(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if row.is_null() {
                break;
            }
            goes_on = wants_more(row);
        }
        pg_sys::systable_endscan_ordered(scan);
        goes_on
    }
}

/// `None` if the index begins with other columns.
///
/// # Safety
/// Both are open.
unsafe fn scan_keys(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    keys: &[Key],
) -> Option<Vec<pg_sys::ScanKeyData>> {
    // SAFETY: an index has a column, a type and a collation for each of its keys.
    unsafe {
        let key_columns = usize::try_from((*(*index).rd_index).indnkeyatts).ok()?;
        let columns = (*(*index).rd_index).indkey.values.as_slice(key_columns);
        let of_column = |(place, (name, is)): (usize, &Key)| {
            let column = *columns.get(place)?;
            let (kind, strategy, function) = is.operator();
            let oid = (*table).rd_id;
            if pg_sys::get_attnum(oid, name.as_ptr()) != column || pg_sys::get_atttype(oid, column) != kind {
                return None;
            }
            let mut scan_key = pg_sys::ScanKeyData::default();
            pg_sys::ScanKeyInit(
                &mut scan_key,
                column,
                strategy as pg_sys::StrategyNumber,
                pg_sys::Oid::from_u32(function),
                is.datum(),
            );
            scan_key.sk_collation = *(*index).rd_indcollation.add(place);
            Some(scan_key)
        };
        keys.iter().enumerate().map(of_column).collect()
    }
}
