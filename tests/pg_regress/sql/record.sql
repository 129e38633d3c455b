-- Batches, responses, and what they return.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
SELECT r -> 'recorded' AS recorded, r -> 'errors' AS errors FROM llm_usage.record_usage_batch('[
  {"model": "gpt-4.1", "app_id": 50, "prompt_tokens": 100, "completion_tokens": 50, "occurred_at": "2025-06-01T12:00:00+02:00"},
  {"model": "gpt-4.1", "app_id": 50, "prompt_tokens": -1},
  {"model": "gpt-4.1", "app_id": 50, "cost": "0.10000000000000000001", "occurred_at": "2025-06-01"},
  7, {"app_id": 50}, {"model": "gpt-4.1", "occured_at": "2025-06-01"}, {"model": "gpt-4.1", "occurred_at": "01.06.2025"}]') r;
SELECT occurred_at, prompt_tokens, cost, currency, priced FROM llm_usage.usage_events WHERE app_id = 50 ORDER BY id;
SELECT llm_usage.record_usage_batch('[]');
-- Without an offset an instant is UTC, whatever the session's time zone.
SET TimeZone = 'Asia/Kathmandu';
SELECT r ->> 'recorded' AS recorded FROM llm_usage.record_usage_batch('[{"model": "m", "app_id": 51, "occurred_at": "2025-06-01 00:00", "cost": 0}]') r;
SELECT status FROM llm_usage.record_usage('m', app_id => 51, occurred_at => '1900-01-01 00:00:00Z', cost => 0);
RESET TimeZone;
SELECT occurred_at FROM llm_usage.usage_events WHERE app_id = 51 ORDER BY id;
-- Providers' responses: kinds disjoint, parts in their whole, each at its price.
CREATE FUNCTION pg_temp.record(app bigint, provider text, response jsonb) RETURNS TABLE (vendor text, model text, request_id text, prompt bigint, cache_read bigint, cache_write bigint, write_1h bigint, completion bigint, reasoning bigint, cost numeric) AS $$
  SELECT * FROM llm_usage.record_response($2, $3, app_id => $1, occurred_at => '2026-01-01Z');
  SELECT vendor, model, request_id, prompt_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, completion_tokens, reasoning_tokens, cost FROM llm_usage.usage_events WHERE app_id = $1;
$$ LANGUAGE sql;
SELECT * FROM pg_temp.record(52, 'openai', '{"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4.1-2025-04-14", "service_tier": "default", "usage": {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306, "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}}');
SELECT * FROM pg_temp.record(53, 'OpenAI', '{"id": "resp_1", "object": "response", "model": "o4-mini-2025-04-16", "usage": {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1610, "output_tokens_details": {"reasoning_tokens": 1344}, "total_tokens": 1938}}');
SELECT * FROM pg_temp.record(54, 'anthropic', '{"id": "msg_1", "type": "message", "model": "claude-sonnet-4-20250514", "usage": {"input_tokens": 4, "cache_read_input_tokens": 1163, "cache_creation_input_tokens": 3268, "cache_creation": {"ephemeral_5m_input_tokens": 9, "ephemeral_1h_input_tokens": 3259}, "output_tokens": 101, "service_tier": "standard"}}');
SELECT * FROM pg_temp.record(55, 'gemini', '{"responseId": "r1", "modelVersion": "gemini-2.5-flash", "usageMetadata": {"promptTokenCount": 1107, "cachedContentTokenCount": 1081, "candidatesTokenCount": 21, "thoughtsTokenCount": 41, "toolUsePromptTokenCount": 1171, "totalTokenCount": 2340}}');
-- What the caller knows better is laid over the response; null inside attrs stays.
SELECT status, cost, currency FROM llm_usage.record_response('openai', '{"model": "gpt-4.1", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}',
  app_id => 56, user_id => 5, model => 'mine', request_id => 'q', cost => 3, currency => 'EUR', attrs => '{"team": null}');
SELECT model, request_id, user_id, attrs, prompt_tokens, cost, currency FROM llm_usage.usage_events WHERE app_id = 56;

-- A retry with attributes deeper than a batch may have them is a duplicate, too.
SELECT status FROM llm_usage.record_usage('gpt-4.1', request_id => 'deep', attrs => (repeat('{"a":', 200) || '1' || repeat('}', 200))::jsonb);
SELECT status FROM llm_usage.record_usage('gpt-4.1', request_id => 'deep', attrs => (repeat('{"a":', 200) || '1' || repeat('}', 200))::jsonb);
-- The dearest event that can be computed is one that can be given.
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'dearest', '2025-01-01Z', 100000);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token, output_per_token, cache_read_per_token, cache_write_per_token)
VALUES ('v', 'dearest', '2025-01-01Z', 99999.99, 99999.99, 99999.99, 99999.99);
SELECT status, cost FROM llm_usage.record_usage('dearest', prompt_tokens => 2147483647, completion_tokens => 2147483647,
                                                cache_read_tokens => 2147483647, cache_write_tokens => 2147483647);
SELECT status FROM llm_usage.record_usage('m', cost => 858993372900654.12);

-- A number that no jsonb can hold is a bad element, and loses no other.
SELECT r -> 'recorded' AS recorded, r -> 'errors' -> 0 ->> 'index' AS failed
  FROM llm_usage.record_usage_batch('[{"model": "m", "attrs": {"a": 1e300}}]') r;
SELECT r -> 'recorded' AS recorded, e ->> 'index' AS failed, left(e ->> 'reason', 30) AS reason
  FROM llm_usage.record_response_batch('[
         {"provider": "openai", "response": {"id": "n1", "model": "gpt-4.1", "usage": {"prompt_tokens": 1}}},
         {"provider": "openai", "attrs": {"b": [1e200000]}, "response": {"id": "n2", "model": "gpt-4.1", "usage": {"prompt_tokens": 1}}},
         {"provider": "openai", "attrs": {"b": 1e-200000}, "response": {"id": "n3", "model": "gpt-4.1", "usage": {"prompt_tokens": 1}}}]') r,
       json_array_elements(r -> 'errors') e;

-- Costs that could never be added up again, nor taken back, are refused in corrections, too.
INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (99, 'm', 1) RETURNING id AS first \gset
INSERT INTO llm_usage.usage_events (app_id, model, corrects, cost) VALUES (99, 'm', :first, 9e131071);
INSERT INTO llm_usage.usage_events (app_id, model, corrects, cost) VALUES (99, 'm', :first, -1e30);
INSERT INTO llm_usage.usage_events (app_id, model, corrects, cost) VALUES (99, 'm', :first, 1e-61);
INSERT INTO llm_usage.usage_events (app_id, model, corrects, cost) VALUES (99, 'm', :first, -999999999999999999999999999999);
INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (99, 'm', 1e-61), (99, 'm', 1e-60);
SELECT count(*) FROM llm_usage.usage_events WHERE app_id = 99;

-- A message finds no session of a month that was dropped.
SELECT llm_usage.record_message(session_id => 987654322);

-- A number that was drawn in a transaction is of no use after it: the fold passes it.
SELECT status FROM llm_usage.record_usage('m', app_id => 98, request_id => 'k', cost => 1);
SELECT status FROM llm_usage.record_usage('m', app_id => 98, request_id => 'k', cost => 1);
SELECT llm_usage.fold() > 0 AS folded;
SELECT last_value AS drawn FROM llm_usage.usage_events_id_seq \gset
INSERT INTO llm_usage.usage_events (id, app_id, model, cost) OVERRIDING SYSTEM VALUE VALUES (:drawn, 98, 'm', 2) RETURNING id > :drawn AS renewed;
INSERT INTO llm_usage.usage_events (app_id, model, cost) SELECT 98, 'm', 1 / (x - x) FROM generate_series(1, 1) x;
SELECT llm_usage.fold() > 0 AS folded;
SELECT last_value AS drawn FROM llm_usage.usage_events_id_seq \gset
INSERT INTO llm_usage.usage_events (id, app_id, model, cost) OVERRIDING SYSTEM VALUE VALUES (:drawn, 98, 'm', 3) RETURNING id > :drawn AS renewed;
BEGIN;
SAVEPOINT s;
SELECT (llm_usage.record_usage('m', app_id => 98, request_id => 'k', cost => 1)).status FROM generate_series(1, 2);
ROLLBACK TO s;
SELECT last_value AS drawn FROM llm_usage.usage_events_id_seq \gset
INSERT INTO llm_usage.usage_events (id, app_id, model) OVERRIDING SYSTEM VALUE VALUES (:drawn - 1, 98, 'm');
ROLLBACK TO s;
INSERT INTO llm_usage.usage_events (id, app_id, model, prompt_tokens) OVERRIDING SYSTEM VALUE VALUES (:drawn, 98, 'gpt-4.1-2025-04-14', 4) RETURNING id > :drawn AS renewed, priced;
INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (98, 'm', 5), (98, 'm', 6);
COMMIT;
INSERT INTO llm_usage.sessions (app_id, started_at) SELECT 98, now() - interval '1 day' / (x - x) FROM generate_series(1, 1) x;
SELECT last_value AS drawn FROM llm_usage.sessions_id_seq \gset
INSERT INTO llm_usage.sessions (id, app_id) OVERRIDING SYSTEM VALUE VALUES (:drawn, 98) RETURNING id > :drawn AS renewed;
SELECT request_count FROM json_to_record(llm_usage.app_token_usage(98) -> 'data' -> 'total') AS t (request_count bigint);
SELECT llm_usage.fold() > 0 AS folded;
SELECT request_count FROM json_to_record(llm_usage.app_token_usage(98) -> 'data' -> 'total') AS t (request_count bigint);
SELECT count(*) FROM llm_usage.verify();

-- Nor is one that a statement drew and wrote nothing with; and each is good once.
COPY llm_usage.usage_events (model, app_id, prompt_tokens, cost) FROM stdin WHERE app_id <> 97;
m	96	10	1
m	97	50	1
\.
SELECT llm_usage.fold() > 0 AS folded;
SELECT last_value AS drawn FROM llm_usage.usage_events_id_seq \gset
INSERT INTO llm_usage.usage_events (id, app_id, model, prompt_tokens, cost) OVERRIDING SYSTEM VALUE VALUES (:drawn, 97, 'm', 50, 1) RETURNING id > :drawn AS renewed;
BEGIN;
SELECT status FROM llm_usage.record_usage('m', app_id => 98, request_id => 'k', cost => 1);
SELECT last_value AS drawn FROM llm_usage.usage_events_id_seq \gset
INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (97, 'm', 1) RETURNING id - :drawn AS next;
INSERT INTO llm_usage.usage_events (id, app_id, model, cost) OVERRIDING SYSTEM VALUE VALUES (:drawn, 97, 'm', 1) RETURNING id - :drawn AS same;
SAVEPOINT s;
INSERT INTO llm_usage.usage_events (id, app_id, model, cost) OVERRIDING SYSTEM VALUE VALUES (:drawn + 1, 97, 'm', 1);
ROLLBACK TO s;
COMMIT;

-- Triggers that record beside a row.
CREATE TABLE public.which (way text);
CREATE FUNCTION beside() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.app_id = 95 THEN
    CASE (SELECT w.way FROM public.which w)
      WHEN 'nothing' THEN PERFORM llm_usage.record_usage_batch('[]');
      WHEN 'function' THEN PERFORM llm_usage.record_usage('fee', app_id => 94, cost => 1);
      WHEN 'undone' THEN
        BEGIN
          PERFORM llm_usage.record_usage('fee', app_id => 94, cost => 1);
          RAISE EXCEPTION 'undone';
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
      WHEN 'refused' THEN
        BEGIN
          INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens) VALUES (94, 'fee', 1 / (NEW.app_id - 95));
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
      ELSE INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (94, 'fee', 1);
    END CASE;
  END IF;
  RETURN NEW;
END $$;
CREATE PROCEDURE record_beside(way text, place text) LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE public.which;
  INSERT INTO public.which VALUES (way);
  EXECUTE format('CREATE TRIGGER %I BEFORE INSERT ON llm_usage.usage_events FOR EACH ROW EXECUTE FUNCTION beside()', place);
  INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (95, 'm', 1);
  INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (95, 'm', 1), (95, 'm', 1);
  PERFORM llm_usage.record_usage('m', app_id => 95, cost => 1, request_id => way || place);
  PERFORM llm_usage.record_usage_batch(format('[{"model": "m", "app_id": 95, "cost": 1, "request_id": "1%s"}, {"model": "m", "app_id": 95, "cost": 1, "request_id": "2%1$s"}]', way || place)::jsonb);
  EXECUTE format('DROP TRIGGER %I ON llm_usage.usage_events', place);
END $$;
DO $$
DECLARE
  way text;
BEGIN
  FOREACH way IN ARRAY '{nothing,function,undone,refused,insert}'::text[] LOOP
    CALL record_beside(way, 'a_beside');
    CALL record_beside(way, 'z_beside');
  END LOOP;
END $$;
SELECT app_id, count(*), count(DISTINCT id) AS ids FROM llm_usage.usage_events WHERE app_id IN (94, 95) GROUP BY app_id ORDER BY app_id;
SELECT count(*) AS keys, count(e.id) AS events
  FROM llm_usage._request_keys k
  LEFT JOIN llm_usage.usage_events e ON e.id = k.event_id AND e.request_id = k.request_id
 WHERE k.app_id = 95;
SELECT llm_usage.fold() > 0 AS folded;
SELECT count(*) FROM llm_usage.verify();
SELECT count(*) - count(DISTINCT id) AS twice FROM llm_usage.usage_events;
-- A batch does not look for a key behind a new one, and finds it all the same.
SELECT status FROM llm_usage.record_usage('m', request_id => 'behind-2', prompt_tokens => 1);
SELECT r -> 'recorded' AS recorded, jsonb_path_query_array(r::jsonb, '$.known[*].index') AS known, jsonb_path_query_array(r::jsonb, '$.known[*].status') AS status
  FROM llm_usage.record_usage_batch('[{"model": "m", "request_id": "behind-1", "prompt_tokens": 1}, {"model": "m", "request_id": "behind-2", "prompt_tokens": 1},
    {"model": "m", "request_id": "behind-3", "prompt_tokens": 1}, {"model": "m", "request_id": "behind-3", "prompt_tokens": 1}]') r;
SELECT request_id, count(*) FROM llm_usage.usage_events WHERE request_id LIKE 'behind-%' GROUP BY 1 ORDER BY 1;
