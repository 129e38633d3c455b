//! What the ledger does with every event that is written, by a function, INSERT or COPY: check it, and price it.

use llm_usage_core::Error;
use llm_usage_core::amount::Amount;
use llm_usage_core::calendar::format_instant;
use llm_usage_core::event::{EVENT_COLUMNS, Kind, event_column};
use llm_usage_core::pricing::Request;
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::error;
use crate::given_id::Ledger;
use crate::pg;
use crate::pg::decimal::{Decimal, is_small_amount};
use crate::pg::row::{Columns, Names};
use crate::prices;
use crate::record::Event;

pub const COST: usize = event_column("cost");
pub const CURRENCY: usize = event_column("currency");
pub const TIME: usize = event_column("occurred_at");
const MODEL: usize = event_column("model");
const REPORTED_COST: usize = event_column("reported_cost");
// Columns that no writer gives stand behind the others.
const CORRECTS: usize = EVENT_COLUMNS.len();
const PRICED: usize = EVENT_COLUMNS.len() + 1;
pub const ID: usize = EVENT_COLUMNS.len() + 2;
const REQUESTS: usize = EVENT_COLUMNS.len() + 3;
pub const COLUMNS: usize = EVENT_COLUMNS.len() + 4;

/// The columns that are read of an event; their places here are the constants above.
pub const NAMES: Names = &{
    let mut names = [""; COLUMNS];
    let mut column = 0;
    while column < EVENT_COLUMNS.len() {
        names[column] = EVENT_COLUMNS[column].0;
        column += 1;
    }
    names[CORRECTS] = "corrects";
    names[PRICED] = "priced";
    names[ID] = "id";
    names[REQUESTS] = "requests";
    names
};

/// Their types, in the same order.
pub const TYPES: [pg_sys::Oid; COLUMNS] = {
    let mut types = [pg_sys::INT8OID; COLUMNS];
    let mut column = 0;
    while column < EVENT_COLUMNS.len() {
        types[column] = match EVENT_COLUMNS[column].1 {
            Kind::Attrs => pg_sys::JSONBOID,
            Kind::Cost => pg_sys::NUMERICOID,
            Kind::Count | Kind::Difference | Kind::Requests => pg_sys::INT4OID,
            Kind::Id => pg_sys::INT8OID,
            Kind::Instant => pg_sys::TIMESTAMPTZOID,
            Kind::Currency | Kind::Quality | Kind::Text => pg_sys::TEXTOID,
        };
        column += 1;
    }
    types[PRICED] = pg_sys::BOOLOID;
    types[REQUESTS] = pg_sys::INT2OID;
    types
};

/// How many requests an event adds, as `_requests()` has it.
pub fn requests(row: &Columns) -> i64 {
    match row.is_null(REQUESTS) {
        false => row.number(REQUESTS),
        true => i64::from(row.is_null(CORRECTS)),
    }
}

/// The trigger, in its schema.
#[pg_schema]
mod llm_usage {
    use super::*;

    /// BEFORE INSERT FOR EACH ROW on `usage_events`. Refuses a value that is out of bounds (23514). An event without a
    /// cost gets `cost` and `currency` if a price holds, and `priced` in any case; a given cost is kept.
    #[pg_trigger]
    fn _check_and_price<'a>(
        trigger: &'a PgTrigger<'a>,
    ) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgTriggerError> {
        Ok(error::raise(check_and_price(trigger)))
    }
}

fn check_and_price<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, ErrorReport> {
    let row = Columns::of(trigger, NAMES)?;
    let checked = Ledger::UsageEvents.checked_id((!row.is_null(ID)).then(|| row.number(ID)))?;
    let id = (ID, checked.id.into_datum());
    check(&row).map_err(|error| error::violation(&error))?;
    // A restored event that found no price when it was recorded finds none now, and a correction has what it corrects.
    let is_priced = !row.is_null(PRICED) && (checked.is_restored || !row.is_null(CORRECTS));
    if !row.is_null(COST) || is_priced {
        return match (checked.is_renewed, is_priced || row.is_null(PRICED)) {
            (false, true) => Columns::unchanged(trigger),
            (true, true) => row.with(trigger, [id]).map(Some),
            // Whoever gives a cost does not say that it was computed.
            (_, false) => row.with(trigger, [id, (PRICED, None)]).map(Some),
        };
    }
    let priced_row = match priced(&row)? {
        Priced { cost: None, .. } => row.with(trigger, [id, (PRICED, false.into_datum())])?,
        Priced { cost: Some([cost, currency]), keeps_reported } => {
            let priced = (PRICED, true.into_datum());
            let (cost, currency) = ((COST, Some(cost)), (CURRENCY, Some(currency)));
            match keeps_reported {
                true => row.with(trigger, [id, priced, cost, currency])?,
                false => row.with(trigger, [id, priced, cost, currency, (REPORTED_COST, None)])?,
            }
        }
    };
    Ok(Some(priced_row))
}

/// What the trigger does, for an event that was checked and comes from a writer of ours.
pub fn complete(event: &mut Event) -> Result<(), ErrorReport> {
    let row = event.columns();
    let checked = Ledger::UsageEvents.checked_id(Some(row.number(ID)))?;
    if row.is_null(COST) {
        let priced = priced(&row)?;
        event.set(PRICED, priced.cost.is_some());
        if let Some([cost, currency]) = priced.cost {
            event.set(COST, cost);
            event.set(CURRENCY, currency);
        }
        if !priced.keeps_reported {
            event.set(REPORTED_COST, None::<i64>);
        }
    }
    event.set(ID, checked.id);
    Ok(())
}

/// What pricing makes of an event.
struct Priced {
    /// Cost and currency, if a price is known.
    cost: Option<[pg_sys::Datum; 2]>,
    /// What was reported is not in another currency now.
    keeps_reported: bool,
}

fn priced(row: &Columns) -> Result<Priced, ErrorReport> {
    let Some((cost, currency)) = cost(row)? else { return Ok(Priced { cost: None, keeps_reported: true }) };
    let keeps_reported = row.is_null(REPORTED_COST) || row.text(CURRENCY) == Some(&currency);
    let (cost, currency) = (Decimal::of(&cost)?.into_datum(), currency.into_datum());
    Ok(Priced { cost: cost.zip(currency).map(|(cost, currency)| [cost, currency]), keeps_reported })
}

fn check(row: &Columns) -> Result<(), Error> {
    let is_correction = !row.is_null(CORRECTS);
    for (column, (name, kind)) in EVENT_COLUMNS.iter().enumerate() {
        let accepted = row.is_null(column)
            || match kind {
                Kind::Attrs => true,
                Kind::Cost => {
                    is_small_amount(row.bytes(column))
                        || kind.accepts_amount(&row.decimal(column), is_correction)
                }
                Kind::Count | Kind::Difference | Kind::Id | Kind::Requests => {
                    kind.accepts_number(row.number(column), is_correction)
                }
                Kind::Instant => kind.accepts_number(row.instant(column), is_correction),
                Kind::Currency | Kind::Quality | Kind::Text => kind.accepts_text(row.bytes(column)),
            };
        if !accepted {
            return Err(kind.refusal(name, shown(row, column, *kind)));
        }
    }
    let requests = row.number(REQUESTS);
    if !row.is_null(REQUESTS) && !Kind::Requests.accepts_number(requests, is_correction) {
        return Err(Kind::Requests.refusal("requests", requests.to_string()));
    }
    Ok(())
}

fn shown(row: &Columns, column: usize, kind: Kind) -> String {
    match kind {
        Kind::Count | Kind::Difference | Kind::Id | Kind::Requests => row.number(column).to_string(),
        Kind::Cost => row.decimal(column),
        Kind::Instant => format_instant(row.instant(column)).unwrap_or_else(|| "outside the calendar".into()),
        Kind::Attrs | Kind::Currency | Kind::Quality | Kind::Text => {
            row.text(column).unwrap_or_default().to_owned()
        }
    }
}

/// Cost and currency of an event, `None` where no price is known.
fn cost(row: &Columns) -> Result<Option<(Amount, String)>, ErrorReport> {
    // Without a model the table refuses it.
    let Some(model) = row.text(MODEL) else { return Ok(None) };
    let request = Request {
        vendor: row.text(const { event_column("vendor") }),
        service_tier: row.text(const { event_column("service_tier") }),
        occurred_at: row.instant(const { event_column("occurred_at") }),
        prompt_tokens: row.number(const { event_column("prompt_tokens") }),
        cache_read_tokens: row.number(const { event_column("cache_read_tokens") }),
        cache_write_tokens: row.number(const { event_column("cache_write_tokens") }),
        completion_tokens: row.number(const { event_column("completion_tokens") }),
        reasoning_tokens: row.number(const { event_column("reasoning_tokens") }),
        cache_write_1h_tokens: row.number(const { event_column("cache_write_1h_tokens") }),
        prompt_audio_tokens: row.number(const { event_column("prompt_audio_tokens") }),
        completion_audio_tokens: row.number(const { event_column("completion_audio_tokens") }),
        cache_read_audio_tokens: row.number(const { event_column("cache_read_audio_tokens") }),
        cache_read_image_tokens: row.number(const { event_column("cache_read_image_tokens") }),
        prompt_image_tokens: row.number(const { event_column("prompt_image_tokens") }),
        prompt_video_tokens: row.number(const { event_column("prompt_video_tokens") }),
        completion_image_tokens: row.number(const { event_column("completion_image_tokens") }),
        completion_video_tokens: row.number(const { event_column("completion_video_tokens") }),
    };
    prices::cost(model, request)
}

/// Whether a table has policies that are heeded; whoever asks, also where they bind nobody.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _has_row_security(table: pg_sys::Oid) -> bool {
    pg::has_row_security(table)
}
