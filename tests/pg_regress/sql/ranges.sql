-- Between any instants no question has to read a month for a few minutes, nor the hours of all time for those of a day: it has an index.
SET timezone = 'UTC';
INSERT INTO llm_usage.reported_attrs VALUES ('team');
SELECT count(*) > 0 AS made FROM llm_usage.maintain();
INSERT INTO llm_usage.usage_events (occurred_at, app_id, user_id, model, rule_type, prompt_tokens, cost, attrs)
SELECT timestamptz '2025-06-01Z' + n * interval '17 minutes', n % 7, n % 5, 'm' || n % 3, CASE WHEN n % 4 = 0 THEN 'pii' END, n, 0,
       jsonb_build_object('team', n % 3)
  FROM generate_series(1, 500) n;
-- Apps 7 and 8 have no events.
INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at)
SELECT n % 9, 'c' || n % 5, timestamptz '2025-06-01Z' + n * interval '10 minutes' FROM generate_series(1, 700) n;
INSERT INTO llm_usage.messages (app_id, sent_at)
SELECT n % 9, timestamptz '2025-06-01Z' + n * interval '4 minutes' FROM generate_series(1, 1750) n;
SELECT count(*) > 0 AS moved FROM llm_usage.maintain();
SELECT llm_usage.fold() > 0 AS folded;
-- What is not asked for is most of it, and was folded day by day, as it is where a worker folds; a few events came late, so that by
-- time alone no page of the ledger can be left out.
DO $$ BEGIN
  FOR day IN 0..24 LOOP
    INSERT INTO llm_usage.usage_events (occurred_at, app_id, user_id, model, prompt_tokens, cost, attrs)
    SELECT CASE WHEN n % 100 = 1 THEN timestamptz '2025-06-01T12:00Z' ELSE timestamptz '2025-06-06Z' + day * interval '1 day' + n * interval '36 seconds' END,
           CASE WHEN n % 100 = 1 THEN 1 ELSE n % 7 END, CASE WHEN n % 100 = 1 THEN 1 ELSE n % 61 END, 'm' || n % 3, n, 0,
           jsonb_build_object('team', CASE WHEN n % 100 = 1 THEN 1 ELSE n % 59 END)
      FROM generate_series(0, 2399) n;
    INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at)
    SELECT n % 7, 'c' || n % 9, timestamptz '2025-06-06Z' + day * interval '1 day' + n * interval '36 seconds' FROM generate_series(0, 2399) n;
    INSERT INTO llm_usage.messages (app_id, sent_at)
    SELECT n % 7, timestamptz '2025-06-06Z' + day * interval '1 day' + n * interval '36 seconds' FROM generate_series(0, 2399) n;
    PERFORM llm_usage.fold();
  END LOOP;
END $$;
SELECT llm_usage.verify();
VACUUM ANALYZE;
CREATE VIEW questions AS
  SELECT q.question, regexp_replace(regexp_replace(q.question, '\mF\M', '''2025-06-03T05:17:33Z'''), '\mT\M', '''2025-06-05T21:42:11Z''') AS asked
    FROM unnest(ARRAY[
      'active_users(F, T)', 'active_users(F, T, 1)', 'app_activity(NULL, F, T)', 'app_activity(1, F, T)', 'app_token_usage(1, F, T)',
      'app_usage(1, F, T)', 'attr_activity(''team'', F, T)', 'entity_activity(F, T)', 'model_activity(NULL, F, T)',
      'model_activity(''m1'', F, T)', 'model_activity_between(''m1'', ARRAY[F::timestamptz], T)', 'model_usage_statistics(''m1'', F, T)',
      'rule_activity(F, T)', 'session_activity(NULL, F, T)', 'session_activity(1, F, T)', 'session_consumers(1, F, T)',
      'session_consumers(NULL, F, T)', 'token_usage_grouped(F, T)', 'token_usage_grouped(F, T, ''{task}'')', 'user_activity(NULL, F, T)',
      'user_activity(1, F, T)', '_entity_spending(''App'', 1, NULL, NULL, F, T, false, true)', '_entity_spending(''All'', NULL, NULL, NULL, F, T, false, true)',
      '_entity_spending(''User'', 1, NULL, NULL, F, T, false, true)', '_entity_spending(''Attribute'', NULL, ''team'', ''1'', F, T, false, true)']) q (question);
-- Pages that a question reads once its session has made its plans.
CREATE FUNCTION pages(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  FOR turn IN 1..2 LOOP
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
  END LOOP;
  RETURN (plan #>> '{0,Plan,Shared Hit Blocks}')::bigint + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint;
END $$;
-- Most take fewer than 100, what is asked of all apps, users, values or sessions up to 300, on PostgreSQL 18 up to 380.
SELECT q.question, pages('SELECT count(*) FROM llm_usage.' || q.asked) AS pages FROM questions q WHERE pages('SELECT count(*) FROM llm_usage.' || q.asked) > 450;
-- Nor does what is not folded have to be read for each budget.
INSERT INTO llm_usage.budgets (entity_type, entity_id, name, amount)
SELECT t.type, n, 'pages', 1 FROM generate_series(1, 6) n, unnest('{App, User}'::text[]) t (type);
INSERT INTO llm_usage.usage_events (app_id, user_id, model, prompt_tokens, cost, attrs)
SELECT n % 7, n % 61, 'm', n, 1, '{"team": 1}' FROM generate_series(1, 3000) n;
SELECT pages('SELECT count(b.spent) FROM llm_usage.budget_status b') BETWEEN 50 AND 600 AS once, sum(b.spent) FROM llm_usage.budget_status b;
SELECT pages('SELECT count(e.cost) FROM llm_usage._tail_events e') > 60 AS long;
-- Nor before each call, of an attribute either.
INSERT INTO llm_usage.budgets (id, entity_type, entity_key, entity_value, name, amount)
VALUES (1001, 'Attribute', 'team', '1', 'pages', 1);
SELECT llm_usage._spent_of(1001), pages('SELECT llm_usage._spent_of(1001)') < 40 AS remembered;
-- Of more keys than a session looks for it is asked by SQL, as is all that policies of one's own are about: that says the same.
INSERT INTO llm_usage.budgets (entity_type, entity_key, entity_value, name, amount)
SELECT 'Attribute', 'key ' || n, 'v', 'pages', 1 FROM generate_series(1, 20) n;
\c -
SET timezone = 'UTC';
SELECT llm_usage._spent_of(1001), pages('SELECT llm_usage._spent_of(1001)') < 40 AS remembered;
CREATE VIEW answers AS
  SELECT (SELECT sum(a.cost) FROM llm_usage.user_activity(NULL, '2025-06-03T05:17:33Z') a) AS users,
         (SELECT sum(a.cost) FROM llm_usage.app_activity(NULL, '2025-06-03T05:17:33Z') a) AS apps,
         (SELECT sum(a.cost) FROM llm_usage.entity_activity('2025-06-03T05:17:33Z') a WHERE a.entity_type = 'App') AS entities,
         (SELECT sum(a.cost) FROM llm_usage.model_activity(NULL, '2025-06-03T05:17:33Z') a) AS models,
         (SELECT sum(b.spent) FROM llm_usage.budget_status b) AS budgets, llm_usage.active_users('2025-06-03T05:17:33Z') AS active;
ALTER VIEW answers SET (security_invoker);
TABLE answers;
BEGIN;
CREATE ROLE regress_bound;
GRANT SELECT ON answers TO regress_bound;
SELECT llm_usage.grant_access('regress_bound', 'reader');
ALTER TABLE llm_usage.usage_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON llm_usage.usage_events USING (true);
SET ROLE regress_bound;
TABLE answers;
ROLLBACK;
DROP VIEW answers;
DELETE FROM llm_usage.budgets WHERE name = 'pages';
SELECT llm_usage.fold();
-- What has no index takes the month.
SELECT pages('SELECT count(e.cost) FROM llm_usage.usage_events e WHERE e.user_id = 1') > 900 AS found;

-- What they say of all apps is what the events say.
SELECT llm_usage.active_users('2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') = count(DISTINCT e.user_id) AS users,
       (SELECT sum(a.input_tokens) FROM llm_usage.app_activity(NULL, '2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') a) = sum(e.prompt_tokens) AS apps,
       (SELECT sum(a.input_tokens) FROM llm_usage.app_activity(1, '2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') a)
         = sum(e.prompt_tokens) FILTER (WHERE e.app_id = 1) AS app,
       (SELECT sum(a.input_tokens) FROM llm_usage.user_activity(NULL, '2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') a) = sum(e.prompt_tokens) AS all_users,
       llm_usage.token_usage_grouped('2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') #>> '{0,count,prompt}'
         = (sum(e.prompt_tokens) FILTER (WHERE e.rule_type IS NOT NULL))::text AS rules
  FROM llm_usage.usage_events e WHERE e.occurred_at >= '2025-06-03T05:17:33Z' AND e.occurred_at < '2025-06-05T21:42:11Z';
SELECT a.sessions = s.sessions AND s.sessions > 0 AS sessions, a.messages = m.messages AND m.messages > 0 AS messages
  FROM (SELECT sum(a.sessions) AS sessions, sum(a.messages) AS messages
          FROM llm_usage.session_activity(NULL, '2025-06-03T05:17:33Z', '2025-06-05T20:42:11Z') a) a,
       (SELECT count(*) AS sessions FROM llm_usage.sessions s WHERE s.started_at >= '2025-06-03T05:17:33Z' AND s.started_at < '2025-06-05T20:42:11Z') s,
       (SELECT count(*) AS messages FROM llm_usage.messages m WHERE m.sent_at >= '2025-06-03T05:17:33Z' AND m.sent_at < '2025-06-05T20:42:11Z') m;

-- Hours that are cut at the turn of a month, some of whose events are still in the default partition.
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, rule_type, prompt_tokens, cost)
SELECT at, 1 + n % 3, 'm', 'turn', 1 << n::integer, 0
  FROM unnest('{2025-05-31 23:59:59.999999Z, 2025-06-01Z, 2025-06-30 23:59:59.999999Z, 2025-07-01Z, 2025-07-31 23:59:59.999999Z, 2025-08-01Z}'::timestamptz[])
       WITH ORDINALITY a (at, n);
SELECT llm_usage.fold() AS folded;
SELECT count(*) AS bounds, count(DISTINCT e.tokens) AS sums, count(*) FILTER (WHERE e.tokens = a.tokens) AS the_same
  FROM (SELECT f, t
          FROM unnest('{2025-05-31 23:59:59.999998Z, 2025-05-31 23:59:59.999999Z, 2025-06-01 00:00:00.000001Z, 2025-06-30 23:30Z, 2025-06-30 23:59:59.999999Z,
                        2025-07-01 00:00:00.000001Z, 2025-07-31 23:59:59.999999Z, 2025-08-01 00:00:00.000001Z}'::timestamptz[]) f,
               unnest('{2025-06-01 00:00:00.000001Z, 2025-06-30 23:59:59.999999Z, 2025-07-01 00:00:00.000001Z, 2025-07-31 23:59:59.999999Z,
                        2025-08-01 00:00:00.000001Z, 2025-08-01 00:59Z}'::timestamptz[]) t) b,
       LATERAL (SELECT coalesce(sum(e.prompt_tokens), 0) AS tokens
                  FROM llm_usage.usage_events e WHERE e.rule_type = 'turn' AND e.occurred_at >= b.f AND e.occurred_at < b.t) e,
       LATERAL (SELECT coalesce(sum((r #>> '{count,prompt}')::bigint), 0) AS tokens
                  FROM json_array_elements(llm_usage.token_usage_grouped(b.f, b.t)) r WHERE r ->> 'rule_type' = 'turn') a;

-- An index that lacks evaluations is not asked for them.
DO $$ BEGIN
  EXECUTE 'DROP INDEX ' || (SELECT i.indexrelid::regclass FROM pg_index i
                             WHERE i.indrelid = 'llm_usage.usage_events_2025_06'::regclass AND pg_get_expr(i.indpred, i.indrelid) = '(rule_type IS NOT NULL)');
END $$;
CREATE INDEX ON llm_usage.usage_events_2025_06 (occurred_at) WHERE rule_type IS NOT NULL AND task_id IS NOT NULL;
CREATE INDEX ON llm_usage.usage_events_2025_06 (occurred_at) WHERE task_id IS NOT NULL;
CREATE INDEX ON llm_usage.usage_events_2025_06 (occurred_at) WHERE rule_type IS NULL;
CREATE INDEX ON llm_usage.usage_events_2025_06 (occurred_at) WHERE rule_type = 'turn';
SELECT a.tokens = e.tokens AND e.tokens > 0 AS all_of_them
  FROM (SELECT sum((r #>> '{count,prompt}')::bigint) AS tokens
          FROM json_array_elements(llm_usage.token_usage_grouped('2025-06-03T05:01Z', '2025-06-03T05:59Z')) r) a,
       (SELECT sum(e.prompt_tokens) AS tokens FROM llm_usage.usage_events e
         WHERE e.rule_type IS NOT NULL AND e.occurred_at >= '2025-06-03T05:01Z' AND e.occurred_at < '2025-06-03T05:59Z') e;
