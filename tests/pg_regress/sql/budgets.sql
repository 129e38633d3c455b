-- What budgets refuse, and in which words.
\set VERBOSITY default
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
INSERT INTO llm_usage.budgets (entity_type, amount) VALUES ('App', 1);
INSERT INTO llm_usage.budgets (entity_type, entity_id, entity_value, amount) VALUES ('App', 1, 'x', 1);
INSERT INTO llm_usage.budgets (entity_type, entity_value, amount) VALUES ('Attribute', 'x', 1);
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, time_zone) VALUES ('App', 1, 1, 'Mars/Olympus');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, time_zone) VALUES ('App', 1, 1, '+05:45');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, period) VALUES ('App', 1, 1, 'rolling');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, period, rolling_window) VALUES ('App', 1, 1, 'rolling', '1 month');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, period, rolling_window) VALUES ('App', 1, 1, 'day', '1 day');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, unpriced) VALUES ('App', 1, 1, 'fallback');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, thresholds) VALUES ('App', 1, 1, '{50,NULL}');
INSERT INTO llm_usage.exchange_rates VALUES ('USD', 'USD', '2025-01-01', 1);
-- Several on one by their names; budget_usage() shows the nameless monthly one in money.
INSERT INTO llm_usage.budgets (id, entity_type, entity_id, name, amount, unit, period) VALUES (1, 'App', 1, '', 10, 'money', 'month'), (2, 'App', 1, 'calls', 3, 'requests', 'day');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 1, 20);
SELECT e ->> 'budget' AS budget FROM json_array_elements(llm_usage.budget_usage()) e;
SELECT verdict, budget_id, remaining, reason FROM llm_usage.check_budget(1, cost => 10);
SELECT verdict, budget_id, remaining FROM llm_usage.check_budget(1, cost => 10.000001);
SELECT verdict, budget_id, remaining, reason FROM llm_usage.check_budget(1, cost => 1000, currency => 'EUR');
SELECT verdict, budget_id, reason FROM llm_usage.check_budget(2, 'gpt-4.1', prompt_tokens => 5);
SELECT * FROM llm_usage.check_budget(1, cost => -1);
SELECT * FROM llm_usage.reserve_budget(1, cost => 'NaN');
SELECT * FROM llm_usage.reserve_budget(1, cost => 1, hold_for => '-1 second');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM llm_usage.reserve_budget(1, cost => 1);
ROLLBACK;
SELECT verdict, hold_id, budget_id FROM llm_usage.reserve_budget(1, 'gpt-4.1', cost => 4);
SELECT verdict, hold_id, budget_id FROM llm_usage.reserve_budget(1, 'gpt-4.1', cost => 4);
SELECT verdict, hold_id, spent, held, remaining FROM llm_usage.reserve_budget(1, 'gpt-4.1', cost => 4);
-- A hold ends once; bad usage does not end it.
SELECT llm_usage.settle_budget(1, NULL);
SELECT llm_usage.settle_budget(1, '[]');
SELECT llm_usage.settle_budget(1, '{"prompt_tokens": -1}');
SELECT status, cost FROM llm_usage.settle_budget(1, '{"prompt_tokens": 1, "cost": 0.5}');
SELECT llm_usage.settle_budget(1, '{}');
SELECT llm_usage.release_budget(2);
SELECT llm_usage.release_budget(2);
SELECT llm_usage.release_budget(NULL);
SELECT budget_id, spent, held, remaining, usage FROM llm_usage.budget_status ORDER BY budget_id;
SELECT llm_usage.acknowledge_budget_alert(4711) AS acknowledged;

-- An estimate that no event could be of, and a currency that is none.
SELECT verdict FROM llm_usage.check_budget(1, cost => 1, currency => 'usd');
SELECT verdict FROM llm_usage.check_budget(1, cost => 1e15);
SELECT verdict FROM llm_usage.check_budget(1, prompt_tokens => 9223372036854775807, completion_tokens => 9223372036854775807);
SELECT verdict FROM llm_usage.reserve_budget(1, cost => 1, hold_for => '-7 months 210 days 1 second');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, time_zone) VALUES ('App', 1, 1, 'Europe/Berln5');
-- A rate that is not known.
INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount, converts) VALUES (70, 'App', 70, 100, true);
SELECT reason FROM llm_usage.check_budget(70, cost => 1, currency => 'CHF');
-- Rolling windows: days are local ones, hours everybody's, and nothing moves within an hour.
SELECT w, at AT TIME ZONE 'UTC' AS at, p.period_start AT TIME ZONE 'UTC' AS starts
  FROM (VALUES ('1 hour'::interval, 'Europe/Berlin', '2026-03-29 01:30Z'::timestamptz), ('2 hours', 'Europe/Berlin', '2026-03-29 01:30Z'),
               ('24 hours', 'Europe/Berlin', '2026-10-25 12:30Z'), ('1 day', 'Europe/Berlin', '2026-10-25 12:30Z'),
               ('100 days', 'Australia/Lord_Howe', '2026-11-21 16:09Z'), ('100 days', 'Australia/Lord_Howe', '2026-11-21 16:59Z')) v (w, zone, at),
       LATERAL llm_usage._budget_period('rolling', NULL, w, zone, at) p;
-- What settles a hold may be null, and a conflict does not settle it.
INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount) VALUES (71, 'App', 71, 100);
SELECT hold_id AS one FROM llm_usage.reserve_budget(71, 'm', user_id => 9, attrs => '{"a": 1}', cost => 1) \gset
SELECT hold_id AS two FROM llm_usage.reserve_budget(71, 'm', cost => 2) \gset
SELECT status FROM llm_usage.settle_budget(:one, '{"cost": 1, "request_id": "k", "app_id": null, "user_id": null, "attrs": null}');
SELECT app_id, user_id, attrs FROM llm_usage.usage_events WHERE request_id = 'k';
SELECT status FROM llm_usage.settle_budget(:two, '{"cost": 1.5, "request_id": "k"}');
SELECT spent, held FROM llm_usage.budget_status WHERE budget_id = 71;
SELECT status FROM llm_usage.settle_budget(:two, '{"cost": 1.5, "request_id": "another"}');
SELECT spent, held FROM llm_usage.budget_status WHERE budget_id = 71;
-- Attributes of any depth, as other calls take them, and estimates of any size.
SELECT hold_id AS deep FROM llm_usage.reserve_budget(71, 'm', cost => 1, attrs => (repeat('{"a":', 200) || '1' || repeat('}', 200))::jsonb) \gset
SELECT status FROM llm_usage.settle_budget(:deep, '{"cost": 1, "request_id": "deep"}');
SELECT length(attrs::text) FROM llm_usage.usage_events WHERE request_id = 'deep';
SELECT hold_id AS wide FROM llm_usage.reserve_budget(71, 'm', cost => 1) \gset
SELECT llm_usage.settle_budget(:wide, '{"cost": 1, "attrs": [1]}');
SELECT status FROM llm_usage.settle_budget(:wide, '{"cost": 1, "attrs": {"n": 1e20000}}');
SELECT llm_usage.reserve_budget(71, prompt_tokens => 9223372036854775807, completion_tokens => 1);
-- A price that is taken back is not remembered.
WITH ins AS (INSERT INTO llm_usage.model_prices (vendor, model, input_per_token) VALUES ('v', 'ghost2', 1) RETURNING 1 AS one)
SELECT (llm_usage.check_budget(71, 'ghost2', prompt_tokens => 1)).verdict, 1 / (ins.one - 1) FROM ins;
SELECT cost IS NULL AS unpriced FROM llm_usage.record_usage('ghost2', app_id => 71, prompt_tokens => 3);
-- A month goes when nobody needs its events any more.
CREATE TEMP TABLE past AS SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month')::date AS month;
INSERT INTO llm_usage.usage_events (model, app_id, cost, occurred_at, attrs)
  SELECT 'm', 72, 5, month::timestamp AT TIME ZONE 'UTC' + interval '9 days', '{"proj": "blue"}' FROM past;
SELECT count(*) > 0 AS maintained FROM llm_usage.maintain();
SELECT llm_usage.fold() > 0 AS folded;
INSERT INTO llm_usage.budgets (id, entity_type, entity_id, amount, period, start_date, time_zone)
  SELECT 72, 'App', 72, 100, 'year', month + 9, 'Asia/Kolkata' FROM past;
\set VERBOSITY terse
SELECT llm_usage.drop_month(month) FROM past;
DELETE FROM llm_usage.budgets WHERE id = 72;
INSERT INTO llm_usage.budgets (id, entity_type, entity_key, entity_value, amount, period, rolling_window)
  VALUES (73, 'Attribute', 'proj', 'blue', 100, 'rolling', '90 days');
SELECT spent FROM llm_usage.budget_status WHERE budget_id = 73;
SELECT llm_usage.drop_month(month) > 0 AS dropped FROM past;
SELECT spent FROM llm_usage.budget_status WHERE budget_id = 73;
SELECT sum(cost) FROM llm_usage.attr_activity('proj');
-- Of a key that nobody asked for before, it is not there any more.
CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE query;
  RETURN NULL;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RETURN replace(sqlerrm, to_char((SELECT month FROM past)::timestamp, 'YYYY-MM'), 'that month');
END $$;
SELECT pg_temp.refused($$SELECT count(*) FROM llm_usage.attr_activity('another')$$);
SELECT count(*) FROM llm_usage.attr_activity('another', now());
-- A budget of it hides no other.
INSERT INTO llm_usage.budgets (id, entity_type, entity_key, entity_value, amount, period, rolling_window)
VALUES (90, 'Attribute', 'another', 'x', 1, 'rolling', '80000 hours');
SELECT pg_temp.refused($$SELECT llm_usage.check_budget(attrs => '{"another": "x"}')$$);
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT period_start, spent, held, remaining, usage, expected_spend, used_up_at FROM llm_usage.budget_status WHERE budget_id = 90;
SELECT count(spent) > 0 AS others FROM llm_usage.budget_status;
RESET client_min_messages;
\set VERBOSITY terse
DELETE FROM llm_usage.budgets WHERE id = 90;
INSERT INTO llm_usage.reported_attrs VALUES ('another');
SELECT llm_usage.fold() >= 0 AS folded;
SELECT pg_temp.refused($$SELECT count(*) FROM llm_usage.attr_activity('another')$$);
SELECT count(*) FROM llm_usage.attr_activity('another', now());
SELECT llm_usage.verify();

-- Of a key that was folded in between, what was dropped after is told, and what was dropped before is not.
INSERT INTO llm_usage.usage_events (app_id, model, occurred_at, attrs, cost) VALUES
  (1, 'm', '2021-01-05Z', '{"lost": "x"}', 1), (1, 'm', '2021-03-05Z', '{"lost": "x"}', 1);
SELECT count(*) > 0 AS made FROM llm_usage.maintain();
SELECT llm_usage.fold() > 0 AS folded;
SELECT llm_usage.drop_month('2021-03-01');
INSERT INTO llm_usage.reported_attrs VALUES ('lost');
SELECT llm_usage.fold() >= 0 AS folded;
SELECT llm_usage.drop_month('2021-01-01');
SELECT day, value, requests FROM llm_usage.attr_activity('lost', '2021-01-01Z', '2021-02-01Z');
SELECT count(*) FROM llm_usage.attr_activity('lost', '2021-01-01Z', '2021-04-01Z');

-- A partition whose key begins with another column is read all the same.
CREATE TABLE by_hand (LIKE llm_usage.usage_events INCLUDING DEFAULTS, PRIMARY KEY (app_id, id));
SELECT m.month AT TIME ZONE 'UTC' AS from_time, (m.month + interval '1 month') AT TIME ZONE 'UTC' AS to_time
  FROM date_trunc('month', now() AT TIME ZONE 'UTC' - interval '3 years') m (month) \gset
ALTER TABLE llm_usage.usage_events ATTACH PARTITION by_hand FOR VALUES FROM (:'from_time') TO (:'to_time');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, unit, period, rolling_window) VALUES ('App', 5000, 100, 'requests', 'rolling', '87600 hours');
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, cost) SELECT :'from_time', a, 'm', 1 FROM unnest('{3, 5000}'::bigint[]) a, generate_series(1, 5);
SELECT llm_usage.fold() > 0 AS folded;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, cost) VALUES (:'from_time', 5000, 'm', 1);
SELECT (SELECT sum(requests) FROM llm_usage.usage_by_app WHERE app_id = 5000) AS reported,
       (SELECT request_count FROM json_to_record(llm_usage.app_token_usage(5000) -> 'data' -> 'total') AS t (request_count bigint)) AS listed;
INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (5000, 'm', 1);
SELECT spent FROM llm_usage.check_budget(5000);
SELECT spent FROM llm_usage.check_budget(5000);
DELETE FROM llm_usage.budgets WHERE entity_id = 5000;

-- A session heeds what was rebuilt.
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 5001, 1000);
INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (5001, 'm', 5);
SELECT llm_usage.fold() > 0 AS folded;
UPDATE llm_usage._by_entity_month SET cost = cost + 100 WHERE entity_id = 5001;
SELECT spent AS wrong FROM llm_usage.check_budget(5001);
SET client_min_messages = warning;
SELECT llm_usage.rebuild() >= 0 AS rebuilt;
SELECT spent FROM llm_usage.check_budget(5001);

-- A budget does not become another.
UPDATE llm_usage.budgets SET unit = 'tokens' WHERE entity_id = 5001;
UPDATE llm_usage.budgets SET entity_id = 5002 WHERE entity_id = 5001;
UPDATE llm_usage.budgets SET currency = 'EUR', amount = 1 WHERE entity_id = 5001;
UPDATE llm_usage.budgets SET amount = 1e30 WHERE entity_id = 5001;

-- Nothing is left of an amount of 0 when all is taken back.
UPDATE llm_usage.budgets SET amount = 0, period = 'year', name = 'all', thresholds = '{50}' WHERE entity_id = 5001;
SELECT llm_usage.raise_budget_alerts();
SELECT status FROM llm_usage.void_usage((SELECT max(id) FROM llm_usage.usage_events WHERE app_id = 5001));
SELECT llm_usage.raise_budget_alerts();
SELECT threshold, spent, amount, fell_below_at IS NULL AS is_crossed FROM llm_usage.budget_alerts WHERE amount = 0;

-- A fold of a part does not take back what was raised for the rest, and raises nothing twice.
SELECT llm_usage.fold() IS NOT NULL AS folds;
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, thresholds, time_zone) VALUES ('User', 5003, 100, '{25, 50}', 'Asia/Tokyo');
INSERT INTO llm_usage.usage_events (user_id, model, cost) VALUES (5003, 'm', 30), (5003, 'm', 30);
SELECT llm_usage.raise_budget_alerts();
SELECT llm_usage.fold(at_most => 1);
SELECT threshold, spent, fell_below_at IS NULL AS is_crossed FROM llm_usage.budget_alerts WHERE amount = 100 AND spent = 60 ORDER BY 1;
SELECT llm_usage.fold();
-- By what was folded alone, of a user.
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, thresholds) VALUES ('User', 5004, 1000, '{25, 50}');
INSERT INTO llm_usage.usage_events (user_id, model, cost) VALUES (5004, 'm', 300), (5004, 'm', 300);
SELECT llm_usage.fold(at_most => 1);
SELECT llm_usage.fold(at_most => 1);
SELECT amount, threshold, spent, fell_below_at IS NULL AS is_crossed FROM llm_usage.budget_alerts WHERE amount IN (100, 1000) AND spent >= 60 ORDER BY 1, 2;
-- And of whatever else an event is spent on.
INSERT INTO llm_usage.budgets (entity_type, entity_id, entity_key, entity_value, amount, thresholds, name)
VALUES ('App', 5005, NULL, NULL, 1, '{50}', 'of each'), ('LLM', 5005, NULL, NULL, 1, '{50}', 'of each'), ('User', 5005, NULL, NULL, 1, '{50}', 'of each'),
       ('Model', NULL, NULL, 'm5005', 1, '{50}', 'of each'), ('Vendor', NULL, NULL, 'v5005', 1, '{50}', 'of each'),
       ('Attribute', NULL, 'a5005', 'v', 1, '{50}', 'of each'), ('All', NULL, NULL, NULL, 1, '{50}', 'of each');
INSERT INTO llm_usage.usage_events (app_id, llm_id, user_id, model, vendor, attrs, cost) VALUES (5005, 5005, 5005, 'm5005', 'v5005', '{"a5005": "v"}', 1);
SELECT llm_usage.fold();
SELECT b.entity_type, a.threshold FROM llm_usage.budgets b LEFT JOIN llm_usage.budget_alerts a ON a.budget_id = b.id WHERE b.name = 'of each' ORDER BY 1;
DELETE FROM llm_usage.budgets WHERE name = 'of each';
DELETE FROM llm_usage.budgets WHERE entity_id IN (5003, 5004);
DELETE FROM llm_usage.budgets WHERE entity_id = 5001;

-- Attributes whose budgets come when the session has read what is not folded; values that are too long, no strings, or of no object; and
-- of more keys than a session looks for.
CREATE VIEW attributes AS
  SELECT b.entity_key, left(b.entity_value, 5) AS entity_value, llm_usage._spent_of(b.id) AS spent, s.spent AS expected
    FROM llm_usage.budgets b CROSS JOIN LATERAL llm_usage._budget_standing(b, clock_timestamp()) s WHERE b.name LIKE 'late%' ORDER BY b.id;
INSERT INTO llm_usage.usage_events (app_id, model, cost, attrs)
SELECT 5006, 'm', 1, a::jsonb
  FROM unnest(ARRAY['{"squad": "a", "desk": 7}', '{"squad": "a"}', '{"desk": "7"}', '["squad"]', '"squad"', NULL, '{"squad": null}',
                    '{"squad": "' || repeat('x', 501) || '"}']) a;
SELECT verdict FROM llm_usage.check_budget(5006);
INSERT INTO llm_usage.budgets (entity_type, entity_key, entity_value, amount, name) VALUES ('Attribute', 'squad', 'a', 100, 'late');
TABLE attributes;
INSERT INTO llm_usage.budgets (entity_type, entity_key, entity_value, amount, name)
VALUES ('Attribute', 'desk', '7', 100, 'late'), ('Attribute', 'squad', repeat('x', 500), 100, 'late');
TABLE attributes;
INSERT INTO llm_usage.usage_events (app_id, model, cost, attrs) VALUES (5006, 'm', 0.5, '{"squad": "a", "desk": "7"}');
TABLE attributes;
SELECT budget_id = (SELECT id FROM llm_usage.budgets WHERE name = 'late' AND entity_key = 'desk') AS decides, spent, remaining
  FROM llm_usage.check_budget(5006, attrs => '{"desk": 7, "squad": "b"}');
SELECT llm_usage.fold();
INSERT INTO llm_usage.usage_events (app_id, model, cost, attrs) VALUES (5006, 'm', 0.25, '{"squad": "a", "key 3": "v"}');
TABLE attributes;
INSERT INTO llm_usage.budgets (entity_type, entity_key, entity_value, amount, name)
SELECT 'Attribute', 'key ' || n, 'v', 100, 'late ' FROM generate_series(1, 20) n;
SELECT * FROM attributes WHERE spent > 0 OR spent IS DISTINCT FROM expected;
-- What is undone is not counted, though the command is the same again.
CREATE VIEW squad AS SELECT spent FROM llm_usage.budget_status WHERE budget_name = 'late' AND entity_value = 'a';
BEGIN;
TABLE squad;
SAVEPOINT s;
INSERT INTO llm_usage.usage_events (app_id, model, cost, attrs) VALUES (5006, 'm', 10, '{"squad": "a"}');
TABLE squad;
ROLLBACK TO s;
TABLE squad;
SAVEPOINT s;
INSERT INTO llm_usage.usage_events (app_id, model, cost, attrs) VALUES (5006, 'm', 20, '{"squad": "a"}');
TABLE squad;
RELEASE s;
TABLE squad;
ROLLBACK;
TABLE squad;
DROP VIEW attributes, squad;
DELETE FROM llm_usage.budgets WHERE name LIKE 'late%';

-- What could not be settled is not reserved.
SELECT llm_usage.reserve_budget(1, '');
SELECT llm_usage.reserve_budget(1, 'm', vendor => repeat('v', 501));
SELECT llm_usage.reserve_budget(1, attrs => '[1]');
SELECT llm_usage.reserve_budget(-1, 'm');

-- Nor does one begin in what was dropped, but at a full hour; and no amount is beyond what can be added up.
\set VERBOSITY sqlstate
INSERT INTO llm_usage._dropped_months SELECT (date_trunc('year', now() AT TIME ZONE 'UTC') - interval '1 month')::date ON CONFLICT DO NOTHING;
INSERT INTO llm_usage.budgets (entity_type, amount, period, time_zone) VALUES ('All', 1, 'year', 'Asia/Kolkata');
\set VERBOSITY terse
INSERT INTO llm_usage.budgets (entity_type, amount, period, time_zone) VALUES ('All', 1, 'year', 'Europe/Berlin');
DELETE FROM llm_usage.budgets WHERE entity_type = 'All';
INSERT INTO llm_usage.budgets (entity_type, amount) VALUES ('All', 1e-61);
INSERT INTO llm_usage.budgets (entity_type, amount, thresholds) VALUES ('All', 1, '{{50, 60}, {70, 80}}');
INSERT INTO llm_usage.budgets (entity_type, amount, thresholds) VALUES ('All', 1, '{50, NULL}');
INSERT INTO llm_usage.budgets (entity_type, amount, thresholds) VALUES ('All', 1, '{}'), ('Model', 1, '{50, 100}');

-- The first id of an extension that was created anew is its own.
DROP EXTENSION llm_usage CASCADE;
CREATE EXTENSION llm_usage;
INSERT INTO llm_usage.usage_events (app_id, model) VALUES (2, 'm') RETURNING id;
DROP EXTENSION llm_usage CASCADE;
CREATE EXTENSION llm_usage;
INSERT INTO llm_usage.usage_events (app_id, model) VALUES (2, 'm') RETURNING id;
