-- What is not folded yet is found wherever it lies, by every report that opens the ledger only when it must.
SET timezone = 'UTC';
SELECT count(*) > 0 AS made FROM llm_usage.maintain();
CREATE VIEW sums AS
  SELECT (SELECT sum(n::numeric) FROM json_array_elements_text(llm_usage.token_usage_for_app('2025-01-01', '2025-12-31', 7) -> 'data') n) AS by_day,
         llm_usage.app_token_usage(7) #>> '{data,total,total_tokens}' AS by_model,
         (SELECT sum((r #>> '{count,eval_prompt}')::numeric)
            FROM json_array_elements(llm_usage.token_usage_grouped('2025-01-01Z', '2026-01-01Z')) r) AS by_rule,
         (SELECT sum((b ->> 'total_tokens')::numeric) FROM json_array_elements(llm_usage.budget_usage('2025-01-01', '2025-12-31')) b) AS budgets,
         (SELECT sum(b.total_tokens) FROM llm_usage.budget_activity('2025-06-01', NULL, NULL) b) AS ever,
         (SELECT sum(e.prompt_tokens) FROM llm_usage.usage_events e) AS plain;

INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, rule_type, prompt_tokens, cost) VALUES ('2025-01-31 21:00Z', 7, 'm', 'pii', 1, 0);
TABLE sums;
SELECT llm_usage.fold();
TABLE sums;

-- Of the own transaction, also below a savepoint, and none after it was taken back.
BEGIN;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, rule_type, prompt_tokens, cost) VALUES ('2025-02-01Z', 7, 'm', 'pii', 10, 0);
TABLE sums;
SAVEPOINT s;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, rule_type, prompt_tokens, cost) VALUES ('2025-02-01Z', 7, 'm', 'pii', 100, 0);
TABLE sums;
ROLLBACK TO s;
TABLE sums;
ROLLBACK;
TABLE sums;

-- With an id far ahead of those that were drawn, as who restores can bring it: no fold comes to it.
BEGIN;
SET LOCAL application_name = 'pg_restore';
INSERT INTO llm_usage.usage_events (id, occurred_at, app_id, model, rule_type, prompt_tokens, cost) OVERRIDING SYSTEM VALUE
VALUES (1000000000000, '2025-02-01Z', 7, 'm', 'pii', 1000, 0);
SELECT llm_usage.fold();
TABLE sums;
ROLLBACK;

-- What reports read through indexes is what SQL says: here half is folded, and in either half things are taken back.
BEGIN;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, user_id, model, rule_type, inference_tokens, prompt_tokens, cache_read_tokens,
                                    completion_tokens, cost, corrects, requests)
SELECT timestamptz '2025-04-30 22:00Z' + n * interval '97 seconds', 7 + n % 2, nullif(n % 4, 0), 'm' || n % 3, CASE WHEN n % 5 < 3 THEN 'r' || n % 5 END,
       n, n, 2 * n, 3 * n, CASE WHEN n % 7 > 0 THEN n / 8.0 END, CASE n % 10 WHEN 0 THEN 1 WHEN 1 THEN 1 END, CASE n % 10 WHEN 0 THEN -1 END
  FROM generate_series(1, 150) n;
SELECT llm_usage.fold(at_most => 75) > 0 AS folded;
CREATE VIEW bounds AS
  SELECT f, t
    FROM (SELECT f FROM generate_series(timestamptz '2025-04-30 21:30Z', '2025-05-01 03:00Z', interval '23 minutes') f
          UNION ALL VALUES (NULL), (timestamptz '-infinity'), ('2025-04-30Z')) f (f)
   CROSS JOIN (SELECT t FROM generate_series(timestamptz '2025-04-30 21:50Z', '2025-05-01 03:00Z', interval '31 minutes') t
               UNION ALL VALUES (NULL), (timestamptz 'infinity'), ('2025-05-01Z'), ('2025-05-01 02:00Z')) t (t);
CREATE VIEW answers AS
  SELECT 'models' AS what,
         (SELECT jsonb_object_agg(m ->> 'model', jsonb_build_array(m -> 'request_count', m -> 'input_tokens', m -> 'output_tokens'))
            FROM json_array_elements(llm_usage.app_token_usage(7, b.f, b.t) #> '{data,by_model}') m) AS read,
         (SELECT jsonb_object_agg(m.model, jsonb_build_array(m.requests, m.input, m.output))
            FROM (SELECT m.model, sum(m.requests) AS requests, sum(m.input_tokens) AS input, sum(m.completion_tokens) AS output
                    FROM llm_usage._app_models(7, b.f, b.t) m GROUP BY 1) m) AS asked
    FROM bounds b
  UNION ALL
  SELECT 'rules',
         (SELECT jsonb_object_agg(r ->> 'rule_type', jsonb_build_array(r #> '{count,inference}', r #> '{count,prompt}', r #> '{count,completion}'))
            FROM json_array_elements(llm_usage.token_usage_grouped(b.f, b.t)) r),
         (SELECT jsonb_object_agg(r.rule_type, jsonb_build_array(r.inference, r.prompt, r.completion))
            FROM (SELECT r.rule_type, sum(r.inference_tokens) AS inference, sum(r.input_tokens) AS prompt, sum(r.completion_tokens) AS completion
                    FROM llm_usage._by_rule_type(b.f, b.t) r GROUP BY 1) r)
    FROM bounds b
   WHERE b.f IS NOT NULL AND b.t IS NOT NULL
  UNION ALL
  SELECT 'users',
         (SELECT jsonb_agg(jsonb_build_array(u.bucket, u.user_id, u.requests, u.unpriced_requests, u.input_tokens, u.completion_tokens, u.cost)
                           ORDER BY u.bucket, u.user_id) FROM llm_usage._loose_users(b.f, b.t) u),
         (SELECT jsonb_agg(jsonb_build_array(u.day, u.user_id, u.requests, u.unpriced, u.input, u.completion, u.cost) ORDER BY u.day, u.user_id)
            FROM (SELECT date_trunc('day', e.occurred_at) AS day, e.user_id, sum(e.requests) AS requests, sum(e.unpriced_requests) AS unpriced,
                         sum(e.input_tokens) AS input, sum(e.completion_tokens) AS completion, sum(e.cost) AS cost
                    FROM llm_usage._loose_events(b.f, b.t) e GROUP BY 1, 2) u)
    FROM bounds b
  UNION ALL
  SELECT 'lines',
         (SELECT jsonb_agg(jsonb_build_array(l.bucket, l.app_id, l.model, l.requests, l.unpriced_requests, l.input_tokens, l.completion_tokens, l.cost)
                           ORDER BY l.bucket, l.app_id, l.model) FROM llm_usage._loose_lines(b.f, b.t, a.app) l),
         (SELECT jsonb_agg(jsonb_build_array(l.day, l.app_id, l.model, l.requests, l.unpriced, l.input, l.completion, l.cost)
                           ORDER BY l.day, l.app_id, l.model)
            FROM (SELECT date_trunc('day', e.occurred_at) AS day, e.app_id, e.model, sum(e.requests) AS requests, sum(e.unpriced_requests) AS unpriced,
                         sum(e.input_tokens) AS input, sum(e.completion_tokens) AS completion, sum(e.cost) AS cost
                    FROM llm_usage._loose_events(b.f, b.t, a.app) e GROUP BY 1, 2, 3) l)
    FROM bounds b CROSS JOIN (VALUES (NULL::bigint), (7)) a (app)
  UNION ALL
  SELECT 'active users',
         (SELECT jsonb_object_agg(u.bucket, llm_usage._bitmap_count(u.users)) FROM llm_usage._loose_active_users(b.f, b.t, a.app) u),
         (SELECT jsonb_object_agg(u.day, u.users)
            FROM (SELECT date_trunc('day', e.occurred_at) AS day, count(DISTINCT e.user_id) AS users
                    FROM llm_usage._loose_events(b.f, b.t, a.app) e
                   WHERE e.requests > 0 AND e.user_id IS NOT NULL GROUP BY 1) u)
    FROM bounds b CROSS JOIN (VALUES (NULL::bigint), (7)) a (app)
  UNION ALL
  SELECT 'days',
         (SELECT jsonb_object_agg(l.label, d.tokens)
            FROM json_array_elements_text(a.answer -> 'labels') WITH ORDINALITY l (label, n)
            JOIN json_array_elements(a.answer -> 'data') WITH ORDINALITY d (tokens, n) USING (n)),
         (SELECT jsonb_object_agg(d.day, d.tokens)
            FROM (SELECT (d.bucket AT TIME ZONE 'UTC')::date AS day, sum(d.total_tokens) AS tokens
                    FROM llm_usage._app_days(7, llm_usage._first_instant(f), llm_usage._end_instant(t)) d GROUP BY 1) d)
    FROM (VALUES (date '-infinity'), ('2025-04-30'), ('2025-05-01')) f (f)
   CROSS JOIN (VALUES (date 'infinity'), ('2025-04-30'), ('2025-05-01')) t (t)
   CROSS JOIN LATERAL (SELECT llm_usage.token_usage_for_app(f, t, 7) AS answer) a;
CREATE VIEW differences AS
  SELECT a.what, count(*) AS ranges, count(a.read) AS answers, count(*) FILTER (WHERE a.read IS DISTINCT FROM a.asked) AS differences
    FROM answers a GROUP BY 1 ORDER BY 1;
TABLE differences;
-- By parallel workers, too.
SELECT set_config(s.name, 'on', true) FROM pg_settings s WHERE s.name IN ('force_parallel_mode', 'debug_parallel_query');
TABLE differences;
SELECT set_config(s.name, 'off', true) FROM pg_settings s WHERE s.name IN ('force_parallel_mode', 'debug_parallel_query');
-- Only to who may read the ledger, the rollup and how far it is.
CREATE ROLE regress_blind;
GRANT USAGE ON SCHEMA llm_usage TO regress_blind;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA llm_usage TO regress_blind;
SAVEPOINT seeing;
SET ROLE regress_blind;
SELECT llm_usage.app_token_usage(7, '2025-04-30 21:30Z');
ROLLBACK TO seeing;
GRANT SELECT ON ALL TABLES IN SCHEMA llm_usage TO regress_blind;
REVOKE SELECT ON llm_usage._by_app_hour FROM regress_blind;
SET ROLE regress_blind;
SELECT llm_usage.app_token_usage(7, '2025-04-30 21:30Z');
ROLLBACK TO seeing;
GRANT SELECT ON ALL TABLES IN SCHEMA llm_usage TO regress_blind;
REVOKE SELECT ON llm_usage.usage_events FROM regress_blind;
SET ROLE regress_blind;
SELECT llm_usage.token_usage_for_app('2025-04-30', '2025-05-01', 7);
ROLLBACK TO seeing;
DROP OWNED BY regress_blind;
DROP ROLE regress_blind;
-- Without the index, and with one that has not every row.
DROP INDEX llm_usage.usage_events_default_app_id_occurred_at_idx;
CREATE INDEX ON llm_usage.usage_events_default (app_id, occurred_at) WHERE cost > 0;
TABLE differences;
-- Of a month that was dropped.
INSERT INTO llm_usage._dropped_months VALUES ('2025-05-01');
SAVEPOINT s;
SELECT llm_usage.app_token_usage(7, '2025-04-30 21:30Z', '2025-05-01 01:30Z');
ROLLBACK TO s;
SELECT * FROM llm_usage._loose_users('2025-04-30 21:30Z', '2025-05-01 01:30Z');
ROLLBACK TO s;
SELECT llm_usage.app_token_usage(7, '2025-04-30 21:30Z', '2025-05-01 01:00Z') #>> '{data,total,request_count}' AS read;
ROLLBACK;

-- In a partition of its own, moved there since, and in one that has lost its key.
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, rule_type, prompt_tokens, cost) VALUES ('2025-03-01Z', 7, 'm', 'pii', 10000, 0);
TABLE sums;
SELECT count(*) FROM llm_usage.maintain();
TABLE sums;
ALTER TABLE llm_usage.usage_events_2025_03 DROP CONSTRAINT usage_events_2025_03_pkey;
TABLE sums;
SELECT llm_usage.fold();
TABLE sums;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, rule_type, prompt_tokens, cost) VALUES ('2025-03-01Z', 7, 'm', 'pii', 100000, 0);
TABLE sums;

-- What is no ledger is not looked into.
CREATE TABLE other (id text PRIMARY KEY) PARTITION BY RANGE (id);
SELECT llm_usage._may_be_loose('other'::regclass, 0, NULL, NULL) AS other,
       llm_usage._may_be_loose('llm_usage.apps'::regclass, 0, NULL, NULL) AS apps;

-- Nothing was ever folded.
DELETE FROM llm_usage._fold_progress WHERE ledger = 'usage_events';
SELECT llm_usage._may_be_loose('llm_usage.usage_events'::regclass, NULL, NULL, NULL);
SELECT llm_usage._may_be_loose('llm_usage.sessions'::regclass, NULL, '2025-01-01Z', '2025-01-01 01:00Z') AS whole_hours,
       llm_usage._may_be_loose('llm_usage.sessions'::regclass, NULL, '2025-01-01Z', '2025-01-01 01:00:00.000001Z') AS part_of_an_hour;
