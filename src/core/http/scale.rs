//! Scale GenAI Platform, `/v4/models` (seed 004_5d6b33da109cc5b1).

use serde_json::{Value, json};

use super::arguments::{Arguments, is_text, parse_instant};
use super::refusal::{Refusal, ValidationError, instant, unprocessable};
use crate::Error;
use crate::parts::Parts;

/// All that is wrong is named.
pub fn model_usage_statistics(arguments: &Arguments, now: i64) -> Result<Value, Refusal> {
    let mut errors = Vec::new();
    let model_name = arguments.one("model_name");
    errors.extend(model_error(model_name));
    let start_date = instant(nullable(arguments, "start_date"), "start_date", &mut errors);
    let end_date = instant(nullable(arguments, "end_date"), "end_date", &mut errors);
    let chunks = integer(nullable(arguments, "chunks"), "chunks", &mut errors);
    if errors.is_empty() {
        errors.extend(range_error(arguments, chunks, now));
    }
    let checked =
        json!({ "model_name": model_name, "start_date": start_date, "end_date": end_date, "chunks": chunks });
    unprocessable(errors, checked)
}

/// The vendor's clients write the word `null` for none.
fn nullable<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a str> {
    arguments.one(name).filter(|value| *value != "null")
}

fn model_error(model_name: Option<&str>) -> Option<ValidationError> {
    let place = ["path".into(), "model_name".into()];
    match model_name {
        Some(name) if is_text(name) => None,
        Some(name) => {
            Some(ValidationError::new(&place, "Input should be a valid string", "string_type", name))
        }
        None => Some(ValidationError::new(&place, "Field required", "missing", Value::Null)),
    }
}

fn integer(value: Option<&str>, name: &str, errors: &mut Vec<ValidationError>) -> Option<i32> {
    const EXPECTED: &str = "Input should be a valid integer, unable to parse string as an integer";
    let text = value?;
    let number = text.parse().ok();
    if number.is_none() {
        errors.push(ValidationError::in_query(name, EXPECTED, "int_parsing", text));
    }
    number
}

/// What the report would refuse, and which argument is to blame.
fn range_error(arguments: &Arguments, chunks: Option<i32>, now: i64) -> Option<ValidationError> {
    let bound = |name| nullable(arguments, name).and_then(parse_instant);
    let error = Parts::new(bound("start_date"), bound("end_date"), chunks, now).err()?;
    let name = match error {
        Error::BadChunks { .. } => "chunks",
        Error::EmptyRange { .. } => "end_date",
        _ => "start_date",
    };
    let message = format!("Value error, {}. {}", error.message(), error.hint());
    Some(ValidationError::in_query(name, message, "value_error", arguments.one(name)))
}
