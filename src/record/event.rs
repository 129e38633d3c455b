//! An event before it is written, in the values that the ledger's columns have.

use llm_usage_core::calendar::format_instant;
use llm_usage_core::charge::{COUNTS, Charge};
use llm_usage_core::event::{self, Checked, EVENT_COLUMNS, Kind, SOURCE, event_column};
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::Map;

use crate::error::{self, failed};
use crate::pg::decimal::is_small_amount;
use crate::pg::row::Columns;
use crate::{ledger, pg, settings};

const APP: usize = event_column("app_id");
const ATTRS: usize = event_column("attrs");
const COST: usize = event_column("cost");
const CURRENCY: usize = event_column("currency");
const MODEL: usize = event_column("model");
const QUALITY: usize = event_column("quality");
const REQUEST: usize = event_column("request_id");
const TIER: usize = event_column("service_tier");
const TIME: usize = event_column("occurred_at");
const VENDOR: usize = event_column("vendor");
/// Those of [`COUNTS`].
const BILLED: [usize; COUNTS.len()] = {
    let mut columns = [0; COUNTS.len()];
    let mut place = 0;
    while place < COUNTS.len() {
        columns[place] = event_column(COUNTS[place]);
        place += 1;
    }
    columns
};
/// Columns that are not NULL, and 0 where nothing is given.
const COUNTED: [usize; 8] = [
    APP,
    event_column("llm_id"),
    event_column("prompt_tokens"),
    event_column("cache_read_tokens"),
    event_column("cache_write_tokens"),
    event_column("completion_tokens"),
    event_column("reasoning_tokens"),
    event_column("inference_tokens"),
];

/// A checked event; its columns are numbered as [`ledger::names`] has them.
#[derive(Clone)]
pub struct Event {
    values: [pg_sys::Datum; ledger::COLUMNS],
    nulls: [bool; ledger::COLUMNS],
    pub source: String,
}

impl Event {
    fn new() -> Self {
        Self {
            values: [pg_sys::Datum::from(0); ledger::COLUMNS],
            nulls: [true; ledger::COLUMNS],
            source: String::new(),
        }
    }

    /// The arguments of `record_usage()`, checked: the columns of an event in their order, and behind them the source.
    pub fn of_arguments(arguments: &Columns) -> Result<Self, ErrorReport> {
        const SOURCE_PLACE: usize = EVENT_COLUMNS.len();
        let mut event = Self::new();
        error::required("model", arguments.datum(MODEL))?;
        for (column, (name, kind)) in EVENT_COLUMNS.iter().enumerate() {
            let Some(value) = arguments.datum(column) else { continue };
            if !is_accepted(*kind, arguments, column) {
                return Err(error::report(&kind.refusal(name, shown(*kind, arguments, column))));
            }
            let is_count = matches!(kind, Kind::Count | Kind::Difference);
            event.set(column, if is_count { pg_sys::Datum::from(value.value() as i32) } else { value });
        }
        if let Some(source) = arguments.text(SOURCE_PLACE) {
            if !Kind::Text.accepts_text(source.as_bytes()) {
                return Err(error::report(&Kind::Text.refusal(SOURCE, source.to_owned())));
            }
            event.source = source.to_owned();
        }
        Ok(event)
    }

    /// A row that was checked before.
    pub fn of_row(row: event::Row) -> Result<Self, ErrorReport> {
        let mut event = Self::new();
        let (columns, source) = row.into_columns();
        for (column, value) in columns {
            event.set(column, datum(EVENT_COLUMNS[column].1, &value)?);
        }
        event.source = source.unwrap_or_default();
        Ok(event)
    }

    pub fn set(&mut self, column: usize, value: impl IntoDatum) {
        let value = value.into_datum();
        self.nulls[column] = value.is_none();
        self.values[column] = value.unwrap_or(pg_sys::Datum::from(0));
    }

    /// Attributes that are an object, of whatever depth.
    pub fn set_attrs(&mut self, attrs: Option<pg_sys::Datum>) {
        if let Some(attrs) = attrs {
            self.set(ATTRS, attrs);
        }
    }

    pub fn columns(&self) -> Columns<'_> {
        Columns::in_order(&self.values, &self.nulls)
    }

    pub fn values(&self) -> (&[pg_sys::Datum], &[bool]) {
        (&self.values, &self.nulls)
    }

    /// What it does not say is the columns' default.
    pub fn fill(&mut self) {
        for column in COUNTED {
            self.nulls[column] = false;
        }
        if self.nulls[TIME] {
            self.set(TIME, pg_sys::Datum::from(pg::transaction_start()));
        }
        if self.nulls[CURRENCY] {
            self.set(CURRENCY, settings::default_currency());
        }
    }

    pub fn app_id(&self) -> i64 {
        self.columns().number(APP)
    }

    pub fn has_key(&self) -> bool {
        !self.nulls[REQUEST]
    }

    /// In which order keys are taken: one for all sessions.
    pub fn key(&self) -> (String, i64, &str) {
        let columns = self.columns();
        (columns.text(REQUEST).unwrap_or_default().to_owned(), columns.number(APP), &self.source)
    }

    pub fn request_id(&self) -> Option<pg_sys::Datum> {
        self.columns().datum(REQUEST)
    }

    pub fn quality(&self) -> Option<pg_sys::Datum> {
        self.columns().datum(QUALITY)
    }

    pub fn attrs(&self) -> Option<pg_sys::Datum> {
        self.columns().datum(ATTRS)
    }

    /// What is billed by what was given, to be compared under a request key.
    pub fn billed(&self) -> Uuid {
        let columns = self.columns();
        let cost = (!columns.is_null(COST)).then(|| columns.decimal(COST));
        let charge = Charge {
            model: columns.text(MODEL).unwrap_or_default(),
            vendor: columns.text(VENDOR),
            service_tier: columns.text(TIER),
            counts: BILLED.map(|column| columns.number(column)),
            cost: cost.as_deref(),
            currency: columns.text(CURRENCY),
        };
        Uuid::from_bytes(charge.hash().to_be_bytes())
    }

    /// What was given, as a JSON object, but for the attributes, which may be of any depth.
    pub fn given(&self) -> Result<String, ErrorReport> {
        let columns = self.columns();
        let mut given = Map::new();
        for (column, (name, kind)) in EVENT_COLUMNS.iter().enumerate() {
            if columns.is_null(column) || column == ATTRS {
                continue;
            }
            let value = match kind {
                Kind::Cost => serde_json::from_str(&columns.decimal(column)).map_err(failed)?,
                Kind::Count | Kind::Difference | Kind::Id | Kind::Requests => columns.number(column).into(),
                Kind::Instant => format_instant(columns.instant(column)).into(),
                _ => columns.text(column).into(),
            };
            given.insert((*name).to_owned(), value);
        }
        if !self.source.is_empty() {
            given.insert(SOURCE.to_owned(), self.source.as_str().into());
        }
        pg::json_text(&given)
    }
}

fn is_accepted(kind: Kind, arguments: &Columns, column: usize) -> bool {
    match kind {
        Kind::Attrs => arguments.is_json_object(column),
        Kind::Cost => {
            is_small_amount(arguments.bytes(column)) || kind.accepts_amount(&arguments.decimal(column), false)
        }
        Kind::Count | Kind::Difference | Kind::Id | Kind::Requests => {
            kind.accepts_number(arguments.number(column), false)
        }
        Kind::Instant => kind.accepts_number(arguments.instant(column), false),
        Kind::Currency | Kind::Quality | Kind::Text => kind.accepts_text(arguments.bytes(column)),
    }
}

fn shown(kind: Kind, arguments: &Columns, column: usize) -> String {
    match kind {
        Kind::Attrs => arguments.json(column),
        Kind::Cost => arguments.decimal(column),
        Kind::Count | Kind::Difference | Kind::Id | Kind::Requests => arguments.number(column).to_string(),
        Kind::Instant => {
            let instant = arguments.value::<TimestampWithTimeZone>(column);
            instant.map(|instant| instant.to_string()).unwrap_or_default()
        }
        Kind::Currency | Kind::Quality | Kind::Text => arguments.text(column).unwrap_or_default().to_owned(),
    }
}

/// A checked value as its column has it.
fn datum(kind: Kind, value: &Checked) -> Result<Option<pg_sys::Datum>, ErrorReport> {
    Ok(match (value, kind) {
        (Checked::Number(number), Kind::Id) => Some(pg_sys::Datum::from(*number)),
        (Checked::Number(number), _) => Some(pg_sys::Datum::from(i32::try_from(*number).map_err(failed)?)),
        (Checked::Text(text), _) => text.as_str().into_datum(),
        (Checked::Amount(amount), _) => AnyNumeric::try_from(amount.as_str()).map_err(failed)?.into_datum(),
        (Checked::Instant(at), _) => pg::instant(*at)?.into_datum(),
        (Checked::Attrs(attrs), _) => Some(pg::jsonb(&attrs.to_string())?),
    })
}
