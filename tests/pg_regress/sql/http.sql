-- llm_usage_http, called as PostgREST calls it: every argument is text, and a refusal is a body with a status beside it.
SET TimeZone = 'America/St_Johns';
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
INSERT INTO llm_usage.apps (id, slug) VALUES (7, 'helpdesk');
SELECT status FROM llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 100, completion_tokens => 50, cost => 0.0006,
  occurred_at => '2025-06-01T23:59:59.999999Z', rule_type => 'PII', task_id => 't', inference_tokens => 30);

SELECT llm_usage_http.token_usage_for_app('2025-06-01', '2025-06-03', '7');
SELECT llm_usage_http.budget_usage('2025-06-01', '2025-06-01');
SELECT llm_usage_http.token_usage_grouped('2025-06-01T00:00:00Z', '2025-06-02T00:00:00Z', 'task', 'rule_type');
SELECT llm_usage_http.token_usage_grouped('2025-06-01', '2025-06-02', VARIADIC '{}');
SELECT llm_usage_http.token_usage_grouped();
-- As a configuration that puts every scalar first sends it.
SELECT llm_usage_http.token_usage_grouped('', '', '', 'task');
-- A + that was not encoded is a blank.
SELECT llm_usage_http.token_usage_grouped('2025-06-02T01:29:59 02:00', '2025-06-02T02:00:00 0200', 'rule_type');
SELECT llm_usage_http.app_usage('helpdesk', '2025-06-01', NULL, 'month');
SELECT llm_usage_http.app_token_usage('7', '2025-06-01T23:59:59.999999Z', '2025-06-02T00:00:00Z');
SELECT llm_usage_http.model_usage_statistics('gpt-4.1', '2025-06-01', '2025-06-02', 'null');
SELECT llm_usage_http.model_usage_statistics('gpt-4.1', '2025-06-01', '2025-06-02', '2');

CREATE FUNCTION pg_temp.refused(call text) RETURNS TABLE (status text, body json) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('response.status', '', true);
  EXECUTE 'SELECT llm_usage_http.' || call INTO body;
  status := current_setting('response.status');
  RETURN NEXT;
END $$;
SELECT c.call, r.status, r.body FROM unnest(ARRAY[
  $$token_usage_for_app()$$,
  $$token_usage_for_app('2025-06-01')$$,
  $$token_usage_for_app('2025-06-01', '2025-06-01T00:00:00Z', 'x')$$,
  $$token_usage_for_app('2025-06-01', '2025-06-03', '-7')$$,
  $$token_usage_for_app('2025-06-01', '2025-06-03', '9223372036854775808')$$,
  $$token_usage_for_app('2025-06-03', '2025-06-01', '9223372036854775807')$$,
  $$budget_usage('June')$$,
  $$budget_usage(NULL, '2025-02-30')$$,
  $$token_usage_grouped('2025-06-01', 'soon')$$,
  $$token_usage_grouped(NULL, NULL, 'rule_type', 'user')$$,
  $$app_usage()$$,
  $$app_usage('8')$$,
  $$app_usage('7', NULL, NULL, 'year')$$,
  $$app_token_usage('7', 'soon')$$,
  $$app_token_usage('0')$$,
  $$model_usage_statistics()$$,
  $$model_usage_statistics('m', NULL, NULL, '1e3')$$,
  $$model_usage_statistics('m', '2025-06-02', '2025-06-02', '0')$$]) c (call), pg_temp.refused(c.call) r;

-- The request's own URI, which nginx passes in a header.
SELECT set_config('request.headers', '{"x-original-uri": "/v4/models/a%2Fb+c%20d/usage-statistics?chunks=1&start_date=2025-06-01&end_date=2025-06-02"}', false) <> '' AS set;
SELECT status FROM llm_usage.record_usage('a/b+c d', prompt_tokens => 5, occurred_at => '2025-06-01Z');
SELECT llm_usage_http.model_usage_statistics();
SELECT set_config('request.headers', '', false) = '' AS unset;

-- What a role is told that may not ask.
CREATE ROLE regress_stranger;
SELECT llm_usage.grant_access('regress_stranger', 'anonymous');
SET ROLE regress_stranger;
SELECT * FROM pg_temp.refused('budget_usage()');
\set ON_ERROR_STOP off
SELECT * FROM llm_usage.usage_by_day;
SELECT llm_usage.budget_usage();
SELECT llm_usage_http.record_usage('{"model": "gpt-4.1"}');
SELECT * FROM llm_usage.api_keys;
RESET ROLE;
SELECT llm_usage.revoke_access('regress_stranger', 'anonymous');
SELECT llm_usage.grant_access('regress_stranger', 'owner');
SELECT llm_usage.grant_access('nobody''s', 'reader');
SELECT llm_usage.create_api_key('nobody');
DROP ROLE regress_stranger;
