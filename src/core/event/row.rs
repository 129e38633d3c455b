//! A row of a ledger on its way, column by column.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Checked, Kind, Ledger, SOURCE, USAGE_EVENTS};
use crate::Error;

/// A checked row: the columns that are not left to their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    ledger: &'static Ledger,
    /// By their places among the ledger's.
    columns: Vec<(usize, Checked)>,
    source: Option<String>,
}

impl Row {
    /// A row of `usage_events` of which nothing is known.
    pub fn of_event() -> Self {
        Self::new(&USAGE_EVENTS)
    }

    pub(super) fn new(ledger: &'static Ledger) -> Self {
        // An event of a response has no more.
        const MOST: usize = 12;
        Self { ledger, columns: Vec::with_capacity(MOST), source: None }
    }

    /// What the column of this name takes from JSON; a `null` means its default.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        let refused = |kind: Kind| {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            kind.refusal(name, shown)
        };
        if name == SOURCE && self.ledger.required.is_some() {
            if !value.is_null() {
                let source = value.as_str().filter(|text| Kind::Text.accepts_text(text.as_bytes()));
                self.source = Some(source.ok_or_else(|| refused(Kind::Text))?.to_owned());
            }
            return Ok(());
        }
        let column = self.ledger.columns.iter().position(|(known, _)| *known == name);
        let column = column.ok_or_else(|| self.ledger.unknown(name))?;
        if !value.is_null() {
            let kind = self.ledger.columns[column].1;
            let checked = kind.holds(value).ok_or_else(|| refused(kind))?;
            self.columns.retain(|(known, _)| *known != column);
            self.columns.push((column, checked));
        }
        Ok(())
    }

    /// What a column has where nothing else was said.
    pub fn fill(&mut self, column: usize, value: Checked) -> Result<(), Error> {
        if self.get(column).is_some() {
            return Ok(());
        }
        let (name, kind) = self.ledger.columns[column];
        if !kind.accepts(&value) {
            let shown = match value {
                Checked::Amount(amount) => amount.to_string(),
                Checked::Attrs(attrs) => attrs.to_string(),
                Checked::Instant(number) | Checked::Number(number) => number.to_string(),
                Checked::Text(text) => text,
            };
            return Err(kind.refusal(name, shown));
        }
        self.columns.push((column, value));
        Ok(())
    }

    /// What a column has; `None` if that is its default.
    pub fn get(&self, column: usize) -> Option<&Checked> {
        self.columns.iter().find_map(|(known, value)| (*known == column).then_some(value))
    }

    /// The row, if it has what no row can be without.
    pub fn complete(self) -> Result<Self, Error> {
        match self.ledger.required {
            Some(required) if self.get(required).is_none() => {
                Err(Error::NullArgument { name: self.ledger.columns[required].0 })
            }
            _ => Ok(self),
        }
    }

    /// The columns by their places among the ledger's, and `source`.
    pub fn into_columns(self) -> (Vec<(usize, Checked)>, Option<String>) {
        (self.columns, self.source)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.columns.iter().map(|(column, value)| (self.ledger.columns[*column].0, value));
        match &self.source {
            None => serializer.collect_map(columns),
            Some(source) => {
                let source = Checked::Text(source.clone());
                serializer.collect_map(columns.chain([(SOURCE, &source)]))
            }
        }
    }
}
