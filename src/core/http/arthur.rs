//! Arthur GenAI Engine, `/api/v2/usage` (seed 002_a2f999653bea297c).

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::refusal::{Refusal, ValidationError, instant, unprocessable};

/// `TokenUsageScope`, as the vendor spells it.
const SCOPES: [&str; 2] = ["rule_type", "task"];

/// All that is wrong is named.
pub fn token_usage_grouped(arguments: &Arguments, _now: i64) -> Result<Value, Refusal> {
    let mut errors = Vec::new();
    let start_time = instant(arguments.one("start_time"), "start_time", &mut errors);
    let end_time = instant(arguments.one("end_time"), "end_time", &mut errors);
    let mut group_by = Vec::new();
    for (index, scope) in arguments.all("group_by").into_iter().enumerate() {
        match SCOPES.contains(&scope) {
            true if group_by.contains(&scope) => {}
            true => group_by.push(scope),
            false => {
                let place = ["query".into(), "group_by".into(), index.into()];
                errors.push(ValidationError::new(
                    &place,
                    "Input should be 'rule_type' or 'task'",
                    "enum",
                    scope,
                ));
            }
        }
    }
    // The report's own default.
    let group_by = Some(group_by).filter(|scopes| !scopes.is_empty());
    unprocessable(errors, json!({ "start_time": start_time, "end_time": end_time, "group_by": group_by }))
}
