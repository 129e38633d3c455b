//! The vendors' own paths over HTTP: documented answers, documented errors, and nothing else whatever is sent.

use std::sync::OnceLock;

use e2e::cluster::Cluster;
use e2e::gateway::{Gateway, assert_json, create_key};
use postgres::Client;
use serde_json::{Value, json};

const TOKENS: &str = "/api/v1/analytics/token-usage-for-app";
const BUDGETS: &str = "/api/v1/analytics/budget-usage";
const GROUPED: &str = "/api/v2/usage/tokens";

fn gateway() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(|| Gateway::with_examples(Cluster::shared()))
}

fn client(gateway: &Gateway) -> Client {
    Cluster::shared().connect(&gateway.database)
}

fn tyk(title: &str, detail: &str) -> Value {
    json!({ "errors": [{ "title": title, "detail": detail }] })
}

#[test]
fn every_path_answers_what_the_document_shows() {
    let answers = [
        (
            format!("{TOKENS}?start_date=2025-06-01&end_date=2025-06-03&app_id=7"),
            json!({"data": [150, 18], "labels": ["2025-06-01", "2025-06-02"]}),
        ),
        (
            format!("{BUDGETS}?start_date=2025-06-01&end_date=2025-06-30"),
            json!([
                {"budget": 100, "budget_start_date": null, "entity_id": 7, "entity_type": "App", "name": "Helpdesk", "spent": 0,
                 "total_cost": 0.000681, "total_tokens": 168, "usage": 0, "user_email": "dev@example.com", "user_id": 3},
                {"budget": null, "budget_start_date": null, "entity_id": 8, "entity_type": "App", "name": "App 8", "spent": 0,
                 "total_cost": 0, "total_tokens": 8, "usage": 0, "user_email": null, "user_id": 0},
            ]),
        ),
        (
            // As Arthur's own client sends it.
            format!("{GROUPED}?start_time=2025-06-02T00%3A00%3A00.000000%2B0000&end_time=2025-06-03T00%3A00%3A00.000000%2B0000\
                     &group_by=task&group_by=rule_type"),
            json!([{"rule_type": "PIIDataRule", "task_id": "t", "count": {"inference": 30, "eval_prompt": 7, "eval_completion": 1,
                    "user_input": 30, "prompt": 7, "completion": 1}}]),
        ),
        (
            "/api/v1/apps/7/analytics/usage?started_after=2025-06-01T00:00:00Z&group_by=day".to_owned(),
            json!({"data": {"summary": {"total_sessions": 1, "unique_consumers": 1, "total_messages": 1}, "timeseries": [
                {"period": "2025-06-01T00:00:00.000Z", "session_count": 1, "message_count": 0},
                {"period": "2025-06-02T00:00:00.000Z", "session_count": 0, "message_count": 1}]}}),
        ),
        (
            "/api/v1/apps/help%20desk/analytics/token-usage?started_after=2025-06-01T00:00:00Z".to_owned(),
            json!({"data": {
                "total": {"input_tokens": 115, "output_tokens": 53, "total_tokens": 168, "request_count": 2},
                "by_model": [
                    {"model": "gpt-4.1", "input_tokens": 100, "output_tokens": 50, "total_tokens": 150, "request_count": 1},
                    {"model": "claude-sonnet-4-20250514", "input_tokens": 15, "output_tokens": 3, "total_tokens": 18, "request_count": 1},
                ]}}),
        ),
        (
            "/v4/models/openai%2Fgpt-4.1%20mini:free/usage-statistics?start_date=2025-06-01T00:00:00Z&end_date=2025-06-03T00:00:00+00:00&chunks=2".to_owned(),
            json!({"data": [
                {"date": "2025-06-01T00:00:00Z", "prompt_tokens": 0, "response_tokens": 0, "summary_tokens": 0},
                {"date": "2025-06-02T00:00:00Z", "prompt_tokens": 7, "response_tokens": 1, "summary_tokens": 8}],
                "start_date": "2025-06-01T00:00:00Z", "end_date": "2025-06-02T00:00:00Z"}),
        ),
    ];
    for (path, expected) in answers {
        assert_json(&gateway().get(&path), 200, expected, &path);
    }
}

#[test]
fn the_examples_of_the_documents_are_answered() {
    // By another host and another key, as they stand there.
    let key = format!("Authorization: Bearer {}", gateway().reader);
    for path in [
        "/api/v1/apps/7/analytics/usage?started_after=2025-06-01T00:00:00Z&group_by=day",
        "/api/v1/apps/7/analytics/usage?group_by=week&started_after=2025-01-01T00:00:00Z",
        "/api/v1/apps/7/analytics/token-usage?started_after=2025-06-01T00:00:00Z",
    ] {
        assert_eq!(gateway().curl(path, &["-H", &key]).status, 200, "{path}");
    }
    let scale = "/v4/models/model_name/usage-statistics?chunks=0&end_date=2019-12-28T18%3A11%3A19.117000&start_date=2019-12-27T18%3A11%3A19.117000";
    let answer = gateway().curl(scale, &["-H", &format!("x-api-key: {}", gateway().reader)]);
    let dates = json!(["2019-12-27T18:11:19.117000Z", "2019-12-28T00:00:00Z"]);
    assert_eq!(
        (answer.status, &answer.json()["data"][0]["date"], &answer.json()["end_date"]),
        (200, &dates[0], &dates[1])
    );
    // Scale's own client leaves out what is None; Arthur's sends nothing at all without arguments.
    assert_eq!(
        gateway().get("/v4/models/model_name/usage-statistics").json()["data"].as_array().map(Vec::len),
        Some(31)
    );
    assert_json(&gateway().get(GROUPED), 200, json!([]), GROUPED);
}

#[test]
fn every_bad_argument_has_its_documented_answer() {
    let date = |name: &str| tyk("Bad Request", &format!("{name} must be a date in the form YYYY-MM-DD"));
    let app = || tyk("Bad Request", "Invalid app_id");
    let range = "start_date=2025-06-01&end_date=2025-06-03";
    let mut refused: Vec<(String, u16, Value)> = vec![
        (TOKENS.into(), 400, date("start_date")),
        (format!("{TOKENS}?start_date=2025-06-01&app_id=x"), 400, date("end_date")),
        (format!("{TOKENS}?start_date=2025-06-31&end_date=x&app_id=x"), 400, date("start_date")),
        (format!("{TOKENS}?{range}"), 400, app()),
        (
            format!("{BUDGETS}?start_date=June&end_date=June"),
            400,
            tyk("Bad Request", "Invalid start_date format"),
        ),
        (
            format!("{BUDGETS}?start_date=2025-06-01&end_date=2025-06-01T00:00:00Z"),
            400,
            tyk("Bad Request", "Invalid end_date format"),
        ),
        (
            "/api/v1/apps/99/analytics/usage".into(),
            404,
            json!({"error": {"code": "not_found", "message": "App not found"}}),
        ),
        (
            // What the path names, the query does not name again.
            "/api/v1/apps/99/analytics/usage?app_id=7".into(),
            404,
            json!({"error": {"code": "not_found", "message": "App not found"}}),
        ),
        (
            "/api/v1/apps/no-such/analytics/token-usage".into(),
            404,
            json!({"error": {"code": "not_found", "message": "App not found"}}),
        ),
        (
            "/api/v1/apps/7/analytics/usage?group_by=year".into(),
            400,
            json!({"error": {"code": "invalid_request", "message": "group_by must be one of day, week, month"}}),
        ),
        (
            "/api/v1/apps/7/analytics/token-usage?started_before=2025-02-30".into(),
            400,
            json!({"error": {"code": "invalid_request",
                          "message": "started_before must be an ISO 8601 date-time, such as 2025-06-01T00:00:00Z"}}),
        ),
        (
            format!("{GROUPED}?group_by=task&group_by=user"),
            422,
            json!({"detail": [{"loc": ["query", "group_by", 1], "msg": "Input should be 'rule_type' or 'task'", "type": "enum", "input": "user"}]}),
        ),
        (
            format!("{GROUPED}?start_time=soon"),
            422,
            json!({"detail": [{"loc": ["query", "start_time"], "type": "datetime_from_date_parsing", "input": "soon",
                            "msg": "Input should be a valid datetime or date in ISO 8601, such as 2025-06-01T00:00:00Z"}]}),
        ),
        (
            "/v4/models/m/usage-statistics?chunks=1.5".into(),
            422,
            json!({"detail": [{"loc": ["query", "chunks"], "type": "int_parsing", "input": "1.5",
                            "msg": "Input should be a valid integer, unable to parse string as an integer"}]}),
        ),
        (
            "/v4/models/m/usage-statistics?chunks=10001".into(),
            422,
            json!({"detail": [{"loc": ["query", "chunks"], "type": "value_error", "input": "10001",
                            "msg": "Value error, chunks must be from 0 to 10000, not 10001. Give a number from 1 to 10000, or leave it out."}]}),
        ),
        (
            "/v4/models/m/usage-statistics?start_date=2025-06-02&end_date=2025-06-01".into(),
            422,
            json!({"detail": [{"loc": ["query", "end_date"], "type": "value_error", "input": "2025-06-01",
                            "msg": "Value error, end_date must be after start_date. The end is exclusive: give one that lies after the start."}]}),
        ),
    ];
    for bad in
        ["2025-6-1", "2025-06-01T00:00:00Z", "%202025-06-01", "20250601", "0000-01-01", "infinity", "null"]
    {
        refused.push((
            format!("{TOKENS}?start_date={bad}&end_date=2025-06-03&app_id=7"),
            400,
            date("start_date"),
        ));
    }
    for bad in ["-1", "1.0", "1e3", "0x7", "9223372036854775808", "seven", "%2B7", "7%20", "null", ""] {
        refused.push((format!("{TOKENS}?{range}&app_id={bad}"), 400, app()));
    }
    for (path, status, body) in refused {
        assert_json(&gateway().get(&path), status, body, &path);
    }
}

#[test]
fn a_slug_of_digits_and_what_was_dropped_have_their_answers() {
    let gateway = gateway();
    let mut client = client(gateway);
    let statements = "INSERT INTO llm_usage.apps (id, slug) VALUES (4242, '2048');
        INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens) VALUES ('2024-03-05 10:15Z', 4242, 'm', 4);
        SELECT llm_usage.maintain();
        SELECT llm_usage.fold();
        SELECT llm_usage.drop_month('2024-03-01');";
    client.batch_execute(statements).expect(statements);
    let path = "/api/v1/apps/2048/analytics/token-usage?started_after=2024-03-05T10:00:00Z";
    assert_eq!(gateway.get(path).json()["data"]["total"]["total_tokens"], 4);
    let said = "only whole hours of 2024-03 can be asked for";
    let path = "/api/v1/apps/4242/analytics/token-usage?started_after=2024-03-05T10:10:00Z";
    assert_json(
        &gateway.get(path),
        400,
        json!({"error": {"code": "invalid_request", "message": said}}),
        path,
    );
    let path = format!("{GROUPED}?start_time=2024-03-05T10:10:00Z&end_time=2024-03-06");
    let expected = json!({"detail": [{"loc": ["query"], "msg": said, "type": "value_error", "input": null}]});
    assert_json(&gateway.get(&path), 422, expected, &path);
    // Bytes that belong encoded would keep the URI from being read.
    let answer = gateway.get(&format!("{BUDGETS}?start_date=nonsense&x=\u{e9}"));
    assert_eq!((answer.status, &answer.json()["message"]), (400, &json!("Bad Request")));
}

#[test]
fn arguments_of_other_tools_change_nothing() {
    let good = format!("{TOKENS}?start_date=2025-06-01&end_date=2025-06-03&app_id=7");
    let expected = gateway().get(&good);
    assert_eq!(expected.status, 200);
    // PostgREST takes these for its own, or for a function that does not exist.
    for extra in [
        "select=data",
        "limit=0",
        "offset=9",
        "order=data",
        "columns=x",
        "on_conflict=x",
        "and=(a.eq.1)",
        "utm_source=x",
        "data=eq.1",
    ] {
        assert_eq!(gateway().get(&format!("{good}&{extra}")).body, expected.body, "{extra}");
    }
    // A value that PostgREST would take for a filter is a value.
    let filters = gateway().get("/v4/models/eq.gpt-4.1/usage-statistics?chunks=1");
    assert_eq!(filters.json()["data"][0]["summary_tokens"], 0);
    // The last one of a key that is given twice.
    assert_eq!(gateway().get(&format!("{good}&app_id=8")).json()["data"], json!([8]));
}

#[test]
fn hostile_arguments_get_documented_errors_and_learn_nothing() {
    let long = "9".repeat(10_000);
    let injections = [
        "7;DROP+TABLE+llm_usage.apps",
        "7'--",
        "'+OR+'1'='1",
        "$(id)",
        "%27%29%3B+DELETE+FROM+llm_usage.users%3B--",
        "{7,8}",
        "[7]",
        "7%0A7",
        "%00",
        "7%00",
        "%FF%FE",
        "%C0%AF",
        "%ED%A0%80",
        "%EF%BF%BD",
        "eq.7",
        "is.null",
        "not.eq.7",
        "../../etc/passwd",
        "%25%30%30",
        "%",
        "%zz",
        &long,
    ];
    let paths: [(&str, &[&str], &[u16]); 6] = [
        (TOKENS, &["start_date", "end_date", "app_id"], &[400]),
        (BUDGETS, &["start_date", "end_date"], &[400]),
        (GROUPED, &["start_time", "end_time", "group_by"], &[422]),
        ("/api/v1/apps/7/analytics/usage", &["started_after", "started_before", "group_by"], &[400]),
        ("/api/v1/apps/7/analytics/token-usage", &["started_after", "started_before"], &[400]),
        ("/v4/models/m/usage-statistics", &["start_date", "end_date", "chunks"], &[422]),
    ];
    let check = |path: &str, documented: &[u16]| {
        let answer = gateway().get(path);
        let shown = &path[..path.len().min(120)];
        assert!(documented.contains(&answer.status), "{shown}: {} {}", answer.status, answer.body);
        let body = answer.json().to_string();
        for leak in ["llm_usage", "SELECT", "pg_", "plpgsql", "SQLSTATE", "PGRST", "panic"] {
            // What was sent may come back.
            assert!(!body.contains(leak) || path.contains(leak), "{shown}: {body}");
        }
    };
    for (path, arguments, documented) in paths {
        let good = "start_date=2025-06-01&end_date=2025-06-02&app_id=7&start_time=&end_time=&started_after=&started_before=";
        for argument in arguments {
            for injection in injections {
                check(&format!("{path}?{good}&{argument}={injection}"), documented);
            }
        }
    }
    for injection in injections {
        check(&format!("/api/v1/apps/{injection}/analytics/usage"), &[404]);
        check(&format!("/v4/models/{injection}/usage-statistics?chunks=1"), &[200, 422, 404, 400]);
    }
    let many = "group_by=task&".repeat(1_000);
    check(&format!("{GROUPED}?{many}"), &[200]);
    check(&format!("{GROUPED}?{many}group_by=x"), &[422]);
    check(&format!("{TOKENS}?x={}", "y".repeat(60_000)), &[414]);
    let intact = "SELECT count(*) FROM llm_usage.apps a, llm_usage.users u WHERE a.id = 7";
    assert_eq!(client(gateway()).query_one(intact, &[]).expect(intact).get::<_, i64>(0), 1);
}

#[test]
fn a_key_is_needed_and_does_what_its_role_may() {
    let vendors = [
        (
            format!("{TOKENS}?start_date=x"),
            tyk("Unauthorized", "Missing or invalid API key"),
            tyk("Forbidden", "The API key's role may not do this"),
        ),
        (
            BUDGETS.to_owned(),
            tyk("Unauthorized", "Missing or invalid API key"),
            tyk("Forbidden", "The API key's role may not do this"),
        ),
        (format!("{GROUPED}?group_by=x"), json!({"detail": "Unauthorized"}), json!({"detail": "Forbidden"})),
        (
            "/api/v1/apps/99/analytics/usage".to_owned(),
            json!({"error": {"code": "unauthorized", "message": "Missing or invalid API key"}}),
            json!({"error": {"code": "forbidden", "message": "The API key's role may not do this"}}),
        ),
        (
            "/api/v1/apps/7/analytics/token-usage".to_owned(),
            json!({"error": {"code": "unauthorized", "message": "Missing or invalid API key"}}),
            json!({"error": {"code": "forbidden", "message": "The API key's role may not do this"}}),
        ),
        (
            "/v4/models/m/usage-statistics".to_owned(),
            json!({"detail": "Unauthorized"}),
            json!({"detail": "Forbidden"}),
        ),
    ];
    let mut admin = client(gateway());
    let (revoked, expired) =
        (create_key(&mut admin, "llm_usage_reader"), create_key(&mut admin, "llm_usage_reader"));
    let by_key = |key: &str| format!("key_hash = sha256(convert_to('{key}', 'UTF8'))");
    let revoke =
        format!("SELECT llm_usage.revoke_api_key(id) FROM llm_usage.api_keys WHERE {}", by_key(&revoked));
    assert!(admin.query_one(&revoke, &[]).expect(&revoke).get::<_, bool>(0));
    assert!(!admin.query_one(&revoke, &[]).expect(&revoke).get::<_, bool>(0));
    let expire = format!("UPDATE llm_usage.api_keys SET expires_at = now() WHERE {}", by_key(&expired));
    assert_eq!(admin.execute(&expire, &[]).expect(&expire), 1);
    for (path, unauthorized, forbidden) in vendors {
        let bad = [
            vec![],
            vec!["Authorization: Bearer ".to_owned()],
            vec!["Authorization: Bearer wrong".to_owned()],
            vec!["Authorization: Bearer a.b.c".to_owned()],
            vec!["Authorization: Basic eDp5".to_owned()],
            vec!["X-Api-Key: ".to_owned()],
            vec![format!("X-Api-Key: {}x", gateway().reader)],
            vec![format!("X-Api-Key: {revoked}")],
            vec![format!("X-Api-Key: {expired}")],
        ];
        for headers in bad {
            let options: Vec<&str> = headers.iter().flat_map(|header| ["-H", header]).collect();
            let answer = gateway().curl(&path, &options);
            assert_json(&answer, 401, unauthorized.clone(), &format!("{path} {headers:?}"));
            assert!(
                answer.headers.to_lowercase().contains("\nwww-authenticate: bearer"),
                "{}",
                answer.headers
            );
        }
        let writer = format!("Authorization: Bearer {}", gateway().writer);
        assert_json(&gateway().curl(&path, &["-H", &writer]), 403, forbidden, &path);
    }
    let event = json!({"model": "gpt-4.1", "prompt_tokens": 1}).to_string();
    let json_body = ["-H", "Content-Type: application/json", "-d", &event];
    assert_eq!(gateway().curl("/v1/usage", &json_body).status, 401);
    let reader = format!("X-Api-Key: {}", gateway().reader);
    assert_eq!(gateway().curl("/v1/usage", &[&json_body[..], &["-H", &reader]].concat()).status, 403);
    assert_eq!(gateway().curl("/v1/views/usage_by_app", &[]).status, 401);
    // The key itself is kept nowhere.
    let kept = "SELECT count(*) FROM llm_usage.api_keys k WHERE k::text LIKE '%' || $1 || '%'";
    assert_eq!(admin.query_one(kept, &[&gateway().reader]).expect(kept).get::<_, i64>(0), 0);
}

#[test]
fn an_operator_may_open_the_reports_to_everybody() {
    let cluster = Cluster::new(&[]);
    let gateway = Gateway::new(&cluster);
    assert_eq!(gateway.curl(GROUPED, &[]).status, 401);
    let grant = "SELECT llm_usage.grant_access('llm_usage_anonymous', 'reader')";
    cluster.connect(&gateway.database).batch_execute(grant).expect(grant);
    assert_json(&gateway.curl(GROUPED, &[]), 200, json!([]), GROUPED);
    assert_eq!(gateway.curl("/v1/usage", &["-H", "Content-Type: application/json", "-d", "{}"]).status, 401);
}

#[test]
fn views_come_as_json_and_as_csv() {
    let path = "/v1/views/usage_by_app?app_id=eq.7&order=day";
    let rows = gateway().get(path).json();
    assert_eq!(
        (&rows[0]["day"], &rows[0]["total_tokens"], rows.as_array().map(Vec::len)),
        (&json!("2025-06-01"), &json!(150), Some(2))
    );
    let key = format!("X-Api-Key: {}", gateway().reader);
    let csv = gateway().curl(path, &["-H", &key, "-H", "Accept: text/csv"]);
    assert!(csv.content_type.starts_with("text/csv"), "{}", csv.content_type);
    let lines: Vec<&str> = csv.body.lines().collect();
    assert!(lines[0].starts_with("day,app_id,app,currency,requests"), "{}", csv.body);
    assert!(lines[1].starts_with("2025-06-01,7,Helpdesk,USD,1"), "{}", csv.body);
}

#[test]
fn only_documented_paths_and_methods_are_there() {
    for path in [
        "/rpc/openapi",
        "/rpc/authenticate",
        "/usage_by_day",
        "/api/v1/analytics",
        "/v1/views/api_keys",
        "/v4/models//usage-statistics",
    ] {
        assert_eq!(gateway().get(path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE"] {
        assert_eq!(gateway().curl(GROUPED, &["-X", method]).status, 405, "{method}");
    }
    let answer = gateway().curl("/v1/usage", &["-X", "GET"]);
    assert!(answer.status == 405 && answer.headers.contains("\nAllow: POST, OPTIONS"), "{}", answer.headers);
}

#[test]
fn the_openapi_document_names_every_function_and_every_path_is_there() {
    let answer = gateway().curl("/", &[]);
    let document = answer.json();
    assert_eq!((answer.status, document["openapi"].as_str()), (200, Some("3.0.3")));
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let asked = path.replace("{appId}", "7").replace("{model_name}", "m");
            let status = gateway().curl(&asked, &["-X", &method.to_uppercase()]).status;
            assert!([200, 400, 401].contains(&status), "{method} {path}: {status}");
        }
    }
    // One path for each function and view of the schema, but the one that authenticates.
    let exposed = "SELECT count(*) FROM (
        SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'llm_usage_http'::regnamespace AND p.proname <> 'authenticate'
        UNION ALL SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'llm_usage_http'::regnamespace AND c.relkind = 'v') o";
    let exposed: i64 = client(gateway()).query_one(exposed, &[]).expect(exposed).get(0);
    assert_eq!(i64::try_from(paths.len()), Ok(exposed));
}

#[test]
fn a_slow_or_dead_database_gets_the_vendors_own_body() {
    let cluster = Cluster::new(&[]);
    let gateway = Gateway::with_examples(&cluster);
    let mut admin = cluster.connect(&gateway.database);
    let failures = [
        (
            format!("{TOKENS}?start_date=2025-06-01&end_date=2025-06-03&app_id=7"),
            tyk("Internal Server Error", "Failed to get token usage for app"),
        ),
        (BUDGETS.to_owned(), tyk("Internal Server Error", "Failed to retrieve budget usage")),
        (GROUPED.to_owned(), json!({"detail": "Internal Server Error"})),
        (
            "/api/v1/apps/7/analytics/usage".to_owned(),
            json!({"error": {"code": "internal_error", "message": "Internal server error"}}),
        ),
        (
            "/api/v1/apps/7/analytics/token-usage".to_owned(),
            json!({"error": {"code": "internal_error", "message": "Internal server error"}}),
        ),
        ("/v4/models/m/usage-statistics".to_owned(), json!({"detail": "Internal Server Error"})),
    ];
    // Nobody is told why, and nobody waits for longer than the statement may take.
    admin.batch_execute("BEGIN; LOCK TABLE llm_usage.usage_events, llm_usage.sessions, llm_usage._fold_progress IN ACCESS EXCLUSIVE MODE").expect("locks");
    for (path, body) in &failures {
        let answer = gateway.get(path);
        assert_json(&answer, 500, body.clone(), path);
        assert!(answer.took.as_secs() < 10, "{path}: {:?}", answer.took);
    }
    admin.batch_execute("ROLLBACK").expect("no locks");
    for (path, _) in &failures {
        assert_eq!(gateway.get(path).status, 200, "{path}");
    }
    drop(admin);
    cluster.stop();
    for (path, body) in &failures {
        let answer = gateway.get(path);
        assert_json(&answer, 500, body.clone(), path);
        assert!(answer.took.as_secs() < 20, "{path}: {:?}", answer.took);
    }
    cluster.start();
    for (path, _) in &failures {
        assert_eq!(gateway.get(path).status, 200, "{path}");
    }
}
