-- The points of a rollup's row: packed by an aggregate, summed up part by part, compared.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
CREATE TABLE points (bucket timestamptz, at bigint, requests integer, input_tokens bigint, completion_tokens bigint);
INSERT INTO points VALUES
  ('2025-06-01 00:00', 0, 1, 10, 1),
  ('2025-06-01 00:00', 59999999, 1, 20, 2),
  ('2025-06-01 00:00', 60000000, 1, 40, 4),
  ('2025-06-01 00:00', 60000000, -1, -40, -4),
  ('2025-06-01 00:00', 60000001, 1, 80, 8),
  ('2025-06-01 00:00', 299999999, 1, 160, 16),
  ('2025-06-01 00:05', 0, 0, 0, 0);
CREATE TABLE packed AS
  SELECT bucket, llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, 7, requests, input_tokens, completion_tokens ORDER BY at) AS points
    FROM points GROUP BY bucket;
SELECT bucket, points FROM packed ORDER BY bucket;
SELECT llm_usage._points_agg(bucket, bucket, 7, requests, input_tokens, completion_tokens) AS of_none FROM points WHERE false;

-- A bound that is exactly a point's instant begins the part of that point; the last part has no end.
SELECT p.bucket, part.*
  FROM packed p, llm_usage._points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{2025-06-01 00:01, 2025-06-01 00:04:59.999999}') part
 ORDER BY p.bucket, part.part;
SELECT * FROM packed p, llm_usage._points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{}') part WHERE p.bucket = '2025-06-01 00:00';
SELECT part.*
  FROM packed p, llm_usage._points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{-infinity, 2025-06-01, 2025-06-01 00:05, infinity}') part
 ORDER BY p.bucket, part.part;
SELECT * FROM llm_usage._points_by_part('{"\\x01000203"}', '{-infinity}', '{-infinity, 2025-06-01}');
SELECT * FROM llm_usage._points_by_part('{"\\x01000203"}', '{infinity}', '{2025-06-01, infinity}');

-- The parts are those of width_bucket, whatever the points and the starts.
CREATE TABLE many AS
  SELECT n, (n % 13)::bigint AS app_id, timestamptz '2025-06-01' + n % 40 * interval '5 min' AS bucket, n::bigint * 7919 * 7919 % 300000000 AS at,
         (n % 11 <> 0)::integer - (n % 5 = 0)::integer AS requests, (n % 4001 - 100)::bigint AS input_tokens, (n % 977 - 50)::bigint AS completion_tokens
    FROM generate_series(1, 20000) n;
CREATE TABLE many_packed AS
  SELECT bucket, llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, app_id, requests, input_tokens, completion_tokens) AS points FROM many GROUP BY bucket;
SELECT width, count(*) AS parts, count(*) FILTER (WHERE a IS DISTINCT FROM b) AS different
  FROM unnest('{1 second, 37 seconds, 5 minutes, 1 hour}'::interval[]) width,
       LATERAL (SELECT array_agg(s) AS starts FROM generate_series('2025-06-01 00:10'::timestamptz, '2025-06-01 03:00', width) s) s,
       LATERAL (SELECT part, sum(p.requests), sum(p.input_tokens), sum(p.completion_tokens)
                  FROM many_packed m, llm_usage._points_by_part(ARRAY[m.points], ARRAY[m.bucket], s.starts) p GROUP BY part) a
  FULL JOIN
       LATERAL (SELECT width_bucket(m.bucket + m.at * interval '1 microsecond', s.starts) AS part,
                       sum(m.requests)::numeric, sum(m.input_tokens), sum(m.completion_tokens)
                  FROM many m GROUP BY 1) b USING (part)
 GROUP BY width ORDER BY width;

-- Of some apps.
SELECT count(*) AS parts, count(*) FILTER (WHERE a IS DISTINCT FROM b) AS different
  FROM (SELECT array_agg(s) AS starts FROM generate_series('2025-06-01 00:10'::timestamptz, '2025-06-01 03:00', '37 seconds') s) s,
       LATERAL (SELECT part, sum(p.requests), sum(p.input_tokens), sum(p.completion_tokens)
                  FROM many_packed m, llm_usage._app_points_by_part(ARRAY[m.points], ARRAY[m.bucket], s.starts, '{3, 11, 99}') p GROUP BY part) a
  FULL JOIN
       LATERAL (SELECT width_bucket(m.bucket + m.at * interval '1 microsecond', s.starts) AS part,
                       sum(m.requests)::numeric, sum(m.input_tokens), sum(m.completion_tokens)
                  FROM many m WHERE m.app_id IN (3, 11) GROUP BY 1) b USING (part);
-- Of several rows at once.
SELECT part.* FROM (SELECT array_agg(points) AS points, array_agg(bucket) AS buckets FROM packed) p,
       llm_usage._points_by_part(p.points, p.buckets, '{2025-06-01 00:01, 2025-06-01 00:05}') part;
SELECT * FROM packed p, llm_usage._app_points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{}', '{}') part;

-- Two packings are one when they are concatenated, and equal once they are sorted.
SELECT count(*) AS buckets, count(*) FILTER (WHERE one = two) AS equal
  FROM (SELECT llm_usage._points_sorted(points) AS one FROM many_packed WHERE bucket = '2025-06-01') x,
       (SELECT llm_usage._points_sorted(
                 llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, app_id, requests, input_tokens, completion_tokens ORDER BY n DESC) FILTER (WHERE n > 9000)
                 || llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, app_id, requests, input_tokens, completion_tokens) FILTER (WHERE n <= 9000)) AS two
          FROM many WHERE bucket = '2025-06-01') y;

-- One group that grows far beyond its first room.
SELECT length(points), sum(part.requests)
  FROM (SELECT llm_usage._points_agg('2025-06-01 00:05'::timestamptz - n * interval '1 microsecond', '2025-06-01', 7, 1, 2000, 500) AS points FROM generate_series(1, 200000) n) x,
       llm_usage._points_by_part(ARRAY[points], '{2025-06-01}', '{}') part
 GROUP BY 1;

-- No points, and NULL.
SELECT * FROM llm_usage._points_by_part('{""}', '{2025-06-01}', '{2025-06-01}');
SELECT * FROM llm_usage._points_by_part(NULL, '{2025-06-01}', '{2025-06-01}');
SELECT * FROM llm_usage._points_by_part('{"\\x01000203"}', NULL, '{2025-06-01}');
SELECT * FROM llm_usage._points_by_part('{"\\x01000203"}', '{2025-06-01}', NULL);
SELECT llm_usage._points_sorted('') AS empty, llm_usage._points_sorted(NULL) IS NULL AS is_null;

-- The largest values, and sums that leave 64 bits.
CREATE TABLE huge AS
  SELECT llm_usage._points_agg(occurred_at, '2025-06-01', 7, requests, input_tokens, completion_tokens) AS points
    FROM (VALUES (timestamptz '9999-12-31 23:59:59.999999', 1, 9223372036854775807, -9223372036854775808),
                 ('2025-06-01', 0, -9223372036854775808, 9223372036854775807)) v (occurred_at, requests, input_tokens, completion_tokens);
SELECT length(points), part.* FROM huge, llm_usage._points_by_part(ARRAY[points], '{2025-06-01}', '{2025-06-01, 2025-06-02}') part;
SELECT part.* FROM huge, llm_usage._points_by_part(ARRAY[points], '{2025-06-01}', '{}') part;

\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT part.* FROM huge, llm_usage._points_by_part(ARRAY[points || points], '{2025-06-01}', '{2025-06-02}') part;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM llm_usage._points_by_part('{"\\x010002030102"}', '{2025-06-01}', '{2025-06-01}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_sorted('\xffffffffffffffffffffffffffffff');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM llm_usage._points_by_part('{"\\x01000203"}', '{2025-06-01}', '{2025-06-01, NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM llm_usage._points_by_part('{NULL}', '{2025-06-01}', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM llm_usage._app_points_by_part('{"\\x01000203"}', '{2025-06-01}', '{}', '{7, NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_agg('2025-05-31 23:59:59.999999', '2025-06-01', 7, 1, 1, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_agg('2025-06-01', '2025-06-01', 7, 2, 1, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_agg('2025-06-01', '2025-06-01', 7, 1, NULL, 1);
\echo :LAST_ERROR_SQLSTATE
