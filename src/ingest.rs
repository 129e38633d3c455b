//! What is written is checked and read here, as text in and text out; the writing itself is SQL (`sql/record.sql`).

use llm_usage_core::catalog;
use llm_usage_core::{Error, event, tokens};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;
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

/// The elements of a batch that are good, and the reasons of the others.
#[derive(Serialize)]
struct CheckedBatch {
    events: Vec<event::Row>,
    errors: Vec<BatchError>,
}

/// Why an element was not recorded.
#[derive(Serialize)]
struct BatchError {
    index: usize,
    reason: String,
    detail: String,
    hint: String,
}

/// The events of `record_usage_batch`, checked one by one.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _checked_batch(events: Option<&str>, all_or_nothing: Option<bool>) -> Result<pg::Json, ErrorReport> {
    let elements = match parsed(error::required("events", events)?, "a batch")? {
        Value::Array(elements) => elements,
        other => {
            return Err(error::report(&Error::WrongShape {
                name: "a batch",
                expected: "a JSON array of events",
                found: event::json_type(&other),
            }));
        }
    };
    let mut batch = CheckedBatch { events: Vec::with_capacity(elements.len()), errors: Vec::new() };
    for (index, element) in elements.into_iter().enumerate() {
        match event::USAGE_EVENTS.check(element) {
            Ok(row) => batch.events.push(row),
            Err(problem) if all_or_nothing == Some(true) => {
                let problem = Box::new(problem);
                return Err(error::report(&Error::BatchElement { index, problem }));
            }
            Err(problem) => batch.errors.push(BatchError {
                index,
                reason: problem.message(),
                detail: problem.detail(),
                hint: problem.hint(),
            }),
        }
    }
    pg::json(&batch)
}

/// A provider's response as the columns of an event; what the caller knows better is laid over it in SQL.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _read_response(provider: Option<&str>, response: Option<&str>) -> Result<pg::Json, ErrorReport> {
    let provider = error::required("provider", provider)?;
    let response = parsed(error::required("response", response)?, "the response")?;
    let usage = tokens::parse(provider, &response).map_err(|error| error::report(&error.into()))?;
    let mut columns = Map::new();
    let texts =
        [("model", usage.model), ("request_id", usage.response_id), ("service_tier", usage.service_tier)];
    columns.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
    columns.insert("vendor".into(), usage.vendor.into());
    let counts = [
        ("prompt_tokens", usage.prompt_tokens),
        ("cache_read_tokens", usage.cache_read_tokens),
        ("cache_write_tokens", usage.cache_write_tokens),
        ("completion_tokens", usage.completion_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
    ];
    columns.extend(counts.map(|(name, count)| (name.to_owned(), count.into())));
    // The ledger keeps these as NULL where there are none.
    let parts = [
        ("cache_write_1h_tokens", usage.cache_write_1h_tokens),
        ("prompt_audio_tokens", usage.prompt_audio_tokens),
        ("completion_audio_tokens", usage.completion_audio_tokens),
    ];
    let present = parts.into_iter().filter(|(_, count)| *count > 0);
    columns.extend(present.map(|(name, count)| (name.to_owned(), count.into())));
    pg::json(&columns)
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

/// The text of a `jsonb`, which may be nested deeper than is ever meant.
fn parsed(text: &str, name: &'static str) -> Result<Value, ErrorReport> {
    serde_json::from_str(text).map_err(|_| {
        error::report(&Error::WrongShape {
            name,
            expected: "JSON nested at most 127 levels deep",
            found: "deeper",
        })
    })
}
