//! Chipp, `/api/v1/apps/{appId}/analytics` (seed 003_6e4898c4d2d75767).

use serde_json::{Value, json};

use super::arguments::{Arguments, canonical, is_text, parse_id};
use super::refusal::{Failure, Refusal, Vendor, chipp};

/// The granularities of the time series.
const GRAINS: [&str; 3] = ["day", "week", "month"];

/// The first that is wrong is named.
pub fn app_usage(arguments: &Arguments, now: i64) -> Result<Value, Refusal> {
    let mut checked = app_token_usage(arguments, now)?;
    let grain = arguments.one("group_by");
    if grain.is_some_and(|grain| !GRAINS.contains(&grain)) {
        return Err(invalid_request("group_by must be one of day, week, month"));
    }
    checked["group_by"] = grain.into();
    Ok(checked)
}

/// The first that is wrong is named. The app comes by its number in `app_id`, or by its `slug`, which may be in digits, too.
pub fn app_token_usage(arguments: &Arguments, _now: i64) -> Result<Value, Refusal> {
    let app = arguments.one("app_id").filter(|app| is_text(app)).ok_or_else(app_not_found)?;
    let instant = |name: &str| match arguments.one(name).map(canonical) {
        Some(None) => Err(invalid_request(&format!(
            "{name} must be an ISO 8601 date-time, such as 2025-06-01T00:00:00Z"
        ))),
        instant => Ok(instant.flatten()),
    };
    let (started_after, started_before) = (instant("started_after")?, instant("started_before")?);
    Ok(json!({
        "app_id": parse_id(app),
        "slug": app,
        "started_after": started_after,
        "started_before": started_before,
    }))
}

fn app_not_found() -> Refusal {
    Vendor::Chipp.failure(Failure::NotFound, "")
}

fn invalid_request(message: &str) -> Refusal {
    chipp(400, "invalid_request", message)
}
