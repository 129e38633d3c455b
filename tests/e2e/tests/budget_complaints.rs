//! What the users of other gateways complain of, as it must not happen here. Numbers are those of their list.

use std::collections::BTreeSet;
use std::thread;

use e2e::cluster::Cluster;
use postgres::Client;

fn client() -> (String, Client) {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let client = cluster.connect(&database);
    (database, client)
}

fn run(client: &mut Client, statements: &str) {
    client.batch_execute(statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"));
}

/// The first column of the only row, as text.
fn text(client: &mut Client, query: &str) -> String {
    let row = client.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}"));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

/// Complaint 8: budgets reset at the wrong instant, or never. Nothing is reset: what is spent is asked of the period that
/// holds the instant, to the microsecond, in the budget's own zone.
#[test]
fn a_budget_is_reset_at_the_wrong_instant_or_never() {
    let (_, mut client) = client();
    // New York: the day of 2025-03-09 has 23 hours, from 05:00 UTC to 04:00 UTC; that of 2025-11-02 has 25.
    run(
        &mut client,
        "SET TimeZone = 'Asia/Tokyo';
        INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount, period, time_zone, start_date) VALUES
          (1, 'App', 1, 10, 'day', 'America/New_York', NULL),
          (2, 'App', 2, 10, 'month', 'Asia/Kathmandu', '2024-01-31');
        INSERT INTO llm_usage.usage_events (model, app_id, occurred_at, cost) VALUES
          ('m', 1, '2025-03-09T04:59:59.999999Z', 1), ('m', 1, '2025-03-09T05:00:00Z', 2),
          ('m', 1, '2025-03-10T03:59:59.999999Z', 4), ('m', 1, '2025-03-10T04:00:00Z', 8),
          ('m', 2, '2025-02-27T18:14:59.999999Z', 1), ('m', 2, '2025-02-27T18:15:00Z', 2),
          ('m', 2, '2025-03-30T18:14:59.999999Z', 4), ('m', 2, '2025-03-30T18:15:00Z', 8)",
    );
    let spent = |client: &mut Client, budget: i64, at: &str| {
        let query = format!(
            "SELECT trim_scale(s.spent)::text FROM llm_usage.budgets b, llm_usage._budget_standing(b, '{at}') s WHERE b.id = {budget}"
        );
        text(client, &query)
    };
    for _ in 0..2 {
        assert_eq!(spent(&mut client, 1, "2025-03-09T04:59:59.999999Z"), "1");
        assert_eq!(spent(&mut client, 1, "2025-03-09T05:00:00Z"), "6");
        assert_eq!(spent(&mut client, 1, "2025-03-10T03:59:59.999999Z"), "6");
        assert_eq!(spent(&mut client, 1, "2025-03-10T04:00:00Z"), "8");
        assert_eq!(spent(&mut client, 1, "2025-03-11T04:00:00Z"), "0");
        // 31 January, 28 February and 31 March at midnight of Kathmandu, a quarter before a full hour.
        assert_eq!(spent(&mut client, 2, "2025-02-27T18:14:59.999999Z"), "1");
        assert_eq!(spent(&mut client, 2, "2025-02-27T18:15:00Z"), "6");
        assert_eq!(spent(&mut client, 2, "2025-03-30T18:14:59.999999Z"), "6");
        assert_eq!(spent(&mut client, 2, "2025-03-30T18:15:00Z"), "8");
        run(&mut client, "SELECT llm_usage.fold()");
    }
}

/// Complaint 9: concurrent requests overspend.
#[test]
fn concurrent_requests_overspend() {
    const SESSIONS: usize = 16;
    const ROOM: usize = 200;
    let (database, mut client) = client();
    run(
        &mut client,
        "INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 1, 100), ('LLM', 2, 1000000)",
    );
    let allowed: usize = thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                let mut client = Cluster::shared().connect(&database);
                scope.spawn(move || {
                    let mut allowed = 0;
                    loop {
                        // Half a dollar each; it takes a quarter in the end, and the rest is free again.
                        let query =
                            "SELECT hold_id FROM llm_usage.reserve_budget(1, 'm', llm_id => 2, cost => 0.5)";
                        let Some(hold) = client.query_one(query, &[]).expect(query).get::<_, Option<i64>>(0)
                        else {
                            return allowed;
                        };
                        allowed += 1;
                        let cost = if allowed % 2 == 0 { "0.5" } else { "0.25" };
                        let settle =
                            format!("SELECT * FROM llm_usage.settle_budget({hold}, '{{\"cost\": {cost}}}')");
                        client.execute(&settle, &[]).expect("it is settled");
                    }
                })
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("a session")).sum()
    });
    assert!(allowed >= ROOM, "{allowed}");
    let spent = "SELECT trim_scale(sum(cost))::text FROM llm_usage.usage_events";
    let (spent, held): (f64, String) = (
        text(&mut client, spent).parse().expect("a number"),
        text(&mut client, "SELECT count(*)::text FROM llm_usage._held"),
    );
    // Nobody was refused while there was room for half a dollar.
    assert!(spent <= 100.0 && spent > 99.5 - 0.5 * SESSIONS as f64, "{spent}");
    assert_eq!(held, "0");
    let denied = text(&mut client, "SELECT verdict FROM llm_usage.check_budget(1, cost => 100)");
    assert_eq!(denied, "denied");
}

/// Complaint 10: an unknown model costs nothing, so that budgets never bind.
#[test]
fn an_unknown_model_costs_nothing() {
    let (_, mut client) = client();
    run(
        &mut client,
        "INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, unpriced, fallback_price) VALUES
          ('App', 1, 10, 'deny', NULL), ('App', 2, 10, 'allow', NULL), ('App', 3, 10, 'fallback', 4);
        INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, unit) VALUES ('App', 4, 100, 'tokens');",
    );
    let check = |client: &mut Client, app: i64, tokens: i64| {
        text(
            client,
            &format!(
                "SELECT verdict || ' ' || spent || ' ' || reason FROM llm_usage.check_budget({app}, 'house-model', prompt_tokens => {tokens})"
            ),
        )
    };
    assert_eq!(
        check(&mut client, 1, 10),
        "denied 0 The price of the model is not known, and the budget of App 1 allows no such model."
    );
    assert!(check(&mut client, 2, 10).starts_with("allowed 0 "));
    assert!(check(&mut client, 3, 10).starts_with("allowed 0 "));
    // Written without asking: it counts at the fallback price, and in tokens.
    run(
        &mut client,
        "INSERT INTO llm_usage.usage_events (model, app_id, prompt_tokens)
         SELECT 'house-model', app, 60 FROM generate_series(1, 4) app, generate_series(1, 2)",
    );
    for _ in 0..2 {
        assert!(check(&mut client, 3, 10).starts_with("denied 8 "), "8 of 10 are spent, 4 more do not fit");
        assert!(check(&mut client, 4, 10).starts_with("denied 120 "), "tokens bind without any price");
        assert!(check(&mut client, 2, 10).starts_with("allowed 0 "));
        let unpriced =
            "SELECT string_agg(unpriced_requests::text, ' ' ORDER BY entity_id) FROM llm_usage.budget_status";
        assert_eq!(text(&mut client, unpriced), "2 2 2 2");
        run(&mut client, "SELECT llm_usage.fold()");
    }
}

/// Complaint 14: dollars only.
#[test]
fn only_dollars_are_counted() {
    let (_, mut client) = client();
    run(
        &mut client,
        "INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount, currency, converts) VALUES
          (1, 'App', 1, 100, 'EUR', false), (2, 'App', 2, 100, 'EUR', true), (3, 'User', 5, 3, 'JPY', false);
        INSERT INTO llm_usage.exchange_rates (from_currency, to_currency, valid_from, rate) VALUES
          ('USD', 'EUR', '-infinity', 0.5),
          ('USD', 'EUR', (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 day')::date, 0.25);
        INSERT INTO llm_usage.usage_events (model, app_id, user_id, occurred_at, cost, currency)
        SELECT 'm', app, 5, date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + late, cost, currency
          FROM (VALUES (1), (2)) a (app),
               (VALUES (interval '0', 1, 'EUR'), ('23:59:59.999999', 8, 'USD'), ('24:00', 40, 'USD'), ('1', 7, 'GBP')) e (late, cost, currency)",
    );
    let status = "SELECT concat_ws(' ', spent, currency, other_currencies) FROM llm_usage.budget_status WHERE budget_id = ";
    for _ in 0..2 {
        assert_eq!(text(&mut client, &format!("{status} 1")), r#"1 EUR {"GBP": 7, "USD": 48}"#);
        // Each day at its own rate: 8 at a half, 40 at a quarter; no rate of pounds is known.
        assert_eq!(text(&mut client, &format!("{status} 2")), r#"15 EUR {"GBP": 7}"#);
        assert_eq!(text(&mut client, &format!("{status} 3")), r#"0 JPY {"EUR": 2, "GBP": 14, "USD": 96}"#);
        run(&mut client, "SELECT llm_usage.fold()");
    }
    let check = |client: &mut Client, app: i64, cost: i64, currency: &str| {
        let query = format!(
            "SELECT verdict FROM llm_usage.check_budget({app}, cost => {cost}, currency => '{currency}')"
        );
        text(client, &query)
    };
    // 1,000 dollars are not euros, and do not count; converted they do, at the rate of today.
    assert_eq!(check(&mut client, 1, 1000, "USD"), "allowed");
    assert_eq!(check(&mut client, 1, 100, "EUR"), "denied");
    assert_eq!(check(&mut client, 2, 1000, "USD"), "denied");
    let left = text(
        &mut client,
        "SELECT (85 / CASE extract(day FROM now() AT TIME ZONE 'UTC') WHEN 1 THEN 0.5 ELSE 0.25 END)::bigint::text",
    );
    let left: i64 = left.parse().expect("dollars");
    assert_eq!(check(&mut client, 2, left, "USD"), "allowed");
    assert_eq!(check(&mut client, 2, left + 1, "USD"), "denied");
    // Without a rate nobody knows.
    assert_eq!(check(&mut client, 2, 1, "GBP"), "denied");
}

/// Complaint 18: alerts that spam, or stop.
#[test]
fn alerts_spam_or_stop() {
    let cluster = Cluster::new(&[]);
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    let mut listener = cluster.connect(&database);
    run(&mut listener, "LISTEN llm_usage_budget_alerts");
    run(
        &mut client,
        "INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount, thresholds) VALUES
          (1, 'App', 1, 100, DEFAULT), (2, 'App', 2, 10, '{100,200}');
        INSERT INTO llm_usage.budgets (id, entity_type, entity_key, entity_value, amount, unit, period) VALUES
          (3, 'Attribute', 'team', 'red', 4, 'requests', 'day')",
    );
    let alerts = "SELECT string_agg(budget_id || ':' || threshold || CASE WHEN fell_below_at IS NULL THEN '' ELSE ' below' END,
                  ' ' ORDER BY budget_id, threshold) FROM llm_usage.budget_alerts";
    let notified = |listener: &mut Client| -> BTreeSet<String> {
        let query = listener.simple_query("SELECT 1");
        query.expect("an answer");
        let mut notifications = listener.notifications();
        let mut payloads = Vec::new();
        let mut waiting = notifications.timeout_iter(std::time::Duration::from_millis(200));
        while let Some(notification) =
            postgres::fallible_iterator::FallibleIterator::next(&mut waiting).expect("it listens")
        {
            payloads.push(notification.payload().to_owned());
        }
        let distinct: BTreeSet<String> = payloads.iter().cloned().collect();
        assert_eq!(distinct.len(), payloads.len(), "none comes twice: {payloads:?}");
        distinct
    };
    // 79.99 of 100; then many sessions fold and look at the same time, again and again.
    let record = "INSERT INTO llm_usage.usage_events (model, app_id, cost, attrs) VALUES ('m', 1, ";
    run(&mut client, &format!("{record} 79.99, NULL); SELECT llm_usage.fold()"));
    assert_eq!(text(&mut client, alerts), "1:50");
    assert_eq!(notified(&mut listener).len(), 1);
    run(&mut client, &format!("{record} 0.01, '{{\"team\": \"red\"}}')"));
    thread::scope(|scope| {
        for _ in 0..8 {
            let mut session = cluster.connect(&database);
            scope.spawn(move || {
                for _ in 0..20 {
                    run(&mut session, "SELECT llm_usage.raise_budget_alerts(); SELECT llm_usage.fold()");
                }
            });
        }
    });
    assert_eq!(text(&mut client, alerts), "1:50 1:80");
    assert_eq!(notified(&mut listener).len(), 1);
    // A correction takes it back: recorded, and not alerted again when it comes back.
    run(
        &mut client,
        "INSERT INTO llm_usage.usage_events (model, app_id, cost, corrects)
         SELECT model, app_id, -cost, id FROM llm_usage.usage_events WHERE cost = 79.99; SELECT llm_usage.fold()",
    );
    assert_eq!(text(&mut client, alerts), "1:50 below 1:80 below");
    run(&mut client, &format!("{record} 85, NULL); SELECT llm_usage.fold()"));
    assert_eq!(text(&mut client, alerts), "1:50 1:80");
    assert_eq!(notified(&mut listener).len(), 0);
    // Several thresholds at once, over 100 % too; requests of an attribute that came before its budget's first fold.
    run(
        &mut client,
        "INSERT INTO llm_usage.usage_events (model, app_id, cost, attrs) VALUES ('m', 2, 20, NULL), ('m', 3, 0, '{\"team\": \"red\"}');
         SELECT llm_usage.fold()",
    );
    assert_eq!(text(&mut client, alerts), "1:50 1:80 2:100 2:200 3:50");
    let ids = notified(&mut listener);
    assert_eq!(ids.len(), 3);
    // The outbox: acknowledged once, by one of two; what is not survives a crash.
    let id = ids.first().expect("an id");
    let acknowledge = format!("SELECT llm_usage.acknowledge_budget_alert({id})::text");
    assert_eq!(text(&mut client, &acknowledge), "true");
    assert_eq!(text(&mut client, &acknowledge), "false");
    cluster.crash();
    cluster.start();
    let mut client = cluster.connect(&database);
    run(&mut client, "SELECT llm_usage.raise_budget_alerts(); SELECT llm_usage.fold()");
    assert_eq!(text(&mut client, alerts), "1:50 1:80 2:100 2:200 3:50");
    let left = "SELECT count(*)::text FROM llm_usage.budget_alerts WHERE acknowledged_at IS NULL";
    assert_eq!(text(&mut client, left), "4");
    // A changed budget is looked at when asked.
    run(&mut client, "UPDATE llm_usage.budgets SET amount = 50 WHERE id = 1");
    assert_eq!(text(&mut client, "SELECT llm_usage.raise_budget_alerts()::text"), "2");
}
