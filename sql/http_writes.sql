-- A function of llm_usage, called with the arguments that a JSON object holds by name; what is null is left to its default.
CREATE FUNCTION llm_usage._call_with(function text, arguments json) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET TimeZone = 'UTC'
AS $$
DECLARE
  names  text[];
  ledger text := CASE function WHEN 'record_usage' THEN 'usage_events' WHEN 'record_session' THEN 'sessions' WHEN 'record_message' THEN 'messages' END;
  wrong  record;
  call   text;
  shape  text;
  answer json;
BEGIN
  IF json_typeof(arguments) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'the body must be a JSON object, not %', coalesce(json_typeof(arguments), 'empty')
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('Its keys are the arguments of llm_usage.%s().', function),
            HINT = 'Send for example {"model": "gpt-4.1", "prompt_tokens": 10}.';
  END IF;
  -- Those without a default come first.
  SELECT array_agg(a.name ORDER BY a.ordinality),
         string_agg(format(CASE WHEN a.type IN ('json'::regtype, 'jsonb'::regtype) THEN '%1$I => ($1 -> %1$L)::%2$s' ELSE '%1$I => ($1 ->> %1$L)::%2$s' END,
                           a.name, a.type::regtype), ', ')
           FILTER (WHERE a.ordinality <= p.pronargs - p.pronargdefaults OR arguments ->> a.name IS NOT NULL),
         CASE WHEN bool_and(p.proretset) THEN 'json_agg(answer)' WHEN bool_and(p.prorettype = 'void'::regtype) THEN '''{}''::json'
              ELSE 'to_json(answer)' END
    INTO STRICT names, call, shape
    FROM pg_proc p, unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY a (name, type, ordinality)
   WHERE p.pronamespace = 'llm_usage'::regnamespace AND p.proname = function;
  SELECT min(k.key) AS key INTO wrong FROM json_object_keys(arguments) k (key) WHERE k.key <> ALL (names);
  IF wrong.key IS NOT NULL THEN
    RAISE EXCEPTION 'unknown key: %', left(wrong.key, 100)
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('The keys are the arguments of llm_usage.%s().', function),
            HINT = format('Use one of: %s.', array_to_string(names, ', '));
  END IF;
  -- A row of a ledger is what it would be in a batch.
  IF ledger IS NOT NULL THEN
    arguments := llm_usage._checked_row(ledger, arguments::text)::jsonb;
  END IF;
  SELECT a.name, e.expected INTO wrong
    FROM pg_proc p, unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) a (name, type)
    JOIN (VALUES ('text'::regtype, 'a string', 'string', ''),
                 ('interval'::regtype, 'a string', 'string', ''),
                 ('timestamptz'::regtype, 'an ISO 8601 instant, such as 2025-06-01T23:59:59.999999Z', 'string',
                  '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:]+([.][0-9]{1,6})?([Zz]|[+-][0-9:]+)?)?$'),
                 ('boolean'::regtype, 'true or false', 'boolean', ''),
                 -- An id beyond 2^53 comes as a string, since JavaScript has no such numbers.
                 ('integer'::regtype, 'a whole number', NULL, '^-?[0-9]{1,19}$'),
                 ('bigint'::regtype, 'a whole number', NULL, '^-?[0-9]{1,19}$'),
                 ('numeric'::regtype, 'a number', NULL, '^-?[0-9]{1,30}([.][0-9]{1,60})?([Ee][+-]?[0-9]{1,2})?$'))
         e (type, expected, json_type, pattern) ON e.type = a.type
   WHERE p.pronamespace = 'llm_usage'::regnamespace AND p.proname = function
     AND arguments ->> a.name IS NOT NULL
     AND NOT (json_typeof(arguments -> a.name) = coalesce(e.json_type, json_typeof(arguments -> a.name)) AND arguments ->> a.name ~ e.pattern)
   ORDER BY a.name
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'invalid %: %', wrong.name, left(arguments ->> wrong.name, 100)
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('Expected %s.', wrong.expected),
            HINT = format('See llm_usage.%s().', function);
  END IF;
  EXECUTE format('SELECT %s FROM llm_usage.%I(%s) AS answer', shape, function, call) INTO STRICT answer USING arguments;
  RETURN answer;
END $$;

-- What PostgREST answers with 401 and 403. Functions that a gateway calls besides: those of budgets.
CREATE FUNCTION llm_usage._record_with(function text, arguments json) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  denied text := llm_usage._denied(function);
  detail text;
  hint   text;
BEGIN
  IF denied IS NOT NULL THEN
    RAISE EXCEPTION '%', CASE denied WHEN 'forbidden' THEN 'the API key''s role may not record' ELSE 'missing or invalid API key' END
      USING ERRCODE = CASE denied WHEN 'forbidden' THEN 'PT403' ELSE 'PT401' END,
            DETAIL = 'To record takes a key of a role with the access writer.',
            HINT = 'Send it as Authorization: Bearer … or X-Api-Key: …; create_api_key() makes one.';
  END IF;
  RETURN llm_usage._call_with(function, arguments);
EXCEPTION WHEN insufficient_privilege THEN
  -- PostgREST takes it for 401, knowing nothing of the key.
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RAISE EXCEPTION '%', SQLERRM USING ERRCODE = 'PT403', DETAIL = detail, HINT = hint;
END $$;

CREATE FUNCTION llm_usage_http.record_usage(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('record_usage', $1);
COMMENT ON FUNCTION llm_usage_http.record_usage(json) IS
  'POST: records one event. The body is an object of the arguments of llm_usage.record_usage(), the answer its row as an object. Errors: those of the function, as {"code", "message", "details", "hint"} with 400; 401 or 403 without the right to record.';
CREATE FUNCTION llm_usage_http.record_usage_batch(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('record_usage_batch', $1);
COMMENT ON FUNCTION llm_usage_http.record_usage_batch(json) IS
  'POST: records many events. The body is an object of the arguments of llm_usage.record_usage_batch(), the answer its document. Errors: as record_usage().';
CREATE FUNCTION llm_usage_http.record_response(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('record_response', $1);
COMMENT ON FUNCTION llm_usage_http.record_response(json) IS
  'POST: records the usage that a provider''s response reports. The body is an object of the arguments of llm_usage.record_response(), the answer an array of its rows. Errors: as record_usage().';
CREATE FUNCTION llm_usage_http.record_response_batch(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('record_response_batch', $1);
COMMENT ON FUNCTION llm_usage_http.record_response_batch(json) IS
  'POST: records the usage that many responses report. The body is an object of the arguments of llm_usage.record_response_batch(), the answer its document. Errors: as record_usage().';

-- An exporter has nothing but an address to say for whom it exports.
CREATE FUNCTION llm_usage_http.record_spans(json) RETURNS json
  LANGUAGE sql
  BEGIN ATOMIC
    SELECT CASE json_array_length(r.recorded -> 'errors')
             WHEN 0 THEN json_build_object('partialSuccess', json_build_object())
             ELSE json_build_object('partialSuccess', json_build_object(
                    'rejectedSpans', json_array_length(r.recorded -> 'errors'), 'errorMessage', r.recorded -> 'errors' -> 0 -> 'reason'))
           END
      FROM (SELECT llm_usage._record_with('record_spans', json_build_object(
                     'export', $1, 'app_id', substring(llm_usage._request_header('x-original-uri') FROM '[?&]app_id=([^&]+)'))) AS recorded) r;
  END;
COMMENT ON FUNCTION llm_usage_http.record_spans(json) IS
  'POST: what an OpenTelemetry exporter sends to /v1/traces, in JSON: records the model calls among its spans, see llm_usage.record_spans(), for the app that the address names (?app_id=7). The answer is OTLP''s: {"partialSuccess": {}}, with rejectedSpans and the first errorMessage where spans were bad. Errors: as record_usage().';

CREATE FUNCTION llm_usage_http.record_session(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('record_session', $1);
COMMENT ON FUNCTION llm_usage_http.record_session(json) IS
  'POST: records a chat session. The body is an object of the arguments of llm_usage.record_session(), the answer the session''s id. Errors: as record_usage().';
CREATE FUNCTION llm_usage_http.record_message(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('record_message', $1);
COMMENT ON FUNCTION llm_usage_http.record_message(json) IS
  'POST: records a chat message. The body is an object of the arguments of llm_usage.record_message(), the answer the message''s id. Errors: as record_usage().';
CREATE FUNCTION llm_usage_http.check_budget(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('check_budget', $1);
COMMENT ON FUNCTION llm_usage_http.check_budget(json) IS
  'POST: asks whether a call may go ahead. The body is an object of the arguments of llm_usage.check_budget(), the answer its row as an object. Errors: as record_usage().';
CREATE FUNCTION llm_usage_http.reserve_budget(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('reserve_budget', $1);
COMMENT ON FUNCTION llm_usage_http.reserve_budget(json) IS
  'POST: asks whether a call may go ahead, and holds what it may take. The body is an object of the arguments of llm_usage.reserve_budget(), the answer its row as an object. Errors: as record_usage().';
CREATE FUNCTION llm_usage_http.settle_budget(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('settle_budget', $1);
COMMENT ON FUNCTION llm_usage_http.settle_budget(json) IS
  'POST: records what a call took, and ends its hold. The body is an object of the arguments of llm_usage.settle_budget(), the answer its row as an object. Errors: as record_usage().';
CREATE FUNCTION llm_usage_http.release_budget(json) RETURNS json
  LANGUAGE sql
  RETURN llm_usage._record_with('release_budget', $1);
COMMENT ON FUNCTION llm_usage_http.release_budget(json) IS
  'POST: ends a hold. The body is an object of the arguments of llm_usage.release_budget(), the answer {}. Errors: as record_usage().';
