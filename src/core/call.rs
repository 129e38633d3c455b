//! What is wrong with a call that budgets are asked about, and with what it is said to have taken.

use crate::error::{ACTIVE_SQL_TRANSACTION, INVALID_PARAMETER_VALUE, NULL_VALUE_NOT_ALLOWED};

/// An estimate counts and costs less.
pub const MOST: i64 = 1_000_000_000_000_000;

#[derive(Debug, Clone, PartialEq)]
pub enum CallError {
    /// It is to be reserved for in another isolation level than READ COMMITTED.
    Isolation { level: String },
    /// A time to hold for that is not accepted.
    HoldFor { hold_for: String },
    /// An estimate that no call could be of.
    Estimate { cost: Option<String>, prompt_tokens: Option<i64>, completion_tokens: Option<i64> },
    /// An estimate in what is no currency.
    Currency { currency: String },
    /// What it took, of another JSON type than an object; `None`: NULL.
    Usage { found: Option<String> },
}

impl CallError {
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Isolation { .. } => ACTIVE_SQL_TRANSACTION,
            Self::Usage { found: None } => NULL_VALUE_NOT_ALLOWED,
            _ => INVALID_PARAMETER_VALUE,
        }
    }

    pub fn message(&self) -> String {
        match self {
            Self::Isolation { level } => {
                format!("reserve_budget() needs the isolation level READ COMMITTED, not {level}")
            }
            Self::HoldFor { hold_for } => format!("hold_for must be from above 0 to 30 days, not {hold_for}"),
            Self::Estimate { .. } => "an estimate must be from 0 to below 10^15".into(),
            Self::Currency { currency } => format!("invalid currency: \"{currency}\""),
            Self::Usage { found } => {
                format!("usage must be a JSON object, not {}", found.as_deref().unwrap_or("NULL"))
            }
        }
    }

    pub fn detail(&self) -> String {
        match self {
            Self::Isolation { .. } => "It has to see what was committed while it waited for its turn.".into(),
            Self::HoldFor { .. } => "A hold ends by itself after that time.".into(),
            Self::Estimate { cost, prompt_tokens, completion_tokens } => format!(
                "cost is {}, prompt_tokens {}, completion_tokens {}.",
                shown(cost.as_ref()),
                shown(prompt_tokens.as_ref()),
                shown(completion_tokens.as_ref())
            ),
            Self::Currency { .. } => "No budget and no event can be in it.".into(),
            Self::Usage { .. } => "Its keys are columns of usage_events.".into(),
        }
    }

    pub fn hint(&self) -> String {
        match self {
            Self::Isolation { .. } => {
                "Run it in a transaction of its own: SELECT * FROM llm_usage.reserve_budget(…).".into()
            }
            Self::HoldFor { .. } => "Give the longest that the call may take, such as 10 minutes.".into(),
            Self::Estimate { .. } => "Give the most that the call may take.".into(),
            Self::Currency { .. } => "Give an ISO 4217 code in capitals, such as USD.".into(),
            Self::Usage { .. } => {
                "Pass what the call took: '{\"prompt_tokens\": 100, \"completion_tokens\": 50}'.".into()
            }
        }
    }
}

fn shown(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "NULL".to_owned(), ToString::to_string)
}
