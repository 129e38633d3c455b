//! What is written is checked and read here, as text in and text out; the writing itself is SQL (`sql/record.sql`).

use std::fmt::Display;

use llm_usage_core::catalog;
use llm_usage_core::charge::{COUNTS, Charge};
use llm_usage_core::event::Kind;
use llm_usage_core::{Error, event, tokens};
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{error, pg};

/// One row of a ledger, checked.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _checked_row(ledger: &str, row: &str) -> Result<pg::Json, ErrorReport> {
    let ledger = match ledger {
        "sessions" => event::SESSIONS,
        "messages" => event::MESSAGES,
        _ => event::USAGE_EVENTS,
    };
    let row = ledger.check(parsed(row, "an event")?).map_err(|error| error::report(&error))?;
    pg::json(&row)
}

/// Checks the values of one event, as [`_checked_row`] does; returns what is billed, to be compared under a request key. `no_attrs`
/// is what was given for `attrs` if that is no object: it may be of any depth, and is not read here.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
#[expect(clippy::too_many_arguments, reason = "they are the columns of an event")]
fn _checked_charge(
    model: Option<&str>,
    vendor: Option<&str>,
    service_tier: Option<&str>,
    prompt_tokens: Option<i64>,
    cache_read_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    inference_tokens: Option<i64>,
    cache_write_1h_tokens: Option<i64>,
    prompt_audio_tokens: Option<i64>,
    completion_audio_tokens: Option<i64>,
    cache_read_audio_tokens: Option<i64>,
    cache_read_image_tokens: Option<i64>,
    prompt_image_tokens: Option<i64>,
    prompt_video_tokens: Option<i64>,
    completion_image_tokens: Option<i64>,
    completion_video_tokens: Option<i64>,
    cost: Option<AnyNumeric>,
    currency: Option<&str>,
    app_id: Option<i64>,
    llm_id: Option<i64>,
    user_id: Option<i64>,
    occurred_at: Option<TimestampWithTimeZone>,
    rule_type: Option<&str>,
    task_id: Option<&str>,
    request_id: Option<&str>,
    source: Option<&str>,
    no_attrs: Option<&str>,
    reported_cost: Option<AnyNumeric>,
    quality: Option<&str>,
    unaccounted_tokens: Option<i64>,
) -> Result<Uuid, ErrorReport> {
    let model = error::required("model", model)?;
    let counts = [
        prompt_tokens,
        cache_read_tokens,
        cache_write_tokens,
        completion_tokens,
        reasoning_tokens,
        inference_tokens,
        cache_write_1h_tokens,
        prompt_audio_tokens,
        completion_audio_tokens,
        cache_read_audio_tokens,
        cache_read_image_tokens,
        prompt_image_tokens,
        prompt_video_tokens,
        completion_image_tokens,
        completion_video_tokens,
    ];
    let texts = [
        ("model", Kind::Text, Some(model)),
        ("vendor", Kind::Text, vendor),
        ("service_tier", Kind::Text, service_tier),
        ("currency", Kind::Currency, currency),
        ("rule_type", Kind::Text, rule_type),
        ("task_id", Kind::Text, task_id),
        ("request_id", Kind::Text, request_id),
        (event::SOURCE, Kind::Text, source),
        ("quality", Kind::Quality, quality),
    ];
    for (name, kind, text) in texts {
        check(kind, name, text, |text| kind.accepts_text(text.as_bytes()))?;
    }
    for (name, count) in COUNTS.into_iter().zip(counts) {
        check(Kind::Count, name, count, |count| Kind::Count.accepts_number(*count, false))?;
    }
    for (name, id) in [("app_id", app_id), ("llm_id", llm_id), ("user_id", user_id)] {
        check(Kind::Id, name, id, |id| Kind::Id.accepts_number(*id, false))?;
    }
    let is_difference = |tokens: &i64| Kind::Difference.accepts_number(*tokens, false);
    check(Kind::Difference, "unaccounted_tokens", unaccounted_tokens, is_difference)?;
    let cost = cost.map(|cost| cost.to_string());
    let is_amount = |amount: &&str| Kind::Cost.accepts_amount(amount, false);
    check(Kind::Cost, "cost", cost.as_deref(), is_amount)?;
    let reported_cost = reported_cost.map(|cost| cost.to_string());
    check(Kind::Cost, "reported_cost", reported_cost.as_deref(), is_amount)?;
    let is_instant = |at: &TimestampWithTimeZone| Kind::Instant.accepts_number(pg::micros(*at), false);
    check(Kind::Instant, "occurred_at", occurred_at, is_instant)?;
    check(Kind::Attrs, "attrs", no_attrs, |_| false)?;
    let counts = counts.map(Option::unwrap_or_default);
    let charge = Charge { model, vendor, service_tier, counts, cost: cost.as_deref(), currency };
    Ok(Uuid::from_bytes(charge.hash().to_be_bytes()))
}

/// Refuses a value that is not accepted; none is the column's default.
fn check<T: Display>(
    kind: Kind,
    name: &str,
    value: Option<T>,
    is_accepted: impl FnOnce(&T) -> bool,
) -> Result<(), ErrorReport> {
    match value {
        Some(value) if !is_accepted(&value) => Err(error::report(&kind.refusal(name, value.to_string()))),
        _ => Ok(()),
    }
}

/// The elements of a batch that are good, and the reasons of the others.
#[derive(Default)]
struct CheckedBatch {
    events: Vec<Element>,
    errors: Vec<BatchError>,
}

/// An element that is good, and its place in the batch.
#[derive(Serialize)]
struct Element {
    index: usize,
    #[serde(flatten)]
    row: event::Row,
}

/// Why an element was not recorded.
#[derive(Serialize)]
struct BatchError {
    index: usize,
    reason: String,
    detail: String,
    hint: String,
}

impl CheckedBatch {
    /// Adds what an element gave; a bad one is an error only where nothing may be left out.
    fn add(
        &mut self,
        index: usize,
        rows: Result<impl IntoIterator<Item = event::Row>, Error>,
        all_or_nothing: Option<bool>,
    ) -> Result<(), ErrorReport> {
        match rows {
            Ok(rows) => self.events.extend(rows.into_iter().map(|row| Element { index, row })),
            Err(problem) if all_or_nothing == Some(true) => {
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

    /// Two documents, which nobody has to read to tell them apart: the events, and the errors.
    fn documents(&self) -> Result<Vec<String>, ErrorReport> {
        Ok(vec![pg::json_text(&self.events)?, pg::json_text(&self.errors)?])
    }
}

/// The events of `record_usage_batch`, checked one by one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _checked_batch(events: Option<&str>, all_or_nothing: Option<bool>) -> Result<Vec<String>, ErrorReport> {
    let elements = elements("events", events, "a JSON array of events")?;
    let mut batch = CheckedBatch::default();
    for (index, element) in elements.into_iter().enumerate() {
        let row = parsed_element(element).and_then(|element| event::USAGE_EVENTS.check(element));
        batch.add(index, row.map(Some), all_or_nothing)?;
    }
    batch.documents()
}

/// The events of a provider's response, with the columns that the caller gave.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _response_events(
    provider: Option<&str>,
    response: Option<&str>,
    given: &str,
    default_currency: &str,
) -> Result<pg::Json, ErrorReport> {
    let provider = error::required("provider", provider)?;
    let response = parsed(error::required("response", response)?, "the response")?;
    let given = given_columns(given, default_currency)?;
    pg::json(&tokens::rows(provider, &response, &given).map_err(|error| error::report(&error))?)
}

/// The events of `record_response_batch`, read and checked one by one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _response_batch(
    responses: Option<&str>,
    all_or_nothing: Option<bool>,
    default_currency: &str,
) -> Result<Vec<String>, ErrorReport> {
    let elements = elements("responses", responses, "a JSON array of objects with provider and response")?;
    let mut batch = CheckedBatch::default();
    for (index, element) in elements.into_iter().enumerate() {
        let rows =
            parsed_element(element).and_then(|element| tokens::element_rows(element, default_currency));
        batch.add(index, rows, all_or_nothing)?;
    }
    batch.documents()
}

/// The events of `record_spans`, one for each span that reported usage of its own.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _span_batch(
    export: Option<&str>,
    given: &str,
    all_or_nothing: Option<bool>,
    default_currency: &str,
) -> Result<Vec<String>, ErrorReport> {
    let export = parsed(error::required("export", export)?, "the export")?;
    let given = given_columns(given, default_currency)?;
    let spans = tokens::span_rows(&export, &given).map_err(|error| error::report(&error))?;
    let mut batch = CheckedBatch::default();
    for (index, row) in spans {
        batch.add(index, row.map(Some), all_or_nothing)?;
    }
    batch.documents()
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

/// A price catalogue as rows of `model_prices`, what was skipped, and what could not be read.
#[derive(Serialize)]
struct ReadCatalog {
    rows: Vec<catalog::PriceRow>,
    skipped: usize,
    problems: Vec<catalog::Problem>,
}

/// The catalogue of `import_prices`, read.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _read_catalog(catalog: Option<&str>) -> Result<pg::Json, ErrorReport> {
    let document = parsed(error::required("catalog", catalog)?, "the catalogue")?;
    let read = catalog::parse(&document).map_err(|error| error::report(&error))?;
    pg::json(&ReadCatalog { rows: read.rows, skipped: read.skipped, problems: read.problems })
}

/// The text of a `json` or `jsonb`, which may be nested deeper than is ever meant.
fn parsed(text: &str, name: &'static str) -> Result<Value, ErrorReport> {
    serde_json::from_str(text).map_err(|problem| error::report(&unreadable(&problem, name)))
}

fn unreadable(problem: &serde_json::Error, name: &'static str) -> Error {
    if problem.to_string().contains("recursion limit") {
        let expected = "JSON nested at most 127 levels deep";
        return Error::WrongShape { name, expected, found: "deeper" };
    }
    // PostgreSQL lets a `json` keep half a character.
    Error::WrongShape { name, expected: "JSON of whole characters", found: "with a lone surrogate" }
}
