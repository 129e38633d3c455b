-- What was recorded under a request key, outside the ledger, whose parts could not hold a key of the whole. maintain() drops what
-- is older than llm_usage.idempotency_window.
CREATE TABLE llm_usage._request_keys (
  app_id      bigint NOT NULL,
  event_id    bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  billed      uuid NOT NULL,
  request_id  text COLLATE "C" NOT NULL,
  source      text COLLATE "C" NOT NULL,
  quality     text,
  PRIMARY KEY (request_id, app_id, source)
);
CREATE INDEX ON llm_usage._request_keys USING brin (recorded_at) WITH (pages_per_range = 32, autosummarize = on);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._request_keys', '');

CREATE TABLE llm_usage.conflicts (
  app_id     bigint NOT NULL,
  event_id   bigint NOT NULL,
  first_at   timestamptz NOT NULL DEFAULT now(),
  last_at    timestamptz NOT NULL DEFAULT now(),
  times      bigint NOT NULL DEFAULT 1,
  billed     uuid NOT NULL,
  request_id text COLLATE "C" NOT NULL,
  source     text COLLATE "C" NOT NULL,
  recorded   jsonb,
  given      jsonb NOT NULL,
  PRIMARY KEY (request_id, app_id, source, billed)
);
SELECT pg_catalog.pg_extension_config_dump('llm_usage.conflicts', '');
COMMENT ON TABLE llm_usage.conflicts IS 'Calls that were refused since their request key had been recorded with other content: nothing was written for them. One of the two is wrong: put it right with correct_usage(), or record the call under a request_id of its own. Delete what is settled.';
COMMENT ON COLUMN llm_usage.conflicts.app_id IS 'Of the request key.';
COMMENT ON COLUMN llm_usage.conflicts.event_id IS 'usage_events.id of the event that was recorded under the key.';
COMMENT ON COLUMN llm_usage.conflicts.first_at IS 'When such a call came first.';
COMMENT ON COLUMN llm_usage.conflicts.last_at IS 'When it came last.';
COMMENT ON COLUMN llm_usage.conflicts.times IS 'How often it came with this content.';
COMMENT ON COLUMN llm_usage.conflicts.billed IS 'A hash of what the call would have billed.';
COMMENT ON COLUMN llm_usage.conflicts.request_id IS 'Of the request key.';
COMMENT ON COLUMN llm_usage.conflicts.source IS 'Of the request key; empty: none was given.';
COMMENT ON COLUMN llm_usage.conflicts.recorded IS 'The event as it was recorded; NULL: its month was dropped.';
COMMENT ON COLUMN llm_usage.conflicts.given IS 'What the call gave.';

-- What becomes of a call whose request key is known; no status if the key is gone by now. A row is locked only to be changed, or to
-- write a conflict of it: what waits for another's key waits in the order of keys.
CREATE FUNCTION llm_usage._settle(of_app bigint, of_source text, of_request text, of_billed uuid, of_quality text, given jsonb)
  RETURNS llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  key       llm_usage._request_keys;
  event     llm_usage.usage_events;
  standing  llm_usage.usage_events;
  stands    boolean;
  is_better boolean;
  is_moved  boolean;
  result    llm_usage.recorded;
BEGIN
  SELECT * INTO key FROM llm_usage._request_keys k
   WHERE k.request_id = of_request AND k.app_id = of_app AND k.source = of_source;
  IF key.quality IS NOT NULL AND of_quality IS NULL THEN
    SELECT * INTO key FROM llm_usage._request_keys k
     WHERE k.request_id = of_request AND k.app_id = of_app AND k.source = of_source FOR NO KEY UPDATE;
  END IF;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO event FROM llm_usage.usage_events e WHERE e.id = key.event_id;
  is_better := key.quality IS NOT NULL AND of_quality IS NULL AND event.id IS NOT NULL;
  IF is_better THEN
    PERFORM llm_usage._hold_event(event.id);
  END IF;
  SELECT * INTO standing FROM llm_usage._standing_event(key.event_id);
  stands := FOUND;
  -- What a correction gave to another app is not this one's to see, nor to take from it.
  is_moved := stands AND standing.app_id <> of_app;
  IF is_moved THEN
    standing := event;
  END IF;
  -- Of a month that was dropped it is not known; what was voided costs nothing.
  result := (key.event_id, 'duplicate',
             CASE WHEN stands OR event.id IS NULL OR llm_usage._stands_in_dropped_month(event.id) THEN standing.cost ELSE 0 END,
             coalesce(standing.currency, event.currency));
  -- The better figure takes the place of the other, never the other way round.
  IF is_better AND NOT stands THEN
    result.status := 'already_voided';
  ELSIF is_better AND NOT is_moved THEN
    -- What it does not say of the call stays; the figures are its own.
    given := jsonb_build_object('occurred_at', standing.occurred_at, 'llm_id', standing.llm_id, 'user_id', standing.user_id,
                                'vendor', standing.vendor, 'service_tier', standing.service_tier, 'rule_type', standing.rule_type,
                                'task_id', standing.task_id)
             || CASE WHEN standing.attrs IS NULL THEN '{}' ELSE jsonb_build_object('attrs', standing.attrs) END
             || CASE given ->> 'llm_id' WHEN '0' THEN given - 'llm_id' ELSE given END;
    UPDATE llm_usage._request_keys k SET billed = of_billed, quality = NULL
     WHERE k.request_id = of_request AND k.app_id = of_app AND k.source = of_source;
    RETURN llm_usage._replace_event(event.id, jsonb_populate_record(NULL::llm_usage.usage_events, given), 'superseded', NULL);
  ELSIF is_better OR key.billed <> of_billed AND NOT (key.quality IS NULL AND of_quality IS NOT NULL) THEN
    result.status := 'conflict';
    PERFORM FROM llm_usage._request_keys k
      WHERE k.request_id = of_request AND k.app_id = of_app AND k.source = of_source FOR NO KEY UPDATE;
    INSERT INTO llm_usage.conflicts AS c (app_id, event_id, billed, request_id, source, recorded, given)
    VALUES (of_app, key.event_id, of_billed, of_request, of_source,
            (SELECT jsonb_object_agg(c.key, c.value) FROM jsonb_each(to_jsonb(event)) c WHERE c.value <> 'null'),
            given)
    ON CONFLICT (request_id, app_id, source, billed) DO UPDATE SET times = c.times + 1, last_at = excluded.last_at;
  END IF;
  RETURN result;
END $$;

CREATE FUNCTION llm_usage._idempotency_window() RETURNS interval
  LANGUAGE sql STABLE
  RETURN coalesce(nullif(current_setting('llm_usage.idempotency_window', true), ''), '7d')::interval;

-- Drops the keys that are older than the window, in batches; leaves those that someone holds to the next time.
CREATE FUNCTION llm_usage._drop_old_keys() RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  until   timestamptz := now() - llm_usage._idempotency_window();
  dropped bigint := 0;
  rows    bigint;
BEGIN
  LOOP
    DELETE FROM llm_usage._request_keys k
     WHERE k.ctid = ANY (ARRAY(SELECT o.ctid FROM llm_usage._request_keys o WHERE o.recorded_at < until
                                LIMIT 100000 FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS rows = ROW_COUNT;
    EXIT WHEN rows = 0;
    dropped := dropped + rows;
  END LOOP;
  RETURN dropped;
END $$;
