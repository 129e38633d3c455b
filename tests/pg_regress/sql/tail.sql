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
