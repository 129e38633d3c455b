//! What becomes of an event whose request key is known.

use std::collections::HashMap;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Event, Recorded, told};
use crate::error::failed;
use crate::{pg, query};

/// What becomes of those at these places; nothing of one whose key is gone by now.
pub fn settle(events: &[Event], places: &[usize]) -> Result<Vec<Option<Recorded>>, ErrorReport> {
    let mut duplicates = duplicates(events, places)?;
    let settle = places.iter().map(|place| match duplicates.remove(place) {
        Some(duplicate) => Ok(Some(duplicate)),
        None => settle_one(&events[*place]),
    });
    settle.collect()
}

/// Most of what comes again is a plain retry of what nobody corrected since: all such are read at once, by their places. A call
/// before it in the batch may change what such an event costs, which no batch tells, and never that the call is a duplicate.
fn duplicates(events: &[Event], places: &[usize]) -> Result<HashMap<usize, Recorded>, ErrorReport> {
    let calls = || places.iter().map(|place| &events[*place]);
    let text = |value: Option<pg_sys::Datum>| value.and_then(pg::text);
    let args = [
        calls().map(Event::app_id).collect::<Vec<_>>().into(),
        calls().map(|event| event.source.clone()).collect::<Vec<_>>().into(),
        calls().map(|event| text(event.request_id())).collect::<Vec<_>>().into(),
        calls().map(Event::billed).collect::<Vec<_>>().into(),
        calls().map(|event| text(event.quality())).collect::<Vec<_>>().into(),
    ];
    let rows = query::select_latest_by_index(include_str!("duplicates.sql"), &args, |row| {
        Ok((row.id(1)?, row.get::<i64>(2)?, row.get::<AnyNumeric>(3)?, row.get::<String>(4)?))
    })?;
    let duplicate = |(place, id, cost, currency): (i64, _, Option<AnyNumeric>, Option<String>)| {
        let place = usize::try_from(place - 1).ok().and_then(|place| places.get(place));
        let (cost, currency) = (cost.into_datum(), currency.into_datum());
        let place = *place.ok_or_else(|| failed("a duplicate of nothing"))?;
        Ok((place, Recorded { id, status: "duplicate".into(), cost, currency }))
    };
    rows.into_iter().map(duplicate).collect()
}

fn settle_one(event: &Event) -> Result<Option<Recorded>, ErrorReport> {
    let given = event.given()?;
    let args = [
        event.app_id().into(),
        event.source.as_str().into(),
        pg::argument(event.request_id(), pg_sys::TEXTOID),
        event.billed().into(),
        pg::argument(event.quality(), pg_sys::TEXTOID),
        given.as_str().into(),
        pg::argument(event.attrs(), pg_sys::JSONBOID),
    ];
    let settled = told(include_str!("settle.sql"), &args)?;
    Ok(settled.id.is_some().then_some(settled))
}
