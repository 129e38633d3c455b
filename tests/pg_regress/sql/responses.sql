-- Responses that tell of several requests, batches of responses, and spans.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
INSERT INTO llm_usage.model_prices (vendor, model, currency, valid_from, input_per_token, output_per_token) VALUES
  ('anthropic', 'executor-1', 'USD', '2020-01-01Z', 2, 10), ('anthropic', 'advisor-1', 'USD', '2020-01-01Z', 20, 100);

-- Each model is billed for its own part; a cost given for the response is counted once.
CREATE TEMP TABLE advised AS SELECT '{"id": "msg_1", "type": "message", "model": "executor-1", "usage": {"input_tokens": 30, "output_tokens": 5, "iterations": [
  {"type": "message", "input_tokens": 30, "output_tokens": 5}, {"type": "advisor_message", "model": "advisor-1", "input_tokens": 40, "output_tokens": 7}]}}'::jsonb AS response;
SELECT r.status, r.cost FROM advised, llm_usage.record_response('anthropic', response, app_id => 60, user_id => 4) r;
SELECT r.status, r.cost, r.currency FROM advised, llm_usage.record_response('anthropic', response, app_id => 60, model => 'mine', request_id => 'given', cost => 3, currency => 'EUR', inference_tokens => 9) r;
SELECT model, request_id, user_id, prompt_tokens, completion_tokens, inference_tokens, cost, currency, priced FROM llm_usage.usage_events WHERE app_id = 60 ORDER BY id;

-- What does not add up is kept, and so is what the provider says it cost, in its own currency or not at all.
SELECT r.cost, r.currency FROM llm_usage.record_response('vercel', '{"model": "google/gemini-2.5-flash", "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": 0.0000702, "completion_tokens_details": {"reasoning_tokens": 25}}}', app_id => 61) r;
SET llm_usage.default_currency = 'EUR';
SELECT r.cost, r.currency FROM llm_usage.record_response('openrouter', '{"model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": 1e-7}}', app_id => 61) r;
SELECT r.cost, r.currency FROM llm_usage.record_response('openrouter', '{"model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": 1e-7}}', app_id => 61, cost => 5) r;
SELECT r.cost, r.currency FROM llm_usage.record_response('openrouter', '{"model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": "free"}}', app_id => 61) r;
RESET llm_usage.default_currency;
SELECT model, prompt_tokens, completion_tokens, reasoning_tokens, unaccounted_tokens, cost, reported_cost, currency FROM llm_usage.usage_events WHERE app_id = 61 ORDER BY id;

-- A response that is recorded again is known by its own id, each of its events; another app's is another.
SELECT r.status, r.cost FROM advised, llm_usage.record_response('anthropic', response, app_id => 60) r;
SELECT r.status FROM advised, llm_usage.record_response('anthropic', response, app_id => 66) r;
SELECT r.status FROM advised, llm_usage.record_response('anthropic', response, app_id => 60, source => 'another gateway') r;
SELECT r -> 'recorded' AS recorded, r -> 'known' -> 0 ->> 'status' AS first, r -> 'known' -> 1 ->> 'status' AS second FROM advised,
  llm_usage.record_response_batch(json_build_array(json_build_object('provider', 'anthropic', 'app_id', 66, 'response', response))) r;

-- An aborted stream is what is known of it, until all of it is; the caller may know better.
SELECT status FROM llm_usage.record_response('anthropic', '[{"type": "message_start", "message": {"id": "msg_2", "model": "executor-1", "usage": {"input_tokens": 8, "output_tokens": 1}}}]', app_id => 62);
SELECT status FROM llm_usage.record_response('anthropic', '{"type": "message", "id": "msg_2", "model": "executor-1", "usage": {"input_tokens": 8, "output_tokens": 50}}', app_id => 62);
SELECT status FROM llm_usage.record_response('openai', '{"model": "house", "usage": {"prompt_tokens": 5}}', app_id => 62, vendor => 'acme', service_tier => 'gold', quality => 'estimated');
SELECT vendor, model, service_tier, quality, prompt_tokens, completion_tokens, requests FROM llm_usage.usage_events WHERE app_id = 62 ORDER BY id;

-- Many providers, apps and users in one statement; bad elements by index and reason.
SELECT r -> 'recorded' AS recorded, json_array_length(r -> 'ids') AS ids, e ->> 'index' AS index, e ->> 'reason' AS reason FROM llm_usage.record_response_batch('[
  {"provider": "openai", "app_id": 63, "user_id": 1, "occurred_at": "2026-01-01", "response": {"id": "c1", "model": "gpt-4.1", "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}}},
  {"provider": "gemini", "app_id": 63, "response": {"modelVersion": "gemini-2.5-flash", "usageMetadata": {"promptTokenCount": -1}}},
  {"provider": "anthropic", "app_id": 64, "request_id": "mine", "response": {"type": "message", "model": "executor-1", "usage": {"input_tokens": 1, "output_tokens": 1, "iterations": [{"type": "advisor_message", "model": "advisor-1", "input_tokens": 2}]}}},
  {"provider": "openai", "prompt_tokens": 5, "response": {}}, {"provider": "openai"}, {"response": {}}, {"provider": 5, "response": {}}, "openai",
  {"provider": "openai", "app_id": 63, "response": {"usage": {"prompt_tokens": 10}}}]') r, json_array_elements(r -> 'errors') e;
SELECT app_id, user_id, occurred_at = '2026-01-01Z' AS at_its_time, model, request_id, prompt_tokens FROM llm_usage.usage_events WHERE app_id IN (63, 64) ORDER BY id;
-- One element that cannot be read at all leaves the others: nested too deep, half a character, a character that no text holds.
SELECT r -> 'recorded' AS recorded, e ->> 'index' AS index, e ->> 'reason' AS reason FROM llm_usage.record_response_batch((
  '[' || repeat('[', 200) || repeat(']', 200) || ', {"provider": "openai", "response": {"model": "\ud83d", "usage": {"prompt_tokens": 1}}},
  {"provider": "openai", "response": {"model": "\u0000", "usage": {"prompt_tokens": 1}}}, {"provider": "openai", "attrs": {"a": "\u0000"}, "response": {"model": "m", "usage": {"prompt_tokens": 1}}},
  {"provider": "openai", "app_id": 67, "response": {"model": "m", "choices": ["\u0000"], "usage": {"prompt_tokens": 1}}}]')::json) r, json_array_elements(r -> 'errors') e;
SELECT r -> 'recorded' AS recorded, r -> 'errors' -> 0 ->> 'reason' AS reason FROM llm_usage.record_usage_batch(('[' || repeat('[', 200) || repeat(']', 200) || ', {"model": "m", "app_id": 67}]')::jsonb) r;
SELECT llm_usage.record_response_batch('[]');
SELECT llm_usage.record_response_batch(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_response_batch('{"provider": "openai"}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_response_batch('[{"provider": "openai", "response": {"model": "m", "usage": {"prompt_tokens": 1}}}, {"provider": "openai", "response": {}}]', all_or_nothing => true);

-- Spans: model calls once, with their own time, vendor and id. An agent's sums are no request, and a bad span is reported alone.
SELECT r -> 'recorded' AS recorded, e ->> 'index' AS index, e ->> 'reason' AS reason FROM llm_usage.record_spans('{"resourceSpans": [{"scopeSpans": [{"spans": [
  {"traceId": "t1", "spanId": "a", "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}}, {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "330"}}]},
  {"traceId": "t1", "spanId": "b", "parentSpanId": "a", "startTimeUnixNano": "1767225600123456789", "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
    {"key": "gen_ai.response.model", "value": {"stringValue": "gpt-4.1"}}, {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "300"}}, {"key": "gen_ai.usage.cache_read.input_tokens", "value": {"intValue": "200"}}, {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "10"}}]},
  {"traceId": "t1", "spanId": "c", "parentSpanId": "a", "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4.1"}}, {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "-3"}}]},
  {"traceId": "t1", "spanId": "d", "parentSpanId": "a", "attributes": {"openinference.span.kind": "LLM", "llm.model_name": "claude-sonnet-4-5", "llm.provider": "anthropic", "llm.token_count.prompt": 30, "llm.token_count.completion": 4}}]}]}]}',
  app_id => 65, user_id => 2, attrs => '{"team": "search"}') r, json_array_elements(r -> 'errors') e;
SELECT vendor, model, request_id, user_id, occurred_at < now() - interval '1 hour' AS at_its_time, prompt_tokens, cache_read_tokens, completion_tokens, attrs FROM llm_usage.usage_events WHERE app_id = 65 ORDER BY id;
SELECT occurred_at FROM llm_usage.usage_events WHERE app_id = 65 AND request_id = 't1-b';
SELECT status FROM llm_usage.record_response('opentelemetry', '{"attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1", "gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.completion_tokens": 1}}', app_id => 65);
-- A span that was exported twice, finished the second time, is one, and is not counted twice for the wrapper that repeats it.
SELECT r -> 'recorded' AS recorded FROM llm_usage.record_spans('[
  {"traceId": "t2", "spanId": "p", "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 300}},
  {"traceId": "t2", "spanId": "a", "parentSpanId": "p", "attributes": {}},
  {"traceId": "t2", "spanId": "a", "parentSpanId": "p", "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 90}},
  {"traceId": "t2", "spanId": "a", "parentSpanId": "p", "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 100}},
  {"traceId": "t2", "spanId": "a", "parentSpanId": "p", "attributes": {}},
  {"traceId": "t2", "spanId": "b", "parentSpanId": "p", "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 200}}]', app_id => 68) r;
SELECT request_id, prompt_tokens FROM llm_usage.usage_events WHERE app_id = 68 ORDER BY id;
SELECT e AS empty, llm_usage.record_spans(e::jsonb)::text FROM unnest('{"{\"resourceSpans\": []}", "{}", "{\"resourceSpans\": null}", "{\"resourceSpans\": [{}]}", "[]"}'::text[]) e;
SELECT llm_usage.record_spans('{"model": "m", "usage": {"prompt_tokens": 5}}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.record_spans('5');
SELECT llm_usage.record_spans('{"name": "a span without usage", "attributes": {}}');
SELECT llm_usage.record_response('otel', '{"name": "a span without usage", "attributes": {}}');
SELECT llm_usage.record_spans(NULL);
\echo :LAST_ERROR_SQLSTATE
