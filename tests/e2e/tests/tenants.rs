//! What a tenant sees is what it would see if nobody else was there, whatever it asks and however; and it records for itself alone.

use std::collections::BTreeSet;

use e2e::cluster::Cluster;
use e2e::gateway::Gateway;
use e2e::tenancy::{FIXED, ROLES, SETTING, Tenancy};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::json;

/// A call of each public function that reads, and more where bounds cut hours; APP is an app.
const CALLS: [&str; 31] = [
    "active_users()",
    "active_users('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "active_users('2025-03-02Z', '2025-04-02Z', APP)",
    "app_activity()",
    "app_activity(APP, '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "app_token_usage(APP, '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "app_usage(APP, '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z', 'day')",
    "app_usage(APP, '2025-01-01Z')",
    "attr_activity('team')",
    "attr_activity('team', '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "budget_activity('2025-03-20', '2025-03-01', '2025-04-03')",
    "budget_activity('2025-04-02', '2025-03-15', '2025-03-16')",
    "budget_usage('2025-03-01', '2025-04-30')",
    "entity_activity()",
    "entity_activity('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "model_activity()",
    "model_activity('o3', '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "model_activity_between('house', '{2025-03-02T10:17:33.5Z,2025-03-02T10:20:00Z,2025-03-12Z}', '2025-04-02T01:02:03Z')",
    "model_activity_between('gpt-4.1', '{2025-03-05T05:00Z,2025-03-06T00:30Z,2025-03-07T23:30Z,2025-03-08T18:00Z,2025-03-09Z,\
     2025-03-10T13:00Z,2025-03-11T11:59:59.999999Z,2025-03-12T12:00Z}', '2025-03-13T22:59:59.999999Z')",
    "model_usage_statistics('gpt-4.1', '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z', 17)",
    "model_usage_statistics('o3', '2025-03-02T13:00Z', '2025-03-29T13:00Z', 27)",
    "model_usage_statistics('theirs-model', '2025-03-02Z', '2025-04-02Z', 3)",
    "rule_activity()",
    "rule_activity('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "session_activity()",
    "session_consumers(APP, '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
    "token_usage_for_app('2025-03-01', '2025-04-30', APP)",
    "token_usage_grouped('2025-03-01Z', '2025-04-30Z')",
    "token_usage_grouped('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z', '{task,rule_type}')",
    "user_activity()",
    "user_activity(2, '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')",
];
const CLAIM: &str =
    r#"SET ROLE e2e_tenants; RESET llm_usage.tenant; SET request.jwt.claims = '{"llm_usage_tenant": 3}'"#;

fn names(client: &mut Client, query: &str) -> Vec<String> {
    client
        .query(query, &[])
        .unwrap_or_else(|error| panic!("{query}: {error}"))
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// The rows of a question, in an order of their own.
fn rows(client: &mut Client, question: &str) -> Result<Vec<String>, postgres::Error> {
    // What a budget expects moves on with the time.
    let query = format!(
        "SELECT (to_jsonb(q) - '{{expected_spend,used_up_at}}'::text[])::text FROM (SELECT * FROM {question}) q ORDER BY 1"
    );
    Ok(client.query(&query, &[])?.iter().map(|row| row.get(0)).collect())
}

/// Every public function that a reader may call, and every view.
fn questions(client: &mut Client) -> Vec<String> {
    let functions = names(
        client,
        "SELECT DISTINCT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'llm_usage'::regnamespace AND p.proname !~ '^_'
            AND has_function_privilege('e2e_analyst', p.oid, 'EXECUTE')",
    );
    let called: BTreeSet<&str> = CALLS.iter().filter_map(|call| call.split('(').next()).collect();
    let functions: BTreeSet<&str> = functions.iter().map(String::as_str).collect();
    assert_eq!(called, functions, "functions that are called here, and that a reader may call");
    let views = names(
        client,
        "SELECT c.oid::regclass::text FROM pg_class c
          WHERE c.relnamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND c.relkind = 'v' AND c.relname !~ '^_'
            AND c.relname <> 'corrected_events'",
    );
    let calls =
        CALLS.iter().flat_map(|call| ["7", "8", "9001", "424242", "0"].map(|app| call.replace("APP", app)));
    let calls: BTreeSet<String> = calls.map(|call| format!("llm_usage.{call}")).collect();
    calls.into_iter().chain(views).collect()
}

fn assert_sees_its_own(tenancy: &mut Tenancy, when: &str) {
    let questions = questions(&mut tenancy.everybody);
    for who in [SETTING, CLAIM, FIXED] {
        tenancy.everybody.batch_execute(who).expect(who);
        for question in &questions {
            let seen = rows(&mut tenancy.everybody, question)
                .unwrap_or_else(|error| panic!("{when}: {who}: {question}: {error}"));
            let own = rows(&mut tenancy.alone, question).expect(question);
            assert_eq!(seen, own, "{when}: {who}: {question}");
        }
        tenancy
            .everybody
            .batch_execute("RESET ROLE; RESET llm_usage.tenant; RESET request.jwt.claims")
            .expect("reset");
    }
}

#[test]
fn every_function_and_view_answers_as_if_the_tenant_was_alone() {
    let mut tenancy = Tenancy::new(Cluster::shared());
    assert_sees_its_own(&mut tenancy, "nothing recorded");
    tenancy.record(1, 300);
    assert_sees_its_own(&mut tenancy, "nothing folded");
    tenancy.run("SELECT llm_usage.fold()");
    assert_sees_its_own(&mut tenancy, "folded");
    tenancy.record(301, 400);
    assert_sees_its_own(&mut tenancy, "a part folded");
    tenancy.run("SELECT llm_usage.maintain()");
    tenancy.run("SELECT llm_usage.fold()");
    tenancy.run("SELECT llm_usage.rebuild()");
    assert_sees_its_own(&mut tenancy, "rebuilt");
    let differences = names(&mut tenancy.everybody, "SELECT v::text FROM llm_usage.verify() v");
    assert_eq!(differences, Vec::<String>::new());
}

/// Every relation of the schemas, partitions included, which a careless operator may have granted.
fn relations(client: &mut Client) -> Vec<String> {
    client
        .batch_execute("GRANT SELECT ON ALL TABLES IN SCHEMA llm_usage, llm_usage_http TO e2e_tenants, e2e_tenant_3, e2e_analyst")
        .expect("a grant");
    names(
        client,
        "SELECT c.oid::regclass::text FROM pg_class c
          WHERE c.relnamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND c.relname NOT IN ('_access', '_visible_rows', '_tenants')",
    )
}

#[test]
fn no_table_partition_rollup_or_view_shows_what_is_anothers() {
    let mut tenancy = Tenancy::new(Cluster::shared());
    tenancy.record(1, 200);
    tenancy.run("SELECT llm_usage.fold(); SELECT llm_usage.maintain()");
    tenancy.record(201, 300);
    let client = &mut tenancy.everybody;
    client
        .batch_execute(
            "SELECT llm_usage.record_usage('theirs-model', app_id => 9001, request_id => 'theirs');
             SELECT llm_usage.record_usage('gpt-4.1', app_id => 9001, request_id => 'theirs');
             SELECT llm_usage.void_usage(max(id), 'theirs') FROM llm_usage.usage_events WHERE app_id = 9001;
             SELECT llm_usage.reprice(for_model => 'theirs-model', dry_run => false, reason => 'theirs');
             SELECT llm_usage.create_api_key('e2e_tenants', 'theirs', 'theirs')",
        )
        .expect("what is theirs");
    let relations = relations(client);
    let mut seen_by_all = 0;
    for who in [SETTING, FIXED] {
        for relation in &relations {
            let all = rows(client, relation).expect(relation);
            client.batch_execute(who).expect(who);
            let seen = rows(client, relation).unwrap_or_else(|error| panic!("{relation}: {error}"));
            client.batch_execute("RESET ROLE").expect("reset");
            let foreign = |row: &&String| {
                let theirs = [
                    "theirs",
                    ": 9001",
                    ": 9002",
                    ": 9003",
                    ": 9004",
                    ": 9005",
                    ": 9006",
                    ": 9007",
                    "\"app_id\": 0",
                ];
                theirs.iter().any(|theirs| row.contains(theirs))
            };
            assert_eq!(seen.iter().find(foreign), None, "{who}: {relation}");
            seen_by_all += all.iter().filter(foreign).count();
            client.batch_execute("SET ROLE e2e_analyst").expect("an analyst");
            assert_eq!(
                rows(client, relation).expect(relation).len(),
                all.len(),
                "an analyst sees all of {relation}"
            );
            client.batch_execute("RESET ROLE; RESET llm_usage.tenant").expect("reset");
        }
    }
    assert!(seen_by_all > 1000, "there is much to be hidden: {seen_by_all}");
}

#[test]
fn who_is_no_tenant_sees_nothing() {
    let mut tenancy = Tenancy::new(Cluster::shared());
    tenancy.record(1, 100);
    let client = &mut tenancy.everybody;
    client.batch_execute("SELECT llm_usage.fold()").expect("a fold");
    let relations = relations(client);
    let open = ["_fold_progress", "_rollup_tables", "_dropped_months", "model_prices"];
    for tenant in ["", "424242", "x", "3; --", "3 ", "-1", "NaN", "9223372036854775808", "3e0", "0x3"] {
        client
            .batch_execute(&format!("SET ROLE e2e_tenants; SET llm_usage.tenant = '{tenant}'"))
            .expect(tenant);
        for relation in
            relations.iter().filter(|name| !open.iter().any(|open| name.ends_with(&format!(".{open}"))))
        {
            assert_eq!(
                rows(client, relation).expect(relation),
                Vec::<String>::new(),
                "{tenant:?}: {relation}"
            );
        }
        for call in CALLS {
            let seen = rows(client, &format!("llm_usage.{}", call.replace("APP", "7"))).expect(call);
            let unknown = rows(client, &format!("llm_usage.{}", call.replace("APP", "424242"))).expect(call);
            assert_eq!(seen, unknown, "{tenant:?}: {call}");
        }
        client.batch_execute("RESET ROLE; RESET llm_usage.tenant").expect("reset");
    }
}

#[test]
fn every_table_has_been_decided_on() {
    let mut client = Tenancy::new(Cluster::shared()).everybody;
    client.batch_execute("SELECT llm_usage.maintain()").expect("partitions");
    let undecided = names(
        &mut client,
        "SELECT c.relname::text FROM pg_class c
          WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relname NOT IN (SELECT v.relation FROM llm_usage._visible_rows v)
         UNION ALL
         SELECT v.relation FROM llm_usage._visible_rows v WHERE to_regclass('llm_usage.' || v.relation) IS NULL",
    );
    assert_eq!(undecided, Vec::<String>::new());
    let open = names(
        &mut client,
        "SELECT c.relname::text FROM pg_class c
          WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity ORDER BY 1",
    );
    assert_eq!(open, ["_dropped_months", "_fold_progress", "_rollup_tables", "exchange_rates"]);
}

/// The error of a statement, with the app's number taken out.
fn refusal(client: &mut Client, statement: &str, app: &str) -> String {
    let error = client.batch_execute(statement).expect_err(statement);
    let error = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error}"));
    assert_eq!(*error.code(), SqlState::INSUFFICIENT_PRIVILEGE, "{statement}: {error}");
    format!("{} {:?} {:?}", error.message(), error.detail(), error.hint()).replace(app, "APP")
}

#[test]
fn a_tenant_records_for_its_own_apps_alone() {
    let mut tenancy = Tenancy::new(Cluster::shared());
    let client = &mut tenancy.everybody;
    client
        .batch_execute("SELECT llm_usage.record_usage('m', app_id => 9001, request_id => 'k'); SELECT llm_usage.record_session(9001);
                        SELECT llm_usage.reserve_budget(9001, cost => 1)")
        .expect("what is theirs");
    let count = "SELECT (SELECT count(*) FROM llm_usage.usage_events) + (SELECT count(*) FROM llm_usage.sessions)
                        + (SELECT count(*) FROM llm_usage.messages) + (SELECT count(*) FROM llm_usage._request_keys)";
    let before: i64 = client.query_one(count, &[]).expect(count).get(0);
    let statements = [
        "SELECT llm_usage.record_usage('m', app_id => APP)",
        "SELECT llm_usage.record_usage('m', app_id => APP, request_id => 'k')",
        r#"SELECT llm_usage.record_usage_batch('[{"model": "m", "app_id": APP, "request_id": "k"}]', true)"#,
        r#"SELECT llm_usage.record_usage_batch('[{"model": "m", "app_id": 7}, {"model": "m", "app_id": APP}]', true)"#,
        r#"SELECT llm_usage.record_response('openai', '{"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}', app_id => APP)"#,
        r#"SELECT llm_usage.record_response_batch('[{"provider": "openai", "app_id": APP,
             "response": {"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}}]', true)"#,
        r#"SELECT llm_usage.record_spans(app_id => APP, export => '[{"traceId": "a1", "spanId": "b2", "name": "chat", "attributes":
             {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 500}}]')"#,
        "SELECT llm_usage.check_budget(APP)",
        "SELECT llm_usage.reserve_budget(APP, cost => 1)",
        "SELECT llm_usage.record_session(APP)",
        "SELECT llm_usage.record_message(APP)",
        "INSERT INTO llm_usage.usage_events (model, app_id) VALUES ('m', APP)",
        "INSERT INTO llm_usage.sessions (app_id) VALUES (APP)",
        "INSERT INTO llm_usage.messages (app_id) VALUES (APP)",
    ];
    let recorders = names(
        client,
        "SELECT DISTINCT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'llm_usage'::regnamespace AND p.proname !~ '^_'
            AND p.provolatile = 'v' AND has_function_privilege('e2e_tenants', p.oid, 'EXECUTE')",
    );
    // What ends a hold takes no app.
    for recorder in
        recorders.iter().filter(|name| !["settle_budget", "release_budget"].contains(&name.as_str()))
    {
        assert!(statements.iter().any(|call| call.contains(&format!(".{recorder}("))), "{recorder} is tried");
    }
    for who in [SETTING, FIXED] {
        client.batch_execute(who).expect(who);
        for statement in statements {
            let theirs = refusal(client, &statement.replace("APP", "9001"), "9001");
            let unknown = refusal(client, &statement.replace("APP", "424242"), "424242");
            assert_eq!(theirs, unknown, "{statement}");
        }
        // A session of another's is one that was never recorded.
        let theirs =
            client.batch_execute("SELECT llm_usage.record_message(session_id => 1)").expect_err("theirs");
        let unknown = client
            .batch_execute("SELECT llm_usage.record_message(session_id => 424242)")
            .expect_err("unknown");
        let text =
            |error: &postgres::Error| error.as_db_error().map(|error| error.message().replace("424242", "1"));
        assert_eq!(text(&theirs), text(&unknown));
        for end in [r#"settle_budget(ID, '{"cost": 0}')"#, "release_budget(ID)"] {
            let mut told = |id: &str| {
                let statement = format!("SELECT llm_usage.{}", end.replace("ID", id));
                text(&client.batch_execute(&statement).expect_err(&statement))
            };
            assert_eq!(told("1"), told("424242"), "{end}");
        }
        client.batch_execute("RESET ROLE; RESET llm_usage.tenant").expect("reset");
    }
    assert_eq!(client.query_one(count, &[]).expect(count).get::<_, i64>(0), before, "nothing was written");
    client.batch_execute(SETTING).expect(SETTING);
    for statement in statements {
        client
            .batch_execute(&statement.replace("APP", "7"))
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

#[test]
fn over_http_anothers_app_is_one_that_does_not_exist() {
    let gateway = Gateway::new(Cluster::shared());
    let mut client = Cluster::shared().connect(&gateway.database);
    client
        .batch_execute(&format!(
            "{ROLES} GRANT e2e_tenants TO llm_usage_authenticator;
             INSERT INTO llm_usage.users (id, email) VALUES (3, 'mine@example.com'), (9004, 'theirs@example.com');
             INSERT INTO llm_usage.apps (id, slug, owner_id) VALUES (7, 'mine', 3), (9001, 'theirs', 9004);
             INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 1), ('App', 9001, 1), ('LLM', 9005, 1);
             SELECT llm_usage.record_usage(m, app_id => a, llm_id => 9005, user_id => 9004, prompt_tokens => a, rule_type => m, task_id => m)
               FROM (VALUES (7, 'shared'), (9001, 'shared'), (9001, 'theirs')) e (a, m);
             SELECT llm_usage.fold();"
        ))
        .expect("two tenants");
    let key: String =
        client.query_one("SELECT llm_usage.create_api_key('e2e_tenants', '3')", &[]).expect("a key").get(0);
    let header = format!("Authorization: Bearer {key}");
    let get = |path: &str| gateway.curl(path, &["-H", &header]);
    let paths = [
        "/api/v1/analytics/token-usage-for-app?start_date=2020-01-01&end_date=2099-01-01&app_id=APP",
        "/api/v1/apps/APP/analytics/usage",
        "/api/v1/apps/APP/analytics/token-usage",
        "/v1/views/usage_by_app?app_id=eq.APP",
    ];
    for path in paths {
        let (own, theirs, unknown) = (
            get(&path.replace("APP", "7")),
            get(&path.replace("APP", "9001")),
            get(&path.replace("APP", "424242")),
        );
        assert_eq!((theirs.status, &theirs.body), (unknown.status, &unknown.body), "{path}");
        assert_eq!(own.status, 200, "{path}: {}", own.body);
        assert_ne!(own.body, unknown.body, "{path}");
    }
    let (theirs, unknown) =
        (get("/api/v1/apps/theirs/analytics/usage"), get("/api/v1/apps/no-such/analytics/usage"));
    assert_eq!((theirs.status, theirs.body), (unknown.status, unknown.body));
    let document = get("/").json();
    let paths = document["paths"].as_object().expect("paths").keys();
    let views: Vec<&String> = paths.filter(|path| path.starts_with("/v1/views/")).collect();
    assert_eq!(views.len(), 8, "{views:?}");
    for path in views {
        let answer = get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.contains("theirs") && !answer.body.contains("9001"), "{path}: {}", answer.body);
    }
    for path in [
        "/api/v1/analytics/budget-usage?start_date=2020-01-01&end_date=2099-01-01",
        "/api/v2/usage/tokens?start_time=2020-01-01&group_by=task&group_by=rule_type",
        "/v4/models/shared/usage-statistics?chunks=1",
        "/v4/models/theirs/usage-statistics?chunks=1",
    ] {
        let answer = get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(
            !answer.body.contains("theirs") && !answer.body.contains("9008") && !answer.body.contains("9001"),
            "{path}: {}",
            answer.body
        );
    }
    let post = |path: &str, body: serde_json::Value| {
        gateway.curl(path, &["-H", &header, "-H", "Content-Type: application/json", "-d", &body.to_string()])
    };
    let usage = |app: i64| json!({"model": "m", "app_id": app});
    assert_eq!(post("/v1/usage", usage(7)).status, 200);
    let (theirs, unknown) = (post("/v1/usage", usage(9001)), post("/v1/usage", usage(424_242)));
    assert_eq!(theirs.status, 403, "{}", theirs.body);
    assert_eq!(theirs.body.replace("9001", "424242"), unknown.body);
}

#[test]
fn policies_are_dumped_and_restored() {
    let cluster = Cluster::shared();
    let mut tenancy = Tenancy::new(cluster);
    tenancy.record(1, 100);
    tenancy.run("SELECT llm_usage.maintain(); SELECT llm_usage.fold()");
    tenancy.record(101, 200);
    // Its number may be another role's where the dump is restored.
    tenancy.run(
        "CREATE ROLE e2e_gone; SELECT llm_usage.grant_access('e2e_gone', 'reader'), llm_usage.enable_row_security('e2e_gone', '9');
         DROP OWNED BY e2e_gone; DROP ROLE e2e_gone",
    );
    let copy = cluster.create_empty_database();
    let path = cluster.path("tenants.dump");
    let path = path.to_str().expect("a UTF-8 path");
    cluster.run("pg_dump", &["-Fd", "-j2", "-f", path, "-d", &tenancy.database]);
    cluster.run("pg_restore", &["--exit-on-error", "-j3", "-d", &copy, path]);
    tenancy.everybody = cluster.connect(&copy);
    let gone = "SELECT role::text FROM llm_usage._tenants WHERE role NOT IN (SELECT oid FROM pg_roles)";
    assert_eq!(names(&mut tenancy.everybody, gone), Vec::<String>::new());
    assert_sees_its_own(&mut tenancy, "restored");
    tenancy.run("SELECT llm_usage.fold(); SELECT llm_usage.maintain(12)");
    assert_sees_its_own(&mut tenancy, "restored and folded");
    tenancy
        .everybody
        .batch_execute("SELECT llm_usage.disable_row_security('e2e_tenants'); SET ROLE e2e_tenants")
        .expect("no tenants");
    let all = rows(&mut tenancy.everybody, "llm_usage.usage_by_app").expect("a view");
    assert!(all.iter().any(|row| row.contains("9001")), "a role that is no tenant's any more sees all");
    tenancy
        .everybody
        .batch_execute("RESET ROLE; SELECT llm_usage.disable_row_security('e2e_tenant_3')")
        .expect("no tenants");
    let left = "SELECT polname::text FROM pg_policy UNION ALL SELECT relname::text FROM pg_class WHERE relrowsecurity AND relname <> '_tenants'";
    assert_eq!(names(&mut tenancy.everybody, left), Vec::<String>::new());
}
