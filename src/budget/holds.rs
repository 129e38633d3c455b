//! Holds of calls under way: made, settled and released.

use std::collections::BTreeMap;

use llm_usage_core::calendar::DAY;
use llm_usage_core::call::CallError;
use llm_usage_core::event::{USAGE_EVENTS, json_type};
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::{Asker, HOLD_FOR, refusal};
use super::{Decision, HELD};
use crate::ingest::unreadable;
use crate::pg::lookup::{self, Is};
use crate::pg::row::{Columns, Names, with_arguments};
use crate::pg::write::{self, Deleted};
use crate::query::{self, Row};
use crate::record::{self, Event};
use crate::{error, pg};

const MINUTE: i64 = 60_000_000;

/// Decides whether a call may go ahead, and holds what it may take.
#[pg_extern(schema = "llm_usage", sql = false)]
fn reserve_budget(call: pg_sys::FunctionCallInfo) -> Result<pg::Composite, ErrorReport> {
    let (decision, hold) = with_arguments(call, |arguments| {
        if !pg::is_read_committed() {
            return Err(refusal(CallError::Isolation { level: pg::isolation_level().into() }));
        }
        let until = until(arguments)?;
        let asker = Asker::of(arguments);
        asker.refuse_unrecordable()?;
        let decision = asker.decide(true)?;
        let hold = if decision.verdict == "denied" { None } else { Some(hold(&asker, &decision, until)?) };
        Ok((decision, hold))
    })?;
    pg::composite(call, &decision.row(hold)?)
}

/// When the hold ends by itself.
fn until(arguments: &Columns) -> Result<i64, ErrorReport> {
    let Some(hold_for) = arguments.value::<Interval>(HOLD_FOR) else { return Ok(pg::now() + 10 * MINUTE) };
    if (hold_for.months(), hold_for.days()) == (0, 0) && (1..=30 * DAY).contains(&hold_for.micros()) {
        return Ok(pg::now() + hold_for.micros());
    }
    let until = query::select(include_str!("hold_until.sql"), &[hold_for.into()], |row| {
        Ok(row.get(1)?.map(pg::micros))
    })?;
    let until = until.into_iter().next().flatten();
    until.ok_or_else(|| refusal(CallError::HoldFor { hold_for: arguments.interval(HOLD_FOR) }))
}

/// Writes a hold; returns its id.
fn hold(asker: &Asker, decision: &Decision, until: i64) -> Result<i64, ErrorReport> {
    const INT8: pg_sys::Oid = pg_sys::INT8OID;
    const INSTANT: pg_sys::Oid = pg_sys::TIMESTAMPTZOID;
    let id = error::required("id", pg::next_number(c"budget_holds_id_seq"))?;
    let (made_at, until) = (pg::instant(pg::now())?.into_datum(), pg::instant(until)?.into_datum());
    let budgets: Vec<i64> = decision.amounts.iter().map(|(budget, _)| *budget).collect();
    let [app, llm, user, model, vendor, attrs] = asker.columns();
    let hold = [
        (INT8, id.into_datum()),
        (INSTANT, made_at),
        (INSTANT, until),
        app,
        llm,
        user,
        model,
        vendor,
        attrs,
        (pg_sys::INT8ARRAYOID, budgets.into_datum()),
    ];
    query::insert(c"budget_holds", HOLD, hold, include_str!("insert_hold.sql"))?;
    for (budget, amount) in &decision.amounts {
        let held = [
            (INT8, budget.into_datum()),
            (INT8, id.into_datum()),
            (INSTANT, until),
            (pg_sys::NUMERICOID, pg::numeric(amount)?.into_datum()),
        ];
        query::insert(c"_held", HELD, held, include_str!("insert_held.sql"))?;
    }
    Ok(id)
}

/// What of a hold is needed to end it, and to record its call.
struct Hold {
    id: i64,
    expires_at: i64,
    budget_ids: Vec<i64>,
    /// The columns of an event that it knows, but for the attributes.
    columns: Map<String, Value>,
    attrs: Option<pg_sys::Datum>,
}

/// The columns of `budget_holds`, in the order in which they are read and written.
const HOLD: Names =
    &["id", "made_at", "expires_at", "app_id", "llm_id", "user_id", "model", "vendor", "attrs", "budget_ids"];

/// Those of them that an event knows, too, but for the attributes.
const OF_EVENT: [(usize, &str); 5] =
    [(3, "app_id"), (4, "llm_id"), (5, "user_id"), (6, "model"), (7, "vendor")];

/// Records the call of a hold, and ends that, both or neither.
#[pg_extern(schema = "llm_usage", sql = false)]
fn settle_budget(call: pg_sys::FunctionCallInfo) -> Result<pg::Composite, ErrorReport> {
    let recorded = with_arguments(call, |arguments| {
        let usage = usage(arguments)?;
        let hold = Hold::find(arguments.value(0))?;
        let event = hold.event(usage)?;
        record::refuse_app(event.app_id())?;
        let recorded = record::record_one(event)?;
        // A conflict is not recorded: the call goes on to hold what it holds.
        if recorded.status != "conflict" {
            hold.end()?;
        }
        Ok::<_, ErrorReport>(recorded)
    })?;
    pg::composite(call, &recorded.row())
}

/// Ends a hold.
#[pg_extern(schema = "llm_usage", sql = false)]
fn release_budget(hold_id: Option<i64>) -> Result<(), ErrorReport> {
    Hold::find(hold_id)?.end()
}

/// What the call took, as the text of each column.
fn usage(arguments: &Columns) -> Result<BTreeMap<String, Box<RawValue>>, ErrorReport> {
    const USAGE: usize = 1;
    if arguments.is_null(USAGE) {
        return Err(refusal(CallError::Usage { found: None }));
    }
    let text = arguments.json(USAGE);
    if !arguments.is_json_object(USAGE) {
        let found = serde_json::from_str(&text).map_or("array", |value| json_type(&value));
        let found = found.trim_start_matches("an ").trim_start_matches("a ").to_owned();
        return Err(refusal(CallError::Usage { found: Some(found) }));
    }
    serde_json::from_str(&text).map_err(|problem| error::report(&unreadable(&problem, "usage")))
}

impl Hold {
    /// As a statement of its own would see it; an error if there is none.
    fn find(id: Option<i64>) -> Result<Self, ErrorReport> {
        let holds = pg::relation(c"budget_holds");
        // Where tenants are kept apart it has to be asked whose it is.
        let direct = match id.filter(|_| !pg::has_row_security(holds)) {
            Some(id) => pg::with_own_snapshot(|| {
                let mut hold = None;
                lookup::rows(holds, &[[(c"id", Is::Number(id))]], HOLD, |row| {
                    hold = Some(Self::of_columns(id, row));
                    Ok(false)
                })?;
                Ok(hold)
            })?,
            None => None,
        };
        match direct {
            Some(hold) => Ok(hold),
            None => {
                let rows = query::select_latest(include_str!("locked_hold.sql"), &[id.into()], |row| {
                    Self::of_row(&row)
                })?;
                let mut hold = error::required("hold", rows.into_iter().next())?;
                hold.attrs = hold
                    .columns
                    .remove("attrs")
                    .map(|attrs| pg::jsonb(attrs.as_str().unwrap_or_default()))
                    .transpose()?;
                Ok(hold)
            }
        }
    }

    fn of_columns(id: i64, row: &Columns) -> Self {
        let mut columns = Map::new();
        for (column, name) in OF_EVENT.into_iter().filter(|(column, _)| !row.is_null(*column)) {
            let value: Value = match name {
                "model" | "vendor" => row.text(column).into(),
                _ => row.number(column).into(),
            };
            columns.insert(name.to_owned(), value);
        }
        let budget_ids = row.value(9).unwrap_or_default();
        Self { id, expires_at: row.instant(2), budget_ids, columns, attrs: row.copied(8) }
    }

    /// The attributes are among the columns, as text: what a query has read is gone when it has ended.
    fn of_row(row: &Row) -> Result<Self, ErrorReport> {
        let mut columns = Map::new();
        for (column, name) in (4..).zip(["app_id", "llm_id", "user_id"]) {
            columns.extend(row.get::<i64>(column)?.map(|id| (name.to_owned(), id.into())));
        }
        for (column, name) in (7..).zip(["model", "vendor", "attrs"]) {
            columns.extend(row.get::<String>(column)?.map(|text| (name.to_owned(), text.into())));
        }
        let budget_ids = row.get(3)?.unwrap_or_default();
        Ok(Self { id: row.id(1)?, expires_at: row.instant(2)?, budget_ids, columns, attrs: None })
    }

    /// What it knows of the call, and over it what the call took. Attributes are an object, of whatever depth: they are not read.
    fn event(&self, usage: BTreeMap<String, Box<RawValue>>) -> Result<Event, ErrorReport> {
        let (mut columns, mut attrs) = (self.columns.clone(), self.attrs);
        for (name, value) in usage {
            let text = value.get();
            if text == "null" {
                continue;
            }
            if name == "attrs" && text.starts_with('{') {
                attrs = Some(pg::jsonb(text)?);
                continue;
            }
            let value = serde_json::from_str(text)
                .map_err(|problem| error::report(&unreadable(&problem, "usage")))?;
            columns.insert(name, value);
        }
        let row = USAGE_EVENTS.check(&Value::Object(columns)).map_err(|error| error::report(&error))?;
        let mut event = Event::of_row(row)?;
        event.set_attrs(attrs);
        Ok(event)
    }

    fn end(self) -> Result<(), ErrorReport> {
        if pg::is_read_committed() && pg::with_own_snapshot(|| self.delete())? {
            write::show_written();
            return Ok(());
        }
        query::select_latest("SELECT llm_usage._end_hold($1)", &[self.id.into()], |_| Ok(())).map(|_| ())
    }

    /// False if it, or what of it is left, has to be deleted by a statement, or another was faster.
    fn delete(&self) -> Result<bool, ErrorReport> {
        let held = pg::relation(c"_held");
        for budget in &self.budget_ids {
            let key = [
                (c"budget_id", Is::Number(*budget)),
                (c"expires_at", Is::At(self.expires_at)),
                (c"hold_id", Is::Number(self.id)),
            ];
            if write::delete(held, &key, HELD, |_| Ok(()))?.is_none() {
                return Ok(false);
            }
        }
        let key = [(c"id", Is::Number(self.id))];
        let deleted = write::delete(pg::relation(c"budget_holds"), &key, HOLD, |_| Ok(()))?;
        Ok(deleted == Some(Deleted::Rows(1)))
    }
}
