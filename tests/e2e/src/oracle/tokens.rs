//! `token_usage_for_app`, `token_usage_grouped` and `app_token_usage`.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{day_name, sums, whole};
use crate::ledger::{Edge, Event};

/// Total tokens of the app for each UTC day that has events.
pub fn token_usage_for_app(
    events: &[Event],
    start: Edge<NaiveDate>,
    end: Edge<NaiveDate>,
    app_id: i64,
) -> String {
    let asked = events.iter().filter(|event| event.app_id == app_id).filter(|event| {
        let day = Edge::At(event.day());
        start <= day && day <= end
    });
    let days = sums(asked, |event| event.day(), |sum: &mut i128, event| *sum += event.total());
    let data: Vec<Value> = days.values().map(|tokens| whole(*tokens)).collect();
    let labels: Vec<String> = days.keys().map(|day| day_name(*day)).collect();
    json!({"data": data, "labels": labels}).to_string()
}

/// Tokens of evaluations by rule type, by task or by both.
pub fn token_usage_grouped(
    events: &[Event],
    now: DateTime<Utc>,
    start: Option<Edge<DateTime<Utc>>>,
    end: Option<Edge<DateTime<Utc>>>,
    group_by: Option<&[&str]>,
) -> String {
    let midnight = |day: NaiveDate| Edge::At(day.and_time(Default::default()).and_utc());
    let today = now.date_naive();
    let start = start.unwrap_or(midnight(today));
    let end = end.unwrap_or(midnight(today + Days::new(1)));
    let asked = |scope: &str| group_by.is_some_and(|scopes| scopes.contains(&scope));
    let (by_task, by_rule) = (asked("task"), asked("rule_type") || !asked("task"));
    let evaluations = events.iter().filter(|event| event.rule_type.is_some()).filter(|event| {
        let at = Edge::At(event.occurred_at);
        start <= at && at < end
    });
    // `None` sorts last where the key says first whether there is one.
    let ordered = |text: Option<&String>, wanted: bool| {
        let text = text.filter(|_| wanted).cloned();
        (text.is_none(), text)
    };
    let groups = sums(
        evaluations,
        |event| (ordered(event.rule_type.as_ref(), by_rule), ordered(event.task_id.as_ref(), by_task)),
        |(inference, prompt, completion): &mut (i128, i128, i128), event| {
            *inference += i128::from(event.inference);
            *prompt += event.input();
            *completion += i128::from(event.completion);
        },
    );
    let rows = groups.into_iter().map(|(((_, rule_type), (_, task_id)), (inference, prompt, completion))| {
        json!({"rule_type": rule_type, "task_id": task_id, "count": {
            "inference": whole(inference), "eval_prompt": whole(prompt), "eval_completion": whole(completion),
            "user_input": whole(inference), "prompt": whole(prompt), "completion": whole(completion),
        }})
    });
    Value::Array(rows.collect()).to_string()
}

/// Tokens and requests of one app, in all and by model.
pub fn app_token_usage(
    events: &[Event],
    app_id: i64,
    after: Option<Edge<DateTime<Utc>>>,
    before: Option<Edge<DateTime<Utc>>>,
) -> String {
    let asked: Vec<&Event> = events
        .iter()
        .filter(|event| event.app_id == app_id)
        .filter(|event| after.is_none_or(|after| after <= Edge::At(event.occurred_at)))
        .filter(|event| before.is_none_or(|before| Edge::At(event.occurred_at) < before))
        .collect();
    let counted = |events: &[&Event]| {
        let sum = |count: fn(&Event) -> i128| whole(events.iter().map(|event| count(event)).sum());
        json!({
            "input_tokens": sum(Event::input), "output_tokens": sum(|event| event.completion.into()),
            "total_tokens": sum(Event::total), "request_count": sum(Event::requests),
        })
    };
    let models = sums(&asked, |event| event.model.as_str(), |of: &mut Vec<&Event>, event| of.push(event));
    let mut models: Vec<(&str, Vec<&Event>)> = models.into_iter().collect();
    // The sort is stable: models with equal totals stay in the order of their bytes.
    models.sort_by_key(|(_, events)| -events.iter().map(|event| event.total()).sum::<i128>());
    let by_model: Vec<Value> = models
        .iter()
        .map(|(model, events)| {
            let mut row = json!({"model": model});
            if let (Value::Object(row), Value::Object(counts)) = (&mut row, counted(events)) {
                row.extend(counts);
            }
            row
        })
        .collect();
    json!({"data": {"total": counted(&asked), "by_model": by_model}}).to_string()
}
