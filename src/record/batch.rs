//! Many events at once: what of them is good is recorded, and of the others it is said why they were not.

use llm_usage_core::{Error, event, tokens};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Event, Recorded};
use crate::ingest::{parsed, unreadable};
use crate::{error, pg, query, settings};

/// The elements of a batch that are good, with their places in it, and the reasons of the others.
struct Batch {
    rows: Vec<(usize, event::Row)>,
    errors: Vec<BatchError>,
    /// What is not good keeps all from being recorded.
    all_or_nothing: bool,
}

/// Why an element was not recorded.
#[derive(Serialize)]
struct BatchError {
    index: usize,
    reason: String,
    detail: String,
    hint: String,
}

/// What is said of a batch.
#[derive(Serialize)]
struct Answer<'a> {
    recorded: usize,
    ids: Vec<Option<i64>>,
    known: Vec<Known<'a>>,
    errors: Vec<BatchError>,
}

/// An element whose request key was known.
#[derive(Serialize)]
struct Known<'a> {
    index: usize,
    id: Option<i64>,
    status: &'a str,
}

impl Batch {
    fn new(all_or_nothing: Option<bool>) -> Self {
        Self { rows: Vec::new(), errors: Vec::new(), all_or_nothing: all_or_nothing == Some(true) }
    }

    /// Adds what an element gave.
    fn add(
        &mut self,
        index: usize,
        rows: Result<impl IntoIterator<Item = event::Row>, Error>,
    ) -> Result<(), ErrorReport> {
        match rows {
            Ok(rows) => self.rows.extend(rows.into_iter().map(|row| (index, row))),
            Err(problem) if self.all_or_nothing => {
                let problem = Box::new(problem);
                return Err(error::report(&Error::BatchElement { index, problem }));
            }
            Err(problem) => self.errors.push(BatchError {
                index,
                reason: problem.message(),
                detail: problem.detail(),
                hint: problem.hint(),
            }),
        }
        Ok(())
    }

    fn record(mut self, as_a_whole: bool) -> Result<pg::Json, ErrorReport> {
        let events = self.rows.drain(..).map(|(index, row)| Ok((index, Event::of_row(row)?)));
        let mut events: Vec<(usize, Event)> = events.collect::<Result<_, ErrorReport>>()?;
        self.leave_out_foreign(&mut events, as_a_whole)?;
        let (indexes, events): (Vec<usize>, Vec<Event>) = events.into_iter().unzip();
        let mut recorded: Vec<(usize, Recorded)> = indexes.into_iter().zip(super::record(events)?).collect();
        recorded.sort_by_key(|(index, recorded)| (*index, recorded.id));
        let is_new = |recorded: &Recorded| recorded.status == "recorded";
        let known = recorded.iter().filter(|(_, recorded)| !is_new(recorded));
        pg::json(&Answer {
            recorded: recorded.iter().filter(|(_, recorded)| is_new(recorded)).count(),
            ids: recorded.iter().map(|(_, recorded)| recorded.id).collect(),
            known: known
                .map(|(index, known)| Known { index: *index, id: known.id, status: &known.status })
                .collect(),
            errors: self.errors,
        })
    }

    /// Only here it is known what of a batch a tenant may not record, which keeps out the others, too, if they are to go as a whole.
    fn leave_out_foreign(
        &mut self,
        events: &mut Vec<(usize, Event)>,
        as_a_whole: bool,
    ) -> Result<(), ErrorReport> {
        let foreign = foreign_apps(events.iter().map(|(_, event)| event.app_id()))?;
        let Some((first, ..)) = foreign.first() else { return Ok(()) };
        if as_a_whole {
            return super::refuse_app(*first);
        }
        events.retain(|(index, event)| {
            let Some((_, [reason, detail, hint])) = foreign.iter().find(|(app, _)| *app == event.app_id())
            else {
                return true;
            };
            if self.errors.last().is_none_or(|last| last.index != *index) {
                let (reason, detail, hint) = (reason.clone(), detail.clone(), hint.clone());
                self.errors.push(BatchError { index: *index, reason, detail, hint });
            }
            false
        });
        self.errors.sort_by_key(|error| error.index);
        Ok(())
    }
}

/// Those of some apps that the session may not record for, ascending, and why. Who is no tenant is asked once, whatever comes.
fn foreign_apps(apps: impl Iterator<Item = i64>) -> Result<Vec<(i64, [String; 3])>, ErrorReport> {
    if !pg::has_row_security(pg::relation(c"usage_events")) {
        return Ok(Vec::new());
    }
    const FOREIGN: &str = "SELECT f.app, f.reason, f.detail, f.hint FROM llm_usage._foreign_apps($1) f";
    query::select(FOREIGN, &[apps.collect::<Vec<i64>>().into()], |row| {
        Ok((row.id(1)?, [row.text(2)?, row.text(3)?, row.text(4)?]))
    })
}

/// The batch of `record_usage_batch`, read and checked one by one.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _record_usage_batch(events: Option<&str>, all_or_nothing: Option<bool>) -> Result<pg::Json, ErrorReport> {
    let mut batch = Batch::new(all_or_nothing);
    for (index, element) in elements("events", events, "a JSON array of events")?.into_iter().enumerate() {
        let row = parsed_element(element).and_then(|element| event::USAGE_EVENTS.check(&element));
        batch.add(index, row.map(Some))?;
    }
    let as_a_whole = batch.all_or_nothing;
    batch.record(as_a_whole)
}

/// The batch of `record_response_batch`.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _record_response_batch(
    responses: Option<pg::JsonText>,
    all_or_nothing: Option<bool>,
) -> Result<pg::Json, ErrorReport> {
    let elements = elements(
        "responses",
        responses.map(|text| text.0),
        "a JSON array of objects with provider and response",
    )?;
    let default_currency = settings::default_currency();
    let mut batch = Batch::new(all_or_nothing);
    for (index, element) in elements.into_iter().enumerate() {
        let rows =
            parsed_element(element).and_then(|element| tokens::element_rows(element, &default_currency));
        batch.add(index, rows)?;
    }
    let as_a_whole = batch.all_or_nothing;
    batch.record(as_a_whole)
}

/// The events of `record_spans`, one for each span that reported usage of its own.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _record_spans(
    export: Option<&str>,
    given: &str,
    all_or_nothing: Option<bool>,
) -> Result<pg::Json, ErrorReport> {
    let export = parsed(error::required("export", export)?, "the export")?;
    let default_currency = settings::default_currency();
    let given = given_columns(given, &default_currency)?;
    let mut batch = Batch::new(all_or_nothing);
    for (index, row) in tokens::span_rows(&export, &given).map_err(|error| error::report(&error))? {
        batch.add(index, row.map(Some))?;
    }
    batch.record(true)
}

/// The events of a provider's response, with the columns that the caller gave, and what became of them.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
#[expect(clippy::type_complexity, reason = "the columns of a row")]
fn _record_response(
    provider: Option<&str>,
    response: Option<&str>,
    given: &str,
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, Option<i64>),
            name!(status, String),
            name!(cost, Option<pg::decimal::Decimal>),
            name!(currency, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let provider = error::required("provider", provider)?;
    let response = parsed(error::required("response", response)?, "the response")?;
    let default_currency = settings::default_currency();
    let given = given_columns(given, &default_currency)?;
    let rows = tokens::rows(provider, &response, &given).map_err(|error| error::report(&error))?;
    let events: Vec<Event> = rows.into_iter().map(Event::of_row).collect::<Result<_, _>>()?;
    if let Some((foreign, ..)) = foreign_apps(events.iter().map(Event::app_id))?.first() {
        super::refuse_app(*foreign)?;
    }
    let recorded = super::record(events)?;
    Ok(TableIterator::new(recorded.into_iter().map(Recorded::columns)))
}

/// The elements of a batch, each as its text: one that cannot be read does not keep the others from being read.
fn elements<'a>(
    name: &'static str,
    batch: Option<&'a str>,
    expected: &'static str,
) -> Result<Vec<&'a RawValue>, ErrorReport> {
    let batch = error::required(name, batch)?;
    serde_json::from_str(batch).or_else(|_| {
        let found = event::json_type(&parsed(batch, "a batch")?);
        Err(error::report(&Error::WrongShape { name: "a batch", expected, found }))
    })
}

fn parsed_element(element: &RawValue) -> Result<Value, Error> {
    serde_json::from_str(element.get()).map_err(|problem| unreadable(&problem, "an element"))
}

fn given_columns<'a>(given: &str, default_currency: &'a str) -> Result<tokens::Given<'a>, ErrorReport> {
    match parsed(given, "what is given")? {
        Value::Object(columns) => Ok(tokens::Given { columns, default_currency }),
        _ => Ok(tokens::Given { columns: Map::new(), default_currency }),
    }
}
