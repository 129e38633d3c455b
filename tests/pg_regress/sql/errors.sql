-- Every bad argument: SQLSTATE, DETAIL and HINT.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set VERBOSITY default
\set SHOW_CONTEXT never
SET llm_usage.default_currency = 'USD';
\set ON_ERROR_STOP 0
SELECT llm_usage.token_usage_for_app(NULL, '2025-06-03', 7);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.token_usage_for_app('2025-06-01', NULL, 7);
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-03', NULL);
SELECT llm_usage.token_usage_for_app(NULL, NULL, NULL);
SELECT llm_usage.token_usage_grouped(group_by => '{rule_type,model}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.token_usage_grouped(group_by => '{NULL}');
SELECT llm_usage.token_usage_grouped(group_by => '{Task}');
SELECT llm_usage.app_usage(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.app_usage(7, group_by => 'hour');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.app_token_usage(NULL);
SELECT llm_usage.model_usage_statistics(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.model_usage_statistics('m', '2025-06-02', '2025-06-01');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.model_usage_statistics('m', '2025-06-01', '2025-06-01', 5);
SELECT llm_usage.model_usage_statistics('m', '2025-06-01', '2025-06-02', -1);
SELECT llm_usage.model_usage_statistics('m', '2025-06-01', '2025-06-02', 10001);
SELECT llm_usage.model_usage_statistics('m', '-infinity', '2025-06-02', 1);
SELECT llm_usage.model_usage_statistics('m', '2025-06-01', 'infinity');
SELECT llm_usage.model_usage_statistics('m', '1000-01-01', '2025-06-01');
SELECT llm_usage.model_usage_statistics('m', '0044-03-15 BC', '2025-06-01', 2);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.model_usage_statistics('m', NULL, '294276-12-31 23:59:59.999999Z', 0);
SELECT json_array_length(llm_usage.model_usage_statistics('m', '9999-12-31Z', '10000-01-01Z') -> 'data') AS days;
SELECT llm_usage.record_usage(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_usage('');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_usage('m', prompt_tokens => -1);
SELECT llm_usage.record_usage('m', completion_tokens => 2147483648);
SELECT llm_usage.record_usage('m', app_id => -7);
SELECT llm_usage.record_usage('m', cost => -0.01);
SELECT llm_usage.record_usage('m', cost => 'NaN');
SELECT llm_usage.record_usage('m', cost => 'Infinity');
SELECT llm_usage.record_usage('m', currency => 'usd');
SELECT llm_usage.record_usage('m', occurred_at => 'infinity');
SELECT llm_usage.record_usage('m', occurred_at => '0044-03-15 BC');
SELECT llm_usage.record_usage('m', occurred_at => '12025-06-01');
SELECT llm_usage.record_usage('m', task_id => repeat('t', 501));
SELECT llm_usage.record_usage('m', attrs => '[1]');
SELECT llm_usage.record_usage_batch(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_usage_batch('{"model": "m"}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_usage_batch('[{"model": "m"}, {"model": "m", "tokens": 5}]', all_or_nothing => true);
SELECT llm_usage.record_response('openai', NULL);
SELECT llm_usage.record_response(NULL, '{}');
SELECT llm_usage.record_response('acme', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_response('openai', '{"model": "gpt-4.1", "choices": []}');
SELECT llm_usage.record_response('anthropic', '[]');
SELECT llm_usage.record_response('gemini', '5');
SELECT llm_usage.record_response('openai', '{"usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}');
SELECT llm_usage.record_response('openai', '{"model": "m", "usage": {"prompt_tokens": -5, "completion_tokens": 1}}');
SELECT llm_usage.record_response('openai', (repeat('[', 200) || repeat(']', 200))::jsonb);
SELECT llm_usage.record_session(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_session(1, '');
SELECT llm_usage.record_message(session_id => 987654321);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_message(app_id => -1);
SELECT llm_usage.import_prices(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.import_prices('[]');
SELECT llm_usage.import_prices('{}', 'infinity');
SELECT llm_usage.maintain(-1);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO llm_usage.usage_events (model, prompt_tokens) VALUES ('m', -1);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO llm_usage.usage_events (model, cost) VALUES ('m', 'NaN');
INSERT INTO llm_usage.usage_events (model, cost) VALUES ('m', 1e15);
INSERT INTO llm_usage.usage_events (model, cost) VALUES ('m', -1);
INSERT INTO llm_usage.usage_events (model, occurred_at) VALUES ('m', 'infinity');
INSERT INTO llm_usage.usage_events (model, user_id) VALUES ('m', -1);
\set VERBOSITY terse
INSERT INTO llm_usage.usage_events (model) VALUES (NULL);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
INSERT INTO llm_usage.usage_events (model) VALUES ('');
INSERT INTO llm_usage.usage_events (id, model) VALUES (5, 'm');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO llm_usage.usage_events (model, corrects, prompt_tokens, cost) VALUES ('m', 1, -2147483648, 0);
INSERT INTO llm_usage.usage_events (model, requests) VALUES ('m', 0);
INSERT INTO llm_usage.usage_events (model, corrects, requests) VALUES ('m', 1, -2);
INSERT INTO llm_usage.usage_events (model, quality) VALUES ('m', 'guessed');
INSERT INTO llm_usage.usage_events (model, reported_cost) VALUES ('m', -0.5);
INSERT INTO llm_usage.usage_events (model, unaccounted_tokens) VALUES ('m', -2147483648);
-- An id that the table did not give, also one that is ahead of those it gave: it would be given twice; or none.
INSERT INTO llm_usage.usage_events_default (id, occurred_at, model) OVERRIDING SYSTEM VALUE VALUES (NULL, '1990-01-01Z', 'm');
INSERT INTO llm_usage.usage_events (id, model) OVERRIDING SYSTEM VALUE VALUES (-3, 'm');
INSERT INTO llm_usage.usage_events (model) SELECT 'm' FROM generate_series(1, 3);
COPY llm_usage.usage_events (id, model, app_id) FROM stdin;
1	m	5
\.
INSERT INTO llm_usage.usage_events (id, model) OVERRIDING SYSTEM VALUE VALUES (1000000, 'm');
-- None of these was recorded.
SELECT count(*) FROM llm_usage.usage_events WHERE model IN ('m', '');
