//! The core's errors as those of SQL, with SQLSTATE, DETAIL and HINT.

use llm_usage_core::Error;
use llm_usage_core::error::{
    ACTIVE_SQL_TRANSACTION, DATA_CORRUPTED, DATETIME_FIELD_OVERFLOW, INVALID_BINARY_REPRESENTATION,
    NOT_IN_PREREQUISITE_STATE, NULL_VALUE_NOT_ALLOWED, NUMERIC_VALUE_OUT_OF_RANGE,
};
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use pgrx::prelude::*;

/// The SQL error of a caller's mistake.
pub fn report(error: &Error) -> ErrorReport {
    let code = match error.sqlstate() {
        NULL_VALUE_NOT_ALLOWED => PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
        DATETIME_FIELD_OVERFLOW => PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW,
        INVALID_BINARY_REPRESENTATION => PgSqlErrorCode::ERRCODE_INVALID_BINARY_REPRESENTATION,
        NUMERIC_VALUE_OUT_OF_RANGE => PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        NOT_IN_PREREQUISITE_STATE => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        ACTIVE_SQL_TRANSACTION => PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
        DATA_CORRUPTED => PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        _ => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
    };
    with_code(code, error)
}

/// The SQL error of a row that a table cannot hold.
pub fn violation(error: &Error) -> ErrorReport {
    with_code(PgSqlErrorCode::ERRCODE_CHECK_VIOLATION, error)
}

fn with_code(code: PgSqlErrorCode, error: &Error) -> ErrorReport {
    ErrorReport::new(code, error.message(), "llm_usage").set_detail(error.detail()).set_hint(error.hint())
}

/// What should not happen, as an error of the server and not of the caller.
pub fn failed(error: impl std::fmt::Display) -> ErrorReport {
    let code = PgSqlErrorCode::ERRCODE_INTERNAL_ERROR;
    ErrorReport::new(code, format!("llm_usage: {error}"), "llm_usage")
}

/// The value, or the SQL error. A trigger's own error would reach the user as a panic.
pub fn raise<T>(result: Result<T, ErrorReport>) -> T {
    result.unwrap_or_report()
}

/// The argument, or the error that it must not be NULL.
pub fn required<T>(name: &'static str, value: Option<T>) -> Result<T, ErrorReport> {
    value.ok_or_else(|| report(&Error::NullArgument { name }))
}
