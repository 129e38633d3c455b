//! Events on their way into the ledger: once for a request key, and past the executor wherever nothing but our own trigger is between.

use std::borrow::Cow;

use llm_usage_core::Error;
use llm_usage_core::event::EVENT_COLUMNS;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{self, failed};
use crate::pg::decimal::Decimal;
use crate::pg::row::Names;
use crate::pg::write::{self, Table};
use crate::{given_id, ledger, pg, query};

pub mod batch;
mod event;
mod known;

pub use event::Event;

/// How often a key may be given back between two looks at it.
const MOST_TRIES: u32 = 20;
const NOT_A_KEY: &str = "a request key is neither new nor known: is there a unique index of your own?";

/// What became of an event: `llm_usage.recorded`.
pub struct Recorded {
    pub id: Option<i64>,
    pub status: Cow<'static, str>,
    cost: Option<pg_sys::Datum>,
    currency: Option<pg_sys::Datum>,
}

impl Recorded {
    /// Its columns, for a row of the type.
    pub fn row(&self) -> [Option<pg_sys::Datum>; 4] {
        [self.id.into_datum(), (&*self.status).into_datum(), self.cost, self.currency]
    }

    /// Its columns, for a row of a table.
    fn columns(self) -> (Option<i64>, String, Option<Decimal>, Option<String>) {
        (self.id, self.status.into_owned(), self.cost.map(Decimal::new), self.currency.and_then(pg::text))
    }
}

/// Records the event that the arguments describe.
#[pg_extern(schema = "llm_usage", sql = false)]
fn record_usage(call: pg_sys::FunctionCallInfo) -> Result<pg::Composite, ErrorReport> {
    let event = pg::row::with_arguments(call, Event::of_arguments)?;
    refuse_app(event.app_id())?;
    pg::composite(call, &record_one(event)?.row())
}

/// Refuses to record for an app that is not the tenant's.
pub fn refuse_app(app: i64) -> Result<(), ErrorReport> {
    if pg::has_row_security(pg::relation(c"usage_events")) {
        query::select("SELECT llm_usage._refuse_app($1)", &[app.into()], |_| Ok(()))?;
    }
    Ok(())
}

pub fn record_one(event: Event) -> Result<Recorded, ErrorReport> {
    record_again(event, MOST_TRIES)
}

fn record_again(event: Event, tries: u32) -> Result<Recorded, ErrorReport> {
    let recorded = try_to_record(vec![event], tries)?.pop();
    recorded.ok_or_else(|| failed("nothing was recorded"))
}

/// Records events, and says in their order what became of each. Ids are in that order, too; keys are taken in their own, so that
/// sessions which record the same keys at once wait for each other and never in a circle.
pub fn record(events: Vec<Event>) -> Result<Vec<Recorded>, ErrorReport> {
    try_to_record(events, MOST_TRIES)
}

fn try_to_record(mut events: Vec<Event>, tries: u32) -> Result<Vec<Recorded>, ErrorReport> {
    let ledger_table = pg::relation(c"usage_events");
    let ids = given_id::draw(ledger_table, events.len());
    for (event, id) in events.iter_mut().zip(&ids) {
        event.set(ledger::ID, *id);
    }
    let known = take_keys(&events)?;
    let mut is_known = vec![false; events.len()];
    known.iter().for_each(|place| is_known[*place] = true);
    let mut recorded: Vec<Option<Recorded>> = Vec::with_capacity(events.len());
    let mut ledger =
        Ledger { table: ledger_table, is_writable: is_direct(ledger_table), partitions: Vec::new() };
    for (place, event) in events.iter_mut().enumerate() {
        recorded.push(if is_known[place] { None } else { Some(ledger.write(event)?) });
    }
    ledger.close();
    if !known.is_empty() {
        let of_known = ids.into_iter().zip(&is_known).filter(|(_, is_known)| **is_known);
        given_id::release(&of_known.map(|(id, _)| id).collect::<Vec<i64>>());
        for (settled, place) in known::settle(&events, &known)?.into_iter().zip(known) {
            recorded[place] = Some(match (settled, tries.checked_sub(1)) {
                (Some(settled), _) => settled,
                // The key was given back since.
                (None, Some(tries)) => record_again(events[place].clone(), tries)?,
                (None, None) => return Err(failed(NOT_A_KEY)),
            });
        }
    }
    recorded.into_iter().map(|recorded| recorded.ok_or_else(|| failed("an event was left out"))).collect()
}

/// Whether rows of a table are written by ourselves, as far as that does not depend on the row.
fn is_direct(table: pg_sys::Oid) -> bool {
    pg::is_read_committed() && write::is_writable(table)
}

/// Takes the request keys of events in the order of keys. Returns, in this order, the places of those whose key is known.
fn take_keys(events: &[Event]) -> Result<Vec<usize>, ErrorReport> {
    let mut keyed: Vec<_> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.has_key())
        .map(|(place, event)| (event.key(), place))
        .collect();
    if keyed.is_empty() {
        return Ok(Vec::new());
    }
    keyed.sort_unstable();
    let table = pg::relation(c"_request_keys");
    let mut direct = if is_direct(table) { Table::open(table, KEY, &KEY_TYPES, None)? } else { None };
    let mut known = Vec::new();
    for (_, place) in keyed {
        let event = &events[place];
        let is_new = match &mut direct {
            Some(table) => {
                let values = key(event);
                let nulls = values.map(|value| value.is_none());
                table.insert_if_new(&values.map(|value| value.unwrap_or(pg_sys::Datum::from(0))), &nulls)?
            }
            None => insert_key(event)?,
        };
        if !is_new {
            known.push(place);
        }
    }
    if let Some(table) = direct {
        table.close();
    }
    Ok(known)
}

/// The row of `_request_keys`.
fn key(event: &Event) -> [Option<pg_sys::Datum>; 7] {
    [
        event.app_id().into_datum(),
        event.columns().datum(ledger::ID),
        Some(pg_sys::Datum::from(pg::transaction_start())),
        event.billed().into_datum(),
        event.request_id(),
        event.source.as_str().into_datum(),
        event.quality(),
    ]
}

const KEY: Names = &["app_id", "event_id", "recorded_at", "billed", "request_id", "source", "quality"];
const KEY_TYPES: [pg_sys::Oid; 7] = [
    pg_sys::INT8OID,
    pg_sys::INT8OID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::UUIDOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
];

/// The same by a statement.
fn insert_key(event: &Event) -> Result<bool, ErrorReport> {
    let args = key(event).into_iter().zip(KEY_TYPES).map(|(value, of)| pg::argument(value, of));
    let rows = query::select_latest(include_str!("insert_key.sql"), &args.collect::<Vec<_>>(), |_| Ok(()))?;
    Ok(!rows.is_empty())
}

/// The ledger, and those of its partitions that rows were written to.
struct Ledger {
    table: pg_sys::Oid,
    is_writable: bool,
    partitions: Vec<(pg_sys::Oid, Option<Table>)>,
}

impl Ledger {
    fn write(&mut self, event: &mut Event) -> Result<Recorded, ErrorReport> {
        event.fill();
        let Some(partition) = self.partition(event)? else { return insert_event(event) };
        ledger::complete(event)?;
        let (values, nulls) = event.values();
        partition.insert(values, nulls);
        let row = event.columns();
        Ok(Recorded {
            id: Some(row.number(ledger::ID)),
            status: "recorded".into(),
            cost: row.datum(ledger::COST),
            currency: row.datum(ledger::CURRENCY),
        })
    }

    /// `None` if the row has to be written by a statement.
    fn partition(&mut self, event: &Event) -> Result<Option<&mut Table>, ErrorReport> {
        if !self.is_writable {
            return Ok(None);
        }
        let at = event.columns().instant(ledger::TIME);
        let Some(partition) = write::partition_of(self.table, at) else { return Ok(None) };
        let place = match self.partitions.iter().position(|(known, _)| *known == partition) {
            Some(place) => place,
            None => {
                let table = Table::open(partition, ledger::NAMES, &ledger::TYPES, Some(c"_check_and_price"))?;
                self.partitions.push((partition, table));
                self.partitions.len() - 1
            }
        };
        Ok(self.partitions[place].1.as_mut())
    }

    fn close(self) {
        self.partitions.into_iter().filter_map(|(_, table)| table).for_each(Table::close);
        write::show_written();
    }
}

/// Writes an event by a statement, whose trigger prices it.
fn insert_event(event: &Event) -> Result<Recorded, ErrorReport> {
    let row = event.columns();
    let given = (0..EVENT_COLUMNS.len()).chain([ledger::ID]);
    let args: Vec<DatumWithOid> =
        given.map(|column| pg::argument(row.datum(column), ledger::TYPES[column])).collect();
    told(include_str!("insert_event.sql"), &args)
}

/// What a statement says of the one event that it is about.
fn told(statement: &'static str, args: &[DatumWithOid]) -> Result<Recorded, ErrorReport> {
    let rows = query::select_latest(statement, args, |row| {
        let status = row.get::<String>(2)?.unwrap_or_default();
        Ok((row.get(1)?, status, row.get::<AnyNumeric>(3)?, row.get::<String>(4)?))
    })?;
    let row = rows.into_iter().next();
    let (id, status, cost, currency) = row.ok_or_else(|| error::report(&Error::NotWritten))?;
    Ok(Recorded { id, status: status.into(), cost: cost.into_datum(), currency: currency.into_datum() })
}
