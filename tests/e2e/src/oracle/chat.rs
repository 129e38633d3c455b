//! `app_usage`.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{day_name, sums, whole};
use crate::ledger::{Book, Edge};

/// Sessions, consumers and messages of one app, in all and by UTC day, ISO week or month.
pub fn app_usage(
    book: &Book,
    app_id: i64,
    after: Option<Edge<DateTime<Utc>>>,
    before: Option<Edge<DateTime<Utc>>>,
    group_by: &str,
) -> String {
    let asked = |app: i64, at: DateTime<Utc>| {
        app == app_id
            && after.is_none_or(|after| after <= Edge::At(at))
            && before.is_none_or(|before| Edge::At(at) < before)
    };
    let sessions = book.sessions.iter().filter(|session| asked(session.app_id, session.started_at));
    let messages = book.messages.iter().filter(|message| asked(message.app_id, message.sent_at));
    let consumers: BTreeSet<&String> =
        sessions.clone().filter_map(|session| session.consumer_id.as_ref()).collect();
    let activity: Vec<(NaiveDate, i128, i128)> = sessions
        .map(|session| (session.started_at.date_naive(), 1, 0))
        .chain(messages.map(|message| (message.sent_at.date_naive(), 0, 1)))
        .collect();
    let periods = sums(
        &activity,
        |(day, ..)| period_start(*day, group_by),
        |(sessions, messages): &mut (i128, i128), (_, session, message)| {
            *sessions += session;
            *messages += message;
        },
    );
    let timeseries: Vec<Value> = periods
        .into_iter()
        .map(|(day, (sessions, messages))| {
            let period = format!("{}T00:00:00.000Z", day_name(day));
            json!({"period": period, "session_count": whole(sessions), "message_count": whole(messages)})
        })
        .collect();
    let summary = json!({
        "total_sessions": whole(activity.iter().map(|(_, session, _)| session).sum()),
        "unique_consumers": consumers.len(),
        "total_messages": whole(activity.iter().map(|(.., message)| message).sum()),
    });
    json!({"data": {"summary": summary, "timeseries": timeseries}}).to_string()
}

fn period_start(day: NaiveDate, group_by: &str) -> NaiveDate {
    match group_by {
        "day" => day,
        "week" => day - Days::new(day.weekday().num_days_from_monday().into()),
        "month" => day - Days::new(day.day0().into()),
        other => panic!("no such period: {other}"),
    }
}
