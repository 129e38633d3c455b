-- Append-only, partitioned, nothing refused for its date, nothing lost by maintenance.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
INSERT INTO llm_usage.usage_events (model, app_id, occurred_at, prompt_tokens, cost)
VALUES ('ledger', 20, '1999-12-31 23:59:59.999999Z', 1, 0), ('ledger', 20, '2000-01-01 00:00:00Z', 2, 0),
       ('ledger', 20, '0001-01-01 00:00:00Z', 4, 0), ('ledger', 20, '9999-12-31 23:59:59.999999Z', 8, 0),
       ('ledger', 20, '2000-01-31 23:59:59.999999Z', 16, 0), ('ledger', 20, '2000-02-01 00:00:00Z', 32, 0);
COPY llm_usage.usage_events (model, app_id, occurred_at, completion_tokens, cost) FROM stdin;
ledger	20	2000-01-15 12:00:00+05:45	64	0
\.
SELECT llm_usage.token_usage_for_app('-infinity', 'infinity', 20) AS before;
SELECT ledger, month, moved FROM llm_usage.maintain(0) WHERE ledger = 'usage_events' AND month IN ('0001-01-01', '1999-12-01', '2000-01-01', '2000-02-01', '9999-12-01');
SELECT ledger, month, moved FROM llm_usage.maintain(0);
SELECT llm_usage.token_usage_for_app('-infinity', 'infinity', 20) AS after;
SELECT tableoid::regclass, count(*), sum(prompt_tokens + completion_tokens) FROM llm_usage.usage_events WHERE model = 'ledger' GROUP BY 1 ORDER BY 1::text COLLATE "C";
SELECT llm_usage.token_usage_for_app('2000-01-01', '2000-01-31', 20);
SELECT llm_usage.token_usage_for_app('5874897-12-31', '5874897-12-31', 20);
SELECT llm_usage.token_usage_for_app('4713-01-01 BC', '0001-01-01 BC', 20);

UPDATE llm_usage.usage_events SET cost = 0 WHERE model = 'ledger';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM llm_usage.usage_events WHERE model = 'ledger';
DELETE FROM llm_usage.usage_events_2000_01;
TRUNCATE llm_usage.usage_events;
TRUNCATE llm_usage.usage_events_2000_01;
TRUNCATE llm_usage.usage_events_default;
UPDATE llm_usage.usage_events_2000_01 SET cost = 0;
SELECT llm_usage.record_session(20, 'c', '2000-01-01') > 0 AS id, llm_usage.record_message(20, sent_at => '2000-01-01') > 0 AS id;
DELETE FROM llm_usage.sessions;
TRUNCATE llm_usage.messages;

-- A correction takes back what it names, and is no request.
INSERT INTO llm_usage.usage_events (model, app_id, occurred_at, prompt_tokens, cost, corrects)
SELECT model, app_id, occurred_at, -prompt_tokens, -cost, id FROM llm_usage.usage_events WHERE model = 'ledger' AND prompt_tokens = 32;
SELECT llm_usage.app_token_usage(20, '2000-02-01', '2000-03-01');

-- Retention drops a month.
DROP TABLE llm_usage.usage_events_2000_02;
SELECT llm_usage.token_usage_for_app('2000-01-01', '2000-12-31', 20);

-- What a transaction has written it sees, and only it.
BEGIN;
SELECT status FROM llm_usage.record_usage('ledger', app_id => 21, prompt_tokens => 5, occurred_at => '2001-01-01', cost => 0);
SELECT llm_usage.token_usage_for_app('2001-01-01', '2001-01-01', 21);
ROLLBACK;
SELECT llm_usage.token_usage_for_app('2001-01-01', '2001-01-01', 21);
BEGIN READ ONLY;
SELECT llm_usage.token_usage_for_app('2000-01-01', '2000-01-01', 20);
SELECT json_array_length(llm_usage.budget_usage()) >= 0 AS answers, llm_usage.token_usage_grouped('1990-01-01', '1990-01-02'), llm_usage.app_usage(901) IS NOT NULL AS answers;
COMMIT;

-- However many rows a statement writes, it does not keep them in memory.
BEGIN;
SET LOCAL work_mem = '64kB';
INSERT INTO llm_usage.usage_events (model, app_id, cost, task_id)
SELECT 'ledger', 22, 0, CASE WHEN n = 200000 THEN
         (SELECT max(c.used_bytes) < 10000000 FROM pg_backend_memory_contexts c WHERE c.name = 'ExecutorState') END::text
  FROM generate_series(1, 200000) n;
SELECT task_id AS fits FROM llm_usage.usage_events WHERE app_id = 22 AND task_id IS NOT NULL;
ROLLBACK;

-- Whoever writes does not say what was computed.
INSERT INTO llm_usage.usage_events (model, app_id, prompt_tokens, cost, priced) VALUES ('gpt-4.1', 21, 1000, 5, true) RETURNING cost, priced;
INSERT INTO llm_usage.usage_events (model, app_id, prompt_tokens, priced) VALUES ('gpt-4.1', 21, 1000, false) RETURNING cost, priced;
-- Of one key the standing figure keeps what a better one does not say.
SELECT status FROM llm_usage.record_usage('gpt-4.1', app_id => 22, llm_id => 3, user_id => 5, vendor => 'openai', prompt_tokens => 1, attrs => '{"team": "x"}', request_id => 'ledger', quality => 'partial');
SELECT status FROM llm_usage.record_usage('gpt-4.1', app_id => 22, prompt_tokens => 1000, request_id => 'ledger');
SELECT status FROM llm_usage.record_usage('gpt-4.1', app_id => 22, prompt_tokens => 1000, request_id => 'ledger');
SELECT llm_id, user_id, vendor, attrs, quality, sum(prompt_tokens) AS prompt_tokens, sum(cost) AS cost
  FROM llm_usage.usage_events WHERE app_id = 22 GROUP BY 1, 2, 3, 4, 5 ORDER BY quality;
-- A currency that is none.
SET llm_usage.default_currency = usd;
SET llm_usage.default_currency = '';
SHOW llm_usage.default_currency;
