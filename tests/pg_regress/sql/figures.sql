-- The figures that the contract gives for a first check.
INSERT INTO llm_usage.users (id, email) VALUES (3, 'dev@example.com');
INSERT INTO llm_usage.apps (id, name, owner_id) VALUES (7, 'Seven', 3);
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 100);
SELECT status, cost, currency FROM llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 100, completion_tokens => 50,
  occurred_at => '2025-06-01 23:59:59.999999Z', cost => 0.0006);
SELECT status, cost, currency FROM llm_usage.record_usage('claude-sonnet-4-20250514', app_id => 7, prompt_tokens => 10,
  cache_read_tokens => 5, completion_tokens => 3, occurred_at => '2025-06-02 00:00:00Z', cost => 0.000081);
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-03', 7);
SELECT llm_usage.app_token_usage(7);
SELECT llm_usage.budget_usage('2025-06-01', '2025-06-30');

-- The same instants and the same digits, wherever the session is and however it writes dates.
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'German';
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-03', 7);
SELECT llm_usage.model_usage_statistics('gpt-4.1', '2025-06-01T00:00:00Z', '2025-06-03T00:00:00Z');
SET TimeZone = 'America/St_Johns';
SET DateStyle = 'SQL, DMY';
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-03', 7);
SELECT llm_usage.app_token_usage(7, '2025-06-02T00:00:00Z');
SELECT llm_usage.app_token_usage(7, started_before => '2025-06-02T00:00:00Z');
SELECT llm_usage.budget_usage('2025-06-02', '2025-06-30');
RESET TimeZone;
RESET DateStyle;

-- Whatever the search_path holds.
CREATE SCHEMA evil;
CREATE FUNCTION evil.to_char(timestamp, text) RETURNS text LANGUAGE sql RETURN 'evil';
CREATE FUNCTION evil.date_trunc(text, timestamp) RETURNS timestamp LANGUAGE sql RETURN NULL::timestamp;
CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE sql RETURN false;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.same);
CREATE DOMAIN evil.text AS integer;
SET search_path = evil, pg_catalog;
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-03', 7);
SELECT llm_usage.app_token_usage(7) -> 'data' -> 'total' AS total;
SELECT llm_usage.budget_usage('2025-06-01', '2025-06-30') -> 0 -> 'total_cost' AS total_cost;
INSERT INTO llm_usage.usage_events (app_id, model, occurred_at, prompt_tokens) VALUES (8, 'gpt-4.1', '2025-06-01Z', 100) RETURNING cost;
SELECT cost FROM llm_usage.record_usage('gpt-4.1', app_id => 8, prompt_tokens => 100, occurred_at => '2025-06-01Z');
RESET search_path;
-- Half-open to the microsecond.
SELECT llm_usage.app_token_usage(7, '2025-06-01T23:59:59.999999Z', '2025-06-02T00:00:00Z') -> 'data' -> 'total' ->> 'total_tokens' AS total;
SELECT llm_usage.app_token_usage(7, '2025-06-01T00:00:00Z', '2025-06-01T23:59:59.999999Z') -> 'data' -> 'total' ->> 'total_tokens' AS total;
SELECT llm_usage.app_token_usage(7, '2025-06-02T00:00:00Z', '2025-06-02T00:00:00.000001Z') -> 'data' -> 'total' ->> 'total_tokens' AS total;
