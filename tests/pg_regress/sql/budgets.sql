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
