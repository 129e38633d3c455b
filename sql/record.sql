-- What becomes of an event whose request key is known, given as its columns but for its attributes; nothing if the key is gone by now.
CREATE FUNCTION llm_usage._settle_event(
    of_app bigint, of_source text, of_request text, of_billed uuid, of_quality text, given text, attrs jsonb)
  RETURNS llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN llm_usage._settle(of_app, of_source, of_request, of_billed, of_quality,
                           given::jsonb || CASE WHEN attrs IS NULL THEN '{}' ELSE jsonb_build_object('attrs', attrs) END);
END $$;

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
    completion_audio_tokens bigint DEFAULT NULL,
    cache_read_audio_tokens bigint DEFAULT NULL,
    cache_read_image_tokens bigint DEFAULT NULL,
    prompt_image_tokens bigint DEFAULT NULL,
    prompt_video_tokens bigint DEFAULT NULL,
    completion_image_tokens bigint DEFAULT NULL,
    completion_video_tokens bigint DEFAULT NULL,
    reported_cost numeric DEFAULT NULL,
    quality text DEFAULT NULL,
    unaccounted_tokens bigint DEFAULT NULL,
    source text DEFAULT NULL)
  RETURNS llm_usage.recorded
  LANGUAGE c VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'record_usage_wrapper';
COMMENT ON FUNCTION llm_usage.record_usage(text, bigint, bigint, bigint, text, bigint, bigint, bigint, bigint, bigint, bigint, numeric, text, timestamptz, text, text, text, jsonb, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, numeric, text, bigint, text) IS
  'Records one event; the arguments are columns of usage_events, and NULL means a column''s default. With a request_id the call has a request key, (app_id, source, request_id), and is recorded once for it, at least for llm_usage.idempotency_window; source names who gave the request_id, and is no column. Returns one row: id of the event, status, and cost in currency: the given cost, or the one computed from model_prices, or NULL where no price is known. status: recorded; duplicate (the key is known with the same content, or a better figure: nothing was written); superseded (the key is known with a partial or estimated figure, which this one replaces as correct_usage() does, with all its counts and costs; what it does not say of LLM, user, vendor, service_tier, task, rule or attrs stays as it was); conflict (the key is known with other content, or with a figure that this one would replace had no correction moved it to another app: nothing was written, both are in the table conflicts); already_voided (what it would replace was voided: nothing was written). Content is what was billed: model, vendor, service_tier, all token counts, and cost and currency where they are given; not the time, which a retry may not know, nor who, nor attrs. Errors: 22004 without a model; 22023 for a negative or absurd count, a bad cost, currency, instant or text; 55000 where a trigger or rule of your own takes the row away.';

CREATE FUNCTION llm_usage.record_usage_batch(events jsonb, all_or_nothing boolean DEFAULT false) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN llm_usage._record_usage_batch(events::text, all_or_nothing);
END $$;
COMMENT ON FUNCTION llm_usage.record_usage_batch(jsonb, boolean) IS
  'Records an array of events, each an object whose keys are columns of usage_events; occurred_at is ISO 8601, UTC where it has no offset, and cost may be a string of digits. A key source is taken as well: see record_usage(). Returns {"recorded": n, "ids": […], "known": [{"index", "id", "status"}…], "errors": [{"index", "reason", "detail", "hint"}…]}: how many were recorded, the ids of all good elements in the order of the array, those whose request key was known, in the array or before, with their status (duplicate, superseded, conflict, already_voided), and those that are bad; index from 0. A bad element does not keep the others out, unless all_or_nothing: then it is an error (22023, 22004; 42501 for an app that is not the tenant''s) and nothing is recorded. Errors: 22004 for NULL, 22023 for anything but an array.';

CREATE FUNCTION llm_usage.record_session(
    app_id bigint DEFAULT 0, consumer_id text DEFAULT NULL, started_at timestamptz DEFAULT NULL)
  RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  session_id bigint;
BEGIN
  INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at)
  SELECT llm_usage._own_app(coalesce(s.app_id, 0)), s.consumer_id, coalesce(s.started_at, now())
    FROM jsonb_to_record(llm_usage._checked_row('sessions', jsonb_build_object(
           'app_id', app_id, 'consumer_id', consumer_id, 'started_at', started_at AT TIME ZONE 'UTC')::text)::jsonb)
         AS s (app_id bigint, consumer_id text, started_at timestamptz)
  RETURNING sessions.id INTO session_id;
  RETURN session_id;
END $$;
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
    SELECT s.app_id INTO app FROM llm_usage.sessions s
     WHERE s.id = record_message.session_id
       AND CASE WHEN llm_usage._has_row_security('llm_usage.sessions'::regclass) THEN llm_usage._may_record(s.app_id) ELSE true END;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there is no session %', record_message.session_id
        USING ERRCODE = 'invalid_parameter_value',
              DETAIL = 'Without app_id a message belongs to the app of its session, which was never recorded, or its month was dropped.',
              HINT = 'Give app_id, or record the session first: record_session(app_id => …).';
    END IF;
  END IF;
  INSERT INTO llm_usage.messages (app_id, session_id, sent_at)
  VALUES (llm_usage._own_app(coalesce(app, 0)), record_message.session_id, coalesce((row ->> 'sent_at')::timestamptz, now()))
  RETURNING id INTO message_id;
  RETURN message_id;
END $$;
COMMENT ON FUNCTION llm_usage.record_message(bigint, bigint, timestamptz) IS
  'Records that a message was sent or received, now by default. Without app_id it belongs to the app of its session, without either to none (0). Returns the id of the message. Errors: 22023 for a bad value, or where its app is needed for a session that was never recorded, or of a month that was dropped.';
