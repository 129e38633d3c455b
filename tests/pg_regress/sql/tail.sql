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

-- One app's edges and tail are read by way of its index, and else asked for: the same. Half of this is folded.
BEGIN;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, cache_read_tokens, completion_tokens, cost, corrects, requests)
SELECT timestamptz '2025-04-30 22:00Z' + n * interval '97 seconds', 7 + n % 2, 'm' || n % 3, n, 2 * n, 3 * n, 0,
       CASE n % 10 WHEN 0 THEN 1 WHEN 1 THEN 1 END, CASE n % 10 WHEN 0 THEN -1 END
  FROM generate_series(1, 150) n;
SELECT llm_usage.fold(at_most => 75) > 0 AS folded;
CREATE VIEW differences AS
  SELECT count(*) AS ranges, sum(r.read) AS models, count(*) FILTER (WHERE r.read_sums IS DISTINCT FROM r.asked_sums) AS differences
    FROM (SELECT (SELECT count(*) FROM llm_usage._loose_app(7, f, t, p.folded_up_to)) AS read,
                 (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.model) FROM llm_usage._loose_app(7, f, t, p.folded_up_to) a) AS read_sums,
                 (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.model) FROM llm_usage._loose_app_models(7, f, t) a) AS asked_sums
            FROM (SELECT f FROM generate_series(timestamptz '2025-04-30 21:30Z', '2025-05-01 03:00Z', interval '23 minutes') f
                  UNION ALL VALUES (NULL), (timestamptz '-infinity')) f (f)
           CROSS JOIN (SELECT t FROM generate_series(timestamptz '2025-04-30 21:50Z', '2025-05-01 03:00Z', interval '31 minutes') t
                       UNION ALL VALUES (NULL), (timestamptz 'infinity')) t (t)
           CROSS JOIN (SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events') p) r;
TABLE differences;
SELECT count(*) AS of_no_app FROM llm_usage._loose_app(NULL, '2025-04-30 21:30Z', NULL, 0);
-- Only to who may read the ledger.
CREATE ROLE regress_blind;
GRANT USAGE ON SCHEMA llm_usage TO regress_blind;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA llm_usage TO regress_blind;
SAVEPOINT seeing;
SET ROLE regress_blind;
SELECT FROM llm_usage._loose_app(7, '2025-04-30 21:30Z', NULL, 0);
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
SELECT * FROM llm_usage._loose_app(7, '2025-04-30 21:30Z', '2025-05-01 01:30Z', 0);
ROLLBACK TO s;
SELECT count(*) > 0 AS read FROM llm_usage._loose_app(7, '2025-04-30 21:30Z', '2025-05-01 01:00Z', 0);
-- By whom the ledger is hidden from.
CREATE ROLE no_reader;
GRANT USAGE ON SCHEMA llm_usage TO no_reader;
GRANT EXECUTE ON FUNCTION llm_usage._loose_app, llm_usage._loose_app_models TO no_reader;
SET LOCAL ROLE no_reader;
SELECT * FROM llm_usage._loose_app(7, '2025-04-30 21:30Z', NULL, 0);
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
