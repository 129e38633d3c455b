//! Queries whose plans are kept, and the rows of their answers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;

use bigdecimal::BigDecimal;
use llm_usage_core::amount::Amount;
use llm_usage_core::calendar::Day;
use llm_usage_core::money::Exact;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::failed;
use crate::pg::decimal::Decimal;
use crate::pg::plan::{self, Plan, Sees};
use crate::pg::row::Names;
use crate::pg::setting::with_settings;
use crate::pg::write::{self, Table};
use crate::pg::{self, days, micros};

/// A row of a query's answer.
pub struct Row<'a>(plan::Row<'a>);

impl Row<'_> {
    /// A column by its number, from 1; NULL is `None`.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: usize) -> Result<Option<T>, ErrorReport> {
        self.0.get(column)
    }

    /// A text column that is never NULL.
    pub fn text(&self, column: usize) -> Result<String, ErrorReport> {
        self.get(column)?.ok_or_else(|| failed("unexpected NULL"))
    }

    /// A `bigint` that is never NULL.
    pub fn id(&self, column: usize) -> Result<i64, ErrorReport> {
        self.get(column)?.ok_or_else(|| failed("unexpected NULL"))
    }

    /// An instant that is never NULL, in microseconds since 1970.
    pub fn instant(&self, column: usize) -> Result<i64, ErrorReport> {
        self.get(column)?.map(micros).ok_or_else(|| failed("unexpected NULL"))
    }

    /// A day that is never NULL.
    pub fn day(&self, column: usize) -> Result<Day, ErrorReport> {
        self.any_day(column)?.ok_or_else(|| failed("not a day"))
    }

    /// A `date`, NULL for none.
    pub fn any_day(&self, column: usize) -> Result<Option<Day>, ErrorReport> {
        Ok(self.get(column)?.map(days).and_then(Day::of))
    }

    /// A `numeric`, NULL for none.
    pub fn amount(&self, column: usize) -> Result<Option<Amount>, ErrorReport> {
        self.get::<Decimal>(column)?.map(Decimal::amount).transpose()
    }

    /// A `numeric` sent as text, NULL for none.
    pub fn number(&self, column: usize) -> Result<Option<Exact>, ErrorReport> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| Exact::parse(&text).ok_or_else(|| failed("not a JSON number"))).transpose()
    }

    /// A `numeric` sent as text, to calculate with.
    pub fn decimal(&self, column: usize) -> Result<Option<BigDecimal>, ErrorReport> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse().map_err(failed)).transpose()
    }

    /// A `numeric` sent as text that is never NULL.
    pub fn count(&self, column: usize) -> Result<Exact, ErrorReport> {
        self.number(column)?.ok_or_else(|| failed("unexpected NULL"))
    }
}

thread_local! {
    /// Planning a query over a partitioned table costs more than running it.
    static PLANS: RefCell<HashMap<&'static str, Plan>> = RefCell::default();
}

const BY_INDEX: [(&CStr, &CStr); 4] = [
    (c"plan_cache_mode", c"force_generic_plan"),
    (c"jit", c"off"),
    (c"enable_seqscan", c"off"),
    (c"enable_bitmapscan", c"off"),
];

/// Runs a query in the caller's snapshot.
pub fn select<T>(
    query: &'static str,
    args: &[DatumWithOid],
    shape: impl FnMut(Row) -> Result<T, ErrorReport>,
) -> Result<Vec<T>, ErrorReport> {
    run(query, args, Sees::CallersRows, shape)
}

/// As [`select`], by a plan that finds every part by an index, however small a table was when it was made.
pub fn select_by_index<T>(
    query: &'static str,
    args: &[DatumWithOid],
    shape: impl FnMut(Row) -> Result<T, ErrorReport>,
) -> Result<Vec<T>, ErrorReport> {
    with_settings(&BY_INDEX, || run(query, args, Sees::CallersRows, shape))
}

/// Writes a row of a table of ours, its types and values in the order of the names, without a plan where that can be, else by a
/// statement with the same values.
pub fn insert<const N: usize>(
    table: &CStr,
    names: Names,
    columns: [(pg_sys::Oid, Option<pg_sys::Datum>); N],
    statement: &'static str,
) -> Result<(), ErrorReport> {
    let table = pg::relation(table);
    let direct = match write::is_writable(table) {
        true => Table::open(table, names, &columns.map(|(of, _)| of), None)?,
        false => None,
    };
    if let Some(mut table) = direct {
        let values = columns.map(|(_, value)| value.unwrap_or(pg_sys::Datum::from(0)));
        table.insert(&values, &columns.map(|(_, value)| value.is_none()));
        table.close();
        write::show_written();
        return Ok(());
    }
    let args = columns.map(|(of, value)| pg::argument(value, of));
    select_latest(statement, &args, |_| Ok(())).map(|_| ())
}

/// Runs a query in a snapshot of its own, taken now.
pub fn select_latest<T>(
    query: &'static str,
    args: &[DatumWithOid],
    shape: impl FnMut(Row) -> Result<T, ErrorReport>,
) -> Result<Vec<T>, ErrorReport> {
    run(query, args, Sees::LatestRows, shape)
}

/// As [`select_latest`], by a plan as that of [`select_by_index`].
pub fn select_latest_by_index<T>(
    query: &'static str,
    args: &[DatumWithOid],
    shape: impl FnMut(Row) -> Result<T, ErrorReport>,
) -> Result<Vec<T>, ErrorReport> {
    with_settings(&BY_INDEX, || run(query, args, Sees::LatestRows, shape))
}

fn run<T>(
    query: &'static str,
    args: &[DatumWithOid],
    sees: Sees,
    mut shape: impl FnMut(Row) -> Result<T, ErrorReport>,
) -> Result<Vec<T>, ErrorReport> {
    let kept = PLANS.with_borrow(|plans| plans.get(query).copied());
    let plan = match kept {
        Some(plan) => plan,
        None => {
            let plan = Plan::keep(query, args)?;
            PLANS.with_borrow_mut(|plans| plans.insert(query, plan));
            plan
        }
    };
    plan.run(args, sees, |row| shape(Row(row)))
}
