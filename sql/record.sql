CREATE TYPE llm_usage.recorded AS (id bigint, status text, cost numeric, currency text);
COMMENT ON TYPE llm_usage.recorded IS
  'What became of an event: its id, status (recorded), and its cost in currency, NULL where no price is known.';

-- Writes checked events, in their order. Everything that is recorded by a function goes through this one statement.
CREATE FUNCTION llm_usage._record(events jsonb)
  RETURNS SETOF llm_usage.recorded
  LANGUAGE sql
  BEGIN ATOMIC
    INSERT INTO llm_usage.usage_events
      (occurred_at, app_id, llm_id, user_id, vendor, model, service_tier,
       prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, inference_tokens,
       cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
       cost, currency, rule_type, task_id, request_id, attrs)
    SELECT coalesce(e.occurred_at, now()), coalesce(e.app_id, 0), coalesce(e.llm_id, 0), e.user_id, e.vendor, e.model,
           e.service_tier, coalesce(e.prompt_tokens, 0), coalesce(e.cache_read_tokens, 0),
           coalesce(e.cache_write_tokens, 0), coalesce(e.completion_tokens, 0), coalesce(e.reasoning_tokens, 0),
           coalesce(e.inference_tokens, 0), e.cache_write_1h_tokens, e.prompt_audio_tokens, e.completion_audio_tokens,
           e.cost, coalesce(e.currency, llm_usage._default_currency()), e.rule_type, e.task_id, e.request_id, e.attrs
      FROM ROWS FROM (jsonb_to_recordset(events) AS
             (occurred_at timestamptz, app_id bigint, llm_id bigint, user_id bigint, vendor text, model text,
              service_tier text, prompt_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
              completion_tokens bigint, reasoning_tokens bigint, inference_tokens bigint,
              cache_write_1h_tokens bigint, prompt_audio_tokens bigint, completion_audio_tokens bigint,
              cost numeric, currency text, rule_type text, task_id text, request_id text, attrs jsonb))
           WITH ORDINALITY AS e
     ORDER BY e.ordinality
    RETURNING usage_events.id, 'recorded', usage_events.cost, usage_events.currency;
  END;

CREATE FUNCTION llm_usage.record_usage(
    model text,
    app_id bigint DEFAULT 0,
    llm_id bigint DEFAULT 0,
    user_id bigint DEFAULT NULL,
    vendor text DEFAULT NULL,
    prompt_tokens bigint DEFAULT 0,
    cache_read_tokens bigint DEFAULT 0,
    cache_write_tokens bigint DEFAULT 0,
    completion_tokens bigint DEFAULT 0,
    reasoning_tokens bigint DEFAULT 0,
    inference_tokens bigint DEFAULT 0,
    cost numeric DEFAULT NULL,
    currency text DEFAULT NULL,
    occurred_at timestamptz DEFAULT NULL,
    task_id text DEFAULT NULL,
    rule_type text DEFAULT NULL,
    request_id text DEFAULT NULL,
    attrs jsonb DEFAULT NULL,
    service_tier text DEFAULT NULL,
    cache_write_1h_tokens bigint DEFAULT NULL,
    prompt_audio_tokens bigint DEFAULT NULL,
    completion_audio_tokens bigint DEFAULT NULL)
  RETURNS llm_usage.recorded
  LANGUAGE sql
  BEGIN ATOMIC
    SELECT r.id, r.status, r.cost, r.currency
      FROM llm_usage._record(jsonb_build_array(llm_usage._checked_row('usage_events', jsonb_build_object(
             'model', model, 'app_id', app_id, 'llm_id', llm_id, 'user_id', user_id, 'vendor', vendor,
             'prompt_tokens', prompt_tokens, 'cache_read_tokens', cache_read_tokens,
             'cache_write_tokens', cache_write_tokens, 'completion_tokens', completion_tokens,
             'reasoning_tokens', reasoning_tokens, 'inference_tokens', inference_tokens,
             'cost', cost, 'currency', currency, 'occurred_at', occurred_at AT TIME ZONE 'UTC',
             'task_id', task_id, 'rule_type', rule_type, 'request_id', request_id, 'attrs', attrs,
             'service_tier', service_tier, 'cache_write_1h_tokens', cache_write_1h_tokens,
             'prompt_audio_tokens', prompt_audio_tokens,
             'completion_audio_tokens', completion_audio_tokens)::text)::jsonb)) r;
  END;
COMMENT ON FUNCTION llm_usage.record_usage(text, bigint, bigint, bigint, text, bigint, bigint, bigint, bigint, bigint, bigint, numeric, text, timestamptz, text, text, text, jsonb, text, bigint, bigint, bigint) IS
  'Records one event; the arguments are columns of usage_events, and NULL means a column''s default. Returns one row: id, status (recorded), and cost in currency: the given cost, or the one computed from model_prices, or NULL where no price is known. Errors: 22004 without a model; 22023 for a negative or absurd count, a bad cost, currency, instant or text.';

CREATE FUNCTION llm_usage.record_usage_batch(events jsonb, all_or_nothing boolean DEFAULT false) RETURNS json
  LANGUAGE sql
  BEGIN ATOMIC
    WITH checked AS MATERIALIZED (
      SELECT llm_usage._checked_batch(events::text, all_or_nothing) AS batch
    ), recorded AS MATERIALIZED (
      SELECT r.id FROM checked c, llm_usage._record((c.batch -> 'events')::jsonb) r
    )
    SELECT json_build_object(
             'recorded', (SELECT count(*) FROM recorded),
             'ids', (SELECT coalesce(json_agg(r.id ORDER BY r.id), '[]'::json) FROM recorded r),
             'errors', c.batch -> 'errors')
      FROM checked c;
  END;
COMMENT ON FUNCTION llm_usage.record_usage_batch(jsonb, boolean) IS
  'Records an array of events, each an object whose keys are columns of usage_events; occurred_at is ISO 8601, UTC where it has no offset, and cost may be a string of digits. Returns {"recorded": n, "ids": […], "errors": [{"index", "reason", "detail", "hint"}…]}: ids in the order of the array, index from 0. A bad element does not keep the others out, unless all_or_nothing: then it is an error (22023, 22004) and nothing is recorded. Errors: 22004 for NULL, 22023 for anything but an array.';

CREATE FUNCTION llm_usage.record_response(
    provider text,
    response jsonb,
    app_id bigint DEFAULT 0,
    llm_id bigint DEFAULT 0,
    user_id bigint DEFAULT NULL,
    model text DEFAULT NULL,
    cost numeric DEFAULT NULL,
    currency text DEFAULT NULL,
    occurred_at timestamptz DEFAULT NULL,
    task_id text DEFAULT NULL,
    rule_type text DEFAULT NULL,
    inference_tokens bigint DEFAULT NULL,
    request_id text DEFAULT NULL,
    attrs jsonb DEFAULT NULL)
  RETURNS llm_usage.recorded
  LANGUAGE sql
  BEGIN ATOMIC
    SELECT r.id, r.status, r.cost, r.currency
      FROM llm_usage._record(jsonb_build_array(llm_usage._checked_row('usage_events', (
             llm_usage._read_response(provider, response::text)::jsonb
             || jsonb_strip_nulls(jsonb_build_object(
                  'app_id', app_id, 'llm_id', llm_id, 'user_id', user_id, 'model', model, 'cost', cost,
                  'currency', currency, 'occurred_at', occurred_at AT TIME ZONE 'UTC', 'task_id', task_id,
                  'rule_type', rule_type, 'inference_tokens', inference_tokens, 'request_id', request_id))
             || CASE WHEN attrs IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('attrs', attrs) END)::text)::jsonb)) r;
  END;
COMMENT ON FUNCTION llm_usage.record_response(text, jsonb, bigint, bigint, bigint, text, numeric, text, timestamptz, text, text, bigint, text, jsonb) IS
  'Records the usage that a provider''s response reports: openai and azure (chat completions, responses, completions, embeddings, transcriptions), anthropic (messages), gemini and vertex_ai (generateContent; on vertex_ai messages too). A stream is the array of its events. Token kinds come out disjoint by the rules of the provider; model, request_id and service_tier are the response''s, unless given. Returns as record_usage(). Errors: 22004 for NULL; 22023 for an unknown provider, or a response without usage, which is not a usage of zero.';

CREATE FUNCTION llm_usage.record_session(
    app_id bigint DEFAULT 0, consumer_id text DEFAULT NULL, started_at timestamptz DEFAULT NULL)
  RETURNS bigint
  LANGUAGE sql
  BEGIN ATOMIC
    INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at)
    SELECT coalesce(s.app_id, 0), s.consumer_id, coalesce(s.started_at, now())
      FROM jsonb_to_record(llm_usage._checked_row('sessions', jsonb_build_object(
             'app_id', app_id, 'consumer_id', consumer_id, 'started_at', started_at AT TIME ZONE 'UTC')::text)::jsonb)
           AS s (app_id bigint, consumer_id text, started_at timestamptz)
    RETURNING id;
  END;
COMMENT ON FUNCTION llm_usage.record_session(bigint, text, timestamptz) IS
  'Records that a consumer (NULL: nobody known) started a session of an app, now by default. Returns the id of the session. Errors: 22023 for a bad value.';

CREATE FUNCTION llm_usage.record_message(
    app_id bigint DEFAULT NULL, session_id bigint DEFAULT NULL, sent_at timestamptz DEFAULT NULL)
  RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  row jsonb := llm_usage._checked_row('messages', jsonb_build_object(
    'app_id', record_message.app_id, 'session_id', record_message.session_id,
    'sent_at', record_message.sent_at AT TIME ZONE 'UTC')::text);
  app bigint := record_message.app_id;
  message_id bigint;
BEGIN
  IF app IS NULL AND record_message.session_id IS NOT NULL THEN
    SELECT s.app_id INTO app FROM llm_usage.sessions s WHERE s.id = record_message.session_id;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'session % was never recorded', record_message.session_id
        USING ERRCODE = 'invalid_parameter_value',
              DETAIL = 'Without app_id a message belongs to the app of its session.',
              HINT = 'Give app_id, or record the session first: record_session(app_id => …).';
    END IF;
  END IF;
  INSERT INTO llm_usage.messages (app_id, session_id, sent_at)
  VALUES (coalesce(app, 0), record_message.session_id, coalesce((row ->> 'sent_at')::timestamptz, now()))
  RETURNING id INTO message_id;
  RETURN message_id;
END $$;
COMMENT ON FUNCTION llm_usage.record_message(bigint, bigint, timestamptz) IS
  'Records that a message was sent or received, now by default. Without app_id it belongs to the app of its session, without either to none (0). Returns the id of the message. Errors: 22023 for a bad value, or a session that was never recorded where its app is needed.';
