//! Rows found by a table's keys and indexes, in the active snapshot and without a plan: to set one up takes longer than to read what
//! is asked before each call.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::POSTGRES_EPOCH;
use super::row::{Columns, Names, Room};

/// A column, by its name, and what it has to be.
pub type Key<'a> = (&'static CStr, Is<'a>);

#[derive(Clone, Copy)]
pub enum Is<'a> {
    Number(i64),
    /// Of a column of type integer.
    Integer(i32),
    Above(i64),
    UpTo(i64),
    /// Microseconds since 1970.
    At(i64),
    After(i64),
    NotBefore(i64),
    Before(i64),
    Named(&'a str),
    /// Not NULL, which is looked for in each row.
    Given,
}

/// What an index is asked for, by the places of its columns, and what is looked for in each row that it finds: that a column is not NULL,
/// or is a number.
struct Wanted {
    keys: Vec<(usize, pg_sys::ScanKeyData)>,
    in_row: Vec<(c_int, Option<i64>)>,
}

/// The rows that an index does not have.
#[derive(Clone, Copy)]
enum Lacking {
    None,
    /// Those in which this column is NULL.
    Null(c_int),
}

impl Is<'_> {
    /// Type of the column, the operator's place in its order, and the operator's function; `None` of what is no operator.
    fn operator(self) -> Option<(pg_sys::Oid, u32, u32)> {
        Some(match self {
            Self::Number(_) => (pg_sys::INT8OID, pg_sys::BTEqualStrategyNumber, pg_sys::F_INT8EQ),
            Self::Integer(_) => (pg_sys::INT4OID, pg_sys::BTEqualStrategyNumber, pg_sys::F_INT4EQ),
            Self::Above(_) => (pg_sys::INT8OID, pg_sys::BTGreaterStrategyNumber, pg_sys::F_INT8GT),
            Self::UpTo(_) => (pg_sys::INT8OID, pg_sys::BTLessEqualStrategyNumber, pg_sys::F_INT8LE),
            Self::At(_) => (pg_sys::TIMESTAMPTZOID, pg_sys::BTEqualStrategyNumber, pg_sys::F_TIMESTAMPTZ_EQ),
            Self::After(_) => {
                (pg_sys::TIMESTAMPTZOID, pg_sys::BTGreaterStrategyNumber, pg_sys::F_TIMESTAMPTZ_GT)
            }
            Self::NotBefore(_) => {
                (pg_sys::TIMESTAMPTZOID, pg_sys::BTGreaterEqualStrategyNumber, pg_sys::F_TIMESTAMPTZ_GE)
            }
            Self::Before(_) => {
                (pg_sys::TIMESTAMPTZOID, pg_sys::BTLessStrategyNumber, pg_sys::F_TIMESTAMPTZ_LT)
            }
            Self::Named(_) => (pg_sys::TEXTOID, pg_sys::BTEqualStrategyNumber, pg_sys::F_TEXTEQ),
            Self::Given => return None,
        })
    }

    fn datum(self) -> pg_sys::Datum {
        match self {
            Self::Number(number) | Self::Above(number) | Self::UpTo(number) => pg_sys::Datum::from(number),
            Self::Integer(number) => pg_sys::Datum::from(number),
            Self::At(instant) | Self::After(instant) | Self::NotBefore(instant) | Self::Before(instant) => {
                pg_sys::Datum::from(instant.saturating_sub(POSTGRES_EPOCH))
            }
            Self::Named(name) => name.into_datum().unwrap_or(pg_sys::Datum::from(0)),
            Self::Given => pg_sys::Datum::from(0),
        }
    }
}

/// Hands over the rows of a table that are like one of the keys, of each in the order of an index, until it is told that no more are
/// wanted. False if that cannot be answered: of what is no table, or has no index that begins like the keys.
pub fn rows<'k>(
    table: pg_sys::Oid,
    keys: &[impl AsRef<[Key<'k>]>],
    names: Names,
    mut wants_more: impl FnMut(&Columns) -> Result<bool, ErrorReport>,
) -> Result<bool, ErrorReport> {
    let mut result = Ok(());
    // SAFETY: the table is open.
    let is_answered = with_table(table, |relation| unsafe {
        // Of most partitions no row is wanted.
        let mut room = None;
        let mut hand_over = |tuple| {
            let room = match &mut room {
                Some(room) => room,
                None => room.insert(Room::of(relation, names)?),
            };
            wants_more(&room.read(tuple))
        };
        scan(relation, keys, |tuple| {
            hand_over(tuple).unwrap_or_else(|error| {
                result = Err(error);
                false
            })
        })
    });
    result.map(|()| is_answered == Some(true))
}

/// Whether there is any such row; `None` if that cannot be answered.
pub fn is_any(table: pg_sys::Oid, key: Key) -> Option<bool> {
    let mut is_found = false;
    // SAFETY: the table is open.
    let is_answered = with_table(table, |relation| unsafe {
        scan(relation, &[[key]], |_| {
            is_found = true;
            false
        })
    })?;
    is_answered.then_some(is_found)
}

/// A version of a row: who wrote it, and where. What was changed since is another one.
pub type Version = (u32, u32, u16);

/// The versions of a table's rows that are like a key; `None` if that cannot be answered.
pub fn versions(table: pg_sys::Oid, key: &[Key]) -> Option<Vec<Version>> {
    let mut versions = Vec::new();
    // SAFETY: the table is open; a row is there while it is looked at.
    let is_answered = with_table(table, |relation| unsafe {
        scan(relation, &[key], |row| {
            let place = &(*row).t_self;
            let block = u32::from(place.ip_blkid.bi_hi) << 16 | u32::from(place.ip_blkid.bi_lo);
            let writer = (*(*row).t_data).t_choice.t_heap.t_xmin.into_inner();
            versions.push((writer, block, place.ip_posid));
            true
        })
    })?;
    is_answered.then_some(versions)
}

/// Opens a table to read it; `None` if there is none.
fn with_table<T>(table: pg_sys::Oid, read: impl FnOnce(pg_sys::Relation) -> T) -> Option<T> {
    // SAFETY: what is opened is closed again, and stays locked like what a statement reads.
    unsafe {
        let relation = pg_sys::try_relation_open(table, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return None;
        }
        let read = read(relation);
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        Some(read)
    }
}

/// # Safety
/// The table is open.
pub(super) unsafe fn scan<'k>(
    table: pg_sys::Relation,
    keys: &[impl AsRef<[Key<'k>]>],
    mut wants_more: impl FnMut(pg_sys::HeapTuple) -> bool,
) -> bool {
    // SAFETY: the table is open, and so is the index while it is read.
    unsafe {
        if (*(*table).rd_rel).relkind as u8 != pg_sys::RELKIND_RELATION {
            return false;
        }
        // To look each key up takes a while also where there is nothing: the default partition mostly is empty. A serializable
        // transaction has to look, for others to know of it.
        if keys.len() > 1
            && pg_sys::XactIsoLevel < pg_sys::XACT_SERIALIZABLE as c_int
            && pg_sys::RelationGetNumberOfBlocksInFork(table, pg_sys::ForkNumber::MAIN_FORKNUM) == 0
        {
            return true;
        }
        for oid in indexes(table) {
            let index = pg_sys::index_open(oid, pg_sys::AccessShareLock as i32);
            let found: Option<Vec<_>> = match lacks(index) {
                Some(lacking) => {
                    keys.iter().map(|keys| scan_keys(table, index, keys.as_ref(), lacking)).collect()
                }
                None => None,
            };
            let is_answered = found.is_some();
            scan_index(table, index, found.unwrap_or_default(), &mut wants_more);
            pg_sys::index_close(index, pg_sys::NoLock as i32);
            if is_answered {
                return true;
            }
        }
        false
    }
}

/// The indexes of a table, its primary key first.
///
/// # Safety
/// The table is open.
unsafe fn indexes(table: pg_sys::Relation) -> Vec<pg_sys::Oid> {
    // SAFETY: the table is open; the list of its indexes is the caller's own.
    unsafe {
        let list = pg_sys::RelationGetIndexList(table);
        let key = (*table).rd_pkindex;
        let mut indexes: Vec<pg_sys::Oid> = match list.is_null() {
            true => Vec::new(),
            false => {
                let count = usize::try_from((*list).length).unwrap_or_default();
                (0..count).map(|place| (*(*list).elements.add(place)).oid_value).collect()
            }
        };
        pg_sys::list_free(list);
        indexes.sort_by_key(|index| *index != key);
        indexes
    }
}

/// The rows that a B-tree does not have for every snapshot; `None` of an index that is none, or lacks others.
///
/// # Safety
/// It is open.
unsafe fn lacks(index: pg_sys::Relation) -> Option<Lacking> {
    // SAFETY: the index is open; what its predicate points to is of the type that its node has.
    unsafe {
        let form = &*(*index).rd_index;
        let is_complete = form.indisvalid && !form.indcheckxmin;
        if (*(*index).rd_rel).relam != pg_sys::BTREE_AM_OID || !is_complete {
            return None;
        }
        let predicate = pg_sys::RelationGetIndexPredicate(index);
        if predicate.is_null() {
            return Some(Lacking::None);
        }
        let node = (*(*predicate).elements).ptr_value.cast::<pg_sys::Node>();
        if (*predicate).length != 1 || (*node).type_ != pg_sys::NodeTag::T_NullTest {
            return None;
        }
        let test = &*node.cast::<pg_sys::NullTest>();
        let column = test.arg.cast::<pg_sys::Node>();
        if test.nulltesttype != pg_sys::NullTestType::IS_NOT_NULL || (*column).type_ != pg_sys::NodeTag::T_Var
        {
            return None;
        }
        Some(Lacking::Null(c_int::from((*column.cast::<pg_sys::Var>()).varattno)))
    }
}

/// Until no more are wanted.
///
/// # Safety
/// Both are open.
unsafe fn scan_index(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    wanted: Vec<Wanted>,
    mut wants_more: impl FnMut(pg_sys::HeapTuple) -> bool,
) {
    // SAFETY: both are open, and so is a scan until it is ended; a row is there until the next one is asked for.
    unsafe {
        let is_wanted = |row, (column, number): &(c_int, Option<i64>)| {
            let mut is_null = false;
            let value = pg_sys::heap_getattr(row, *column, (*table).rd_att, &mut is_null);
            !is_null && number.is_none_or(|number| value.value() as i64 == number)
        };
        let mut open: Option<(pg_sys::SysScanDesc, usize)> = None;
        let mut goes_on = true;
        for Wanted { keys: placed, in_row } in wanted {
            let mut keys: Vec<_> = placed.iter().map(|(_, key)| *key).collect();
            let count = keys.len() as i32;
            let scan = match open.take() {
                // To begin anew takes longer than to find a row.
                Some((scan, of)) if of == keys.len() => {
                    for (key, (place, _)) in keys.iter_mut().zip(&placed) {
                        key.sk_attno = *place as pg_sys::AttrNumber + 1;
                    }
                    pg_sys::index_rescan((*scan).iscan, keys.as_mut_ptr(), count, std::ptr::null_mut(), 0);
                    scan
                }
                other => {
                    other.into_iter().for_each(|(scan, _)| pg_sys::systable_endscan_ordered(scan));
                    let snapshot = pg_sys::GetActiveSnapshot();
                    pg_sys::systable_beginscan_ordered(table, index, snapshot, count, keys.as_mut_ptr())
                }
            };
            open = Some((scan, keys.len()));
            while goes_on {
                let row = pg_sys::systable_getnext_ordered(scan, pg_sys::ScanDirection::ForwardScanDirection);
                if row.is_null() {
                    break;
                }
                pgrx::check_for_interrupts!();
                goes_on = !in_row.iter().all(|column| is_wanted(row, column)) || wants_more(row);
            }
            if !goes_on {
                break;
            }
        }
        open.into_iter().for_each(|(scan, _)| pg_sys::systable_endscan_ordered(scan));
    }
}

/// `None` if the index does not begin with the first column, has not all columns that cannot be looked for in each row, or lacks rows that
/// may be like the keys.
///
/// # Safety
/// Both are open.
unsafe fn scan_keys(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    keys: &[Key],
    lacking: Lacking,
) -> Option<Wanted> {
    // SAFETY: an index has a column, a type and a collation for each of its keys.
    unsafe {
        let oid = (*table).rd_id;
        let key_columns = usize::try_from((*(*index).rd_index).indnkeyatts).ok()?;
        let columns = (*(*index).rd_index).indkey.values.as_slice(key_columns);
        // In the order of the index's columns, as it wants them.
        let mut placed = Vec::with_capacity(keys.len());
        let mut in_row = Vec::new();
        for (ordinal, (name, is)) in keys.iter().enumerate() {
            let column = pg_sys::get_attnum(oid, name.as_ptr());
            let Some((kind, strategy, function)) = is.operator() else {
                in_row.push(((column > 0).then(|| c_int::from(column))?, None));
                continue;
            };
            if pg_sys::get_atttype(oid, column) != kind {
                return None;
            }
            let place = match (columns.iter().position(|key_column| *key_column == column), is) {
                (Some(place), _) if ordinal > 0 || place == 0 => place,
                (None, Is::Number(number)) if ordinal > 0 => {
                    in_row.push((column.into(), Some(*number)));
                    continue;
                }
                _ => return None,
            };
            let mut scan_key = pg_sys::ScanKeyData::default();
            pg_sys::ScanKeyInit(
                &mut scan_key,
                column,
                strategy as pg_sys::StrategyNumber,
                pg_sys::Oid::from_u32(function),
                is.datum(),
            );
            scan_key.sk_collation = *(*index).rd_indcollation.add(place);
            placed.push((place, scan_key));
        }
        if let Lacking::Null(column) = lacking
            && !in_row.contains(&(column, None))
        {
            return None;
        }
        placed.sort_by_key(|(place, _)| *place);
        Some(Wanted { keys: placed, in_row })
    }
}
