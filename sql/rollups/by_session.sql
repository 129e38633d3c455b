-- Consumers as numbers, so that a bitmap holds them.
CREATE TABLE llm_usage._consumers (
  number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer_id text COLLATE "C" NOT NULL UNIQUE
);
CREATE TABLE llm_usage._by_session_hour (
  app_id    bigint NOT NULL,
  bucket    timestamptz NOT NULL,
  sessions  bigint NOT NULL,
  messages  bigint NOT NULL,
  consumers bytea,
  PRIMARY KEY (app_id, bucket)
) WITH (fillfactor = 90);
CREATE INDEX ON llm_usage._by_session_hour USING brin (bucket) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE llm_usage._by_session_day (LIKE llm_usage._by_session_hour INCLUDING INDEXES) WITH (fillfactor = 90);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._consumers', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._consumers_number_seq', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_session_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_session_day', '');

-- Hours of sessions and of messages, of which one kind may be asked for.
CREATE FUNCTION llm_usage._by_session_batch(
    sessions_after bigint, sessions_up_to bigint, messages_after bigint, messages_up_to bigint,
    from_time timestamptz, to_time timestamptz)
  RETURNS SETOF llm_usage._by_session_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT a.app_id, a.bucket, count(*) FILTER (WHERE a.is_session), count(*) FILTER (WHERE NOT a.is_session),
           llm_usage._bitmap_agg(a.consumer)
      FROM (SELECT s.app_id, llm_usage._hour(s.started_at) AS bucket, true AS is_session, c.number AS consumer
              FROM llm_usage.sessions s
              LEFT JOIN llm_usage._consumers c ON c.consumer_id = s.consumer_id
             WHERE s.id > sessions_after AND s.id <= sessions_up_to AND s.started_at >= from_time AND s.started_at < to_time
            UNION ALL
            SELECT m.app_id, llm_usage._hour(m.sent_at), false, NULL
              FROM llm_usage.messages m
             WHERE m.id > messages_after AND m.id <= messages_up_to AND m.sent_at >= from_time AND m.sent_at < to_time) a
     GROUP BY 1, 2;
  END;

CREATE FUNCTION llm_usage._add_by_session(
    sessions_after bigint, sessions_up_to bigint, messages_after bigint, messages_up_to bigint,
    from_time timestamptz, to_time timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  WITH batch AS MATERIALIZED (
    SELECT b.*
      FROM llm_usage._by_session_batch(sessions_after, sessions_up_to, messages_after, messages_up_to, from_time, to_time) b
  ), hours AS (
    INSERT INTO llm_usage._by_session_hour AS kept
    SELECT * FROM batch ORDER BY app_id, bucket
    ON CONFLICT (app_id, bucket) DO UPDATE SET
      sessions = kept.sessions + excluded.sessions,
      messages = kept.messages + excluded.messages,
      consumers = llm_usage._bitmap_or(kept.consumers, excluded.consumers)
  )
  INSERT INTO llm_usage._by_session_day AS kept
  SELECT b.app_id, llm_usage._day(b.bucket), sum(b.sessions), sum(b.messages), llm_usage._bitmap_or_agg(b.consumers)
    FROM batch b
   GROUP BY 1, 2
   ORDER BY 1, 2
  ON CONFLICT (app_id, bucket) DO UPDATE SET
    sessions = kept.sessions + excluded.sessions,
    messages = kept.messages + excluded.messages,
    consumers = llm_usage._bitmap_or(kept.consumers, excluded.consumers);
END $$;

CREATE FUNCTION llm_usage._fold_by_session(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz,
    OUT rows bigint, OUT newest timestamptz)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._consumers (consumer_id)
  SELECT s.consumer_id COLLATE "C" FROM llm_usage.sessions s
   WHERE s.id > after_id AND s.id <= up_to_id AND s.started_at >= from_time AND s.started_at < to_time
     AND s.consumer_id IS NOT NULL
  EXCEPT
  SELECT c.consumer_id FROM llm_usage._consumers c
   ORDER BY 1;
  PERFORM llm_usage._add_by_session(after_id, up_to_id, 0, 0, from_time, to_time);
  SELECT count(*), max(s.started_at) INTO rows, newest
    FROM llm_usage.sessions s
   WHERE s.id > after_id AND s.id <= up_to_id AND s.started_at >= from_time AND s.started_at < to_time;
END $$;
CREATE FUNCTION llm_usage._fold_by_message(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz,
    OUT rows bigint, OUT newest timestamptz)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM llm_usage._add_by_session(0, 0, after_id, up_to_id, from_time, to_time);
  SELECT count(*), max(m.sent_at) INTO rows, newest
    FROM llm_usage.messages m
   WHERE m.id > after_id AND m.id <= up_to_id AND m.sent_at >= from_time AND m.sent_at < to_time;
END $$;

CREATE FUNCTION llm_usage._by_session_hour_expected() RETURNS SETOF llm_usage._by_session_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT b.*
      FROM llm_usage._by_session_batch(0, llm_usage._folded_up_to('sessions'), 0, llm_usage._folded_up_to('messages'),
                                       '-infinity', 'infinity') b;
  END;
CREATE FUNCTION llm_usage._by_session_day_expected() RETURNS SETOF llm_usage._by_session_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT h.app_id, llm_usage._day(h.bucket), sum(h.sessions)::bigint, sum(h.messages)::bigint,
           llm_usage._bitmap_or_agg(h.consumers)
      FROM llm_usage._by_session_hour h
     GROUP BY 1, 2;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('sessions', 'by_session'), ('messages', 'by_message');
INSERT INTO llm_usage._rollup_tables (name) VALUES ('_by_session_hour'), ('_by_session_day');

-- Rollup, edges and tail of [from_time, to_time): the parts of the sums. Whoever asks for one app puts the condition outside, too.
CREATE FUNCTION llm_usage._by_session(from_time timestamptz, to_time timestamptz, for_app bigint DEFAULT NULL)
  RETURNS TABLE (bucket timestamptz, app_id bigint, sessions bigint, messages bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.app_id, k.sessions, k.messages
      FROM llm_usage._by_session_day k
     WHERE llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.app_id, k.sessions, k.messages
      FROM llm_usage._by_session_hour k
     WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.app_id, k.sessions, k.messages
      FROM llm_usage._by_session_hour k
     WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time)
    UNION ALL
    SELECT s.started_at, s.app_id, 1, 0
      FROM llm_usage._loose_sessions(from_time, to_time, for_app) s
    UNION ALL
    SELECT m.sent_at, m.app_id, 0, 1
      FROM llm_usage._loose_messages(from_time, to_time, for_app) m;
  END;

CREATE FUNCTION llm_usage.session_activity(
    for_app bigint DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, app_id bigint, sessions bigint, messages bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.bucket AT TIME ZONE 'UTC')::date, a.app_id, sum(a.sessions)::bigint, sum(a.messages)::bigint
      FROM llm_usage._by_session(from_time, to_time, for_app) a
     WHERE for_app IS NULL OR a.app_id = for_app
     GROUP BY 1, 2;
  END;
COMMENT ON FUNCTION llm_usage.session_activity(bigint, timestamptz, timestamptz) IS
  'Sessions started and messages sent in [from_time, to_time), a row for each UTC day and app; NULL: every app, no bound.';

-- As a table, so that a report's plan takes it in.
CREATE FUNCTION llm_usage._session_consumers(for_app bigint, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (consumers bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH loose AS MATERIALIZED (
      -- Of those that are not in whole hours, some have no number yet.
      SELECT n.number
        FROM (SELECT DISTINCT s.consumer_id
                FROM llm_usage._loose_sessions(from_time, to_time, for_app) s
               WHERE s.app_id = for_app AND s.consumer_id IS NOT NULL) s
        LEFT JOIN llm_usage._consumers n ON n.consumer_id = s.consumer_id
    )
    SELECT llm_usage._bitmap_or_count(b.consumers) + (SELECT count(*) FROM loose l WHERE l.number IS NULL)
      FROM (SELECT k.consumers
              FROM llm_usage._by_session_day k
             WHERE k.app_id = for_app
               AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
            UNION ALL
            SELECT k.consumers
              FROM llm_usage._by_session_hour k
             WHERE k.app_id = for_app
               AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
            UNION ALL
            SELECT k.consumers
              FROM llm_usage._by_session_hour k
             WHERE k.app_id = for_app
               AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time)
            UNION ALL
            SELECT llm_usage._bitmap_agg(l.number) FROM loose l) b;
  END;

CREATE FUNCTION llm_usage.session_consumers(
    for_app bigint, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS bigint
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT c.consumers FROM llm_usage._session_consumers(for_app, from_time, to_time) c;
  END;
COMMENT ON FUNCTION llm_usage.session_consumers(bigint, timestamptz, timestamptz) IS
  'How many different consumers started a session of the app in [from_time, to_time), exactly; NULL: no bound. A session without a consumer counts nobody.';
