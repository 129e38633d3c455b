//! The times that rows of rollups are of.

use crate::Error;
use crate::calendar::{self, DAY, HOUR};

/// How long the time is that a row of a rollup is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    Hour,
    Day,
    Month,
}

impl Grain {
    pub fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            _ => Err(Error::UnknownWord {
                name: "grain",
                value: word.into(),
                known: &["hour", "day", "month"],
            }),
        }
    }

    /// Where the time begins that the instant is in.
    pub fn start(self, instant: i64) -> i64 {
        match self {
            Self::Hour => floor(instant, HOUR),
            Self::Day => floor(instant, DAY),
            Self::Month => calendar::month(instant),
        }
    }
}

pub fn floor(instant: i64, width: i64) -> i64 {
    instant - instant.rem_euclid(width)
}
