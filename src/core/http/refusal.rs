//! Error bodies, in each vendor's own shape.

use serde::Serialize;
use serde_json::Value;

use super::arguments::canonical;

/// Whose API is spoken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Vendor {
    /// Tyk AI Studio: `api.ErrorResponse`.
    Tyk,
    /// Arthur GenAI Engine: FastAPI's `HTTPValidationError`.
    Arthur,
    /// Chipp: `{"error": {"code", "message"}}`.
    Chipp,
    /// Scale GenAI Platform: FastAPI's `HTTPValidationError`.
    Scale,
}

/// Why a call that was understood was not answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Failure<'a> {
    /// No API key, or one that is unknown, expired or revoked.
    Unauthorized,
    /// A good key whose role may not do this.
    Forbidden,
    /// The database could not answer.
    Internal,
    /// There is no such app.
    NotFound,
    /// What is asked needs events that were dropped, and which.
    Dropped(&'a str),
}

/// The status and the body of an answer that is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    pub status: u16,
    pub body: Body,
}

/// The documented bodies; their fields in the documented order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    Tyk { errors: [TykError; 1] },
    Chipp { error: ChippError },
    FastApi { detail: &'static str },
    Unprocessable { detail: Vec<ValidationError> },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TykError {
    title: String,
    detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChippError {
    code: String,
    message: String,
}

impl Vendor {
    /// The answer to a failure; `internal` is what the vendor's server says of one of its own.
    pub fn failure(self, failure: Failure, internal: &str) -> Refusal {
        let (status, title, code, message) = match failure {
            Failure::Unauthorized => (401, "Unauthorized", "unauthorized", "Missing or invalid API key"),
            Failure::Forbidden => (403, "Forbidden", "forbidden", "The API key's role may not do this"),
            Failure::Internal => (500, "Internal Server Error", "internal_error", internal),
            Failure::NotFound => (404, "Not Found", "not_found", "App not found"),
            Failure::Dropped(dropped) => (400, "Bad Request", "invalid_request", dropped),
        };
        match self {
            Self::Tyk => tyk(status, title, message),
            Self::Chipp => chipp(status, code, message),
            Self::Arthur | Self::Scale if matches!(failure, Failure::Dropped(_)) => {
                let error = ValidationError::new(&["query".into()], message, "value_error", Value::Null);
                Refusal { status: 422, body: Body::Unprocessable { detail: vec![error] } }
            }
            Self::Arthur | Self::Scale => Refusal { status, body: Body::FastApi { detail: title } },
        }
    }
}

/// `api.ErrorResponse`.
pub fn tyk(status: u16, title: &str, detail: &str) -> Refusal {
    let error = TykError { title: title.to_owned(), detail: detail.to_owned() };
    Refusal { status, body: Body::Tyk { errors: [error] } }
}

pub fn chipp(status: u16, code: &str, message: &str) -> Refusal {
    let error = ChippError { code: code.to_owned(), message: message.to_owned() };
    Refusal { status, body: Body::Chipp { error } }
}

/// `ValidationError`, one a bad value: where it stood, what is wrong with it, the kind of mistake, and the value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidationError {
    loc: Vec<Value>,
    msg: String,
    r#type: &'static str,
    input: Value,
}

impl ValidationError {
    pub fn new(loc: &[Value], msg: impl Into<String>, r#type: &'static str, input: impl Into<Value>) -> Self {
        Self { loc: loc.to_vec(), msg: msg.into(), r#type, input: input.into() }
    }

    pub fn in_query(
        name: &str,
        msg: impl Into<String>,
        r#type: &'static str,
        input: impl Into<Value>,
    ) -> Self {
        Self::new(&["query".into(), name.into()], msg, r#type, input)
    }
}

/// An instant as the documented answers write it, or none and an error.
pub fn instant(value: Option<&str>, name: &str, errors: &mut Vec<ValidationError>) -> Option<String> {
    const EXPECTED: &str =
        "Input should be a valid datetime or date in ISO 8601, such as 2025-06-01T00:00:00Z";
    let text = value?;
    let instant = canonical(text);
    if instant.is_none() {
        errors.push(ValidationError::in_query(name, EXPECTED, "datetime_from_date_parsing", text));
    }
    instant
}

/// `HTTPValidationError` where anything is wrong: all of it at once.
pub fn unprocessable(errors: Vec<ValidationError>, checked: Value) -> Result<Value, Refusal> {
    match errors.is_empty() {
        true => Ok(checked),
        false => Err(Refusal { status: 422, body: Body::Unprocessable { detail: errors } }),
    }
}
