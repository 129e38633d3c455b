//! Days, budget periods, and the bounds of the whole months, days and hours in `[from_time, to_time)`, as functions of SQL:
//! of functions the planner knows the value when a query starts, and leaves out the partitions that it leaves out.

use llm_usage_core::calendar::{DAY, day_start};
use llm_usage_core::cut::Cut;
use llm_usage_core::period::Period;
use pgrx::datum::{Date, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg;

/// The first instant of a UTC day.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _first_instant(day: Date) -> Result<TimestampWithTimeZone, ErrorReport> {
    pg::instant(day_start(pg::days(day)))
}

/// The first instant after a UTC day.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _end_instant(day: Date) -> Result<TimestampWithTimeZone, ErrorReport> {
    pg::instant(day_start(pg::days(day)) + DAY)
}

/// The days around `today` of a budget period, which is one of those that days make up.
fn period(name: Option<&str>, anchor: Option<Date>, today: Option<Date>) -> Option<(i64, i64)> {
    Some(Period::parse(name?)?.around(anchor.map(pg::days), pg::days(today?)))
}

/// The first day of the budget period that holds `today`.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _period_start(name: Option<&str>, anchor: Option<Date>, today: Option<Date>) -> Option<Date> {
    Some(pg::date(period(name, anchor, today)?.0))
}

/// The first day after the budget period that holds `today`.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _period_end(name: Option<&str>, anchor: Option<Date>, today: Option<Date>) -> Option<Date> {
    Some(pg::date(period(name, anchor, today)?.1))
}

/// One bound of a cut. pgrx takes a function for STRICT whose arguments are not spelled as options.
fn bound(
    from: Option<TimestampWithTimeZone>,
    to: Option<TimestampWithTimeZone>,
    of: impl Fn(Cut) -> i64,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    pg::instant(of(Cut::of(from.map(pg::micros), to.map(pg::micros))))
}

/// Where the range begins: NULL is no bound.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _first(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.first)
}

/// Where its whole hours begin.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _first_hour(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.first_hour)
}

/// Where its whole UTC days begin.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _first_day(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.first_day)
}

/// Where its whole UTC months begin.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _first_month(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.first_month)
}

/// Where its whole UTC months end.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _last_month(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.last_month)
}

/// Where its whole UTC days end.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _last_day(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.last_day)
}

/// Where its whole hours end.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _last_hour(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.last_hour)
}

/// Where the range ends: never before its beginning.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _last(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<TimestampWithTimeZone, ErrorReport> {
    bound(from_time, to_time, |cut| cut.last)
}

/// All of these bounds at once, ascending.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _cut(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<Vec<TimestampWithTimeZone>, ErrorReport> {
    let cut = Cut::of(from_time.map(pg::micros), to_time.map(pg::micros));
    let Cut { first, first_hour, first_day, first_month, last_month, last_day, last_hour, last } = cut;
    let bounds = [first, first_hour, first_day, first_month, last_month, last_day, last_hour, last];
    bounds.into_iter().map(pg::instant).collect()
}
