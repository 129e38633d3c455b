CREATE TYPE llm_usage.recorded AS (id bigint, status text, cost numeric, currency text);
COMMENT ON TYPE llm_usage.recorded IS
  'What became of an event: its id, its status, and what it costs now in currency, NULL where no price is known. status of the record functions: recorded; or, where its request key was known: duplicate, superseded, conflict, already_voided. Of void_usage and correct_usage: voided, already_voided, corrected, unchanged.';

-- Whoever holds the row of an event is the only one to correct it, until its transaction ends.
CREATE TABLE llm_usage._corrected_events (event_id bigint PRIMARY KEY);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._corrected_events', '');

CREATE TABLE llm_usage.corrections (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id     bigint NOT NULL,
  status       text NOT NULL CHECK (status IN ('voided', 'corrected', 'superseded')),
  reason       text,
  corrected_by text NOT NULL DEFAULT llm_usage._caller(),
  corrected_at timestamptz NOT NULL DEFAULT now(),
  first_id     bigint NOT NULL,
  last_id      bigint NOT NULL
);
CREATE INDEX ON llm_usage.corrections (event_id);
SELECT pg_catalog.pg_extension_config_dump('llm_usage.corrections', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.corrections_id_seq', '');
COMMENT ON TABLE llm_usage.corrections IS 'Who corrected which event, when and why: a row for each that void_usage(), correct_usage() or a better figure made. What reprice() made is in repricings.';
COMMENT ON COLUMN llm_usage.corrections.id IS 'Given by the table.';
COMMENT ON COLUMN llm_usage.corrections.event_id IS 'usage_events.id of the event that was corrected.';
COMMENT ON COLUMN llm_usage.corrections.status IS 'voided, corrected, or superseded by a reported figure under the same request key.';
COMMENT ON COLUMN llm_usage.corrections.reason IS 'In the words of who did it.';
COMMENT ON COLUMN llm_usage.corrections.corrected_by IS 'The role that did it: that of SET ROLE, as behind PostgREST, else the one that was logged in.';
COMMENT ON COLUMN llm_usage.corrections.corrected_at IS 'When the transaction began that did it.';
COMMENT ON COLUMN llm_usage.corrections.first_id IS 'The first row that was appended for it to usage_events, and names the event in corrects.';
COMMENT ON COLUMN llm_usage.corrections.last_id IS 'The last such row.';

-- What stands of an event after all its corrections: a row for each line of a report that is not back at nothing. To take it
-- back is to append it with the opposite sign. (As jsonb 1 equals 1.0, which reports tell apart. Row by row, since it lacks columns
-- that were added to the ledger since.)
CREATE FUNCTION llm_usage._standing(event bigint) RETURNS SETOF llm_usage.usage_events
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off
AS $$
DECLARE
  line llm_usage.usage_events;
BEGIN
  -- Mostly it is what was recorded.
  IF NOT EXISTS (SELECT FROM llm_usage.usage_events c WHERE c.corrects = event) THEN
    SELECT * INTO line FROM llm_usage.usage_events e WHERE e.id = event;
    IF FOUND AND llm_usage._requests(line.requests, line.corrects) > 0 THEN
      line.requests := llm_usage._requests(line.requests, line.corrects);
      line.id := NULL;
      line.corrects := event;
      RETURN NEXT line;
      RETURN;
    END IF;
  END IF;
  FOR line IN
    SELECT NULL::bigint, e.occurred_at, e.app_id, e.llm_id, e.user_id, event,
           sum(e.prompt_tokens)::integer, sum(e.cache_read_tokens)::integer, sum(e.cache_write_tokens)::integer,
           sum(e.completion_tokens)::integer, sum(e.reasoning_tokens)::integer, sum(e.inference_tokens)::integer,
           sum(e.cache_write_1h_tokens)::integer, sum(e.prompt_audio_tokens)::integer,
           sum(e.completion_audio_tokens)::integer,
           sum(e.cache_read_audio_tokens)::integer, sum(e.cache_read_image_tokens)::integer,
           sum(e.prompt_image_tokens)::integer, sum(e.prompt_video_tokens)::integer, sum(e.completion_image_tokens)::integer,
           sum(e.completion_video_tokens)::integer, sum(e.unaccounted_tokens)::integer,
           sum(llm_usage._requests(e.requests, e.corrects))::smallint, e.priced, e.currency, e.model, e.vendor, sum(e.cost),
           sum(e.reported_cost), e.service_tier, e.quality, e.rule_type, e.task_id, e.request_id, e.attrs::text::jsonb
      FROM (SELECT o.* FROM llm_usage.usage_events o WHERE o.id = event
            UNION ALL
            SELECT c.* FROM llm_usage.usage_events c WHERE c.corrects = event) e
     GROUP BY e.occurred_at, e.app_id, e.llm_id, e.user_id, e.priced, e.currency, e.model, e.vendor, e.service_tier, e.quality,
              e.rule_type, e.task_id, e.request_id, e.attrs::text, e.cost IS NULL
    HAVING (sum(llm_usage._requests(e.requests, e.corrects)), sum(e.prompt_tokens), sum(e.cache_read_tokens),
            sum(e.cache_write_tokens), sum(e.completion_tokens), sum(e.reasoning_tokens), sum(e.inference_tokens),
            coalesce(sum(e.cache_write_1h_tokens), 0), coalesce(sum(e.prompt_audio_tokens), 0),
            coalesce(sum(e.completion_audio_tokens), 0),
            coalesce(sum(e.cache_read_audio_tokens), 0), coalesce(sum(e.cache_read_image_tokens), 0),
            coalesce(sum(e.prompt_image_tokens), 0), coalesce(sum(e.prompt_video_tokens), 0),
            coalesce(sum(e.completion_image_tokens), 0), coalesce(sum(e.completion_video_tokens), 0),
            coalesce(sum(e.unaccounted_tokens), 0), coalesce(sum(e.cost), 0), coalesce(sum(e.reported_cost), 0)) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
  LOOP
    RETURN NEXT line;
  END LOOP;
END $$;

-- The event as it stands: the line that has its request, with what hand corrections of it in the same currency add.
CREATE FUNCTION llm_usage._standing_event(event bigint) RETURNS SETOF llm_usage.usage_events
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off
AS $$
DECLARE
  lines    llm_usage.usage_events[] := ARRAY(SELECT s FROM llm_usage._standing(event) s);
  standing llm_usage.usage_events;
BEGIN
  IF cardinality(lines) = 1 THEN
    standing := lines[1];
    IF standing.requests > 0 THEN
      RETURN NEXT standing;
    END IF;
    RETURN;
  END IF;
  FOR standing IN
    WITH line AS MATERIALIZED (
      SELECT l.* FROM unnest(lines) l
    )
    SELECT NULL::bigint, l.occurred_at, l.app_id, l.llm_id, l.user_id, l.corrects,
           s.prompt_tokens, s.cache_read_tokens, s.cache_write_tokens, s.completion_tokens, s.reasoning_tokens, s.inference_tokens,
           s.cache_write_1h_tokens, s.prompt_audio_tokens, s.completion_audio_tokens,
           s.cache_read_audio_tokens, s.cache_read_image_tokens, s.prompt_image_tokens, s.prompt_video_tokens,
           s.completion_image_tokens, s.completion_video_tokens, s.unaccounted_tokens, l.requests, l.priced,
           l.currency, l.model, l.vendor, CASE WHEN l.cost IS NOT NULL THEN s.cost END, s.reported_cost, l.service_tier, l.quality,
           l.rule_type, l.task_id, l.request_id, l.attrs
      FROM (SELECT * FROM line WHERE line.requests > 0 LIMIT 1) l
     CROSS JOIN LATERAL (
        SELECT sum(o.prompt_tokens)::integer AS prompt_tokens, sum(o.cache_read_tokens)::integer AS cache_read_tokens,
               sum(o.cache_write_tokens)::integer AS cache_write_tokens, sum(o.completion_tokens)::integer AS completion_tokens,
               sum(o.reasoning_tokens)::integer AS reasoning_tokens, sum(o.inference_tokens)::integer AS inference_tokens,
               sum(o.cache_write_1h_tokens)::integer AS cache_write_1h_tokens,
               sum(o.prompt_audio_tokens)::integer AS prompt_audio_tokens,
               sum(o.completion_audio_tokens)::integer AS completion_audio_tokens,
               sum(o.cache_read_audio_tokens)::integer AS cache_read_audio_tokens,
               sum(o.cache_read_image_tokens)::integer AS cache_read_image_tokens,
               sum(o.prompt_image_tokens)::integer AS prompt_image_tokens,
               sum(o.prompt_video_tokens)::integer AS prompt_video_tokens,
               sum(o.completion_image_tokens)::integer AS completion_image_tokens,
               sum(o.completion_video_tokens)::integer AS completion_video_tokens,
               sum(o.unaccounted_tokens)::integer AS unaccounted_tokens, sum(o.cost) AS cost, sum(o.reported_cost) AS reported_cost
          FROM line o WHERE o.currency = l.currency) s
  LOOP
    RETURN NEXT standing;
  END LOOP;
END $$;

-- Whether what stands of an event is of a month that was dropped: a better figure may have moved it there. (A function in SQL would
-- keep its plan to the end of the transaction, whatever partitions are made meanwhile.)
CREATE FUNCTION llm_usage._stands_in_dropped_month(event bigint) RETURNS boolean
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  last llm_usage.corrections;
BEGIN
  SELECT * INTO last FROM llm_usage.corrections c WHERE c.event_id = event ORDER BY c.id DESC LIMIT 1;
  RETURN coalesce(last.status <> 'voided', false) AND NOT EXISTS (SELECT FROM llm_usage.usage_events e WHERE e.id = last.last_id);
END $$;

-- Waits for whoever else corrects the event; an error if there is none.
CREATE FUNCTION llm_usage._hold_event(event bigint) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  of_event bigint;
  is_gone  boolean;
BEGIN
  IF event IS NULL THEN
    RAISE EXCEPTION 'event_id must not be null'
      USING ERRCODE = 'null_value_not_allowed',
            DETAIL = 'The argument event_id has no default.',
            HINT = 'Give a value: event_id => …';
  END IF;
  SELECT e.corrects INTO of_event FROM llm_usage.usage_events e WHERE e.id = event;
  is_gone := NOT FOUND;
  IF is_gone AND NOT EXISTS (SELECT FROM llm_usage.usage_events e WHERE e.corrects = event) THEN
    RAISE EXCEPTION 'there is no event %', event
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It was never recorded, or its month was dropped.',
            HINT = 'Look its id up: SELECT id FROM llm_usage.usage_events WHERE request_id = ….';
  ELSIF of_event IS NOT NULL THEN
    RAISE EXCEPTION '% is a correction', event
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('It corrects the event %s, and is corrected with it.', of_event),
            HINT = format('Give the event: %s.', of_event);
  END IF;
  INSERT INTO llm_usage._corrected_events (event_id) VALUES (event)
  ON CONFLICT (event_id) DO UPDATE SET event_id = excluded.event_id;
  -- A better figure, at its own time, or a hand correction may be of another month.
  IF is_gone OR llm_usage._stands_in_dropped_month(event) THEN
    RAISE EXCEPTION 'a part of the event % was in a month that was dropped', event
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Its rows there are gone, the others are kept; reports go on to count them all.',
            HINT = format('To change its sums, INSERT into llm_usage.usage_events what is to be added, less than 0 where it is too much, with corrects = %s, and of the time, app and model that reports show.', event);
  END IF;
END $$;

-- The rows that append a sum of requests with a sign: each takes one at most, and the first takes all the rest.
CREATE FUNCTION llm_usage._signed_rows(of_sign integer, of_requests smallint, OUT sign integer, OUT requests smallint)
  RETURNS SETOF record
  LANGUAGE sql IMMUTABLE
  BEGIN ATOMIC
    SELECT CASE n WHEN 1 THEN of_sign ELSE 0 END, (of_sign * pg_catalog.sign(of_requests))::smallint
      FROM generate_series(1, greatest(abs(of_sign * of_requests), 1)) n;
  END;

-- Takes back what stands of an event and appends what is to stand in its place, if anything: then hand corrections in another
-- currency, which are not in _standing_event(), stay. The caller holds the event.
CREATE FUNCTION llm_usage._replace_event(event bigint, replacement llm_usage.usage_events, status text, reason text)
  RETURNS llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  taken_back bigint[];
  result     llm_usage.recorded;
BEGIN
  WITH taken AS (
    INSERT INTO llm_usage.usage_events AS e
      (occurred_at, app_id, llm_id, user_id, corrects, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens,
       reasoning_tokens, inference_tokens, cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
       cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens, prompt_video_tokens, completion_image_tokens,
       completion_video_tokens,
       unaccounted_tokens, requests, priced, currency, model, vendor, cost, reported_cost, service_tier, quality, rule_type,
       task_id, request_id, attrs)
    SELECT s.occurred_at, s.app_id, s.llm_id, s.user_id, event, t.sign * s.prompt_tokens, t.sign * s.cache_read_tokens,
           t.sign * s.cache_write_tokens, t.sign * s.completion_tokens, t.sign * s.reasoning_tokens, t.sign * s.inference_tokens,
           t.sign * s.cache_write_1h_tokens, t.sign * s.prompt_audio_tokens, t.sign * s.completion_audio_tokens,
           t.sign * s.cache_read_audio_tokens, t.sign * s.cache_read_image_tokens, t.sign * s.prompt_image_tokens,
           t.sign * s.prompt_video_tokens, t.sign * s.completion_image_tokens, t.sign * s.completion_video_tokens,
           t.sign * s.unaccounted_tokens, t.requests, s.priced, s.currency, s.model, s.vendor, t.sign * s.cost,
           t.sign * s.reported_cost, s.service_tier, s.quality, s.rule_type, s.task_id, s.request_id, s.attrs
      FROM llm_usage._standing(event) s
     CROSS JOIN LATERAL llm_usage._signed_rows(-1, s.requests) t
     WHERE replacement IS NOT DISTINCT FROM NULL
        OR s.currency = (SELECT l.currency FROM llm_usage._standing(event) l WHERE l.requests > 0 LIMIT 1)
    RETURNING e.id
  )
  SELECT array_agg(t.id ORDER BY t.id) INTO taken_back FROM taken t;
  IF replacement IS DISTINCT FROM NULL THEN
    INSERT INTO llm_usage.usage_events AS e
      (occurred_at, app_id, llm_id, user_id, corrects, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens,
       reasoning_tokens, inference_tokens, cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
       cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens, prompt_video_tokens, completion_image_tokens,
       completion_video_tokens,
       unaccounted_tokens, requests, priced, currency, model, vendor, cost, reported_cost, service_tier, quality, rule_type,
       task_id, request_id, attrs)
    SELECT r.occurred_at, coalesce(r.app_id, 0), coalesce(r.llm_id, 0), r.user_id, event, coalesce(r.prompt_tokens, 0),
           coalesce(r.cache_read_tokens, 0), coalesce(r.cache_write_tokens, 0), coalesce(r.completion_tokens, 0),
           coalesce(r.reasoning_tokens, 0), coalesce(r.inference_tokens, 0), r.cache_write_1h_tokens, r.prompt_audio_tokens,
           r.completion_audio_tokens, r.cache_read_audio_tokens, r.cache_read_image_tokens, r.prompt_image_tokens,
           r.prompt_video_tokens, r.completion_image_tokens, r.completion_video_tokens, r.unaccounted_tokens, 1, r.priced,
           coalesce(r.currency, llm_usage._default_currency()),
           r.model, r.vendor, r.cost, r.reported_cost, r.service_tier, r.quality, r.rule_type, r.task_id, r.request_id, r.attrs
      FROM (SELECT replacement.*) r
    RETURNING e.id, NULL, e.cost, e.currency INTO result;
  END IF;
  INSERT INTO llm_usage.corrections (event_id, status, reason, first_id, last_id)
  VALUES (event, status, reason, taken_back[1], coalesce(result.id, taken_back[cardinality(taken_back)]));
  result.id := event;
  result.status := status;
  RETURN result;
END $$;

CREATE FUNCTION llm_usage.void_usage(event_id bigint, reason text DEFAULT NULL) RETURNS llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  result llm_usage.recorded;
BEGIN
  PERFORM llm_usage._hold_event(event_id);
  IF EXISTS (SELECT FROM llm_usage._standing(event_id)) THEN
    result := llm_usage._replace_event(event_id, NULL, 'voided', reason);
  ELSE
    result.id := event_id;
    result.status := 'already_voided';
  END IF;
  SELECT 0, e.currency INTO result.cost, result.currency FROM llm_usage.usage_events e WHERE e.id = event_id;
  RETURN result;
END $$;
COMMENT ON FUNCTION llm_usage.void_usage(bigint, text) IS
  'Takes an event back, with all its corrections: appends rows that name it in corrects, of its own time, app, model and user, with the opposite counts, cost and requests, so that every report sums as if it had not been recorded; who made the request remains an active user, and its day, model or rule may be listed, with zeros. reason is kept in corrections. Returns the id of the event, and status: voided, or already_voided, when nothing of it stood and nothing was written. Of sessions that void one event at once one does. Errors: 22004 for NULL; 22023 for an event that is not in the ledger, is itself a correction, or was moved by a better figure to a month that was dropped.';

CREATE FUNCTION llm_usage.correct_usage(
    event_id bigint,
    reason text DEFAULT NULL,
    model text DEFAULT NULL,
    app_id bigint DEFAULT NULL,
    llm_id bigint DEFAULT NULL,
    user_id bigint DEFAULT NULL,
    vendor text DEFAULT NULL,
    prompt_tokens bigint DEFAULT NULL,
    cache_read_tokens bigint DEFAULT NULL,
    cache_write_tokens bigint DEFAULT NULL,
    completion_tokens bigint DEFAULT NULL,
    reasoning_tokens bigint DEFAULT NULL,
    inference_tokens bigint DEFAULT NULL,
    cost numeric DEFAULT NULL,
    currency text DEFAULT NULL,
    task_id text DEFAULT NULL,
    rule_type text DEFAULT NULL,
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
    unaccounted_tokens bigint DEFAULT NULL)
  RETURNS llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  standing llm_usage.usage_events;
  given    jsonb := jsonb_strip_nulls(jsonb_build_object(
    'model', model, 'app_id', app_id, 'llm_id', llm_id, 'user_id', user_id, 'vendor', vendor, 'prompt_tokens', prompt_tokens,
    'cache_read_tokens', cache_read_tokens, 'cache_write_tokens', cache_write_tokens, 'completion_tokens', completion_tokens,
    'reasoning_tokens', reasoning_tokens, 'inference_tokens', inference_tokens, 'cost', cost, 'currency', currency,
    'task_id', task_id, 'rule_type', rule_type, 'service_tier', service_tier, 'cache_write_1h_tokens', cache_write_1h_tokens,
    'prompt_audio_tokens', prompt_audio_tokens, 'completion_audio_tokens', completion_audio_tokens,
    'cache_read_audio_tokens', cache_read_audio_tokens, 'cache_read_image_tokens', cache_read_image_tokens,
    'prompt_image_tokens', prompt_image_tokens, 'prompt_video_tokens', prompt_video_tokens,
    'completion_image_tokens', completion_image_tokens, 'completion_video_tokens', completion_video_tokens,
    'reported_cost', reported_cost, 'quality', quality, 'unaccounted_tokens', unaccounted_tokens))
    || CASE WHEN attrs IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('attrs', attrs) END;
  before   jsonb;
  result   llm_usage.recorded;
BEGIN
  -- Checked as what is recorded is; the model stands for one that is not given.
  PERFORM llm_usage._checked_row('usage_events', (jsonb_build_object('model', 'm') || given)::text);
  PERFORM llm_usage._hold_event(event_id);
  SELECT * INTO standing FROM llm_usage._standing_event(event_id);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the event % was voided', event_id
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'Nothing of it stands that could be corrected.',
            HINT = 'Record it anew.';
  END IF;
  before := to_jsonb(standing);
  -- To give the cost that was computed makes it a given one.
  IF (before || given)::text = before::text AND (cost IS NULL OR standing.priced IS NULL) THEN
    result := (event_id, 'unchanged', standing.cost, standing.currency);
    RETURN result;
  END IF;
  -- A cost that was computed is computed anew, where what it was computed from has changed.
  IF cost IS NOT NULL OR NOT before @> (given - ARRAY['app_id', 'llm_id', 'user_id', 'task_id', 'rule_type', 'attrs', 'quality',
                                                      'inference_tokens', 'reported_cost', 'unaccounted_tokens']) THEN
    standing.cost := CASE WHEN standing.priced IS NULL THEN standing.cost END;
    standing.priced := NULL;
  END IF;
  -- What was reported is in the other currency.
  IF currency <> standing.currency THEN
    standing.reported_cost := NULL;
  END IF;
  result := llm_usage._replace_event(event_id, jsonb_populate_record(standing, given), 'corrected', reason);
  RETURN result;
END $$;
COMMENT ON FUNCTION llm_usage.correct_usage(bigint, text, text, bigint, bigint, bigint, text, bigint, bigint, bigint, bigint, bigint, bigint, numeric, text, text, text, jsonb, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, numeric, text, bigint) IS
  'Gives an event other values: takes back what stands of it, as void_usage() does, and appends the event as it should be, at its own time; every report is as if it had been recorded so. Arguments are columns of usage_events, NULL leaves a value as it is. A cost that was computed is computed anew when what it was computed from has changed; a given cost stays, unless another is given. A reported cost is forgotten with the currency it was in. reason is kept in corrections. Returns the id of the event, status corrected, or unchanged when nothing differs, and what it costs now. Errors: as void_usage(); 22023 for a bad value; 55000 for an event that was voided.';
