-- Writes a checked event; one with a request key only if the key is new.
CREATE FUNCTION llm_usage._record_one(event jsonb) RETURNS llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  of_app bigint := coalesce((event ->> 'app_id')::bigint, 0);
  new_id bigint := (llm_usage._draw_ids('llm_usage.usage_events'::regclass, 'llm_usage.usage_events_id_seq'::regclass, 1))[1];
  result llm_usage.recorded;
BEGIN
  IF llm_usage._has_row_security('llm_usage.usage_events'::regclass) THEN
    PERFORM llm_usage._refuse_app(of_app);
  END IF;
  IF event ? 'request_id' THEN
    INSERT INTO llm_usage._request_keys (app_id, event_id, billed, request_id, source, quality)
    VALUES (of_app, new_id, (event ->> 'billed')::uuid, event ->> 'request_id', coalesce(event ->> 'source', ''), event ->> 'quality')
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      PERFORM llm_usage._release_ids(ARRAY[new_id]);
      RETURN llm_usage._settle_or_record(event);
    END IF;
  END IF;
  INSERT INTO llm_usage.usage_events AS n OVERRIDING SYSTEM VALUE
  SELECT e.*
    FROM jsonb_populate_record(NULL::llm_usage.usage_events,
           jsonb_build_object('occurred_at', now(), 'app_id', 0, 'llm_id', 0, 'prompt_tokens', 0, 'cache_read_tokens', 0,
                              'cache_write_tokens', 0, 'completion_tokens', 0, 'reasoning_tokens', 0, 'inference_tokens', 0,
                              'currency', llm_usage._default_currency())
           || event || jsonb_build_object('id', new_id)) e
  RETURNING n.id, 'recorded', n.cost, n.currency INTO result;
  RETURN result;
END $$;

-- What becomes of an event whose key was known a moment ago: the key may have been given back since.
CREATE FUNCTION llm_usage._settle_or_record(event jsonb) RETURNS llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  settled llm_usage.recorded := llm_usage._settle(
    coalesce((event ->> 'app_id')::bigint, 0), coalesce(event ->> 'source', ''), event ->> 'request_id', (event ->> 'billed')::uuid,
    event ->> 'quality', event);
BEGIN
  RETURN CASE WHEN settled.id IS NULL THEN llm_usage._record_one(event) ELSE settled END;
END $$;

-- Writes checked events as _record_one() does, the new ones in one statement. Ids are in the order of the events, keys are taken in
-- their own order, so that sessions which record the same keys at once wait for each other and never in a circle. The events are
-- json: to make a jsonb of them costs more than it saves where they are read once.
CREATE FUNCTION llm_usage._record(events json)
  RETURNS TABLE (index bigint, id bigint, status text, cost numeric, currency text)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  how_many   integer := json_array_length(events);
  ids        bigint[];
  indexes    bigint[];
  written    bigint[];
  costs      numeric[];
  currencies text[];
  documents  jsonb;
  element    record;
BEGIN
  -- What comes one by one does not pay for what comes together.
  IF how_many = 1 THEN
    documents := events::jsonb;
    RETURN QUERY
    SELECT coalesce((documents -> 0 ->> 'index')::bigint, 0), r.* FROM llm_usage._record_one(documents -> 0) r;
    RETURN;
  END IF;
  ids := llm_usage._draw_ids('llm_usage.usage_events'::regclass, 'llm_usage.usage_events_id_seq'::regclass, how_many);
  IF llm_usage._has_row_security('llm_usage.usage_events'::regclass) THEN
    PERFORM llm_usage._refuse_app(app) FROM unnest(llm_usage._foreign_apps(events)) app;
  END IF;
  WITH element AS MATERIALIZED (
    SELECT e.*, ids[e.ordinality] AS id
      FROM ROWS FROM (json_to_recordset(events) AS
             (index bigint, occurred_at timestamptz, app_id bigint, llm_id bigint, user_id bigint, vendor text, model text,
              service_tier text, prompt_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
              completion_tokens bigint, reasoning_tokens bigint, inference_tokens bigint,
              cache_write_1h_tokens bigint, prompt_audio_tokens bigint, completion_audio_tokens bigint,
              cache_read_audio_tokens bigint, cache_read_image_tokens bigint, prompt_image_tokens bigint,
              prompt_video_tokens bigint, completion_image_tokens bigint, completion_video_tokens bigint,
              cost numeric, currency text, rule_type text, task_id text, request_id text, attrs jsonb,
              reported_cost numeric, quality text, unaccounted_tokens bigint, source text, billed uuid))
           WITH ORDINALITY AS e
  ), key AS (
    INSERT INTO llm_usage._request_keys AS k (app_id, event_id, billed, request_id, source, quality)
    SELECT coalesce(e.app_id, 0), e.id, e.billed, e.request_id, coalesce(e.source, ''), e.quality
      FROM element e
     WHERE e.request_id IS NOT NULL
     ORDER BY e.request_id COLLATE "C", coalesce(e.app_id, 0), coalesce(e.source, '') COLLATE "C", e.id
    ON CONFLICT DO NOTHING
    RETURNING k.event_id
  ), event AS (
    INSERT INTO llm_usage.usage_events AS n
      (id, occurred_at, app_id, llm_id, user_id, vendor, model, service_tier,
       prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, inference_tokens,
       cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
       cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens, prompt_video_tokens, completion_image_tokens,
       completion_video_tokens,
       cost, currency, rule_type, task_id, request_id, attrs, reported_cost, quality, unaccounted_tokens)
    OVERRIDING SYSTEM VALUE
    SELECT e.id, coalesce(e.occurred_at, now()), coalesce(e.app_id, 0), coalesce(e.llm_id, 0), e.user_id, e.vendor, e.model,
           e.service_tier, coalesce(e.prompt_tokens, 0), coalesce(e.cache_read_tokens, 0),
           coalesce(e.cache_write_tokens, 0), coalesce(e.completion_tokens, 0), coalesce(e.reasoning_tokens, 0),
           coalesce(e.inference_tokens, 0), e.cache_write_1h_tokens, e.prompt_audio_tokens, e.completion_audio_tokens,
           e.cache_read_audio_tokens, e.cache_read_image_tokens, e.prompt_image_tokens, e.prompt_video_tokens,
           e.completion_image_tokens, e.completion_video_tokens,
           e.cost, coalesce(e.currency, llm_usage._default_currency()), e.rule_type, e.task_id, e.request_id, e.attrs,
           e.reported_cost, e.quality, e.unaccounted_tokens
      FROM element e
     WHERE e.request_id IS NULL OR e.id IN (SELECT k.event_id FROM key k)
     ORDER BY e.id
    RETURNING n.id, n.cost, n.currency
  )
  SELECT array_agg(coalesce(e.index, e.ordinality - 1) ORDER BY e.id), array_agg(n.id ORDER BY e.id),
         array_agg(n.cost ORDER BY e.id), array_agg(n.currency ORDER BY e.id)
    INTO indexes, written, costs, currencies
    FROM element e
    LEFT JOIN event n ON n.id = e.id;
  RETURN QUERY
  SELECT w.index, w.id, 'recorded', w.cost, w.currency
    FROM unnest(indexes, written, costs, currencies) w (index, id, cost, currency)
   WHERE w.id IS NOT NULL;
  IF array_position(written, NULL) IS NULL THEN
    RETURN;
  END IF;
  PERFORM llm_usage._release_ids(ids);
  documents := events::jsonb;
  FOR element IN
    SELECT w.index, e.event
      FROM unnest(indexes, written) WITH ORDINALITY w (index, id, place)
     CROSS JOIN LATERAL (SELECT documents -> (w.place - 1)::integer) e (event)
     WHERE w.id IS NULL
     ORDER BY e.event ->> 'request_id' COLLATE "C", coalesce((e.event ->> 'app_id')::bigint, 0),
              coalesce(e.event ->> 'source', '') COLLATE "C", w.place
  LOOP
    RETURN QUERY SELECT element.index, r.* FROM llm_usage._settle_or_record(element.event) r;
  END LOOP;
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
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  result llm_usage.recorded;
  billed uuid := llm_usage._checked_charge(
    model, vendor, service_tier, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, reasoning_tokens,
    inference_tokens, cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
    cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens, prompt_video_tokens, completion_image_tokens,
    completion_video_tokens, cost, currency, app_id, llm_id,
    user_id, occurred_at, rule_type, task_id, request_id, source,
    CASE WHEN jsonb_typeof(attrs) <> 'object' THEN attrs::text END, reported_cost, quality, unaccounted_tokens);
  of_app bigint := llm_usage._own_app(coalesce(app_id, 0));
  new_id bigint := (llm_usage._draw_ids('llm_usage.usage_events'::regclass, 'llm_usage.usage_events_id_seq'::regclass, 1))[1];
BEGIN
  IF request_id IS NOT NULL THEN
    INSERT INTO llm_usage._request_keys (app_id, event_id, billed, request_id, source, quality)
    VALUES (of_app, new_id, billed, request_id, coalesce(source, ''), quality)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      PERFORM llm_usage._release_ids(ARRAY[new_id]);
      RETURN llm_usage._settle_or_record(llm_usage._checked_row('usage_events', jsonb_build_object(
        'model', model, 'app_id', app_id, 'llm_id', llm_id, 'user_id', user_id, 'vendor', vendor,
        'prompt_tokens', prompt_tokens, 'cache_read_tokens', cache_read_tokens,
        'cache_write_tokens', cache_write_tokens, 'completion_tokens', completion_tokens,
        'reasoning_tokens', reasoning_tokens, 'inference_tokens', inference_tokens,
        'cost', cost, 'currency', currency, 'occurred_at', occurred_at AT TIME ZONE 'UTC',
        'task_id', task_id, 'rule_type', rule_type, 'request_id', request_id,
        'service_tier', service_tier, 'cache_write_1h_tokens', cache_write_1h_tokens,
        'prompt_audio_tokens', prompt_audio_tokens, 'completion_audio_tokens', completion_audio_tokens,
        'cache_read_audio_tokens', cache_read_audio_tokens, 'cache_read_image_tokens', cache_read_image_tokens,
        'prompt_image_tokens', prompt_image_tokens, 'prompt_video_tokens', prompt_video_tokens,
        'completion_image_tokens', completion_image_tokens, 'completion_video_tokens', completion_video_tokens,
        'reported_cost', reported_cost, 'quality', quality, 'unaccounted_tokens', unaccounted_tokens,
        'source', source)::text)::jsonb
        || CASE WHEN attrs IS NULL THEN '{}' ELSE jsonb_build_object('attrs', attrs) END);
    END IF;
  END IF;
  INSERT INTO llm_usage.usage_events AS e
    (id, occurred_at, app_id, llm_id, user_id, vendor, model, service_tier,
     prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, inference_tokens,
     cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
     cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens, prompt_video_tokens, completion_image_tokens,
     completion_video_tokens,
     cost, currency, rule_type, task_id, request_id, attrs, reported_cost, quality, unaccounted_tokens)
  OVERRIDING SYSTEM VALUE
  VALUES (new_id, coalesce(occurred_at, now()), of_app, coalesce(llm_id, 0), user_id, vendor, model, service_tier,
          coalesce(prompt_tokens, 0), coalesce(cache_read_tokens, 0), coalesce(cache_write_tokens, 0),
          coalesce(completion_tokens, 0), coalesce(reasoning_tokens, 0), coalesce(inference_tokens, 0),
          cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
          cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens, prompt_video_tokens,
          completion_image_tokens, completion_video_tokens,
          cost, coalesce(currency, llm_usage._default_currency()), rule_type, task_id, request_id, attrs,
          reported_cost, quality, unaccounted_tokens)
  RETURNING e.id, 'recorded', e.cost, e.currency INTO result;
  RETURN result;
END $$;
COMMENT ON FUNCTION llm_usage.record_usage(text, bigint, bigint, bigint, text, bigint, bigint, bigint, bigint, bigint, bigint, numeric, text, timestamptz, text, text, text, jsonb, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, numeric, text, bigint, text) IS
  'Records one event; the arguments are columns of usage_events, and NULL means a column''s default. With a request_id the call has a request key, (app_id, source, request_id), and is recorded once for it, at least for llm_usage.idempotency_window; source names who gave the request_id, and is no column. Returns one row: id of the event, status, and cost in currency: the given cost, or the one computed from model_prices, or NULL where no price is known. status: recorded; duplicate (the key is known with the same content, or a better figure: nothing was written); superseded (the key is known with a partial or estimated figure, which this one replaces as correct_usage() does, with all its counts and costs; what it does not say of LLM, user, vendor, service_tier, task, rule or attrs stays as it was); conflict (the key is known with other content, or with a figure that this one would replace had no correction moved it to another app: nothing was written, both are in the table conflicts); already_voided (what it would replace was voided: nothing was written). Content is what was billed: model, vendor, service_tier, all token counts, and cost and currency where they are given; not the time, which a retry may not know, nor who, nor attrs. Errors: 22004 without a model; 22023 for a negative or absurd count, a bad cost, currency, instant or text.';

-- Writes what is good of a checked batch, the first of its two documents, and says what was known and what, in the second, was not
-- good. Only here it is known what of it a tenant may not record, which keeps out the others, too, if they are to go as a whole.
CREATE FUNCTION llm_usage._record_batch(checked text[], as_a_whole boolean) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  events json := checked[1]::json;
  errors jsonb := '[]';
  apps   bigint[];
BEGIN
  IF llm_usage._has_row_security('llm_usage.usage_events'::regclass) AND NOT coalesce(as_a_whole, false) THEN
    apps := llm_usage._foreign_apps(events);
    IF apps <> '{}' THEN
      SELECT coalesce(json_agg(e.event ORDER BY e.place) FILTER (WHERE e.app <> ALL (apps)), '[]'),
             jsonb_agg(DISTINCT jsonb_build_object('index', e.event -> 'index') || llm_usage._no_app(e.app)) FILTER (WHERE e.app = ANY (apps))
        INTO events, errors
        FROM (SELECT n.place, coalesce((n.event ->> 'app_id')::bigint, 0) AS app, n.event
                FROM jsonb_array_elements(events::jsonb) WITH ORDINALITY n (event, place)) e;
    END IF;
  END IF;
  RETURN (
    SELECT json_build_object(
             'recorded', count(*) FILTER (WHERE r.status = 'recorded'),
             'ids', coalesce(json_agg(r.id ORDER BY r.index, r.id), '[]'::json),
             'known', coalesce(json_agg(json_build_object('index', r.index, 'id', r.id, 'status', r.status) ORDER BY r.index, r.id)
                                 FILTER (WHERE r.status <> 'recorded'), '[]'::json),
             'errors', CASE errors WHEN '[]' THEN checked[2]::json ELSE
                         (SELECT json_agg(e.error ORDER BY (e.error ->> 'index')::bigint)
                            FROM jsonb_array_elements(checked[2]::jsonb || errors) e (error)) END)
      FROM llm_usage._record(events) r);
END $$;

CREATE FUNCTION llm_usage.record_usage_batch(events jsonb, all_or_nothing boolean DEFAULT false) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN llm_usage._record_batch(llm_usage._checked_batch(events::text, all_or_nothing), all_or_nothing);
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
