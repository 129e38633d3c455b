//! Tyk AI Studio, `/api/v1/analytics` (seeds 000_461b733c2d66d897, 001_6e3cf813a8e94e5a).

use serde_json::{Value, json};

use super::arguments::{Arguments, parse_id};
use super::refusal::{Refusal, tyk};
use crate::calendar::is_day;

/// All three are required; the first that is wrong is named.
pub fn token_usage_for_app(arguments: &Arguments, _now: i64) -> Result<Value, Refusal> {
    let day = |name: &str| {
        let day = arguments.one(name).filter(|text| is_day(text));
        day.ok_or_else(|| bad_request(&format!("{name} must be a date in the form YYYY-MM-DD")))
    };
    let (start_date, end_date) = (day("start_date")?, day("end_date")?);
    let app_id = arguments.one("app_id").and_then(parse_id).ok_or_else(|| bad_request("Invalid app_id"))?;
    Ok(json!({ "start_date": start_date, "end_date": end_date, "app_id": app_id }))
}

pub fn budget_usage(arguments: &Arguments, _now: i64) -> Result<Value, Refusal> {
    let day = |name: &str| match arguments.one(name) {
        Some(text) if !is_day(text) => Err(bad_request(&format!("Invalid {name} format"))),
        day => Ok(day),
    };
    Ok(json!({ "start_date": day("start_date")?, "end_date": day("end_date")? }))
}

fn bad_request(detail: &str) -> Refusal {
    tyk(400, "Bad Request", detail)
}
