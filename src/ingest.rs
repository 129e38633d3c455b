//! Documents that are read and checked here, as text in and text out; what is done with them is SQL.

use llm_usage_core::{Error, catalog, event};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::{error, pg};

/// One row of a ledger, checked.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _checked_row(ledger: &str, row: &str) -> Result<pg::Json, ErrorReport> {
    let ledger = match ledger {
        "sessions" => &event::SESSIONS,
        "messages" => &event::MESSAGES,
        _ => &event::USAGE_EVENTS,
    };
    let row = ledger.check(&parsed(row, "an event")?).map_err(|error| error::report(&error))?;
    pg::json(&row)
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
pub fn parsed(text: &str, name: &'static str) -> Result<Value, ErrorReport> {
    serde_json::from_str(text).map_err(|problem| error::report(&unreadable(&problem, name)))
}

pub fn unreadable(problem: &serde_json::Error, name: &'static str) -> Error {
    if problem.to_string().contains("recursion limit") {
        let expected = "JSON nested at most 127 levels deep";
        return Error::WrongShape { name, expected, found: "deeper" };
    }
    // PostgreSQL lets a `json` keep half a character.
    Error::WrongShape { name, expected: "JSON of whole characters", found: "with a lone surrogate" }
}
