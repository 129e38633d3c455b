//! Every mistake a caller can make, each with SQLSTATE, message, DETAIL and HINT.

use crate::calendar::format_instant;
use crate::call::CallError;
use crate::tokens::ParseError;

/// SQLSTATE of a NULL where a value is needed.
pub const NULL_VALUE_NOT_ALLOWED: &str = "22004";
/// SQLSTATE of an instant that cannot be written as a year from 0001 to 9999.
pub const DATETIME_FIELD_OVERFLOW: &str = "22008";
/// SQLSTATE of a sum that does not fit its type.
pub const NUMERIC_VALUE_OUT_OF_RANGE: &str = "22003";
/// SQLSTATE of stored bytes that mean nothing.
pub const DATA_CORRUPTED: &str = "XX001";
/// SQLSTATE of what cannot be done as things stand.
pub const NOT_IN_PREREQUISITE_STATE: &str = "55000";
/// SQLSTATE of what needs another isolation level.
pub const ACTIVE_SQL_TRANSACTION: &str = "25001";
/// SQLSTATE of any other value that is not accepted.
pub const INVALID_PARAMETER_VALUE: &str = "22023";
/// SQLSTATE of bytes that are not what they should be.
pub const INVALID_BINARY_REPRESENTATION: &str = "22P03";

/// What is wrong with an argument, a batch or a catalogue.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// A required argument is NULL or missing.
    NullArgument { name: &'static str },
    /// A word that is not one of a list, for example of `group_by`.
    UnknownWord { name: &'static str, value: String, known: &'static [&'static str] },
    /// A key of a batch element that is not a column of the ledger.
    UnknownKey { key: String, known: String },
    /// A value of the wrong type or outside its bounds.
    BadValue { name: String, value: String, expected: &'static str },
    /// The end of a range is not after its start.
    EmptyRange { start: i64, end: i64 },
    /// An infinite bound where a width is needed.
    Unbounded { name: &'static str },
    /// A number of chunks that is not accepted.
    BadChunks { chunks: i32 },
    /// More days than one answer holds.
    TooManyDays { days: i64, most: i64 },
    /// An instant that no documented answer can name.
    OutOfCalendar { name: &'static str },
    /// A batch, a catalogue or an element that is of another JSON type than it must be.
    WrongShape { name: &'static str, expected: &'static str, found: &'static str },
    /// An element of an all-or-nothing batch.
    BatchElement { index: usize, problem: Box<Error> },
    /// Bytes that are not a stored bitmap.
    BadBitmap { problem: &'static str },
    /// A provider's response that could not be read.
    Response(ParseError),
    /// Bytes that are not the points of a rollup.
    BadPoints { place: usize, length: usize },
    /// Points whose sum has more than 64 bits.
    SumOfPoints { name: &'static str },
    /// An event that brings an id which others may have been folded past.
    GivenId { id: i64 },
    /// An event whose id rollups have been folded past, as where the sequence was set back.
    FoldedId { ledger: &'static str, id: i64, folded_up_to: i64 },
    /// A call that no budget can be asked about, nor a hold be of.
    Call(CallError),
    /// An event whose row something of the owner's took away before it was written.
    NotWritten,
    /// A row without an id, as of a partition that is written to past its ledger.
    NoId,
}

impl Error {
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::NullArgument { .. } => NULL_VALUE_NOT_ALLOWED,
            Self::OutOfCalendar { .. } => DATETIME_FIELD_OVERFLOW,
            Self::BatchElement { problem, .. } => problem.sqlstate(),
            Self::BadBitmap { .. } => INVALID_BINARY_REPRESENTATION,
            Self::BadPoints { .. } => DATA_CORRUPTED,
            Self::SumOfPoints { .. } => NUMERIC_VALUE_OUT_OF_RANGE,
            Self::FoldedId { .. } | Self::NotWritten => NOT_IN_PREREQUISITE_STATE,
            Self::Call(problem) => problem.sqlstate(),
            _ => INVALID_PARAMETER_VALUE,
        }
    }

    pub fn message(&self) -> String {
        match self {
            Self::NullArgument { name } => format!("{name} must not be null"),
            Self::UnknownWord { name, value, .. } => {
                format!("unknown {name}: {}", quoted(value))
            }
            Self::UnknownKey { key, .. } => format!("unknown key {}", quoted(key)),
            Self::BadValue { name, value, .. } => format!("invalid {name}: {}", quoted(value)),
            Self::EmptyRange { .. } => "end_date must be after start_date".into(),
            Self::Unbounded { name } => format!("{name} must not be infinite"),
            Self::BadChunks { chunks } => format!("chunks must be from 0 to 10000, not {chunks}"),
            Self::TooManyDays { days, .. } => format!("{days} days are too many for one answer"),
            Self::OutOfCalendar { name } => format!("{name} is outside the calendar"),
            Self::WrongShape { name, expected, found } => format!("{name} must be {expected}, not {found}"),
            Self::BatchElement { index, problem } => {
                format!("element {index}: {}", problem.message())
            }
            Self::BadBitmap { .. } => "invalid bitmap".into(),
            Self::Response(problem) => problem.message(),
            Self::Call(problem) => problem.message(),
            Self::BadPoints { .. } => "the points of a rollup cannot be read".into(),
            Self::SumOfPoints { name } => format!("the sum of {name} is out of range"),
            Self::GivenId { id } => format!("the id {id} was not given by the table"),
            Self::FoldedId { ledger, id, .. } => {
                format!("the sequence of llm_usage.{ledger} was set back: it gave the id {id}")
            }
            Self::NotWritten => "the event was not written".into(),
            Self::NoId => "the row has no id".into(),
        }
    }

    pub fn detail(&self) -> String {
        match self {
            Self::NullArgument { name } => format!("The argument {name} has no default."),
            Self::UnknownWord { name, .. } => {
                format!("The value of {name} is compared letter by letter.")
            }
            Self::UnknownKey { .. } => "A key names a column of the ledger.".into(),
            Self::BadValue { expected, .. } => format!("Expected {expected}."),
            Self::EmptyRange { start, end } => {
                format!("The range goes from {} to {}.", shown(*start), shown(*end))
            }
            Self::Unbounded { .. } => "The range is cut into parts of equal width.".into(),
            Self::BadChunks { .. } => {
                "chunks is the number of parts; NULL or 0 means one point a day.".into()
            }
            Self::TooManyDays { most, .. } => format!("At most {most} days are answered."),
            Self::OutOfCalendar { .. } => "Years from 0001 to 9999 have a name.".into(),
            Self::WrongShape { name, .. } => format!("The JSON type of {name} is checked."),
            Self::BatchElement { problem, .. } => problem.detail(),
            Self::BadBitmap { problem } => format!("{problem}."),
            Self::Response(problem) => problem.detail(),
            Self::Call(problem) => problem.detail(),
            Self::BadPoints { place, length } => {
                format!("At byte {place} of {length} there is no whole point.")
            }
            Self::SumOfPoints { .. } => "A sum is kept in 64 bits.".into(),
            Self::GivenId { .. } => {
                "The table gives each id once, in the order of writing, and rollups hold the events up to one.".into()
            }
            Self::FoldedId { folded_up_to, .. } => format!(
                "The ledger is folded up to id {folded_up_to}; rows with ids below that are not looked for, and no report would count this one."
            ),
            Self::NotWritten => "A trigger or a rule of your own on llm_usage.usage_events took its row away; nothing of the call was recorded.".into(),
            Self::NoId => "The ledger gives ids; a partition that is written to directly may not.".into(),
        }
    }

    pub fn hint(&self) -> String {
        match self {
            Self::NullArgument { name } => format!("Give a value: {name} => …"),
            Self::UnknownWord { known, .. } => format!("Use one of: {}.", known.join(", ")),
            Self::UnknownKey { known, .. } => format!("Use one of: {known}."),
            Self::BadValue { name, .. } => format!("Correct {name} and record it again."),
            Self::EmptyRange { .. } => "The end is exclusive: give one that lies after the start.".into(),
            Self::Unbounded { name } => {
                format!("Give a date, for example {name} => '2025-06-01T00:00:00Z'.")
            }
            Self::BadChunks { .. } => "Give a number from 1 to 10000, or leave it out.".into(),
            Self::TooManyDays { .. } => "Give chunks, or a shorter range.".into(),
            Self::OutOfCalendar { name } => {
                format!("Give a date such as {name} => '2025-06-01T00:00:00Z'.")
            }
            Self::WrongShape { expected, .. } => format!("Pass {expected}."),
            Self::BatchElement { index, problem } => format!(
                "{} Nothing was recorded; without all_or_nothing the elements other than {index} would be.",
                problem.hint()
            ),
            Self::BadBitmap { .. } => "Pass what a bitmap function returned, unchanged.".into(),
            Self::Response(problem) => problem.hint(),
            Self::Call(problem) => problem.hint(),
            Self::BadPoints { .. } | Self::SumOfPoints { .. } => {
                "llm_usage.verify() finds the rollups that differ from the ledger.".into()
            }
            Self::GivenId { .. } => "Leave id out; keep a number of your own in request_id.".into(),
            Self::FoldedId { ledger, folded_up_to, .. } => format!(
                "SELECT setval('llm_usage.{ledger}_id_seq', greatest({folded_up_to}, (SELECT max(id) FROM llm_usage.{ledger}))), then record it again."
            ),
            Self::NotWritten => "Raise an error there that says why, or let the row pass.".into(),
            Self::NoId => "Leave id out, and write to usage_events, sessions or messages.".into(),
        }
    }
}

impl From<CallError> for Error {
    fn from(problem: CallError) -> Self {
        Self::Call(problem)
    }
}

impl From<ParseError> for Error {
    fn from(problem: ParseError) -> Self {
        Self::Response(problem)
    }
}

/// The value as it is shown in a message: quoted, cut, since it may be of any length, and without the character that no
/// message can hold.
fn quoted(value: &str) -> String {
    const MOST: usize = 100;
    let shown = match value.char_indices().nth(MOST) {
        Some((cut, _)) => format!("\"{}…\"", &value[..cut]),
        None => format!("\"{value}\""),
    };
    shown.replace('\0', "\u{2400}")
}

fn shown(instant: i64) -> String {
    format_instant(instant).unwrap_or_else(|| "outside the calendar".into())
}
