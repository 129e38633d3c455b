//! A database in use, and whether a copy of it says the same, letter by letter, and goes on where the other is.

use postgres::Client;
use postgres::error::SqlState;

use crate::cluster::Cluster;

/// Priced, unpriced and given costs; months with a partition, and months without.
pub const FIRST: &str = r#"
INSERT INTO llm_usage.users (id, email, name) VALUES (3, 'dev@example.com', 'Dev');
INSERT INTO llm_usage.users (email) VALUES ('öl@example.com') ON CONFLICT DO NOTHING;
INSERT INTO llm_usage.apps (id, slug, name, owner_id) VALUES (7, 'helpdesk', 'Help "desk"', 3), (12, NULL, NULL, 99);
INSERT INTO llm_usage.apps (name) VALUES ('Next'), ('After');
INSERT INTO llm_usage.llms (id, name, vendor) VALUES (2, 'Claude', 'anthropic');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, currency, start_date)
  VALUES ('App', 7, 100.50, 'USD', NULL), ('App', 8, 0, 'EUR', '2024-01-31'), ('LLM', 2, 12.3456789, 'USD', '2025-03-15');
INSERT INTO llm_usage.budgets (entity_type, entity_key, entity_value, name, amount, unit, period, rolling_window, time_zone, thresholds)
  VALUES ('Attribute', 'team', 'ä', 'calls', 2, 'requests', 'rolling', '3000 days', 'Asia/Kathmandu', '{33.3,50}');
INSERT INTO llm_usage.budgets (entity_type, amount, is_hard, unpriced, fallback_price, converts)
  VALUES ('All', 1000, false, 'fallback', 0.25, true);
INSERT INTO llm_usage.exchange_rates VALUES ('EUR', 'USD', '-infinity', 1.25);
INSERT INTO llm_usage.reported_attrs VALUES ('feature');
INSERT INTO llm_usage.model_prices (vendor, model, currency, valid_from, input_per_token, output_per_token)
  VALUES ('acme', 'rocket', 'EUR', '-infinity', 0.000000123456789, 0.1);
SELECT llm_usage.import_prices('{"imported-1": {"litellm_provider": "acme", "mode": "chat",
  "input_cost_per_token": 1.5e-7, "output_cost_per_token": 0.000002}}');
SELECT llm_usage.record_usage('gpt-4.1', app_id => 7, llm_id => 2, prompt_tokens => 100, completion_tokens => 50);
SELECT llm_usage.record_usage('rocket', app_id => 8, user_id => 3, prompt_tokens => 11, completion_tokens => 7,
  occurred_at => '2025-06-01T23:59:59.999999Z', rule_type => 'toxicity', task_id => 't', attrs => '{"team": "ä"}');
SELECT llm_usage.record_usage('imported-1', app_id => 7, prompt_tokens => 3, occurred_at => '2025-06-02T00:00:00Z');
SELECT llm_usage.record_usage('house-model', app_id => 12, llm_id => 2, prompt_tokens => 5);
SELECT llm_usage.record_usage('house-model', app_id => 12, prompt_tokens => 6, occurred_at => '2001-02-03T04:05:06Z');
SELECT llm_usage.record_usage('whatever', app_id => 7, completion_tokens => 9, cost => 0.000000000000000000123);
SELECT llm_usage.record_usage('keyed', app_id => 7, prompt_tokens => 1, request_id => 'k');
SELECT llm_usage.record_usage('keyed', app_id => 7, prompt_tokens => 2, request_id => 'k');
SELECT llm_usage.record_usage('keyed', app_id => 7, prompt_tokens => 2, request_id => 'k', source => 's');
SELECT llm_usage.record_session(7, 'ann', '2001-02-03T04:05:06Z');
SELECT llm_usage.record_session(7, 'bob');
SELECT llm_usage.record_message(session_id => 2), llm_usage.record_message(7, 1, '2001-02-28T23:59:59.999999Z');
SELECT llm_usage.create_api_key('postgres', name => 'gateway'), llm_usage.create_api_key('postgres', expires_at => 'infinity');
SELECT llm_usage.revoke_api_key(1);
SELECT llm_usage.record_usage('whatever', app_id => 7, prompt_tokens => 8, occurred_at => '2000-05-06T07:08:09Z');
SELECT llm_usage.record_session(7, 'cy', '2000-05-06T07:08:09Z');
SELECT llm_usage.reserve_budget(7, 'gpt-4.1', llm_id => 2, attrs => '{"team": "ä"}', cost => 1.5, hold_for => '1 day');
SELECT llm_usage.reserve_budget(7, 'gpt-4.1', llm_id => 2, cost => 2.5, hold_for => '1 day');
SELECT llm_usage.maintain(2);
SELECT llm_usage.fold();
SELECT llm_usage.acknowledge_budget_alert(1);
SELECT llm_usage.drop_month('2000-05-31');
"#;

/// Not folded.
const SECOND: &str = r#"
INSERT INTO llm_usage.usage_events (model, app_id, occurred_at, prompt_tokens, cost, corrects)
  SELECT model, app_id, occurred_at, -prompt_tokens, -cost, id FROM llm_usage.usage_events WHERE model = 'imported-1';
SELECT llm_usage.correct_usage(event_id, 'typo', user_id => 3, cost => 0.5) FROM llm_usage.conflicts;
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('acme', 'keyed', '-infinity', 0.5);
SELECT llm_usage.reprice(for_model => 'keyed', dry_run => false, reason => 'late');
SELECT llm_usage.void_usage(event_id, 'a test') FROM llm_usage._request_keys WHERE source = 's';
SELECT llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 1, occurred_at => '1999-12-31T23:59:59.999999Z');
SELECT llm_usage.record_usage('house-model', app_id => 8, prompt_tokens => 4, occurred_at => '2099-01-01T00:00:00Z',
  rule_type => 'PII');
SELECT llm_usage.record_session(8, 'ann', '2099-01-01T00:00:00Z'), llm_usage.record_message(8, NULL, '1999-12-31Z');
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token, is_default)
  VALUES ('acme', 'house-model', '-infinity', 0.25, true);
"#;

/// All that is asked of both databases, besides the views and tables.
const REPORTS: [&str; 12] = [
    "SELECT llm_usage.token_usage_for_app('-infinity', 'infinity', 7)::text",
    "SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-02', 8)::text",
    "SELECT llm_usage.budget_usage()::text",
    "SELECT llm_usage.budget_usage('1999-01-01', '2099-12-31')::text",
    "SELECT llm_usage.token_usage_grouped('-infinity', 'infinity', '{task,rule_type}')::text",
    "SELECT llm_usage.token_usage_grouped('-infinity', 'infinity')::text",
    "SELECT llm_usage.app_usage(7, group_by => 'month')::text",
    "SELECT llm_usage.app_usage(8, group_by => 'week')::text",
    "SELECT llm_usage.app_token_usage(7)::text",
    "SELECT llm_usage.app_token_usage(12, '2001-02-03Z', '2001-02-04Z')::text",
    "SELECT llm_usage.model_usage_statistics('house-model', '2001-02-01Z', '2001-03-01Z', 7)::text",
    "SELECT llm_usage.model_usage_statistics('rocket', '2025-05-31Z', '2025-06-03Z')::text",
];

/// The tables and views, and the sequences, in an order of their own.
const RELATIONS: &str = "SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S') AND c.relname ~ $1
    ORDER BY c.relname COLLATE \"C\"";
/// All of them.
pub const ALL: &str = "";
/// Those that neither a fold nor maintenance changes.
pub const PUBLIC: &str = r"^(?!_|.*_(\d{4}_\d\d|default)$)";

/// The one value that a query answers with; nothing for NULL.
pub fn text(client: &mut Client, query: &str) -> String {
    let text: Option<String> =
        client.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error}")).get(0);
    text.unwrap_or_default()
}

/// Everything that the reports and these relations say, each answer after its question.
fn answers(client: &mut Client, of: &str) -> Vec<(String, String)> {
    let relations = client.query(RELATIONS, &[&of]).expect(RELATIONS);
    let contents = relations.iter().map(|row| {
        let relation: String = row.get(0);
        // Where a sequence stands is told without what is written ahead for a crash, a fold without its time.
        let columns = match relation.as_str() {
            "llm_usage._fold_progress" => "(ledger, folded_up_to, folded_rows)::text",
            // What it expects moves on with the time.
            "llm_usage.budget_status" => {
                "(budget_id, period_end, spent, held, remaining, unpriced_requests, other_currencies)::text"
            }
            sequence if sequence.ends_with("_seq") => "(last_value, is_called)::text",
            _ => "r::text",
        };
        format!("SELECT string_agg({columns}, E'\\n' ORDER BY {columns} COLLATE \"C\") FROM {relation} r")
    });
    let questions: Vec<String> = REPORTS.map(String::from).into_iter().chain(contents).collect();
    questions.into_iter().map(|question| (question.clone(), text(client, &question))).collect()
}

/// The day of the reports that depend on it.
fn today(client: &mut Client) -> String {
    text(client, "SELECT (now() AT TIME ZONE 'UTC')::date::text")
}

/// A new database that was used.
pub fn used_database(cluster: &Cluster) -> String {
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    client.batch_execute(FIRST).expect("it is used");
    client.batch_execute(SECOND).expect("it is used");
    database
}

/// Compares what both say; of another day, they are asked again.
pub fn assert_same(original: &mut Client, copy: &mut Client, of: &str) {
    loop {
        let day = today(original);
        let (expected, answered) = (answers(original, of), answers(copy, of));
        if today(copy) == day {
            assert_eq!(answered, expected);
            return;
        }
    }
}

fn refused(client: &mut Client, statement: &str) -> Option<SqlState> {
    client.execute(statement, &[]).expect_err(statement).code().cloned()
}

/// Has both databases say the same and go on alike.
pub fn check_copy(original: &mut Client, copy: &mut Client) {
    assert_same(original, copy, ALL);
    assert_eq!(text(copy, "SELECT string_agg(v::text, ' ') FROM llm_usage.verify() v"), "");
    let unpriced =
        "SELECT count(*)::text FROM llm_usage.usage_events WHERE model = 'house-model' AND cost IS NULL";
    assert_eq!(text(copy, unpriced), "3");
    let shipped = "SELECT count(*)::text FROM llm_usage.model_prices WHERE source = 'shipped'";
    assert_ne!(text(copy, shipped), "0");
    for (statement, of_month) in [
        ("UPDATE llm_usage.usage_events SET cost = 1", "usage_events_2001_02"),
        ("DELETE FROM llm_usage.messages", "messages_2001_02"),
    ] {
        let truncate = format!("TRUNCATE llm_usage.{of_month}");
        // In both: after what is undone a session draws another id.
        for client in [&mut *copy, &mut *original] {
            assert_eq!(refused(client, statement), Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
            assert_eq!(refused(client, &truncate), Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
        }
    }
    let retry = "SELECT status FROM llm_usage.record_usage('keyed', app_id => 7, prompt_tokens => 1, request_id => 'k')";
    assert_eq!(text(copy, retry), "duplicate");
    // Who retried has drawn an id in vain.
    assert_eq!(text(original, retry), "duplicate");
    // Both go on alike: the next ids, the price that is known by now, maintenance.
    let more = r#"INSERT INTO llm_usage.usage_events (occurred_at, model, app_id, prompt_tokens)
          VALUES ('2001-02-03Z', 'house-model', 12, 2), ('1999-12-31Z', 'house-model', 12, 3);
        INSERT INTO llm_usage.users (email) VALUES ('new@example.com');
        INSERT INTO llm_usage.llms (name) VALUES ('new');
        SELECT llm_usage.record_session(7, 'new', '2001-02-03Z'), llm_usage.record_message(7, 1, '2001-02-03Z');
        INSERT INTO llm_usage.exchange_rates VALUES ('JPY', 'USD', '-infinity', 0.007);
        SELECT llm_usage.settle_budget(1, '{"cost": 1.25, "occurred_at": "2025-06-03"}'), llm_usage.release_budget(2);
        SELECT llm_usage.maintain(2)"#;
    for client in [&mut *original, &mut *copy] {
        client.batch_execute(more).expect("it goes on");
    }
    assert_same(original, copy, ALL);
    let priced = "SELECT string_agg(cost::text, ' ' ORDER BY id) FROM llm_usage.usage_events WHERE model = 'house-model'";
    assert_eq!(text(copy, priced), "0.5 0.75");
    let ids = "SELECT (count(DISTINCT id) = count(*))::text FROM llm_usage.usage_events";
    assert_eq!(text(copy, ids), "true");
    for client in [&mut *original, &mut *copy] {
        assert_ne!(text(client, "SELECT llm_usage.fold()::text"), "0");
        assert_eq!(text(client, "SELECT string_agg(v::text, ' ') FROM llm_usage.verify() v"), "");
    }
    assert_same(original, copy, ALL);
    let left = "SELECT count(*)::text FROM llm_usage.usage_events_default";
    assert_eq!(text(copy, left), "0");
}
