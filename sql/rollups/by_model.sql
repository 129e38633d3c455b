-- Sums by model, of 5 minutes, hours and days. A model is asked about between any instants, and the ledger has no index for
-- it: points holds every event of the 5 minutes in a few bytes, so that a bound which cuts them needs no ledger. Rows and chunks are
-- written as those of by_app are.
CREATE TABLE llm_usage._by_model_day (
  bucket            timestamptz NOT NULL,
  requests          bigint NOT NULL,
  unpriced_requests bigint NOT NULL,
  input_tokens      bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  line              integer NOT NULL,
  cost              numeric NOT NULL,
  PRIMARY KEY (line, bucket)
) WITH (fillfactor = 90);
CREATE INDEX ON llm_usage._by_model_day USING brin (bucket) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE llm_usage._by_model_hour (LIKE llm_usage._by_model_day INCLUDING INDEXES) WITH (fillfactor = 90);
CREATE TABLE llm_usage._by_model_5min (LIKE llm_usage._by_model_day, chunks integer NOT NULL, points bytea NOT NULL, PRIMARY KEY (line, bucket))
  WITH (fillfactor = 90);
CREATE TABLE llm_usage._by_model_points (
  bucket timestamptz NOT NULL,
  line   integer NOT NULL,
  chunk  integer NOT NULL,
  points bytea NOT NULL,
  PRIMARY KEY (line, bucket, chunk)
);
ALTER TABLE llm_usage._by_model_5min ALTER COLUMN points SET STORAGE EXTERNAL;
ALTER TABLE llm_usage._by_model_points ALTER COLUMN points SET STORAGE EXTERNAL;
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_model_5min', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_model_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_model_day', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_model_points', '');

CREATE FUNCTION llm_usage._5min(at timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN date_bin('5 minutes', at, '2000-01-01 00:00:00+00');

CREATE FUNCTION llm_usage._fold_by_model(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._by_model_5min SELECT * FROM llm_usage._batch_by_model_5min(new_from, 'infinity');
  INSERT INTO llm_usage._by_model_points
  SELECT b.bucket, b.line, 0, b.points FROM llm_usage._batch_by_model_points(new_from, 'infinity') b;
  INSERT INTO llm_usage._by_model_points
  SELECT b.bucket, b.line, coalesce(k.chunks, 0), b.points
    FROM llm_usage._batch_by_model_points('-infinity', new_from) b
    LEFT JOIN LATERAL (
      SELECT k.chunks FROM llm_usage._by_model_5min k WHERE k.line = b.line AND k.bucket = b.bucket OFFSET 0) k ON true
  UNION ALL
  SELECT b.bucket, b.line, k.chunks, k.points
    FROM llm_usage._batch_by_model_5min('-infinity', new_from) b
   CROSS JOIN LATERAL (
      SELECT k.chunks, k.points FROM llm_usage._by_model_5min k
       WHERE k.line = b.line AND k.bucket = b.bucket AND octet_length(k.points) >= 1024 OFFSET 0) k
   WHERE b.chunks = 0;
  INSERT INTO llm_usage._by_model_5min AS kept
  SELECT * FROM llm_usage._batch_by_model_5min('-infinity', new_from)
  ON CONFLICT (line, bucket) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    cost = kept.cost + excluded.cost,
    chunks = kept.chunks + CASE WHEN excluded.chunks = 0 AND octet_length(kept.points) >= 1024 THEN 1 ELSE excluded.chunks END,
    points = CASE WHEN excluded.chunks > 0 THEN kept.points
                  WHEN octet_length(kept.points) >= 1024 THEN excluded.points
                  ELSE llm_usage._points_united(ARRAY[kept.points, excluded.points]) END;
  INSERT INTO llm_usage._by_model_hour AS kept
  SELECT * FROM llm_usage._batch_by_model('hour')
  ON CONFLICT (line, bucket) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    cost = kept.cost + excluded.cost;
  INSERT INTO llm_usage._by_model_day AS kept
  SELECT * FROM llm_usage._batch_by_model('day')
  ON CONFLICT (line, bucket) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    cost = kept.cost + excluded.cost;
END $$;

CREATE FUNCTION llm_usage._by_model_5min_expected() RETURNS SETOF llm_usage._by_model_5min
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    WITH chunked AS MATERIALIZED (
      SELECT c.line, c.bucket, count(*) AS chunks, array_agg(c.points) AS points FROM llm_usage._by_model_points c GROUP BY 1, 2
    )
    SELECT b.bucket, b.requests, b.unpriced_requests, b.input_tokens, b.completion_tokens, l.number, b.cost,
           coalesce(k.chunks, 0), coalesce(k.points, b.points)
      FROM (SELECT e.bucket, e.llm_id, e.model, e.vendor, e.currency,
                   sum(e.requests) AS requests,
                   coalesce(sum(e.requests) FILTER (WHERE e.cost IS NULL), 0) AS unpriced_requests,
                   llm_usage._sum(e.input_tokens) AS input_tokens, sum(e.completion_tokens) AS completion_tokens,
                   coalesce(sum(e.cost), 0) AS cost,
                   llm_usage._points_agg(e.occurred_at, e.bucket, e.requests, e.input_tokens, e.completion_tokens) AS points
              FROM (SELECT e.occurred_at, llm_usage._5min(e.occurred_at) AS bucket, e.llm_id, e.model COLLATE "C" AS model,
                           e.vendor COLLATE "C" AS vendor, e.currency COLLATE "C" AS currency, e.cost,
                           llm_usage._requests(e.requests, e.corrects) AS requests,
                           e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens AS input_tokens,
                           e.completion_tokens
                      FROM llm_usage.usage_events e
                     WHERE e.id <= llm_usage._folded_up_to('usage_events')) e
             GROUP BY 1, 2, 3, 4, 5) b
      LEFT JOIN llm_usage._lines l ON l.model = b.model AND l.vendor IS NOT DISTINCT FROM b.vendor
                                  AND l.llm_id = b.llm_id AND l.currency = b.currency
      LEFT JOIN chunked c ON c.line = l.number AND c.bucket = b.bucket
      LEFT JOIN LATERAL (
        SELECT k.chunks, k.points FROM llm_usage._by_model_5min k
         WHERE k.line = c.line AND k.bucket = c.bucket AND k.chunks = c.chunks
           AND llm_usage._points_united(ARRAY[k.points]) = k.points
           AND llm_usage._points_united(c.points || k.points) = b.points) k ON true;
  END;
CREATE FUNCTION llm_usage._by_model_points_expected() RETURNS SETOF llm_usage._by_model_points
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT c.*
      FROM llm_usage._by_model_points c
      JOIN llm_usage._by_model_5min k ON k.line = c.line AND k.bucket = c.bucket
     WHERE c.chunk BETWEEN 0 AND k.chunks - 1 AND llm_usage._points_united(ARRAY[c.points]) = c.points;
  END;
CREATE FUNCTION llm_usage._by_model_hour_expected() RETURNS SETOF llm_usage._by_model_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT llm_usage._hour(m.bucket), llm_usage._sum(m.requests), llm_usage._sum(m.unpriced_requests),
           llm_usage._sum(m.input_tokens), llm_usage._sum(m.completion_tokens), m.line, sum(m.cost)
      FROM llm_usage._by_model_5min m
     GROUP BY 1, m.line;
  END;
CREATE FUNCTION llm_usage._by_model_day_expected() RETURNS SETOF llm_usage._by_model_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT llm_usage._day(h.bucket), llm_usage._sum(h.requests), llm_usage._sum(h.unpriced_requests),
           llm_usage._sum(h.input_tokens), llm_usage._sum(h.completion_tokens), h.line, sum(h.cost)
      FROM llm_usage._by_model_hour h
     GROUP BY 1, h.line;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'by_model');
INSERT INTO llm_usage._rollup_tables (name)
VALUES ('_by_model_5min'), ('_by_model_hour'), ('_by_model_day'), ('_by_model_points');

-- Rollup, edges and tail of [from_time, to_time): the parts of the sums.
CREATE FUNCTION llm_usage._by_model(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, vendor text, model text, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, l.vendor, l.model, l.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_model_day k
      JOIN llm_usage._lines l ON l.number = k.line
     WHERE llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, l.vendor, l.model, l.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_model_hour k
      JOIN llm_usage._lines l ON l.number = k.line
     WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, l.vendor, l.model, l.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_model_hour k
      JOIN llm_usage._lines l ON l.number = k.line
     WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time)
    UNION ALL
    SELECT t.bucket, t.vendor, t.model, t.currency, t.requests, t.unpriced_requests, t.input_tokens, t.completion_tokens, t.cost
      FROM llm_usage._tenant_lines(from_time, to_time) t
    UNION ALL
    SELECT e.bucket, e.vendor COLLATE "C", e.model COLLATE "C", e.currency COLLATE "C", e.requests, e.unpriced_requests,
           e.input_tokens, e.completion_tokens, e.cost
      FROM llm_usage._loose_lines(from_time, to_time, NULL) e;
  END;

CREATE FUNCTION llm_usage.model_activity(
    for_model text DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, vendor text, model text, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens numeric, completion_tokens numeric, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.bucket AT TIME ZONE 'UTC')::date, a.vendor, a.model, a.currency, sum(a.requests)::bigint,
           sum(a.unpriced_requests)::bigint, sum(a.input_tokens), sum(a.completion_tokens),
           sum(a.input_tokens + a.completion_tokens), sum(a.cost)
      FROM llm_usage._by_model(from_time, to_time) a
     WHERE for_model IS NULL OR a.model = for_model
     GROUP BY 1, 2, 3, 4;
  END;
COMMENT ON FUNCTION llm_usage.model_activity(text, timestamptz, timestamptz) IS
  'What models were used for in [from_time, to_time), a row for each UTC day, vendor, model and currency; NULL: every model, no bound. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';

-- Days that no bound cuts are read from the days, of the others the hours, of cut hours the 5 minutes, of cut 5 minutes the
-- points. What a bound does not cut begins and ends in the same part. The fences keep the planner from joining all hours with
-- all cut days.
CREATE FUNCTION llm_usage.model_activity_between(for_model text, starts timestamptz[], to_time timestamptz)
  RETURNS TABLE (part integer, requests bigint, input_tokens numeric, completion_tokens numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH line AS MATERIALIZED (
      SELECT l.number FROM llm_usage._lines l WHERE l.model = for_model AND NOT llm_usage._is_tenant()
    ), bounds AS MATERIALIZED (
      -- Also where there is nothing to be counted. What would start behind the end is empty.
      SELECT c.clipped, c.clipped || to_time AS instants, width_bucket('epoch', starts || to_time) IS NOT NULL AS are_told
        FROM (SELECT array_agg(least(s.start, to_time) ORDER BY s.ordinality) AS clipped
                FROM unnest(starts) WITH ORDINALITY s (start, ordinality)) c
    ), cut AS MATERIALIZED (
      SELECT c.at FROM bounds b CROSS JOIN LATERAL unnest(b.instants) c (at)
    )
    SELECT p.part, sum(p.requests)::bigint, sum(p.input_tokens), sum(p.completion_tokens)
      FROM (SELECT width_bucket(k.bucket, (SELECT b.instants FROM bounds b)) AS part,
                   width_bucket(k.bucket + interval '23:59:59.999999', (SELECT b.instants FROM bounds b)) AS last_part,
                   k.requests, k.input_tokens, k.completion_tokens
              FROM line l
             CROSS JOIN LATERAL (
                SELECT k.* FROM llm_usage._by_model_day k
                 WHERE k.line = l.number AND k.bucket >= starts[array_lower(starts, 1)] AND k.bucket < to_time OFFSET 0) k
            UNION ALL
            SELECT width_bucket(k.bucket, (SELECT b.instants FROM bounds b)),
                   width_bucket(k.bucket + interval '59:59.999999', (SELECT b.instants FROM bounds b)),
                   k.requests, k.input_tokens, k.completion_tokens
              FROM line l
             CROSS JOIN (SELECT DISTINCT llm_usage._day(c.at) AS bucket FROM cut c WHERE c.at <> llm_usage._day(c.at)) d
             CROSS JOIN LATERAL (
                SELECT k.* FROM llm_usage._by_model_hour k
                 WHERE k.line = l.number AND k.bucket >= d.bucket AND k.bucket < d.bucket + interval '24 hours' OFFSET 0) k
            UNION ALL
            SELECT width_bucket(k.bucket, (SELECT b.instants FROM bounds b)),
                   width_bucket(k.bucket + interval '4:59.999999', (SELECT b.instants FROM bounds b)),
                   k.requests, k.input_tokens, k.completion_tokens
              FROM line l
             CROSS JOIN (SELECT DISTINCT llm_usage._hour(c.at) AS bucket FROM cut c WHERE c.at <> llm_usage._hour(c.at)) h
             CROSS JOIN LATERAL (
                SELECT k.bucket, k.requests, k.input_tokens, k.completion_tokens FROM llm_usage._by_model_5min k
                 WHERE k.line = l.number AND k.bucket >= h.bucket AND k.bucket < h.bucket + interval '1 hour' OFFSET 0) k
            UNION ALL
            SELECT p.part, p.part, p.requests, p.input_tokens, p.completion_tokens
              FROM (SELECT array_agg(k.points) AS points, array_agg(k.bucket) AS buckets
                      FROM line l
                     CROSS JOIN (SELECT DISTINCT llm_usage._5min(c.at) AS bucket FROM cut c WHERE c.at <> llm_usage._5min(c.at)) m
                     CROSS JOIN LATERAL (
                        SELECT k.bucket, k.points FROM llm_usage._by_model_5min k
                         WHERE k.line = l.number AND k.bucket = m.bucket
                        UNION ALL
                        SELECT k.bucket, k.points FROM llm_usage._by_model_points k
                         WHERE k.line = l.number AND k.bucket = m.bucket OFFSET 0) k
                     GROUP BY llm_usage._hour(k.bucket)) m
             CROSS JOIN LATERAL llm_usage._points_by_part(m.points, m.buckets, (SELECT b.instants FROM bounds b)) p
            UNION ALL
            SELECT t.part, t.last_part, t.requests, t.input_tokens, t.completion_tokens
              FROM llm_usage._tenant_between(for_model, (SELECT b.clipped FROM bounds b), to_time) t
            UNION ALL
            SELECT t.part, t.part, t.requests, t.input_tokens, t.completion_tokens
              FROM (SELECT width_bucket(e.occurred_at, (SELECT b.instants FROM bounds b)) AS part, e.requests, e.input_tokens,
                           e.completion_tokens
                      FROM llm_usage._tail_events e
                     WHERE e.model = for_model AND e.occurred_at >= starts[array_lower(starts, 1)] AND e.occurred_at < to_time OFFSET 0) t) p
     WHERE (SELECT b.are_told FROM bounds b) AND p.part = p.last_part AND p.part BETWEEN 1 AND cardinality(starts)
     GROUP BY p.part
    HAVING sum(p.requests) <> 0 OR sum(p.input_tokens) <> 0 OR sum(p.completion_tokens) <> 0;
  END;
COMMENT ON FUNCTION llm_usage.model_activity_between(text, timestamptz[], timestamptz) IS
  'What one model was used for in each part from the first of the starts to to_time, which is exclusive: part i goes from the i-th start to the next one, the last to to_time. The starts ascend, to the microsecond. Parts in which nothing is counted are absent. Errors: 22004 for a NULL among the starts or for to_time, 22000 for an array of arrays.';
