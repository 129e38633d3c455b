-- 10,000 budgets of apps, one of a user, one of everything, some that no call meets; apps 10001 to 10003 have one each that is never
-- short, one that is near its limit all the time, and one that is soft; and 200 of teams.
TRUNCATE llm_usage.budgets;
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount)
SELECT 'App', a, 1000000 FROM generate_series(1, 10000) a;
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, period, time_zone)
SELECT 'User', u, 1000000, 'month', 'Europe/Berlin' FROM generate_series(1, 500) u;
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, is_hard)
VALUES ('App', 10001, 1000000, true), ('App', 10003, 1000000, false);
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 10002, 1000000);
INSERT INTO llm_usage.budgets (entity_type, entity_key, entity_value, amount) SELECT 'Attribute', 'team', t, 1000000 FROM generate_series(1, 200) t;
INSERT INTO llm_usage.usage_events (model, app_id, cost, currency, attrs)
SELECT 'of-team', 20001, 0.01, 'USD', jsonb_build_object('team', n % 250) FROM generate_series(1, 10000) n;
INSERT INTO llm_usage.usage_events (model, app_id, cost, currency) VALUES ('used-up', 10002, 950000, 'USD');
SELECT llm_usage.fold();
ANALYZE llm_usage.budgets;
