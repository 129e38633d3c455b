//! What of a range is in no whole hour of the rollups, by UTC day, for the functions that ask for all apps at once: event by event SQL
//! would take several times as long.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

use llm_usage_core::cut::Cut;
use llm_usage_core::fold::loose::{ActiveUsers, AppLines, Users};
use llm_usage_core::fold::{Event, Line, Sums};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::direct::lines::BY_APP_DAY;
use crate::direct::{BY_ENTITY_HOUR, EVENTS, Range};
use crate::error::raise;
use crate::pg::decimal::Decimal;
use crate::pg::row::Columns;
use crate::query::Row;
use crate::{fold, pg, query};

/// Whether a row of the ledger in `[from_time, to_time)` may be in no whole hour of the rollups: a bound cuts an
/// hour, or rows are not folded yet. What the statement sees is what is answered for.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _may_be_loose(
    ledger: pg_sys::Oid,
    folded_up_to: Option<i64>,
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> bool {
    cut(from_time, to_time).ends().next().is_some()
        || pg::tail::has_rows_after(ledger, folded_up_to.unwrap_or(0))
}

/// What apps did on lines, of one app or with NULL of all.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _loose_lines(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
    for_app: Option<i64>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(app_id, i64),
            name!(llm_id, i64),
            name!(vendor, Option<String>),
            name!(model, String),
            name!(currency, String),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let mut lines = AppLines::default();
    let is_read = match range(from_time, to_time, for_app)? {
        Some(range) => read(&range, |event| lines.add(event))?,
        None => false,
    };
    let rows: Vec<_> = match is_read {
        true => {
            let row = |((day, app, line), sums): ((i64, i64, Line), &Sums)| {
                let vendor = line.vendor.map(str::to_owned);
                (day, app, line.llm_id, vendor, line.model.to_owned(), line.currency.to_owned(), sums.clone())
            };
            lines.rows().map(row).collect()
        }
        false => {
            let args = [from_time.into(), to_time.into(), for_app.into()];
            query::select(include_str!("lines.sql"), &args, |row| {
                let (vendor, model, currency) = (row.get(4)?, row.text(5)?, row.text(6)?);
                Ok((row.instant(1)?, row.id(2)?, row.id(3)?, vendor, model, currency, sums(&row, 7)?))
            })?
        }
    };
    Ok(TableIterator::new(rows.into_iter().map(|(day, app_id, llm_id, vendor, model, currency, sums)| {
        (
            raise(pg::instant(day)),
            app_id,
            llm_id,
            vendor,
            model,
            currency,
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

/// What users did. The rollup of users is of all apps, and not a tenant's to read: he is answered from all that his apps did.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _loose_users(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(bucket, TimestampWithTimeZone),
            name!(user_id, Option<i64>),
            name!(currency, String),
            name!(requests, i64),
            name!(unpriced_requests, i64),
            name!(input_tokens, i64),
            name!(completion_tokens, i64),
            name!(cost, Decimal),
        ),
    >,
    ErrorReport,
> {
    let mut users = Users::default();
    let is_read = match range(from_time, to_time, None)? {
        Some(range) if range.apps.is_some() => range.rows(|row| {
            users.add(&fold::event(row)?);
            Ok(())
        })?,
        Some(range) => read(&range, |event| users.add(event))?,
        None => false,
    };
    let rows: Vec<_> = match is_read {
        true => {
            let row = |((day, user, currency), sums): ((i64, Option<i64>, &str), &Sums)| {
                (day, user, currency.to_owned(), sums.clone())
            };
            users.rows().map(row).collect()
        }
        false => query::select(include_str!("users.sql"), &[from_time.into(), to_time.into()], |row| {
            Ok((row.instant(1)?, row.get(2)?, row.text(3)?, sums(&row, 4)?))
        })?,
    };
    Ok(TableIterator::new(rows.into_iter().map(|(day, user_id, currency, sums)| {
        (
            raise(pg::instant(day)),
            user_id,
            currency,
            sums.requests,
            sums.unpriced_requests,
            sums.input_tokens,
            sums.completion_tokens,
            raise(Decimal::of(&sums.cost)),
        )
    })))
}

/// Who made a request, of one app or with NULL of any.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _loose_active_users(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
    for_app: Option<i64>,
) -> Result<TableIterator<'static, (name!(bucket, TimestampWithTimeZone), name!(users, Vec<u8>))>, ErrorReport>
{
    let mut users = ActiveUsers::default();
    let is_read = match range(from_time, to_time, for_app)? {
        Some(range) => read(&range, |event| users.add(event))?,
        None => false,
    };
    let rows: Vec<_> = match is_read {
        true => users.rows().map(|(day, users)| (day, users.serialize())).collect(),
        false => {
            let args = [from_time.into(), to_time.into(), for_app.into()];
            query::select(include_str!("active_users.sql"), &args, |row| {
                Ok((row.instant(1)?, row.get(2)?.unwrap_or_default()))
            })?
        }
    };
    Ok(TableIterator::new(rows.into_iter().map(|(day, users)| (raise(pg::instant(day)), users))))
}

/// `None` if who asks may not read it all without a plan.
fn range(
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
    for_app: Option<i64>,
) -> Result<Option<Range>, ErrorReport> {
    let cut = cut(from_time, to_time);
    match for_app {
        Some(app) => Range::of_app(&EVENTS, app, cut, &[]),
        // SQL finds the apps in the days.
        None => Range::of_apps(&EVENTS, cut, &[BY_APP_DAY.0, BY_ENTITY_HOUR]),
    }
}

fn cut(from_time: Option<TimestampWithTimeZone>, to_time: Option<TimestampWithTimeZone>) -> Cut {
    Cut::of(from_time.map(pg::micros), to_time.map(pg::micros))
}

fn read(range: &Range, mut add: impl FnMut(&Event)) -> Result<bool, ErrorReport> {
    let mut add = |row: &Columns| {
        add(&fold::event(row)?);
        Ok(())
    };
    Ok(range.edges_by_app(&mut add)? && range.tail(None, add)?)
}

/// The sums of a query's answer, from a column on.
fn sums(row: &Row, first: usize) -> Result<Sums, ErrorReport> {
    let column = |column| row.id(first + column);
    Ok(Sums {
        requests: column(0)?,
        unpriced_requests: column(1)?,
        input_tokens: column(2)?,
        completion_tokens: column(3)?,
        cost: row.amount(first + 4)?.unwrap_or_default(),
        ..Sums::default()
    })
}
