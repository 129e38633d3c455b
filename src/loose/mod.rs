//! What of a range is in no whole hour of the rollups, by UTC day, for the functions that ask for all apps at once: event by event SQL
//! would take several times as long.
#![expect(clippy::type_complexity, reason = "pgrx reads the columns of a table off the signature")]

use llm_usage_core::cut::Cut;
use llm_usage_core::fold::loose::{ActiveUsers, AppLines, Users};
use llm_usage_core::fold::{Event, Sums};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::direct::{BY_APP_DAY, BY_ENTITY_HOUR, EVENTS, Range};
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
        true => lines
            .rows()
            .map(|((day, app, line), sums)| {
                let vendor = line.vendor.map(str::to_owned);
                let (model, currency) = (line.model.to_owned(), line.currency.to_owned());
                let (requests, unpriced, input, completion, cost) = columns(sums)?;
                Ok((
                    pg::instant(day)?,
                    app,
                    line.llm_id,
                    vendor,
                    model,
                    currency,
                    requests,
                    unpriced,
                    input,
                    completion,
                    cost,
                ))
            })
            .collect::<Result<_, ErrorReport>>()?,
        false => {
            let args = [from_time.into(), to_time.into(), for_app.into()];
            query::select(include_str!("lines.sql"), &args, |row| {
                let (requests, unpriced, input, completion, cost) = selected(&row, 7)?;
                Ok((
                    pg::instant(row.instant(1)?)?,
                    row.id(2)?,
                    row.id(3)?,
                    row.get(4)?,
                    row.text(5)?,
                    row.text(6)?,
                    requests,
                    unpriced,
                    input,
                    completion,
                    cost,
                ))
            })?
        }
    };
    Ok(TableIterator::new(rows))
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
        true => users
            .rows()
            .map(|((day, user, currency), sums)| {
                let (requests, unpriced, input, completion, cost) = columns(sums)?;
                Ok((
                    pg::instant(day)?,
                    user,
                    currency.to_owned(),
                    requests,
                    unpriced,
                    input,
                    completion,
                    cost,
                ))
            })
            .collect::<Result<_, ErrorReport>>()?,
        false => query::select(include_str!("users.sql"), &[from_time.into(), to_time.into()], |row| {
            let (requests, unpriced, input, completion, cost) = selected(&row, 4)?;
            let day = pg::instant(row.instant(1)?)?;
            Ok((day, row.get(2)?, row.text(3)?, requests, unpriced, input, completion, cost))
        })?,
    };
    Ok(TableIterator::new(rows))
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
        true => users
            .rows()
            .map(|(day, users)| Ok((pg::instant(day)?, users.serialize())))
            .collect::<Result<_, ErrorReport>>()?,
        false => {
            let args = [from_time.into(), to_time.into(), for_app.into()];
            query::select(include_str!("active_users.sql"), &args, |row| {
                Ok((pg::instant(row.instant(1)?)?, row.get(2)?.unwrap_or_default()))
            })?
        }
    };
    Ok(TableIterator::new(rows))
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

type SumColumns = (i64, i64, i64, i64, Decimal);

fn columns(sums: &Sums) -> Result<SumColumns, ErrorReport> {
    let Sums { requests, unpriced_requests, input_tokens, completion_tokens, cost, .. } = sums;
    Ok((*requests, *unpriced_requests, *input_tokens, *completion_tokens, Decimal::of(cost)?))
}

/// The same of a query's answer, from a column on.
fn selected(row: &Row, first: usize) -> Result<SumColumns, ErrorReport> {
    let cost = row.amount(first + 4)?.unwrap_or_default();
    let [requests, unpriced_requests, input_tokens, completion_tokens] =
        [0, 1, 2, 3].map(|column| row.id(first + column));
    Ok((requests?, unpriced_requests?, input_tokens?, completion_tokens?, Decimal::of(&cost)?))
}
