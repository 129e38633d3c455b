-- The extension with its partitions, and who uses it.
CREATE EXTENSION llm_usage;
SELECT llm_usage.maintain(1);
SELECT llm_usage._make_month(l.ledger, l.time_column, m::date)
  FROM (VALUES ('usage_events', 'occurred_at'), ('sessions', 'started_at'), ('messages', 'sent_at')) l (ledger, time_column),
       generate_series(date_trunc('month', bench.day(90)::timestamp), bench.day(0)::timestamp, interval '1 month') m
 WHERE to_regclass('llm_usage.' || l.ledger || to_char(m, '_YYYY_MM')) IS NULL;
INSERT INTO llm_usage.users (id, email, name) SELECT u, 'user' || u || '@example.com', 'User ' || u FROM generate_series(1, 500) u;
INSERT INTO llm_usage.apps (id, slug, name, owner_id) SELECT a, 'app-' || a, 'App number ' || a, a FROM generate_series(1, 200) a;
INSERT INTO llm_usage.llms (id, name, vendor) SELECT m.number, m.vendor || ' ' || m.model, m.vendor FROM bench.models m;
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, start_date)
SELECT 'App', a, 1000, CASE WHEN a % 30 = 0 THEN date '2025-01-15' END FROM generate_series(1, 150) a
UNION ALL
SELECT 'LLM', m.number, 5000, CASE WHEN m.number % 10 = 0 THEN date '2025-01-15' END FROM bench.models m;
