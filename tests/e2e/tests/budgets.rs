//! What budgets of every kind have spent, against a plain sum of the ledger; and attributes, whenever they are asked for.

use e2e::cluster::Cluster;
use e2e::random::Random;
use postgres::Client;

/// Budgets of every type, unit, period and policy, in zones between the hours too.
const BUDGETS: &str = "
INSERT INTO llm_usage.budgets (entity_type, entity_id, entity_key, entity_value, name, amount, unit, currency, period, start_date,
                               rolling_window, time_zone, unpriced, fallback_price, converts)
SELECT e.type, e.id, e.key, e.value, concat_ws(' ', u.unit, u.currency, u.unpriced, u.converts, p.period, p.anchor, p.zone), 50, u.unit, u.currency, p.period, p.anchor, p.rolling,
       p.zone, u.unpriced, u.price, u.converts
  FROM (VALUES (0, 'App', 1, NULL, NULL), (1, 'App', 2, NULL, NULL), (2, 'LLM', 1, NULL, NULL), (3, 'User', 2, NULL, NULL),
               (4, 'Model', NULL, NULL, 'b'), (5, 'Vendor', NULL, NULL, 'acme'), (6, 'Attribute', NULL, 'team', 'red'),
               (7, 'Attribute', NULL, 'team', '5'), (8, 'Attribute', NULL, 'nobody', 'x'), (9, 'All', NULL, NULL, NULL)) e (place, type, id, key, value)
 CROSS JOIN (VALUES (0, 'month', NULL::date, NULL::interval, 'UTC'), (1, 'year', '2025-02-28', NULL, 'Asia/Kathmandu'),
                    (2, 'quarter', '2024-01-31', NULL, 'America/Havana'), (3, 'week', NULL, NULL, 'Asia/Kolkata'),
                    (4, 'day', NULL, NULL, 'Australia/Lord_Howe'), (5, 'rolling', NULL, '45 days 5 hours', 'Europe/Berlin'),
                    (6, 'day', NULL, NULL, 'UTC'), (7, 'week', NULL, NULL, 'UTC'), (8, 'month', '2025-01-17', NULL, 'UTC'),
                    (9, 'quarter', '2025-02-28', NULL, 'UTC'), (10, 'year', NULL, NULL, 'UTC')) p (place, period, anchor, rolling, zone)
  JOIN (VALUES (0, 'money', 'USD', 'deny', NULL, false), (1, 'money', 'EUR', 'fallback', 0.125, true),
               (2, 'tokens', 'USD', 'allow', NULL, false), (3, 'requests', 'USD', 'allow', NULL, false),
               (4, 'money', 'EUR', 'fallback', 0.5, false)) u (place, unit, currency, unpriced, price, converts)
    ON u.place = (e.place + p.place) % 5 OR p.place = 0;
INSERT INTO llm_usage.exchange_rates (from_currency, to_currency, valid_from, rate) VALUES
  ('USD', 'EUR', '-infinity', 0.9), ('USD', 'EUR', (now() - interval '40 days')::date, 0.8), ('USD', 'EUR', (now() - interval '3 days')::date, 0.7),
  ('JPY', 'EUR', (now() - interval '10 days')::date, 0.006);";

/// So many random events, around now and a year back, on full hours and days and just beside them, and about where periods
/// begin and end; or all of one kind.
const EVENTS: &str = "
INSERT INTO llm_usage.usage_events (occurred_at, app_id, llm_id, user_id, model, vendor, currency, cost, prompt_tokens,
                                    cache_read_tokens, completion_tokens, attrs, corrects)
SELECT CASE coalesce($2, pick(5)) WHEN 0 THEN now() - random() * interval '400 days' WHEN 1 THEN now() - random() * interval '3 days'
                    WHEN 2 THEN date_trunc('hour', now()) - pick(3000) * interval '15 minutes' + (pick(3) - 1) * interval '1 microsecond'
                    WHEN 3 THEN p.bound + (pick(7) - 3) * interval '10 minutes' + (pick(3) - 1) * interval '1 microsecond'
                    ELSE now() + random() * interval '2 days' END,
       pick(4), pick(3), nullif(pick(4), 0), (ARRAY['a', 'b', 'B'])[1 + pick(3)], (ARRAY['acme', NULL, 'openai'])[1 + pick(3)],
       (ARRAY['USD', 'EUR', 'JPY'])[1 + pick(3)], CASE WHEN pick(5) > 0 THEN (c.sign * pick(1000)) / 128.0 END,
       c.sign * pick(100), c.sign * pick(20), c.sign * pick(100),
       (ARRAY['{\"team\": \"red\"}', '{\"team\": 5}', '{\"team\": null}', '{\"team\": \"Red\", \"x\": 1}', NULL, '[\"team\"]',
              '{\"nobody\": \"x\", \"team\": \"red\"}', '{\"team\": \"' || repeat('long', 200) || '\"}'])[1 + pick(8)]::jsonb,
       CASE c.sign WHEN -1 THEN 1 END
  FROM generate_series(1, $1::integer) n, LATERAL (SELECT CASE WHEN pick(8) + 0 * n = 0 THEN -1 ELSE 1 END) c (sign),
       LATERAL (SELECT CASE WHEN pick(3) = 0 THEN p.period_end ELSE p.period_start END FROM llm_usage.budgets b
                 CROSS JOIN LATERAL llm_usage._budget_period(b.period, b.start_date, b.rolling_window, b.time_zone, now()) p
                 WHERE n > 0 AND p.period_end IS NOT NULL ORDER BY random() LIMIT 1) p (bound)";

/// What differs from a plain sum of the ledger over the period, at an instant.
const DIFFERENCES: &str = "
WITH standing AS (
  SELECT b AS budget, s.*, coalesce(s.period_end, date_trunc('hour', $1::timestamptz, 'UTC') + interval '25 hours') AS counted_to
    FROM llm_usage.budgets b CROSS JOIN LATERAL llm_usage._budget_standing(b, $1) s
), event AS (
  SELECT e.*, coalesce(e.requests, CASE WHEN e.corrects IS NULL THEN 1 ELSE 0 END) AS request,
         e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens AS tokens
    FROM llm_usage.usage_events e
), counted AS (
  SELECT (s.budget).id, (s.budget).unit, (s.budget).fallback_price, e.currency, e.cost, e.request, e.tokens,
         CASE WHEN e.currency = (s.budget).currency THEN 1 WHEN (s.budget).converts THEN (
           SELECT r.rate FROM llm_usage.exchange_rates r
            WHERE r.from_currency = e.currency AND r.to_currency = (s.budget).currency AND r.valid_from <= (e.occurred_at AT TIME ZONE 'UTC')::date
            ORDER BY r.valid_from DESC LIMIT 1) END AS rate
    FROM standing s
    JOIN event e ON e.occurred_at >= s.period_start AND e.occurred_at < s.counted_to
     AND CASE (s.budget).entity_type
           WHEN 'App' THEN e.app_id = (s.budget).entity_id WHEN 'LLM' THEN e.llm_id = (s.budget).entity_id
           WHEN 'User' THEN e.user_id = (s.budget).entity_id WHEN 'Model' THEN e.model = (s.budget).entity_value
           WHEN 'Vendor' THEN e.vendor = (s.budget).entity_value
           WHEN 'Attribute' THEN e.attrs ->> (s.budget).entity_key = (s.budget).entity_value ELSE true END
), expected AS (
  SELECT s.budget, coalesce((SELECT CASE c.unit WHEN 'requests' THEN sum(c.request) WHEN 'tokens' THEN sum(c.tokens)
           ELSE coalesce(sum(c.cost * c.rate), 0) + coalesce(sum(c.request * c.fallback_price) FILTER (WHERE c.cost IS NULL), 0) END
           FROM counted c WHERE c.id = (s.budget).id GROUP BY c.unit), 0) AS spent,
         coalesce((SELECT sum(c.request) FROM counted c WHERE c.id = (s.budget).id AND c.cost IS NULL), 0) AS unpriced,
         (SELECT jsonb_object_agg(o.currency, trim_scale(o.cost))
            FROM (SELECT c.currency, sum(c.cost) AS cost FROM counted c
                   WHERE c.id = (s.budget).id AND c.rate IS NULL GROUP BY c.currency HAVING sum(c.cost) <> 0) o) AS others
    FROM standing s
)
SELECT format('%s %s: %s unpriced %s others %s, not %s unpriced %s others %s', (s.budget).entity_type, (s.budget).name,
              s.spent, s.unpriced_requests, s.other_currencies, e.spent, e.unpriced, e.others)
  FROM standing s JOIN expected e ON (e.budget).id = (s.budget).id
 WHERE (s.spent, s.unpriced_requests, s.other_currencies) IS DISTINCT FROM (e.spent, e.unpriced, e.others)";

/// What a decision finds spent, as a session remembers it, and as it is computed from the beginning.
const FORGOTTEN: &str = "SELECT format('%s %s: %s, not %s', b.entity_type, b.name, d.spent, s.spent)
  FROM llm_usage.budgets b
 CROSS JOIN LATERAL (SELECT llm_usage._spent_of(b.id)) d (spent)
 CROSS JOIN LATERAL llm_usage._budget_standing(b, clock_timestamp()) s
 WHERE d.spent IS DISTINCT FROM s.spent";

const ATTRIBUTES: &str = "
WITH answered AS (
  SELECT a.day, a.value, a.currency, a.requests::numeric, a.unpriced_requests::numeric, a.total_tokens, a.cost
    FROM llm_usage.attr_activity('team', $1, $2) a
), expected AS (
  SELECT (e.occurred_at AT TIME ZONE 'UTC')::date, e.attrs ->> 'team', e.currency,
         sum(coalesce(e.requests, CASE WHEN e.corrects IS NULL THEN 1 ELSE 0 END))::numeric,
         coalesce(sum(coalesce(e.requests, CASE WHEN e.corrects IS NULL THEN 1 ELSE 0 END)) FILTER (WHERE e.cost IS NULL), 0)::numeric,
         sum(e.prompt_tokens + e.cache_read_tokens + e.completion_tokens)::numeric, coalesce(sum(e.cost), 0)
    FROM llm_usage.usage_events e
   WHERE octet_length(e.attrs ->> 'team') <= 500
     AND e.occurred_at >= coalesce($1, '-infinity') AND e.occurred_at < coalesce($2, 'infinity')
   GROUP BY 1, 2, 3
)
SELECT 'answered ' || a::text FROM (TABLE answered EXCEPT ALL TABLE expected) a
UNION ALL SELECT 'expected ' || e::text FROM (TABLE expected EXCEPT ALL TABLE answered) e";

/// Of which kind the events are: any, or about where periods begin and end.
const ANY: Option<i32> = None;
const AT_BOUNDS: Option<i32> = Some(3);

fn texts(
    client: &mut Client,
    query: &str,
    parameters: &[&(dyn postgres::types::ToSql + Sync)],
) -> Vec<String> {
    let rows = client.query(query, parameters).unwrap_or_else(|error| panic!("{query}: {error:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

const NONE: [&str; 0] = [];

/// Compares everything, now and at other instants.
fn compare(client: &mut Client, random: &mut Random) {
    assert_eq!(texts(client, FORGOTTEN, &[]), NONE);
    for back in [0, random.below(200 * 86_400)] {
        let at: chrono::DateTime<chrono::Utc> = client
            .query_one("SELECT now() - $1 * interval '1 second'", &[&(back as f64)])
            .expect("now")
            .get(0);
        assert_eq!(texts(client, DIFFERENCES, &[&at]), NONE, "{at}");
        let later = at + chrono::TimeDelta::seconds(random.below(60 * 86_400).cast_signed());
        let none: Option<chrono::DateTime<chrono::Utc>> = None;
        assert_eq!(texts(client, ATTRIBUTES, &[&Some(at), &Some(later)]), NONE, "{at} {later}");
        assert_eq!(texts(client, ATTRIBUTES, &[&none, &none]), NONE);
    }
    assert_eq!(texts(client, "SELECT v::text FROM llm_usage.verify() v", &[]), NONE);
}

fn with_budgets() -> Client {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    client
        .batch_execute(
            "CREATE FUNCTION pick(bound integer) RETURNS integer LANGUAGE sql VOLATILE RETURN floor(random() * bound);
             SELECT setseed(0.5); SET jit = off",
        )
        .expect("a helper");
    client.batch_execute(BUDGETS).expect("budgets");
    client
}

#[test]
fn every_budget_has_spent_what_the_ledger_says() {
    let mut client = with_budgets();
    let mut random = Random::new(6);
    for round in 0..8 {
        client.execute(EVENTS, &[&random.pick(&[1, 7, 60]), &ANY]).expect("events");
        compare(&mut client, &mut random);
        // What is taken back is not remembered either.
        let mut transaction = client.transaction().expect("a transaction");
        transaction.execute(EVENTS, &[&5, &ANY]).expect("events");
        assert!(transaction.query(FORGOTTEN, &[]).expect(FORGOTTEN).is_empty());
        transaction.rollback().expect("it is taken back");
        assert_eq!(texts(&mut client, FORGOTTEN, &[]), NONE);
        let step = match round {
            3 => "SELECT llm_usage.maintain()".to_owned(),
            5 => {
                "DELETE FROM llm_usage.reported_attrs WHERE key = 'team'; SELECT llm_usage.fold()".to_owned()
            }
            7 => "SELECT llm_usage.rebuild()".to_owned(),
            _ => format!("SELECT llm_usage.fold(at_most => {})", random.pick(&[5, 30, 1000])),
        };
        client.batch_execute(&step).expect("it is done");
        compare(&mut client, &mut random);
    }
    let rolled_up = "SELECT string_agg(key, ' ' ORDER BY key) FROM llm_usage._rolled_up_attrs";
    assert_eq!(texts(&mut client, rolled_up, &[]), ["nobody team"]);
}

/// A session remembers of a part of an hour what is folded, also where later folds add to that hour.
#[test]
fn hours_that_a_period_begins_or_ends_in_are_counted_in_part() {
    let mut client = with_budgets();
    client.batch_execute("DELETE FROM llm_usage.budgets WHERE time_zone NOT LIKE 'Asia/%'").expect("budgets");
    for _ in 0..60 {
        client.execute(EVENTS, &[&4, &AT_BOUNDS]).expect("events");
        client.batch_execute("SELECT llm_usage.fold()").expect("a fold");
        assert_eq!(texts(&mut client, FORGOTTEN, &[]), NONE);
    }
    let now: chrono::DateTime<chrono::Utc> = client.query_one("SELECT now()", &[]).expect("now").get(0);
    assert_eq!(texts(&mut client, DIFFERENCES, &[&now]), NONE);
}

#[test]
fn a_key_is_rolled_up_while_others_write_and_fold() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    std::thread::scope(|scope| {
        for writer in 0..4_u64 {
            let mut client = cluster.connect(&database);
            scope.spawn(move || {
                for event in 0..150 {
                    let statement = format!(
                        "INSERT INTO llm_usage.usage_events (model, cost, attrs)
                         SELECT 'm', 1, jsonb_build_object('team', n % 3) FROM generate_series(1, {}) n",
                        1 + (writer + event) % 5
                    );
                    client.batch_execute(&statement).expect("events");
                    if event % 10 == 0 {
                        client.batch_execute("SELECT llm_usage.fold()").expect("a fold");
                    }
                }
            });
        }
        for round in 0..20 {
            let statement = match round % 2 {
                0 => "INSERT INTO llm_usage.reported_attrs VALUES ('team')",
                _ => "DELETE FROM llm_usage.reported_attrs",
            };
            client.batch_execute(statement).expect("a key");
            client.batch_execute("SELECT llm_usage.fold()").expect("a fold");
            let differences = "SELECT a.value || a.requests FROM llm_usage.attr_activity('team') a
                 FULL JOIN (SELECT attrs ->> 'team' AS value, count(*) AS requests FROM llm_usage.usage_events GROUP BY 1) e USING (value)
                 WHERE a.requests IS DISTINCT FROM e.requests";
            assert_eq!(texts(&mut client, differences, &[]), NONE);
        }
    });
    client
        .batch_execute("INSERT INTO llm_usage.reported_attrs VALUES ('team'); SELECT llm_usage.fold()")
        .expect("a fold");
    assert_eq!(texts(&mut client, "SELECT v::text FROM llm_usage.verify() v", &[]), NONE);
}

/// Writers that commit late, out of order or not at all, while others fold: a session never misses what was committed before
/// it asked, and never sees what was not.
#[test]
fn what_a_session_remembers_is_what_was_committed() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let mut client = cluster.connect(&database);
    client
        .batch_execute(
            "INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 1, 1000000);
             INSERT INTO llm_usage.budgets (id, entity_type, entity_value, amount) VALUES (2, 'Model', 'm', 1000000)",
        )
        .expect("budgets");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(6);
    let is_on = move || std::time::Instant::now() < until;
    std::thread::scope(|scope| {
        for writer in 0..6_u64 {
            let mut client = cluster.connect(&database);
            scope.spawn(move || {
                let mut random = Random::new(writer);
                while is_on() {
                    let mut transaction = client.transaction().expect("a transaction");
                    for _ in 0..random.below(4) {
                        // Few or many ids are missing meanwhile: a session looks for them in one way or the other.
                        let events = "INSERT INTO llm_usage.usage_events (model, app_id, cost) SELECT 'm', 1, 1 FROM generate_series(1, $1)";
                        let count = [3, 60][usize::from(random.below(4) == 0)];
                        transaction.execute(events, &[&count]).expect("events");
                        std::thread::sleep(std::time::Duration::from_millis(random.below(20)));
                    }
                    match random.below(4) {
                        0 => transaction.rollback().expect("it is taken back"),
                        _ => transaction.commit().expect("it commits"),
                    }
                }
            });
        }
        for which in ["SELECT llm_usage.fold('10 milliseconds')", "SELECT count(*) FROM llm_usage.maintain()"]
        {
            let mut client = cluster.connect(&database);
            scope.spawn(move || {
                while is_on() {
                    // maintain() says when a ledger was in use.
                    let _ = client.query(which, &[]);
                    std::thread::sleep(std::time::Duration::from_millis(60));
                }
            });
        }
        for reader in 0..2 {
            let mut client = cluster.connect(&database);
            scope.spawn(move || {
                let sum = "SELECT count(*)::numeric::text FROM llm_usage.usage_events";
                let decide = [
                    "SELECT spent::text FROM llm_usage.check_budget(1)",
                    "SELECT spent::text FROM llm_usage.check_budget(model => 'm', cost => 0)",
                ];
                let mut number = |query: &str| -> i64 {
                    texts(&mut client, query, &[])[0].parse().expect("a whole number")
                };
                let mut asked = 0;
                while is_on() {
                    let (before, spent, after) = (number(sum), number(decide[reader]), number(sum));
                    assert!(before <= spent && spent <= after, "{before} {spent} {after}");
                    asked += 1;
                }
                assert!(asked > 20, "{asked}");
            });
        }
    });
}

/// A session knows a budget from its last call: it heeds each change of it as soon as that is committed, its own at once.
#[test]
fn a_changed_budget_is_heeded_by_who_remembers_it() {
    let cluster = Cluster::shared();
    let database = cluster.create_database();
    let (mut asks, mut changes) = (cluster.connect(&database), cluster.connect(&database));
    let mut left = move |statement: &str, expected: Option<&str>| {
        asks.batch_execute(statement).expect(statement);
        let asked = "SELECT coalesce(remaining::text, 'no budget') FROM llm_usage.check_budget(1)";
        for _ in 0..2 {
            assert_eq!(texts(&mut asks, asked, &[]), [expected.unwrap_or("no budget")], "{statement}");
        }
    };
    let mut change = |statement: &str| changes.batch_execute(statement).expect(statement);
    left("", None);
    change("INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 1, 10)");
    left("", Some("10"));
    change("UPDATE llm_usage.budgets SET amount = 20");
    left("", Some("20"));
    change(
        "INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, name) VALUES ('App', 1, 5, 'tight')",
    );
    left("", Some("5"));
    change("DELETE FROM llm_usage.budgets WHERE name = 'tight'");
    left("", Some("20"));
    change("BEGIN; UPDATE llm_usage.budgets SET amount = 1");
    left("", Some("20"));
    change("COMMIT");
    left("", Some("1"));
    left("BEGIN; UPDATE llm_usage.budgets SET amount = 7", Some("7"));
    left("ROLLBACK", Some("1"));
    left("BEGIN ISOLATION LEVEL REPEATABLE READ", Some("1"));
    change("UPDATE llm_usage.budgets SET amount = 30");
    left("", Some("1"));
    left("COMMIT", Some("30"));
    // A period of another kind, and another budget of the same number.
    change("UPDATE llm_usage.budgets SET period = 'rolling', rolling_window = '2 hours', amount = 31");
    left("", Some("31"));
    change(
        "INSERT INTO llm_usage.usage_events (model, app_id, cost, occurred_at) VALUES ('m', 1, 4, now() - interval '40 days')",
    );
    left("", Some("31"));
    change(
        "UPDATE llm_usage.budgets SET period = 'year', start_date = (now() - interval '50 days')::date, rolling_window = NULL",
    );
    left("", Some("27"));
    change("TRUNCATE llm_usage.budgets CASCADE");
    left("", None);
}
