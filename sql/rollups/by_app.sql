-- Sums by app, of hours and days. Of a day that a bound cuts hours has what is asked for most, in a few bytes: no row of each hour is read.
-- points holds every event of an hour, so that a bound which cuts it needs no ledger. Each
-- fold writes a row anew: of who writes much the points move on to chunks, which stay as they are, and which the row counts.
CREATE TABLE llm_usage._by_app_day (
  app_id            bigint NOT NULL,
  bucket            timestamptz NOT NULL,
  requests          bigint NOT NULL,
  unpriced_requests bigint NOT NULL,
  input_tokens      bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  line              integer NOT NULL,
  cost              numeric NOT NULL,
  PRIMARY KEY (app_id, bucket, line)
) WITH (fillfactor = 90);
CREATE INDEX ON llm_usage._by_app_day USING brin (bucket) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE llm_usage._by_app_hour (LIKE llm_usage._by_app_day INCLUDING INDEXES, chunks integer NOT NULL, points bytea NOT NULL)
  WITH (fillfactor = 90);
ALTER TABLE llm_usage._by_app_day ADD COLUMN hours bytea NOT NULL;
CREATE TABLE llm_usage._by_app_points (
  app_id bigint NOT NULL,
  bucket timestamptz NOT NULL,
  line   integer NOT NULL,
  chunk  integer NOT NULL,
  points bytea NOT NULL,
  PRIMARY KEY (app_id, bucket, line, chunk)
);
ALTER TABLE llm_usage._by_app_hour ALTER COLUMN points SET STORAGE EXTERNAL;
ALTER TABLE llm_usage._by_app_points ALTER COLUMN points SET STORAGE EXTERNAL;
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_app_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_app_day', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_app_points', '');
-- Which lines an app ever had, also those that a rebuild finds no more: what a tenant may look up of _lines.
CREATE TABLE llm_usage._app_lines (
  app_id bigint NOT NULL,
  line   integer NOT NULL,
  PRIMARY KEY (app_id, line)
);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._app_lines', '');

CREATE FUNCTION llm_usage._fold_by_app(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._by_app_hour SELECT * FROM llm_usage._batch_by_app_hour(new_from, 'infinity');
  INSERT INTO llm_usage._by_app_points
  SELECT b.app_id, b.bucket, b.line, 0, b.points FROM llm_usage._batch_by_app_points(new_from, 'infinity') b;
  INSERT INTO llm_usage._by_app_points
  SELECT b.app_id, b.bucket, b.line, coalesce(k.chunks, 0), b.points
    FROM llm_usage._batch_by_app_points('-infinity', new_from) b
    LEFT JOIN LATERAL (
      SELECT k.chunks FROM llm_usage._by_app_hour k
       WHERE k.app_id = b.app_id AND k.bucket = b.bucket AND k.line = b.line OFFSET 0) k ON true
  UNION ALL
  -- What fills a row that is about to get more.
  SELECT b.app_id, b.bucket, b.line, k.chunks, k.points
    FROM llm_usage._batch_by_app_hour('-infinity', new_from) b
   CROSS JOIN LATERAL (
      SELECT k.chunks, k.points FROM llm_usage._by_app_hour k
       WHERE k.app_id = b.app_id AND k.bucket = b.bucket AND k.line = b.line AND octet_length(k.points) >= 1024 OFFSET 0) k
   WHERE b.chunks = 0;
  INSERT INTO llm_usage._by_app_hour AS kept
  SELECT * FROM llm_usage._batch_by_app_hour('-infinity', new_from)
  ON CONFLICT (app_id, bucket, line) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    cost = kept.cost + excluded.cost,
    chunks = kept.chunks + CASE WHEN excluded.chunks = 0 AND octet_length(kept.points) >= 1024 THEN 1 ELSE excluded.chunks END,
    points = CASE WHEN excluded.chunks > 0 THEN kept.points
                  WHEN octet_length(kept.points) >= 1024 THEN excluded.points
                  ELSE llm_usage._points_united(ARRAY[kept.points, excluded.points]) END;
  WITH day AS (
    INSERT INTO llm_usage._by_app_day AS kept
    SELECT * FROM llm_usage._batch_by_app_day()
    ON CONFLICT (app_id, bucket, line) DO UPDATE SET
      requests = kept.requests + excluded.requests,
      unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
      input_tokens = kept.input_tokens + excluded.input_tokens,
      completion_tokens = kept.completion_tokens + excluded.completion_tokens,
      cost = kept.cost + excluded.cost,
      hours = llm_usage._hours_united(kept.hours, excluded.hours)
    RETURNING kept.app_id, kept.line
  )
  INSERT INTO llm_usage._app_lines SELECT DISTINCT d.app_id, d.line FROM day d ON CONFLICT DO NOTHING;
END $$;

-- Points are the same if those of the row and its chunks are when they are united, and each is as packing makes it.
CREATE FUNCTION llm_usage._by_app_hour_expected() RETURNS SETOF llm_usage._by_app_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    WITH chunked AS MATERIALIZED (
      SELECT c.app_id, c.bucket, c.line, count(*) AS chunks, array_agg(c.points) AS points
        FROM llm_usage._by_app_points c
       GROUP BY 1, 2, 3
    )
    SELECT b.app_id, b.bucket, b.requests, b.unpriced_requests, b.input_tokens, b.completion_tokens, l.number, b.cost,
           coalesce(k.chunks, 0), coalesce(k.points, b.points)
      FROM (SELECT e.app_id, e.bucket, e.llm_id, e.model, e.vendor, e.currency,
                   sum(e.requests) AS requests,
                   coalesce(sum(e.requests) FILTER (WHERE e.cost IS NULL), 0) AS unpriced_requests,
                   llm_usage._sum(e.input_tokens) AS input_tokens, sum(e.completion_tokens) AS completion_tokens,
                   coalesce(sum(e.cost), 0) AS cost,
                   llm_usage._points_agg(e.occurred_at, e.bucket, e.requests, e.input_tokens, e.completion_tokens) AS points
              FROM (SELECT e.occurred_at, llm_usage._hour(e.occurred_at) AS bucket, e.app_id, e.llm_id, e.model COLLATE "C" AS model,
                           e.vendor COLLATE "C" AS vendor, e.currency COLLATE "C" AS currency, e.cost,
                           llm_usage._requests(e.requests, e.corrects) AS requests,
                           e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens AS input_tokens,
                           e.completion_tokens
                      FROM llm_usage.usage_events e
                     WHERE e.id <= llm_usage._folded_up_to('usage_events')) e
             GROUP BY 1, 2, 3, 4, 5, 6) b
      LEFT JOIN llm_usage._lines l ON l.model = b.model AND l.vendor IS NOT DISTINCT FROM b.vendor
                                  AND l.llm_id = b.llm_id AND l.currency = b.currency
      LEFT JOIN chunked c ON c.app_id = b.app_id AND c.bucket = b.bucket AND c.line = l.number
      LEFT JOIN LATERAL (
        SELECT k.chunks, k.points FROM llm_usage._by_app_hour k
         WHERE k.app_id = c.app_id AND k.bucket = c.bucket AND k.line = c.line AND k.chunks = c.chunks
           AND llm_usage._points_united(ARRAY[k.points]) = k.points
           AND llm_usage._points_united(c.points || k.points) = b.points) k ON true;
  END;
CREATE FUNCTION llm_usage._by_app_points_expected() RETURNS SETOF llm_usage._by_app_points
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT c.*
      FROM llm_usage._by_app_points c
      JOIN llm_usage._by_app_hour k ON k.app_id = c.app_id AND k.bucket = c.bucket AND k.line = c.line
     WHERE c.chunk BETWEEN 0 AND k.chunks - 1 AND llm_usage._points_united(ARRAY[c.points]) = c.points;
  END;
CREATE FUNCTION llm_usage._by_app_day_expected() RETURNS SETOF llm_usage._by_app_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT h.app_id, llm_usage._day(h.bucket), llm_usage._sum(h.requests), llm_usage._sum(h.unpriced_requests),
           llm_usage._sum(h.input_tokens), llm_usage._sum(h.completion_tokens), h.line, sum(h.cost),
           llm_usage._hours_packed(array_agg(h.bucket), array_agg(h.requests), array_agg(h.input_tokens), array_agg(h.completion_tokens))
      FROM llm_usage._by_app_hour h
     GROUP BY 1, 2, h.line;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'by_app');
INSERT INTO llm_usage._rollup_tables (name) VALUES ('_by_app_hour'), ('_by_app_day'), ('_by_app_points');

-- What the rollup holds of [from_time, to_time). Whoever asks for one app puts the condition outside, so that each part is
-- read through its index.
CREATE FUNCTION llm_usage._by_app_lines(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, app_id bigint, line integer, requests bigint, unpriced_requests bigint,
                 input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.app_id, k.line, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_app_day k
     WHERE llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.app_id, k.line, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_app_hour k
     WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.app_id, k.line, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_app_hour k
     WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time);
  END;

-- The parts of the sums over [from_time, to_time), of one app or with NULL of all, not yet summed.
CREATE FUNCTION llm_usage._by_app(from_time timestamptz, to_time timestamptz, for_app bigint DEFAULT NULL)
  RETURNS TABLE (bucket timestamptz, app_id bigint, llm_id bigint, vendor text, model text, currency text, requests bigint,
                 unpriced_requests bigint, input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.app_id, l.llm_id, l.vendor, l.model, l.currency, k.requests, k.unpriced_requests, k.input_tokens,
           k.completion_tokens, k.cost
      FROM llm_usage._by_app_lines(from_time, to_time) k
      JOIN llm_usage._lines l ON l.number = k.line
     WHERE for_app IS NULL OR k.app_id = for_app
    UNION ALL
    SELECT e.bucket, e.app_id, e.llm_id, e.vendor COLLATE "C", e.model COLLATE "C", e.currency COLLATE "C", e.requests,
           e.unpriced_requests, e.input_tokens, e.completion_tokens, e.cost
      FROM llm_usage._loose_lines(from_time, to_time, for_app) e;
  END;

-- What of one app is in no whole hour of the rollup, by model.
CREATE FUNCTION llm_usage._loose_app_models(for_app bigint, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (model text, requests numeric, input_tokens numeric, completion_tokens numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.model, sum(e.requests), sum(e.input_tokens), sum(e.completion_tokens)
      FROM llm_usage._loose_events(from_time, to_time, for_app) e
     GROUP BY 1;
  END;
CREATE FUNCTION llm_usage._loose_app(for_app bigint, from_time timestamptz, to_time timestamptz, folded_up_to bigint)
  RETURNS TABLE (model text, requests numeric, input_tokens numeric, completion_tokens numeric)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._may_be_loose('llm_usage.usage_events'::pg_catalog.regclass, folded_up_to, from_time, to_time) THEN
    RETURN QUERY SELECT * FROM llm_usage._loose_app_models(for_app, from_time, to_time);
  END IF;
END $$;
-- One app by model, for its report, where that cannot read it itself: lines are summed before they are looked up, and of the rollup
-- only those columns are read that are summed, or each row would be copied into another.
CREATE FUNCTION llm_usage._app_models(for_app bigint, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (model text, requests numeric, input_tokens numeric, completion_tokens numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT l.model, k.requests, k.input_tokens, k.completion_tokens
      FROM (SELECT k.line, sum(k.requests) AS requests, sum(k.input_tokens) AS input_tokens,
                   sum(k.completion_tokens) AS completion_tokens
              FROM (SELECT k.line, k.requests, k.input_tokens, k.completion_tokens
                      FROM llm_usage._by_app_day k
                     WHERE k.app_id = for_app AND k.bucket >= llm_usage._first_day(from_time, to_time)
                       AND k.bucket < llm_usage._last_day(from_time, to_time)
                    UNION ALL
                    SELECT k.line, k.requests, k.input_tokens, k.completion_tokens
                      FROM llm_usage._by_app_hour k
                     WHERE k.app_id = for_app AND k.bucket >= llm_usage._first_hour(from_time, to_time)
                       AND k.bucket < llm_usage._first_day(from_time, to_time)
                    UNION ALL
                    SELECT k.line, k.requests, k.input_tokens, k.completion_tokens
                      FROM llm_usage._by_app_hour k
                     WHERE k.app_id = for_app AND k.bucket >= llm_usage._last_day(from_time, to_time)
                       AND k.bucket < llm_usage._last_hour(from_time, to_time)) k
             GROUP BY k.line) k
      JOIN llm_usage._lines l ON l.number = k.line
    UNION ALL
    SELECT e.model, e.requests, e.input_tokens, e.completion_tokens
      FROM llm_usage._loose_app(for_app, from_time, to_time,
                                (SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events')) e;
  END;

CREATE FUNCTION llm_usage.app_activity(
    for_app bigint DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, app_id bigint, llm_id bigint, vendor text, model text, currency text, requests bigint,
                 unpriced_requests bigint, input_tokens numeric, completion_tokens numeric, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.bucket AT TIME ZONE 'UTC')::date, a.app_id, a.llm_id, a.vendor, a.model, a.currency,
           sum(a.requests)::bigint, sum(a.unpriced_requests)::bigint, sum(a.input_tokens), sum(a.completion_tokens),
           sum(a.input_tokens + a.completion_tokens), sum(a.cost)
      FROM llm_usage._by_app(from_time, to_time, for_app) a
     GROUP BY 1, 2, 3, 4, 5, 6;
  END;
COMMENT ON FUNCTION llm_usage.app_activity(bigint, timestamptz, timestamptz) IS
  'What apps used in [from_time, to_time), a row for each UTC day, app, LLM, vendor, model and currency; NULL: every app, no bound. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';
