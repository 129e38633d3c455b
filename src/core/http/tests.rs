use proptest::prelude::*;
use serde_json::{Value, json};

use super::arthur::token_usage_grouped;
use super::chipp::{app_token_usage, app_usage};
use super::scale::model_usage_statistics;
use super::tyk::{budget_usage, token_usage_for_app};
use super::*;
use crate::calendar::{DAY, is_day, parse_instant};

const JUNE: i64 = 1_748_736_000_000_000;
const TOKENS: &str = "/api/v1/analytics/token-usage-for-app";
const MODEL: &str = "/v4/models/{model_name}/usage-statistics";
const APP: &str = "/api/v1/apps/{app_id}/analytics/usage";

fn query(query: &str) -> Arguments {
    Arguments::of_uri(&format!("/?{query}"), "/")
}

/// The body as it is sent.
fn body(refusal: &Refusal) -> Value {
    serde_json::to_value(&refusal.body).expect("JSON")
}

#[test]
fn a_uri_gives_its_path_argument_and_its_query() {
    let arguments =
        Arguments::of_uri("/v4/models/openai%2Fgpt-4.1%20mini/usage-statistics?chunks=0&chunks=3", MODEL);
    assert_eq!(arguments.one("model_name"), Some("openai/gpt-4.1 mini"));
    assert_eq!(arguments.one("chunks"), Some("3"));
    let plus = Arguments::of_uri("/v4/models/a+b:1/usage-statistics", MODEL);
    assert_eq!(plus.one("model_name"), Some("a+b:1"));
    assert_eq!(Arguments::of_uri("/v4/models//usage-statistics", MODEL).one("model_name"), None);
}

#[test]
fn what_is_given_by_name_wins_and_what_is_empty_is_none() {
    let mut arguments =
        Arguments::of_uri(&format!("{TOKENS}?app_id=7&start_date=&group_by=a&group_by=b"), TOKENS);
    assert_eq!((arguments.one("start_date"), arguments.one("end_date")), (None, None));
    arguments.give("app_id", vec!["8".into()]);
    arguments.give("end_date", Vec::new());
    assert_eq!((arguments.one("app_id"), arguments.all("group_by")), (Some("8"), vec!["a", "b"]));
    arguments.give("group_by", vec!["c".into(), String::new()]);
    assert_eq!(arguments.all("group_by"), ["c"]);
}

#[test]
fn tyk_names_the_first_bad_argument_in_the_documented_order() {
    let good = "start_date=2025-06-01&end_date=2025-06-03&app_id=7";
    assert_eq!(
        token_usage_for_app(&query(good), 0),
        Ok(json!({"start_date": "2025-06-01", "end_date": "2025-06-03", "app_id": 7}))
    );
    let refused = [
        ("", "start_date must be a date in the form YYYY-MM-DD"),
        ("end_date=x&app_id=x", "start_date must be a date in the form YYYY-MM-DD"),
        ("start_date=2025-06-01&app_id=x", "end_date must be a date in the form YYYY-MM-DD"),
        ("start_date=2025-06-01&end_date=2025-06-03", "Invalid app_id"),
    ];
    for (text, expected) in refused {
        let refusal = token_usage_for_app(&query(text), 0).expect_err(text);
        assert_eq!(
            (refusal.status, &body(&refusal)["errors"][0]["detail"]),
            (400, &json!(expected)),
            "{text}"
        );
    }
    for day in
        ["2025-6-1", "2025-02-30", "2025-06-01T00:00:00Z", " 2025-06-01", "2025-06-01 ", "20250601", "now"]
    {
        let text = format!("start_date={day}&end_date=2025-06-03&app_id=7");
        assert!(token_usage_for_app(&query(&text), 0).is_err(), "{day}");
        let refusal = budget_usage(&query(&format!("end_date={day}")), 0).unwrap_err();
        assert_eq!(body(&refusal)["errors"][0]["detail"], "Invalid end_date format");
    }
    for id in ["-1", "1.0", "1e3", "+7", "%207", "0x7", "9223372036854775808", "seven", "%00", "%FF"] {
        let text = format!("start_date=2025-06-01&end_date=2025-06-03&app_id={id}");
        let refusal = token_usage_for_app(&query(&text), 0).expect_err(id);
        let expected = json!({"errors": [{"title": "Bad Request", "detail": "Invalid app_id"}]});
        assert_eq!((refusal.status, body(&refusal)), (400, expected), "{id}");
    }
    assert_eq!(budget_usage(&query("start_date="), 0), Ok(json!({"start_date": null, "end_date": null})));
}

#[test]
fn arthur_names_all_that_is_wrong_in_the_shape_of_fastapi() {
    let given = query("start_time=2025-06-01T02:00:00+02:00&group_by=task&group_by=rule_type&group_by=task");
    let expected =
        json!({"start_time": "2025-06-01T00:00:00Z", "end_time": null, "group_by": ["task", "rule_type"]});
    assert_eq!(token_usage_grouped(&given, 0), Ok(expected));
    let given = query("start_time=soon&end_time=null&group_by=task&group_by=user");
    let refusal = token_usage_grouped(&given, 0).unwrap_err();
    assert_eq!(refusal.status, 422);
    let sent = body(&refusal);
    let found: Vec<(Value, Value, Value)> = sent["detail"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|error| (error["loc"].clone(), error["type"].clone(), error["input"].clone()))
        .collect();
    let date = json!("datetime_from_date_parsing");
    let expected = [
        (json!(["query", "start_time"]), date.clone(), json!("soon")),
        (json!(["query", "end_time"]), date, json!("null")),
        (json!(["query", "group_by", 1]), json!("enum"), json!("user")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn chipp_takes_a_number_or_a_slug() {
    let app = |path: &str| {
        let uri = format!("/api/v1/apps/{path}/analytics/usage?started_after=2025-06-01&group_by=week");
        app_usage(&Arguments::of_uri(&uri, APP), 0).map(|checked| {
            assert_eq!(checked["started_after"], "2025-06-01T00:00:00Z");
            assert_eq!((&checked["started_before"], &checked["group_by"]), (&Value::Null, &json!("week")));
            (checked["app_id"].clone(), checked["slug"].clone())
        })
    };
    assert_eq!(app("7"), Ok((json!(7), json!("7"))));
    assert_eq!(app("9223372036854775808"), Ok((Value::Null, json!("9223372036854775808"))));
    assert_eq!(app("help%20desk"), Ok((Value::Null, json!("help desk"))));
    assert_eq!(app("-7"), Ok((Value::Null, json!("-7"))));
    // What the path names, the query does not name again.
    let uri = "/api/v1/apps/7/analytics/usage?app_id=8&app_id=";
    assert_eq!(app_usage(&Arguments::of_uri(uri, APP), 0).expect("an app")["app_id"], 7);
    for missing in ["%00", "%FF", ""] {
        let refusal = app(missing).expect_err(missing);
        assert_eq!(
            (refusal.status, &body(&refusal)["error"]["code"]),
            (404, &json!("not_found")),
            "{missing}"
        );
    }
    for text in ["app_id=7&group_by=year", "app_id=7&started_before=1"] {
        let refusal = app_usage(&query(text), 0).expect_err(text);
        assert_eq!(
            (refusal.status, &body(&refusal)["error"]["code"]),
            (400, &json!("invalid_request")),
            "{text}"
        );
    }
    assert!(app_token_usage(&query("app_id=7&group_by=year"), 0).is_ok());
}

#[test]
fn scale_takes_the_word_null_and_blames_the_argument() {
    let now = JUNE + DAY;
    let asked = model_usage_statistics(&query("model_name=m&start_date=&end_date=null&chunks=null"), now);
    assert_eq!(asked, Ok(json!({"model_name": "m", "start_date": null, "end_date": null, "chunks": null})));
    let blamed = [
        ("model_name=m&chunks=x", json!(["query", "chunks"]), "int_parsing"),
        ("model_name=m&chunks=2147483648", json!(["query", "chunks"]), "int_parsing"),
        ("model_name=m&chunks=-1", json!(["query", "chunks"]), "value_error"),
        ("model_name=m&chunks=10001", json!(["query", "chunks"]), "value_error"),
        ("model_name=m&start_date=2025-06-03", json!(["query", "end_date"]), "value_error"),
        ("model_name=m&start_date=0001-01-01", json!(["query", "start_date"]), "value_error"),
        ("model_name=m&end_date=soon", json!(["query", "end_date"]), "datetime_from_date_parsing"),
        ("model_name=%FF", json!(["path", "model_name"]), "string_type"),
        ("", json!(["path", "model_name"]), "missing"),
    ];
    for (text, loc, kind) in blamed {
        let refusal = model_usage_statistics(&query(text), now).expect_err(text);
        let sent = body(&refusal);
        let error = &sent["detail"][0];
        assert_eq!(
            (refusal.status, &error["loc"], error["type"].as_str()),
            (422, &loc, Some(kind)),
            "{text}"
        );
    }
}

#[test]
fn a_failure_has_the_vendors_own_body() {
    let answer = |name, failure| {
        let refusal = Endpoint::named(name).expect("an endpoint").failure(failure);
        (refusal.status, body(&refusal))
    };
    let internal = json!({"errors": [{"title": "Internal Server Error", "detail": "Failed to get token usage for app"}]});
    assert_eq!(answer("token_usage_for_app", Failure::Internal), (500, internal));
    let unauthorized = json!({"error": {"code": "unauthorized", "message": "Missing or invalid API key"}});
    assert_eq!(answer("app_usage", Failure::Unauthorized), (401, unauthorized));
    let refusal = Endpoint::named("app_usage").expect("an endpoint").failure(Failure::NotFound);
    let sent = serde_json::to_string(&refusal).expect("JSON");
    assert_eq!(sent, r#"{"status":404,"body":{"error":{"code":"not_found","message":"App not found"}}}"#);
    for name in ["token_usage_grouped", "model_usage_statistics"] {
        assert_eq!(answer(name, Failure::Forbidden), (403, json!({"detail": "Forbidden"})));
        let (status, sent) = answer(name, Failure::Dropped("it was dropped"));
        assert_eq!((status, &sent["detail"][0]["msg"]), (422, &json!("it was dropped")));
    }
    let dropped = json!({"error": {"code": "invalid_request", "message": "it was dropped"}});
    assert_eq!(answer("app_usage", Failure::Dropped("it was dropped")), (400, dropped));
}

proptest! {
    #[test]
    fn no_uri_panics_or_is_refused_with_another_status(
        uri in "\\PC{0,200}",
        near in "(/v4/models/|/api/v1/apps/)[a-z%0-9/.+]{0,40}(/usage-statistics|/analytics/usage)[?]\
                 (([a-z_]{0,10}|start_date|end_time|group_by|app_id|chunks)=[-0-9T:%+a-z.]{0,30}&){0,8}",
    ) {
        for uri in [uri, near] {
            for endpoint in &ENDPOINTS {
                let refusal = endpoint.check(&endpoint.arguments(&uri), JUNE).err();
                let documented: &[u16] = match endpoint.vendor {
                    Vendor::Tyk => &[400],
                    Vendor::Chipp => &[400, 404],
                    Vendor::Arthur | Vendor::Scale => &[422],
                };
                prop_assert!(refusal.is_none_or(|refusal| documented.contains(&refusal.status)), "{}", uri);
            }
        }
    }

    #[test]
    fn every_spelling_of_an_instant_is_taken(instant in -1_000_000_000_000_000..5_000_000_000_000_000_i64, hours in -23..=23_i64, minutes in 0..60_i64) {
        let offset = (hours.abs() * 60 + minutes) * 60_000_000 * if hours < 0 { -1 } else { 1 };
        let local = crate::calendar::format_instant(instant + offset).expect("in the calendar");
        let text = format!("{}{}{:02}:{minutes:02}", local.trim_end_matches('Z'), if hours < 0 { '-' } else { '+' }, hours.abs());
        prop_assert_eq!(parse_instant(&text), Some(instant));
        // Unencoded, a + arrives as a blank.
        let asked = token_usage_grouped(&query(&format!("start_time={text}")), 0).expect("good");
        let expected = crate::calendar::format_instant(instant);
        prop_assert_eq!(asked["start_time"].as_str(), expected.as_deref());
    }

    #[test]
    fn a_day_is_a_date_and_nothing_else(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T 0-9:Z]{0,3}") {
        let day = chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d");
        prop_assert_eq!(is_day(&text), text.len() == 10 && day.is_ok_and(|day| chrono::Datelike::year(&day) > 0));
    }
}
