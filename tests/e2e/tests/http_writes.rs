//! What gateways and exporters send over HTTP: recorded as in SQL, or refused with the reason.

use std::sync::OnceLock;

use e2e::cluster::Cluster;
use e2e::gateway::{Gateway, assert_json};
use serde_json::{Value, json};

fn gateway() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(|| Gateway::new(Cluster::shared()))
}

#[test]
fn what_is_posted_is_recorded_as_in_sql() {
    let gateway = gateway();
    let event = json!({"model": "gpt-4.1", "app_id": 70, "prompt_tokens": 100, "completion_tokens": 50, "occurred_at": "2025-07-01T00:00:00"});
    let recorded = gateway.post("/v1/usage", &event);
    assert_eq!(
        (recorded.status, &recorded.json()["status"], &recorded.json()["cost"]),
        (200, &json!("recorded"), &json!(0.0006))
    );
    let batch = gateway.post(
        "/v1/usage/batch",
        &json!({"events": [{"model": "m", "app_id": 70, "cost": 0.1}, {"model": "m", "prompt_tokens": -1}]}),
    );
    assert_eq!(
        (batch.status, &batch.json()["recorded"], &batch.json()["errors"][0]["index"]),
        (200, &json!(1), &json!(1))
    );
    let response = json!({"object": "chat.completion", "id": "r1", "model": "gpt-4.1-2025-04-14",
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 4}}});
    let recorded = gateway
        .post("/v1/usage/response", &json!({"provider": "openai", "response": response, "app_id": 70}));
    assert_eq!((recorded.status, &recorded.json()[0]["status"]), (200, &json!("recorded")));
    // The response's own id is a request key.
    let again = gateway.post(
        "/v1/usage/response/batch",
        &json!({"responses": [{"provider": "openai", "response": response, "app_id": 70}]}),
    );
    assert_eq!((again.status, &again.json()["known"][0]["status"]), (200, &json!("duplicate")));
    let session = gateway.post("/v1/sessions", &json!({"app_id": 70, "consumer_id": "ann"}));
    assert_eq!(session.status, 200);
    assert_eq!(gateway.post("/v1/messages", &json!({"session_id": session.json()})).status, 200);
    let total = &gateway.get("/api/v1/apps/70/analytics/token-usage").json()["data"]["total"];
    assert_eq!(
        total,
        &json!({"input_tokens": 110, "output_tokens": 52, "total_tokens": 162, "request_count": 3})
    );
    let summary = &gateway.get("/api/v1/apps/70/analytics/usage").json()["data"]["summary"];
    assert_eq!(summary, &json!({"total_sessions": 1, "unique_consumers": 1, "total_messages": 1}));
}

#[test]
fn a_gateway_asks_before_the_call() {
    let gateway = gateway();
    let budget = "INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 73, 1)";
    Cluster::shared().connect(&gateway.database).batch_execute(budget).expect("a budget");
    let call = json!({"app_id": 73, "model": "gpt-4.1", "cost": 0.6});
    let decision = |path: &str, body: &Value| {
        let answer = gateway.post(path, body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    };
    assert_eq!(decision("/v1/budgets/check", &call)["verdict"], "allowed");
    // As JSON writes small numbers.
    let small = json!({"app_id": 73, "model": "gpt-4.1", "cost": 1e-7});
    assert!(small.to_string().contains("1e-7"));
    assert_eq!(decision("/v1/budgets/check", &small)["verdict"], "allowed");
    let held = decision("/v1/budgets/reserve", &call);
    assert_eq!(
        (&held["verdict"], decision("/v1/budgets/check", &call)["verdict"].as_str()),
        (&json!("allowed"), Some("denied"))
    );
    // A client that has no numbers of 64 bits sends its digits.
    let usage = json!({"hold_id": held["hold_id"].to_string(), "usage": {"prompt_tokens": 10, "cost": 0.1}});
    assert_eq!(decision("/v1/budgets/settle", &usage)["status"], "recorded");
    let second = decision("/v1/budgets/reserve", &call);
    assert_eq!((&second["verdict"], &second["spent"]), (&json!("allowed"), &json!(0.1)));
    assert_eq!(gateway.post("/v1/budgets/release", &json!({"hold_id": second["hold_id"]})).status, 200);
    let gone = gateway.post("/v1/budgets/release", &json!({"hold_id": second["hold_id"]}));
    assert_eq!((gone.status, &gone.json()["code"]), (400, &json!("22023")));
}

#[test]
fn an_exporter_of_opentelemetry_may_send_its_spans() {
    let span = |name: &str, value: Value| {
        let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
        json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat",
               "startTimeUnixNano": "1748822399000000000", "endTimeUnixNano": "1748822400000000000",
               "attributes": [attribute("gen_ai.operation.name", json!({"stringValue": "chat"})),
                              attribute("gen_ai.request.model", json!({"stringValue": "gpt-4.1"})), attribute(name, value)]})
    };
    let export = |span: Value| json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
    let good = export(span("gen_ai.usage.input_tokens", json!({"intValue": "100"})));
    let answer = gateway().post("/v1/traces?app_id=72", &good);
    assert_json(&answer, 200, json!({"partialSuccess": {}}), "a good span");
    // Exporters send again what they are not sure of.
    assert_json(&gateway().post("/v1/traces?app_id=72", &good), 200, json!({"partialSuccess": {}}), "again");
    let bad = gateway()
        .post("/v1/traces?app_id=72", &export(span("gen_ai.usage.input_tokens", json!({"intValue": "-1"}))));
    assert_eq!(
        (bad.status, &bad.json()["partialSuccess"]["rejectedSpans"]),
        (200, &json!(1)),
        "{}",
        bad.body
    );
    let total = &gateway().get("/api/v1/apps/72/analytics/token-usage").json()["data"]["total"];
    assert_eq!((&total["input_tokens"], &total["request_count"]), (&json!(100), &json!(1)));
}

#[test]
fn what_cannot_be_recorded_says_why() {
    let gateway = gateway();
    let refused = [
        ("/v1/usage", json!({"model": "m", "prompt_tokens": -5}), "invalid prompt_tokens: \"-5\""),
        ("/v1/usage", json!({"modl": "m"}), "unknown key: modl"),
        ("/v1/usage", json!({"prompt_tokens": 5}), "model must not be null"),
        (
            "/v1/usage",
            json!({"model": "m", "occurred_at": "yesterday"}),
            "invalid occurred_at: \"yesterday\"",
        ),
        ("/v1/usage", json!({"model": {"a": 1}, "app_id": 7}), "invalid model: \"{\"a\":1}\""),
        ("/v1/usage", json!({"model": true}), "invalid model: \"true\""),
        ("/v1/usage", json!({"model": "m", "prompt_tokens": 1.5}), "invalid prompt_tokens: \"1.5\""),
        (
            "/v1/usage",
            json!({"model": "m", "occurred_at": "2025-06-01T23:59:59.9999999Z"}),
            "invalid occurred_at: \"2025-06-01T23:59:59.9999999Z\"",
        ),
        (
            "/v1/usage/response",
            json!({"provider": "openai", "response": {"model": "m", "usage": {"prompt_tokens": 1}}, "occurred_at": "yesterday"}),
            "invalid occurred_at: yesterday",
        ),
        ("/v1/sessions", json!({"consumer_id": [1]}), "invalid consumer_id: \"[1]\""),
        ("/v1/budgets/check", json!({"model": ["m"]}), "invalid model: [\"m\"]"),
        ("/v1/budgets/check", json!({"app_id": 1.5}), "invalid app_id: 1.5"),
        ("/v1/budgets/reserve", json!({"cost": "much"}), "invalid cost: much"),
        ("/v1/budgets/settle", json!({"hold_id": true, "usage": {}}), "invalid hold_id: true"),
        ("/v1/traces?app_id=helpdesk", json!({"resourceSpans": []}), "invalid app_id: helpdesk"),
        ("/v1/traces?x=1&app_id=%37", json!({"resourceSpans": []}), "invalid app_id: %37"),
        ("/v1/usage/response", json!({"provider": "openai"}), "response must not be null"),
        ("/v1/messages", json!({"session_id": 987654321}), "there is no session 987654321"),
    ];
    for (path, body, message) in refused {
        let answer = gateway.post(path, &body);
        assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some(message)), "{path} {body}");
        assert!(answer.json()["hint"].is_string(), "{}", answer.body);
    }
    let key = format!("X-Api-Key: {}", gateway.writer);
    for body in ["", "{", "5", "null", "\"x\"", "{\"model\":\"\\u0000\"}"] {
        let answer =
            gateway.curl("/v1/usage", &["-H", &key, "-H", "Content-Type: application/json", "-d", body]);
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    }
}
