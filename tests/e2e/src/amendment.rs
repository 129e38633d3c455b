//! Corrects events by the functions that are there for it.

use postgres::types::ToSql;
use postgres::{Error, Transaction};

use crate::ledger::{Event, Way};
use crate::writer::{RECORD, with_parameters};

/// Corrects the event that is named in `corrects` in the way of this one.
pub fn write(transaction: &mut Transaction, event: &Event) -> Result<(), Error> {
    match event.way {
        Way::Void => void(transaction, event),
        Way::Supersede => supersede(transaction, event),
        _ => correct(transaction, event),
    }
}

fn void(transaction: &mut Transaction, event: &Event) -> Result<(), Error> {
    let void =
        "SELECT llm_usage.void_usage((SELECT min(id) FROM llm_usage.usage_events WHERE request_id = $1))";
    transaction.execute(void, &[&event.corrects]).map(drop)
}

/// Records the values of this event under the request key of the other, which it is better than.
fn supersede(transaction: &mut Transaction, event: &Event) -> Result<(), Error> {
    let event = Event { request_id: event.corrects.clone().unwrap_or_default(), ..event.clone() };
    let row = with_parameters(&event, |parameters| transaction.query_one(RECORD, parameters))?;
    assert_eq!(row.get::<_, String>(0), "superseded");
    Ok(())
}

/// Gives the event that is named in `corrects` some of the values of this one; it has the others.
fn correct(transaction: &mut Transaction, event: &Event) -> Result<(), Error> {
    let correct = "SELECT status FROM llm_usage.correct_usage(
        (SELECT min(id) FROM llm_usage.usage_events WHERE request_id = $1), 'wrong', model => $2, app_id => $3, user_id => $4,
        prompt_tokens => $5, completion_tokens => $6, cost => $7::text::numeric)";
    let cost = event.cost.as_ref().map(|cost| cost.to_plain_string());
    let parameters: [&(dyn ToSql + Sync); 7] = [
        &event.corrects,
        &event.model,
        &event.app_id,
        &event.user_id,
        &event.prompt,
        &event.completion,
        &cost,
    ];
    let row = transaction.query_one(correct, &parameters)?;
    assert!(["corrected", "unchanged"].contains(&row.get::<_, &str>(0)));
    Ok(())
}
