//! The arguments of `llm_usage_http`, checked (`src/core/http/`); the functions that PostgREST calls are SQL (`sql/http.sql`).

use llm_usage_core::http::{Arguments, Endpoint, Failure, Refusal};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::pg::micros;
use crate::{error, pg};

/// Why there are no arguments.
#[derive(Serialize)]
struct Refused {
    refusal: Refusal,
}

/// A report's arguments as a JSON object, from what was given by name and, for the rest, from the request's URI; or
/// `{"refusal": {"status", "body"}}`.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _http_arguments(endpoint: &str, uri: Option<&str>, given: &str) -> Result<pg::Json, ErrorReport> {
    let endpoint = named(endpoint)?;
    let mut arguments = uri.map_or_else(Arguments::default, |uri| endpoint.arguments(uri));
    let given: Map<String, Value> = serde_json::from_str(given).map_err(error::failed)?;
    for (name, value) in given {
        arguments.give(&name, texts(value));
    }
    let now = micros(pgrx::datum::datetime_support::now());
    match endpoint.check(&arguments, now) {
        Ok(checked) => pg::json(&checked),
        Err(refusal) => pg::json(&Refused { refusal }),
    }
}

/// `{"status", "body"}` where a report cannot be given: `unauthorized`, `forbidden`, `not_found`, `dropped`, and what was, or, for
/// anything else, internal.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _http_failure(
    endpoint: &str,
    failure: &str,
    dropped: default!(&str, "''"),
) -> Result<pg::Json, ErrorReport> {
    let failure = match failure {
        "unauthorized" => Failure::Unauthorized,
        "forbidden" => Failure::Forbidden,
        "not_found" => Failure::NotFound,
        "dropped" => Failure::Dropped(dropped),
        _ => Failure::Internal,
    };
    pg::json(&named(endpoint)?.failure(failure))
}

fn named(name: &str) -> Result<&'static Endpoint, ErrorReport> {
    Endpoint::named(name).ok_or_else(|| error::failed(format_args!("no endpoint {name}")))
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.into_iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The OpenAPI document of everything that is answered over HTTP.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _openapi() -> Result<pg::Json, ErrorReport> {
    let document: &RawValue =
        serde_json::from_str(include_str!("http/openapi.json")).map_err(error::failed)?;
    pg::json(&document)
}
