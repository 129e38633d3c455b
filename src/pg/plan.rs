//! Statements whose plans are kept, and where they look. pgrx's own queries leave the snapshot of their caller as soon as the
//! transaction has written: two calls in one statement would get two answers.

use std::ffi::{CString, c_char};

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::failed;

/// Which rows a statement sees.
#[derive(Clone, Copy, PartialEq)]
pub enum Sees {
    /// Those of the caller's snapshot.
    CallersRows,
    /// Those of a snapshot taken now, as the isolation level allows.
    LatestRows,
}

/// A row of an answer in its parts; columns are numbered from 1.
pub struct Row<'a> {
    types: &'a [pg_sys::Oid],
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl Row<'_> {
    /// NULL is `None`. What is got must be the caller's own: the row ends with the statement.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: usize) -> Result<Option<T>, ErrorReport> {
        let place = column.checked_sub(1).filter(|place| *place < self.types.len());
        match place.map(|place| (self.types[place], self.values[place], self.nulls[place])) {
            Some((kind, value, is_null)) if T::is_compatible_with(kind) => {
                // SAFETY: a value of a type that can be read so.
                Ok(unsafe { T::from_polymorphic_datum(value, is_null, kind) })
            }
            _ => Err(failed(format!("column {column} is missing or of another type"))),
        }
    }
}

/// Never freed: a plan must not be while the process exits.
#[derive(Clone, Copy)]
pub struct Plan(pg_sys::SPIPlanPtr);

impl Plan {
    pub fn keep(statement: &str, args: &[DatumWithOid]) -> Result<Self, ErrorReport> {
        let statement = CString::new(statement).map_err(failed)?;
        let mut types: Vec<pg_sys::Oid> = args.iter().map(DatumWithOid::oid).collect();
        let count = i32::try_from(types.len()).map_err(failed)?;
        Spi::connect(|_| {
            // SAFETY: inside a connection, which the plan leaves; a bad statement is an error of the server.
            unsafe {
                let plan = pg_sys::SPI_prepare(statement.as_ptr(), count, types.as_mut_ptr());
                if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                    return Err(failed("a statement could not be prepared"));
                }
                Ok(Self(plan))
            }
        })
    }

    /// Runs it and hands over its rows. Of the caller's rows it takes no transaction id: it works read-only and on a standby.
    pub fn run<T>(
        self,
        args: &[DatumWithOid],
        sees: Sees,
        mut shape: impl FnMut(Row) -> Result<T, ErrorReport>,
    ) -> Result<Vec<T>, ErrorReport> {
        let (mut values, nulls): (Vec<pg_sys::Datum>, Vec<c_char>) = args
            .iter()
            .map(|arg| match arg.datum() {
                Some(datum) => (datum.sans_lifetime(), b' ' as c_char),
                None => (pg_sys::Datum::from(0), b'n' as c_char),
            })
            .unzip();
        let is_read_only = sees == Sees::CallersRows;
        Spi::connect(|_| {
            // SAFETY: the plan was kept with as many arguments of these types; its rows live as long as the connection, and are
            // not reached by what is made of them.
            unsafe {
                if pg_sys::SPI_getargcount(self.0) != values.len() as i32 {
                    return Err(failed("a statement was prepared with other arguments"));
                }
                let status =
                    pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls.as_ptr(), is_read_only, 0);
                let table = pg_sys::SPI_tuptable;
                if status < 0 || table.is_null() {
                    return Err(failed(format!("a statement ended with {status}")));
                }
                let (tuples, descriptor) = ((*table).vals, (*table).tupdesc);
                let tuples = std::slice::from_raw_parts(tuples, (*table).numvals as usize);
                let columns = usize::try_from((*descriptor).natts).map_err(failed)?;
                let types: Vec<_> =
                    (1..=columns).map(|column| pg_sys::SPI_gettypeid(descriptor, column as i32)).collect();
                let (mut values, mut nulls) = (vec![pg_sys::Datum::from(0); columns], vec![true; columns]);
                let shaped = |tuple: &pg_sys::HeapTuple| {
                    pg_sys::heap_deform_tuple(*tuple, descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
                    shape(Row { types: &types, values: &values, nulls: &nulls })
                };
                tuples.iter().map(shaped).collect()
            }
        })
    }
}
