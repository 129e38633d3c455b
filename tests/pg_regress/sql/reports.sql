-- What each report counts, orders and leaves out.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
INSERT INTO llm_usage.apps (id, slug, name, owner_id) VALUES (40, 'forty', 'Forty', 99);
INSERT INTO llm_usage.llms (id, name, vendor) VALUES (41, 'Big one', 'acme');
INSERT INTO llm_usage.usage_events (app_id, llm_id, user_id, model, occurred_at, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, cost, currency)
VALUES (40, 41, 1, 'b', '2025-03-01Z', 1, 20, 300, 4000, 4000, 0.1, 'USD'),
       (40, 42, 2, 'a', '2025-03-02Z', 321, 0, 0, 4000, 0, 0.2, 'USD'),
       (40, 0, NULL, 'Z', '2025-03-03Z', 321, 0, 0, 4000, 0, 0.4, 'EUR'),
       (0, 41, 1, 'b', '2025-03-03Z', 7, 0, 0, 0, 0, 1.6, 'USD');
INSERT INTO llm_usage.usage_events (app_id, model, occurred_at, prompt_tokens) VALUES (40, 'unknown', '2025-03-03Z', 5);
-- Ties of tokens are ordered by the bytes of the model; app 0 answers for the events without one.
SELECT llm_usage.app_token_usage(40);
SELECT llm_usage.app_token_usage(0, '2025-03-01', '2025-03-31');
-- Budgets: euros are not added to dollars; names of the unregistered and the nameless; app 0 and LLM 0 make no row.
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount, currency, start_date) VALUES ('LLM', 43, 0, 'EUR', '2031-01-31'), ('App', 40, 30, 'USD', '2020-05-15');
INSERT INTO llm_usage.apps (id) VALUES (43);
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 43, 1.50);
SELECT e FROM json_array_elements(llm_usage.budget_usage('2025-03-01', '2025-03-31')) e WHERE (e ->> 'entity_id')::int BETWEEN 40 AND 43;
SET llm_usage.default_currency = 'EUR';
SELECT e FROM json_array_elements(llm_usage.budget_usage('2025-03-03', '2025-03-03')) e WHERE e ->> 'entity_id' IN ('40', '41');
RESET llm_usage.default_currency;
-- A period starts on the anchor's day, in a shorter month on its last: 31 January to 28 February, leap years too.
SELECT today, period_start, period_end FROM (VALUES (date '2025-01-30'), ('2025-01-31'), ('2025-02-27'), ('2025-02-28'), ('2025-03-30'), ('2025-03-31'), ('2024-02-28'), ('2024-02-29'), ('2024-04-30'), ('2024-12-31')) d (today),
  LATERAL (SELECT period_start, period_end FROM llm_usage.budget_activity(d.today, d.today, d.today) WHERE entity_type = 'LLM' AND entity_id = 43) b;
SELECT spent, trim_scale(total_cost) AS total_cost, total_tokens FROM llm_usage.budget_activity('2025-03-14', '2025-03-02', '2025-03-04') WHERE (entity_type, entity_id) = ('App', 40);
SELECT spent FROM llm_usage.budget_activity('2025-03-15', '2025-03-02', '2025-03-04') WHERE (entity_type, entity_id) = ('App', 40);
SELECT spent FROM llm_usage.budget_activity('2025-02-14', '2025-03-02', '2025-03-04') WHERE (entity_type, entity_id) = ('App', 40);
-- Evaluations, by either scope or both; repeats and order do not matter, an empty array is the default.
INSERT INTO llm_usage.usage_events (model, occurred_at, rule_type, task_id, inference_tokens, prompt_tokens, cache_read_tokens, completion_tokens, cost)
VALUES ('judge', '2025-04-01Z', 'PII', 't2', 100, 10, 1, 5, 0), ('judge', '2025-04-01Z', 'PII', NULL, 200, 20, 2, 6, 0),
       ('judge', '2025-04-01Z', 'Toxicity', 't1', 300, 30, 3, 7, 0), ('judge', '2025-04-02Z', 'late', 't1', 400, 40, 4, 8, 0),
       ('judge', '2025-04-01Z', NULL, 't1', 0, 1000, 0, 1000, 0), ('judge', '2025-04-01Z', 'ä', 't1', 1, 1, 0, 1, 0);
SELECT llm_usage.token_usage_grouped('2025-04-01', '2025-04-02');
SELECT llm_usage.token_usage_grouped('2025-04-01', '2025-04-02', '{}')::text = llm_usage.token_usage_grouped('2025-04-01', '2025-04-02', NULL)::text AS same;
SELECT llm_usage.token_usage_grouped('2025-04-01', '2025-04-02', '{task}');
SELECT llm_usage.token_usage_grouped('2025-04-01', '2025-04-02', '{task,rule_type,task}');
SELECT llm_usage.token_usage_grouped('2025-04-01', 'infinity', '{task}');
-- Sessions: consumers are distinct over the whole range, weeks begin on Monday, a session without a consumer counts as one.
SELECT count(llm_usage.record_session(44, c, t::timestamptz)) FROM (VALUES ('x', '2025-06-01 23:59:59.999999Z'), ('x', '2025-06-02Z'), ('y', '2025-06-08Z'), (NULL, '2025-06-09Z')) s (c, t);
SELECT count(llm_usage.record_message(44, NULL, t::timestamptz)) FROM (VALUES ('2025-06-02Z'), ('2025-06-02 12:00Z'), ('2025-07-01Z')) m (t);
SELECT llm_usage.app_usage(44);
SELECT llm_usage.app_usage(44, group_by => 'week');
SELECT llm_usage.app_usage(44, '2025-06-02', '2025-06-09', 'month');
SELECT llm_usage.app_usage(44, '-infinity', 'infinity', NULL)::text = llm_usage.app_usage(44)::text AS same;
-- A message belongs to the app of its session.
SELECT llm_usage.record_message(session_id => (SELECT min(id) FROM llm_usage.sessions WHERE app_id = 44), sent_at => '2025-08-01Z') > 0 AS recorded;
SELECT llm_usage.app_usage(44, '2025-08-01', '2025-08-02') -> 'data' -> 'summary';
-- Chunks tile the range to the microsecond; days start at the start and then at midnight.
INSERT INTO llm_usage.usage_events (model, occurred_at, prompt_tokens, completion_tokens, cost)
SELECT 'chunky', '2025-05-01Z'::timestamptz + n * interval '1 microsecond', 1, 10 * n, 0 FROM generate_series(0, 9) n;
SELECT llm_usage.model_usage_statistics('chunky', '2025-05-01T00:00:00Z', '2025-05-01T00:00:00.00001Z', 3);
SELECT llm_usage.model_usage_statistics('chunky', '2025-05-01T00:00:00Z', '2025-05-01T00:00:00.000003Z', 5);
SELECT llm_usage.model_usage_statistics('chunky', '2025-04-30T12:00:00.5Z', '2025-05-02T00:00:00Z', 0);
SELECT llm_usage.model_usage_statistics('chunky', NULL, '2025-05-01T00:00:00Z') -> 'start_date' AS thirty_days_before;
SELECT json_array_length(llm_usage.model_usage_statistics('chunky', chunks => 10000) -> 'data') AS parts;
-- The views.
SELECT day, app, currency, requests, unpriced_requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 40 ORDER BY day, currency;
SELECT day, currency, requests, total_tokens, cost FROM llm_usage.usage_by_day WHERE day BETWEEN '2025-03-01' AND '2025-03-03' ORDER BY day, currency;
SELECT day, user_id, requests, total_tokens, cost FROM llm_usage.usage_by_user WHERE day BETWEEN '2025-03-01' AND '2025-03-03' AND user_id IS NOT NULL ORDER BY day;
SELECT day, model, requests, input_tokens, completion_tokens, cost FROM llm_usage.usage_by_model WHERE day = '2025-03-03' ORDER BY model COLLATE "C", currency;
SELECT entity_type, entity_id, budget, currency, usage FROM llm_usage.budget_status WHERE entity_id IN (40, 43) ORDER BY entity_type;

-- Two calls in one statement have one answer, also where the transaction has written, and it leaves out what the statement writes.
BEGIN;
SELECT pg_current_xact_id() IS NOT NULL AS has_written;
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost)
SELECT 44, 'm', 1 + (llm_usage.app_token_usage(44 + 0 * g) -> 'data' -> 'total' ->> 'total_tokens')::integer, 0
  FROM generate_series(1, 3) g
RETURNING prompt_tokens;
SELECT llm_usage.app_token_usage(44) -> 'data' -> 'total' ->> 'total_tokens' AS written_before;
ROLLBACK;

-- Parts of a model's usage, by an array that is not counted from 1, and where there is nothing to be counted.
SELECT part, input_tokens FROM llm_usage.model_activity_between('a', '[0:1]={2025-03-01Z,2025-03-03Z}', '2025-04-01Z');
SELECT part, input_tokens FROM llm_usage.model_activity_between('a', '[7:8]={2025-03-01Z,2025-03-02Z}', '2025-04-01Z');
-- What would start behind the end is empty.
BEGIN;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens)
SELECT t, 45, 'clipped', 1 FROM generate_series(timestamptz '2026-01-01Z', '2026-03-01Z', interval '6 hours') t;
SELECT llm_usage.fold() > 0 AS folded;
SELECT part, requests FROM llm_usage.model_activity_between('clipped', '{2026-01-03 06:00Z,2026-01-29Z}', '2026-01-14 06:00Z');
SELECT count(*) AS clipped FROM llm_usage.usage_events WHERE model = 'clipped' AND occurred_at >= '2026-01-03 06:00Z' AND occurred_at < '2026-01-14 06:00Z';
SELECT part, requests FROM llm_usage.model_activity_between('clipped', '{2026-01-02 06:00Z,2026-02-13 12:30Z,2026-02-23 06:30Z}', '2026-01-26 12:30Z');
SELECT part, requests FROM llm_usage.model_activity_between('clipped', '{2026-01-20Z,2026-02-10Z}', '2026-01-01Z');
ROLLBACK;
SELECT * FROM llm_usage.model_activity_between('nobody', '{2025-03-01Z,NULL}', '2025-04-01Z');
SELECT * FROM llm_usage.model_activity_between('nobody', '{2025-03-01Z}', NULL);
-- Budgets between any days are what the sums of each day say, of what was taken back and of what is dated ahead, too.
BEGIN;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, llm_id, model, prompt_tokens, cost, currency)
SELECT date_trunc('day', now()) + n * interval '13 hours', CASE WHEN n % 2 = 0 AND n < -60 THEN 80 ELSE 60 + (n + 90) % 3 + (n + 90) % 5 / 4 * 10 END, 60 + n % 2, 'days', n + 100, (n + 100) * 0.01, CASE WHEN n % 7 = 0 THEN 'EUR' ELSE 'USD' END
  FROM generate_series(-90, 20) n;
SELECT count(llm_usage.void_usage(e.id, 'taken back')) AS taken_back FROM llm_usage.usage_events e WHERE e.model = 'days' AND e.app_id >= 70;
SELECT llm_usage.fold() > 0 AS folded;
SELECT count(*) AS ranges, count(*) FILTER (WHERE asked.answer IS DISTINCT FROM plain.answer) AS differ,
       bool_or(asked.answer::text LIKE '%["App", 80, "0", "0", %') AS of_nothing
  FROM (SELECT now()::date + f AS first, now()::date + f + w AS last FROM generate_series(-46, 8, 2) f, unnest('{0, 1, 2, 5, 12, 16, 24, 29, 30, 31, 45, 64}'::int[]) w) r
 CROSS JOIN LATERAL (
   SELECT jsonb_agg(jsonb_build_array(b -> 'entity_type', b -> 'entity_id', b ->> 'total_tokens', b ->> 'total_cost', b ->> 'spent')) AS answer
     FROM json_array_elements(llm_usage.budget_usage(r.first, r.last)) b) asked
 CROSS JOIN LATERAL (
   SELECT jsonb_agg(jsonb_build_array(b.entity_type, b.entity_id, b.total_tokens::text, trim_scale(b.total_cost)::text, trim_scale(b.spent)::text)
                    ORDER BY b.entity_type = 'App', b.entity_id) AS answer
     FROM llm_usage.budget_activity((now() AT TIME ZONE 'UTC')::date, r.first, r.last + 1) b) plain;
ROLLBACK;
