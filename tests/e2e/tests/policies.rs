//! What is read without a plan is what policies and rights leave, whoever made them.

use std::collections::BTreeSet;

use e2e::cluster::Cluster;
use e2e::tenancy::{FIXED, SETTING, Tenancy};
use postgres::Client;
use postgres::error::SqlState;

/// Reports that read rows without a plan, and the SQL that says what they must say.
const READ_AND_ASKED: [(&str, &str); 8] = [
    (
        "SELECT jsonb_object_agg(m ->> 'model', jsonb_build_array(m -> 'request_count', m -> 'input_tokens', m -> 'output_tokens'))::text
           FROM json_array_elements(llm_usage.app_token_usage(7, '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') #> '{data,by_model}') m",
        "SELECT jsonb_object_agg(m.model, jsonb_build_array(m.requests, m.input, m.output))::text
           FROM (SELECT m.model, sum(m.requests) AS requests, sum(m.input_tokens) AS input, sum(m.completion_tokens) AS output
                   FROM llm_usage._app_models(7, '2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') m GROUP BY 1) m",
    ),
    (
        "SELECT jsonb_object_agg(l.label, d.tokens)::text
           FROM (SELECT llm_usage.token_usage_for_app('2025-03-01', '2025-04-30', 7) AS answer) a,
                json_array_elements_text(a.answer -> 'labels') WITH ORDINALITY l (label, n)
           JOIN json_array_elements(a.answer -> 'data') WITH ORDINALITY d (tokens, n) USING (n)",
        "SELECT jsonb_object_agg(d.day, d.tokens)::text
           FROM (SELECT (d.bucket AT TIME ZONE 'UTC')::date AS day, sum(d.total_tokens) AS tokens
                   FROM llm_usage._app_days(7, '2025-03-01Z', '2025-05-01Z') d GROUP BY 1) d",
    ),
    (
        "SELECT jsonb_agg(jsonb_build_array(b -> 'entity_type', b -> 'entity_id', b -> 'total_tokens', b -> 'total_cost', b -> 'spent', b -> 'name', b -> 'user_email'))::text
           FROM json_array_elements(llm_usage.budget_usage('2025-03-05', '2025-04-08')) b",
        "SELECT jsonb_agg(jsonb_build_array(b.entity_type, b.entity_id, b.total_tokens, trim_scale(b.total_cost), trim_scale(b.spent), b.name, b.user_email)
                          ORDER BY b.entity_type = 'App', b.entity_id)::text
           FROM llm_usage.budget_activity((now() AT TIME ZONE 'UTC')::date, '2025-03-05', '2025-04-09') b",
    ),
    (
        "SELECT jsonb_object_agg(r ->> 'rule_type', jsonb_build_array(r #> '{count,inference}', r #> '{count,prompt}', r #> '{count,completion}'))::text
           FROM json_array_elements(llm_usage.token_usage_grouped('2025-03-01Z', '2025-04-30Z')) r",
        "SELECT jsonb_object_agg(r.rule_type, jsonb_build_array(r.inference, r.prompt, r.completion))::text
           FROM (SELECT r.rule_type, sum(r.inference_tokens) AS inference, sum(r.input_tokens) AS prompt, sum(r.completion_tokens) AS completion
                   FROM llm_usage._by_rule_type('2025-03-01Z', '2025-04-30Z') r GROUP BY 1) r",
    ),
    (
        "SELECT jsonb_object_agg(r ->> 'rule_type', jsonb_build_array(r #> '{count,inference}', r #> '{count,prompt}', r #> '{count,completion}'))::text
           FROM json_array_elements(llm_usage.token_usage_grouped('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z')) r",
        "SELECT jsonb_object_agg(r.rule_type, jsonb_build_array(r.inference, r.prompt, r.completion))::text
           FROM (SELECT r.rule_type, sum(r.inference_tokens) AS inference, sum(r.input_tokens) AS prompt, sum(r.completion_tokens) AS completion
                   FROM llm_usage._by_rule_type('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') r GROUP BY 1) r",
    ),
    (
        "SELECT jsonb_agg(jsonb_build_array(u.bucket, u.user_id, u.currency, u.requests, u.unpriced_requests, u.input_tokens, u.completion_tokens,
                                            trim_scale(u.cost)) ORDER BY u.bucket, u.user_id, u.currency)::text
           FROM llm_usage._loose_users('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') u",
        "SELECT jsonb_agg(jsonb_build_array(u.day, u.user_id, u.currency, u.requests, u.unpriced, u.input, u.completion, trim_scale(u.cost))
                          ORDER BY u.day, u.user_id, u.currency)::text
           FROM (SELECT date_trunc('day', e.occurred_at, 'UTC') AS day, e.user_id, e.currency, sum(e.requests) AS requests,
                        sum(e.unpriced_requests) AS unpriced, sum(e.input_tokens) AS input, sum(e.completion_tokens) AS completion, sum(e.cost) AS cost
                   FROM (SELECT l.occurred_at, l.user_id, l.currency, l.requests, l.unpriced_requests, l.input_tokens, l.completion_tokens, l.cost
                           FROM llm_usage._loose_events('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') l
                         UNION ALL
                         SELECT t.occurred_at, t.user_id, t.currency, t.requests, t.unpriced_requests, t.input_tokens, t.completion_tokens, t.cost
                           FROM llm_usage._tenant_events('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') t) e
                  GROUP BY 1, 2, 3) u",
    ),
    (
        "SELECT jsonb_agg(jsonb_build_array(l.bucket, l.app_id, l.llm_id, l.vendor, l.model, l.currency, l.requests, l.unpriced_requests,
                                            l.input_tokens, l.completion_tokens, trim_scale(l.cost))
                          ORDER BY l.bucket, l.app_id, l.llm_id, l.vendor, l.model, l.currency)::text
           FROM llm_usage._loose_lines('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z', NULL) l",
        "SELECT jsonb_agg(jsonb_build_array(l.day, l.app_id, l.llm_id, l.vendor, l.model, l.currency, l.requests, l.unpriced, l.input,
                                            l.completion, trim_scale(l.cost))
                          ORDER BY l.day, l.app_id, l.llm_id, l.vendor, l.model, l.currency)::text
           FROM (SELECT date_trunc('day', e.occurred_at, 'UTC') AS day, e.app_id, e.llm_id, e.vendor, e.model, e.currency,
                        sum(e.requests) AS requests, sum(e.unpriced_requests) AS unpriced, sum(e.input_tokens) AS input,
                        sum(e.completion_tokens) AS completion, sum(e.cost) AS cost
                   FROM llm_usage._loose_events('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') e
                  GROUP BY 1, 2, 3, 4, 5, 6) l",
    ),
    (
        "SELECT jsonb_object_agg(a.bucket, llm_usage._bitmap_count(a.users))::text
           FROM llm_usage._loose_active_users('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z', NULL) a",
        "SELECT jsonb_object_agg(a.day, a.users)::text
           FROM (SELECT date_trunc('day', e.occurred_at, 'UTC') AS day, count(DISTINCT e.user_id) AS users
                   FROM llm_usage._loose_events('2025-03-02T10:17:33.5Z', '2025-04-02T01:02:03Z') e
                  WHERE e.user_id IS NOT NULL AND e.requests > 0
                  GROUP BY 1) a",
    ),
];

/// What a session is told: the answer, or the error.
fn told(client: &mut Client, question: &str) -> Result<Option<String>, String> {
    client.query_one(question, &[]).map(|row| row.get(0)).map_err(|error| {
        let error = error.as_db_error().unwrap_or_else(|| panic!("{question}: {error}"));
        format!("{} {}", error.code().code(), error.message())
    })
}

#[test]
fn what_is_read_without_a_plan_is_what_policies_leave() {
    let mut tenancy = Tenancy::new(Cluster::shared());
    tenancy.record(1, 300);
    tenancy.run("SELECT llm_usage.fold()");
    tenancy.record(301, 400);
    let client = &mut tenancy.everybody;
    client
        .batch_execute(
            "DO $$ BEGIN
               IF to_regrole('e2e_both') IS NULL THEN
                 CREATE ROLE e2e_tenant_9004;
                 CREATE ROLE e2e_both IN ROLE e2e_tenant_3, e2e_tenant_9004;
                 CREATE ROLE e2e_either IN ROLE e2e_tenant_3, e2e_tenants;
               END IF;
             END $$;
             SELECT llm_usage.grant_access('e2e_tenant_9004', 'reader'), llm_usage.enable_row_security('e2e_tenant_9004', '9004')",
        )
        .expect("a role of two tenants");
    let hidden = [
        "SELECT",
        "CREATE POLICY own ON llm_usage.usage_events AS RESTRICTIVE USING (model <> 'o3' AND rule_type IS DISTINCT FROM 'pii')",
        "CREATE POLICY own ON llm_usage._by_app_day AS RESTRICTIVE FOR SELECT USING (bucket > '2025-03-10Z')",
        "CREATE POLICY own ON llm_usage._by_app_hour AS RESTRICTIVE USING (false)",
        "CREATE POLICY own ON llm_usage._by_app_points AS RESTRICTIVE USING (false)",
        "CREATE POLICY own ON llm_usage._by_entity_day AS RESTRICTIVE USING (bucket > '2025-03-10Z')",
        "CREATE POLICY own ON llm_usage._by_rule_type_day AS RESTRICTIVE USING (bucket > '2025-03-10Z')",
        "CREATE POLICY own ON llm_usage._lines AS RESTRICTIVE USING (model <> 'o3')",
        "CREATE POLICY own ON llm_usage._app_lines AS RESTRICTIVE USING (false)",
        "CREATE POLICY own ON llm_usage.apps AS RESTRICTIVE USING (id <> 7)",
        "DROP POLICY llm_usage_everybody ON llm_usage.usage_events",
        "DROP POLICY llm_usage_tenants ON llm_usage.apps",
        "UPDATE llm_usage.apps SET owner_id = 9004 WHERE id = 7",
        "UPDATE llm_usage.apps SET owner_id = NULL WHERE id = 7",
        "SELECT llm_usage.enable_row_security('e2e_tenant_9004', '3')",
        "CREATE POLICY llm_usage_tenant ON llm_usage.apps AS RESTRICTIVE USING (id <> 7)",
        "REVOKE SELECT ON llm_usage.usage_events FROM e2e_tenants, e2e_tenant_3, e2e_analyst, e2e_tenant_9004",
        "REVOKE SELECT ON llm_usage._by_app_day, llm_usage._by_entity_day, llm_usage._by_rule_type_day
           FROM e2e_tenants, e2e_tenant_3, e2e_analyst, e2e_tenant_9004",
        "REVOKE SELECT ON llm_usage.apps FROM e2e_tenants, e2e_tenant_3, e2e_analyst, e2e_tenant_9004",
        "SET LOCAL row_security = off",
    ];
    let asking = [
        SETTING,
        FIXED,
        "SET ROLE e2e_tenants",
        "SET ROLE e2e_tenants; SET llm_usage.tenant = '3a'",
        r#"SET ROLE e2e_tenants; SET request.jwt.claims = '{"llm_usage_tenant": "3"}'"#,
        "SET ROLE e2e_tenants; SET request.jwt.claims = '{'",
        "SET ROLE e2e_both",
        "SET ROLE e2e_either; SET llm_usage.tenant = '3'",
        "SET ROLE e2e_either; SET llm_usage.tenant = '9004'",
        "SET ROLE e2e_analyst",
        "RESET ROLE",
    ];
    let mut answers = BTreeSet::new();
    for hidden in hidden {
        for who in asking {
            client.batch_execute(&format!("BEGIN; {hidden}; {who}")).expect(hidden);
            for (read, asked) in READ_AND_ASKED {
                let [answer, expected] = [read, asked].map(|question| {
                    client.batch_execute("SAVEPOINT asking").expect("a transaction");
                    let answer = told(client, question);
                    client.batch_execute("ROLLBACK TO asking").expect("a transaction");
                    answer
                });
                assert_eq!(answer, expected, "{hidden}: {who}: {read}");
                answers.insert(answer.unwrap_or_else(Some));
            }
            client
                .batch_execute("ROLLBACK; RESET ROLE; RESET llm_usage.tenant; RESET request.jwt.claims")
                .expect("the end");
        }
    }
    assert!(answers.len() > 20, "they differ: {answers:?}");
}

#[test]
fn a_function_with_a_tenants_rights_reads_what_the_tenant_does() {
    let mut tenancy = Tenancy::new(Cluster::shared());
    tenancy.record(1, 300);
    tenancy.run("SELECT llm_usage.fold()");
    let client = &mut tenancy.everybody;
    let report = "llm_usage.app_token_usage(APP, '2025-03-02T10:17:33.5Z')::text";
    client
        .batch_execute(&format!(
            "CREATE FUNCTION lent(app bigint) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER RETURN {};
             ALTER FUNCTION lent OWNER TO e2e_tenant_3",
            report.replace("APP", "app")
        ))
        .expect("a function");
    let all = |app: &str| format!("SELECT {}", report.replace("APP", app));
    let (own, theirs) = (told(client, &all("7")), told(client, &all("9001")));
    client.batch_execute(&format!("{SETTING}; SET llm_usage.tenant = '9004'")).expect(SETTING);
    let nothing = told(client, &all("7"));
    assert_eq!(told(client, &all("9001")), theirs);
    assert_eq!(told(client, "SELECT lent(7)"), own);
    assert_eq!(told(client, "SELECT lent(9001)"), nothing);
    assert!(own != nothing && theirs != nothing);
}

#[test]
fn a_serializable_transaction_that_finds_nothing_is_told_of_what_comes() {
    let cluster = Cluster::shared();
    let mut tenancy = Tenancy::new(cluster);
    let writer = &mut tenancy.everybody;
    writer
        .batch_execute("CREATE TABLE notes (n integer); GRANT SELECT, INSERT ON notes TO e2e_tenant_3")
        .expect("a table");
    let mut reader = cluster.connect(&tenancy.database);
    reader.batch_execute(&format!("{FIXED}; BEGIN ISOLATION LEVEL SERIALIZABLE")).expect(FIXED);
    assert_eq!(
        told(&mut reader, "SELECT count(*)::text FROM llm_usage.user_activity()"),
        Ok(Some("0".into()))
    );
    // Each writes what the other has read: one after the other, one of them would have seen it.
    writer
        .batch_execute(
            "BEGIN ISOLATION LEVEL SERIALIZABLE;
             SELECT count(*) FROM notes;
             INSERT INTO llm_usage.usage_events (app_id, model) VALUES (7, 'm');
             COMMIT",
        )
        .expect("an event");
    let error = reader.batch_execute("INSERT INTO notes VALUES (1); COMMIT").expect_err("a conflict");
    assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE));
}
