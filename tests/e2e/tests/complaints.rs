//! What people complain of in other systems, each reproduced the way it comes about, and not to be had here.

use e2e::cluster::Cluster;
use postgres::{Client, SimpleQueryMessage};

/// A session of a fresh database, with the table that everybody begins with.
fn connect() -> Client {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    client
        .batch_execute(
            "CREATE TABLE public.naive (request_id text, app_id bigint, model text, tokens bigint, cost numeric, tags jsonb)",
        )
        .expect("a table");
    client
}

/// The answer's first column of its first row, NULL as an empty text.
fn ask(client: &mut Client, query: &str) -> String {
    let answer = client.simple_query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let row = answer.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.and_then(|row| row.get(0).map(str::to_owned)).unwrap_or_default()
}

fn run(client: &mut Client, statements: &str) {
    client.batch_execute(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// All rollups are what the ledger says, folded or not.
fn verify(client: &mut Client) {
    for _ in 0..2 {
        assert_eq!(ask(client, "SELECT count(*) FROM llm_usage.verify()"), "0");
        run(client, "SELECT llm_usage.fold()");
    }
}

#[test]
fn complaint_6_retries_are_billed_twice() {
    let mut client = connect();
    let naive = "INSERT INTO naive VALUES ('r1', 7, 'm', 15, 0.5, NULL)";
    run(&mut client, &format!("{naive}; {naive}"));
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM naive"), "1.0");
    let record = "SELECT (llm_usage.record_usage('m', app_id => 7, prompt_tokens => 15, cost => 0.5, request_id => 'r1')).status";
    assert_eq!(ask(&mut client, record), "recorded");
    assert_eq!(ask(&mut client, record), "duplicate");
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM llm_usage.usage_by_app"), "0.5");
    verify(&mut client);
}

#[test]
fn complaint_6_colliding_ids_are_lost() {
    let mut client = connect();
    run(
        &mut client,
        "CREATE UNIQUE INDEX ON naive (request_id);
         INSERT INTO naive VALUES ('r1', 7, 'm', 15, 0.5, NULL) ON CONFLICT DO NOTHING;
         INSERT INTO naive VALUES ('r1', 8, 'm', 20, 2, NULL) ON CONFLICT DO NOTHING",
    );
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM naive"), "0.5");
    let record = |app: i64, cost: &str| {
        format!(
            "SELECT (llm_usage.record_usage('m', app_id => {app}, cost => {cost}, request_id => 'r1')).status"
        )
    };
    assert_eq!(ask(&mut client, &record(7, "0.5")), "recorded");
    assert_eq!(ask(&mut client, &record(8, "2")), "recorded");
    assert_eq!(ask(&mut client, &record(7, "3")), "conflict");
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM llm_usage.usage_by_app"), "2.5");
    let both = "SELECT (recorded ->> 'cost') || ' or ' || (given ->> 'cost') FROM llm_usage.conflicts WHERE app_id = 7";
    assert_eq!(ask(&mut client, both), "0.5 or 3");
    verify(&mut client);
}

#[test]
fn complaint_6_claimed_first_and_metered_zero_times() {
    let mut client = connect();
    // The claim is committed before the write fails; the retry finds it.
    run(
        &mut client,
        "CREATE TABLE public.claims (request_id text PRIMARY KEY); INSERT INTO claims VALUES ('r1')",
    );
    client.execute("INSERT INTO naive SELECT 'r1', 7, 'm', 1 / 0", &[]).expect_err("it fails");
    let retry = "WITH claim AS (INSERT INTO claims VALUES ('r1') ON CONFLICT DO NOTHING RETURNING 1)
        INSERT INTO naive SELECT 'r1', 7, 'm', 15, 0.5 FROM claim";
    run(&mut client, retry);
    assert_eq!(ask(&mut client, "SELECT count(*) FROM naive"), "0");
    let record = "SELECT (llm_usage.record_usage('m', app_id => 7, cost => 0.5, request_id => 'r1')).status";
    let fails = format!("BEGIN; {record}; SELECT 1 / 0");
    client.batch_execute(&fails).expect_err("it fails");
    run(&mut client, "ROLLBACK");
    assert_eq!(ask(&mut client, record), "recorded");
    assert_eq!(ask(&mut client, "SELECT requests FROM llm_usage.usage_by_app"), "1");
    verify(&mut client);
}

#[test]
fn complaint_10_an_unknown_model_costs_nothing() {
    let mut client = connect();
    let naive = "SELECT coalesce((SELECT 0.1 WHERE 'brand-new' = 'known'), 0) * 1000";
    assert_eq!(ask(&mut client, naive), "0");
    run(
        &mut client,
        "INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 10);
         SELECT llm_usage.record_usage('brand-new', app_id => 7, prompt_tokens => 1000)",
    );
    assert_eq!(ask(&mut client, "SELECT cost IS NULL FROM llm_usage.usage_events"), "t");
    assert_eq!(
        ask(&mut client, "SELECT model || ' ' || requests FROM llm_usage.unpriced_models"),
        "brand-new 1"
    );
    assert_eq!(ask(&mut client, "SELECT unpriced_requests FROM llm_usage.budget_status"), "1");
    let unpriced = "SELECT unpriced_events FROM llm_usage.status() WHERE ledger = 'usage_events'";
    assert_eq!(ask(&mut client, unpriced), "1");
    run(
        &mut client,
        "INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'brand-new', '-infinity', 0.1);
         SELECT llm_usage.reprice(dry_run => false)",
    );
    assert_eq!(
        ask(&mut client, "SELECT spent || ' ' || unpriced_requests FROM llm_usage.budget_status"),
        "100 0"
    );
    assert_eq!(ask(&mut client, "SELECT count(*) FROM llm_usage.unpriced_models"), "0");
    assert_eq!(ask(&mut client, unpriced), "0");
    verify(&mut client);
}

#[test]
fn complaint_11_a_price_change_rewrites_history() {
    let mut client = connect();
    run(
        &mut client,
        "CREATE TABLE public.price (model text PRIMARY KEY, per_token numeric); INSERT INTO price VALUES ('m', 1);
         INSERT INTO naive (model, tokens) VALUES ('m', 10); UPDATE price SET per_token = 2",
    );
    assert_eq!(ask(&mut client, "SELECT sum(tokens * per_token) FROM naive JOIN price USING (model)"), "20");
    let price = |from: &str, amount: i64| {
        format!(
            "INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'm', '{from}', {amount})"
        )
    };
    run(&mut client, &price("2025-01-01Z", 1));
    run(
        &mut client,
        "SELECT llm_usage.record_usage('m', prompt_tokens => 10, occurred_at => '2025-05-31T23:59:59Z')",
    );
    run(&mut client, &price("2025-06-01Z", 2));
    run(
        &mut client,
        "SELECT llm_usage.record_usage('m', prompt_tokens => 10, occurred_at => '2025-06-01T00:00:00Z')",
    );
    run(
        &mut client,
        "SELECT llm_usage.record_usage('m', prompt_tokens => 10, occurred_at => '2025-05-31T23:59:59Z')",
    );
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM llm_usage.usage_by_day"), "40");
    // A price that was wrong from the start: shown first, then put right, and written down.
    run(&mut client, "DELETE FROM llm_usage.model_prices WHERE model = 'm'");
    run(&mut client, &price("2025-01-01Z", 3));
    assert_eq!(
        ask(&mut client, "SELECT difference FROM llm_usage.reprice('2025-05-01Z', '2025-06-01Z')"),
        "40"
    );
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM llm_usage.usage_by_day"), "40");
    run(
        &mut client,
        "SELECT llm_usage.reprice('2025-05-01Z', '2025-06-01Z', dry_run => false, reason => 'typo')",
    );
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM llm_usage.usage_by_day"), "80");
    let audit = "SELECT concat_ws(' ', repriced_by, reason, events, old_cost, new_cost, prices -> 0 ->> 'input_per_token')
        FROM llm_usage.repricings";
    assert_eq!(ask(&mut client, audit), "postgres typo 2 20 60 3");
    assert_eq!(ask(&mut client, "SELECT count(*) FROM llm_usage.reprice('2025-05-01Z', '2025-06-01Z')"), "0");
    verify(&mut client);
}

#[test]
fn complaint_12_a_providers_own_cost_is_trusted_in_the_wrong_unit() {
    let mut client = connect();
    run(&mut client, "INSERT INTO naive (cost) VALUES (60)");
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM naive"), "60");
    run(
        &mut client,
        "INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'm', '-infinity', 0.06);
         SELECT llm_usage.record_usage('m', vendor => 'v', prompt_tokens => 10, reported_cost => 60)",
    );
    assert_eq!(ask(&mut client, "SELECT cost FROM llm_usage.usage_by_day"), "0.6");
    let drift =
        "SELECT concat_ws(' ', requests, cost, reported_cost, difference, ratio) FROM llm_usage.cost_drift";
    assert_eq!(ask(&mut client, drift), "1 0.6 60 59.4 100");
    run(&mut client, "SELECT llm_usage.correct_usage(id, prompt_tokens => 20) FROM llm_usage.usage_events");
    assert_eq!(ask(&mut client, drift), "1 1.2 60 58.8 50");
    run(&mut client, "SELECT llm_usage.void_usage(id) FROM llm_usage.usage_events WHERE corrects IS NULL");
    assert_eq!(ask(&mut client, drift), "", "there is no request with both any more");
    verify(&mut client);
}

#[test]
fn complaint_13_money_is_a_float() {
    let mut client = connect();
    let costs = "SELECT 0.1 AS cost FROM generate_series(1, 10) UNION ALL SELECT 0.000000000000000081";
    let naive = format!("SELECT sum(cost::double precision)::text FROM ({costs}) c");
    assert_eq!(ask(&mut client, &naive), "1");
    run(
        &mut client,
        &format!(
            "INSERT INTO llm_usage.usage_events (model, app_id, cost) SELECT 'm', 7, cost FROM ({costs}) c"
        ),
    );
    assert_eq!(ask(&mut client, "SELECT cost FROM llm_usage.usage_by_app"), "1.000000000000000081");
    let json = "SELECT (llm_usage.budget_usage())::text";
    assert!(ask(&mut client, json).contains(r#""total_cost":1.000000000000000081,"#));
    verify(&mut client);
}

#[test]
fn complaint_14_there_are_dollars_only() {
    let mut client = connect();
    run(&mut client, "INSERT INTO naive (app_id, cost) VALUES (7, 100), (7, 15000)");
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM naive"), "15100");
    run(
        &mut client,
        "INSERT INTO llm_usage.model_prices (vendor, model, currency, valid_from, input_per_token)
           VALUES ('v', 'dollars', 'USD', '-infinity', 1), ('w', 'yen', 'JPY', '-infinity', 150);
         INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, currency) VALUES ('App', 7, 30000, 'JPY');
         SELECT llm_usage.record_usage(model, app_id => 7, prompt_tokens => 100) FROM (VALUES ('dollars'), ('yen')) m (model)",
    );
    let costs =
        "SELECT string_agg(currency || ' ' || cost, ', ' ORDER BY currency) FROM llm_usage.usage_by_app";
    assert_eq!(ask(&mut client, costs), "JPY 15000, USD 100");
    assert_eq!(ask(&mut client, "SELECT spent || ' ' || currency FROM llm_usage.budget_status"), "15000 JPY");
    verify(&mut client);
}

#[test]
fn complaint_15_tags_multiply_totals() {
    let mut client = connect();
    let tags = r#"{"tags": ["prod", "chat", "eu"]}"#;
    run(&mut client, &format!("INSERT INTO naive (cost, tags) VALUES (3, '{tags}'), (3, '{{}}')"));
    let naive =
        "SELECT sum(cost) FROM naive LEFT JOIN LATERAL jsonb_array_elements(tags -> 'tags') t (tag) ON true";
    assert_eq!(ask(&mut client, naive), "12");
    run(
        &mut client,
        &format!(
            "SELECT llm_usage.record_usage('m', app_id => 7, cost => 3, attrs => '{tags}');
             SELECT llm_usage.record_usage('m', app_id => 7, cost => 3)"
        ),
    );
    assert_eq!(ask(&mut client, "SELECT cost || ' ' || requests FROM llm_usage.usage_by_app"), "6 2");
    verify(&mut client);
}

#[test]
fn complaint_17_aborted_streams_are_billed_twice_or_not_at_all() {
    let mut client = connect();
    run(&mut client, "INSERT INTO naive (request_id, tokens, cost) VALUES ('r1', 12, 1.2), ('r1', 40, 4)");
    assert_eq!(ask(&mut client, "SELECT sum(cost) FROM naive"), "5.2");
    let record = |tokens: i64, quality: &str| {
        format!(
            "SELECT (llm_usage.record_usage('m', app_id => 7, completion_tokens => {tokens}, request_id => 'r1', quality => {quality})).status"
        )
    };
    run(
        &mut client,
        "INSERT INTO llm_usage.model_prices (vendor, model, valid_from, output_per_token) VALUES ('v', 'm', '-infinity', 0.1)",
    );
    assert_eq!(ask(&mut client, &record(12, "'partial'")), "recorded");
    let spent = "SELECT concat_ws(' ', requests, total_tokens, cost) FROM llm_usage.usage_by_app";
    assert_eq!(ask(&mut client, spent), "1 12 1.2");
    run(&mut client, "SELECT llm_usage.fold()");
    assert_eq!(ask(&mut client, &record(40, "NULL")), "superseded");
    assert_eq!(ask(&mut client, spent), "1 40 4");
    // Neither the retry of the final figure nor an estimate that comes late changes it.
    assert_eq!(ask(&mut client, &record(40, "NULL")), "duplicate");
    assert_eq!(ask(&mut client, &record(30, "'estimated'")), "duplicate");
    assert_eq!(ask(&mut client, spent), "1 40 4");
    verify(&mut client);
}
