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
  SELECT bucket, llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, requests, input_tokens, completion_tokens ORDER BY at) AS points
    FROM points GROUP BY bucket;
SELECT bucket, points FROM packed ORDER BY bucket;
SELECT llm_usage._points_agg(bucket, bucket, requests, input_tokens, completion_tokens) AS of_none FROM points WHERE false;

-- A bound that is exactly a point's instant begins the part of that point; what is before the first or after the last is in none.
SELECT p.bucket, part.*
  FROM packed p, llm_usage._points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{-infinity, 2025-06-01 00:01, 2025-06-01 00:04:59.999999, infinity}') part
 ORDER BY p.bucket, part.part;
SELECT * FROM packed p, llm_usage._points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{2025-06-01, infinity}') part WHERE p.bucket = '2025-06-01 00:00';
SELECT * FROM packed p, llm_usage._points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{-infinity}') part;
SELECT part.*
  FROM packed p, llm_usage._points_by_part(ARRAY[p.points], ARRAY[p.bucket], '{-infinity, 2025-06-01, 2025-06-01 00:04:59.999999, infinity}') part
 ORDER BY p.bucket, part.part;
SELECT * FROM llm_usage._points_by_part('{"\\x01010203"}', '{-infinity}', '{-infinity, 2025-06-01}');
SELECT * FROM llm_usage._points_by_part('{"\\x01010203"}', '{infinity}', '{2025-06-01, infinity}');

-- The parts are those of width_bucket, whatever the points and the bounds.
CREATE TABLE many AS
  SELECT n, timestamptz '2025-06-01' + n % 40 * interval '5 min' AS bucket, n::bigint * 7919 * 7919 % 300000000 AS at,
         (n % 11 <> 0)::integer - (n % 5 = 0)::integer AS requests, (n % 4001 - 100)::bigint AS input_tokens, (n % 977 - 50)::bigint AS completion_tokens
    FROM generate_series(1, 20000) n;
ALTER TABLE many ADD COLUMN instant timestamptz;
UPDATE many SET instant = bucket + at * interval '1 microsecond';
CREATE TABLE many_packed AS
  SELECT bucket, llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, requests, input_tokens, completion_tokens) AS points FROM many GROUP BY bucket;
SELECT width, count(*) AS parts, count(*) FILTER (WHERE a IS DISTINCT FROM b) AS different
  FROM unnest('{1 second, 37 seconds, 5 minutes, 1 hour}'::interval[]) width,
       LATERAL (SELECT array_agg(s) AS bounds FROM generate_series('2025-06-01 00:10'::timestamptz, '2025-06-01 03:00', width) s) s,
       LATERAL (SELECT part, sum(p.requests), sum(p.input_tokens), sum(p.completion_tokens)
                  FROM many_packed m, llm_usage._points_by_part(ARRAY[m.points], ARRAY[m.bucket], s.bounds) p GROUP BY part) a
  FULL JOIN
       LATERAL (SELECT width_bucket(m.instant, s.bounds) AS part,
                       sum(m.requests)::numeric, sum(m.input_tokens), sum(m.completion_tokens)
                  FROM many m GROUP BY 1 HAVING width_bucket(min(m.instant), s.bounds) BETWEEN 1 AND cardinality(s.bounds) - 1) b USING (part)
 GROUP BY width ORDER BY width;

-- Of several rows at once.
SELECT part.* FROM (SELECT array_agg(points) AS points, array_agg(bucket) AS buckets FROM packed) p,
       llm_usage._points_by_part(p.points, p.buckets, '{2025-06-01, 2025-06-01 00:01, 2025-06-01 00:05, infinity}') part;

-- A packing knows no order and no halves.
SELECT count(*) AS buckets, count(*) FILTER (WHERE one = two) AS equal
  FROM (SELECT points AS one FROM many_packed WHERE bucket = '2025-06-01') x,
       (SELECT llm_usage._points_united(ARRAY[
                 llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, requests, input_tokens, completion_tokens ORDER BY n DESC) FILTER (WHERE n > 9000),
                 llm_usage._points_agg(bucket + at * interval '1 microsecond', bucket, requests, input_tokens, completion_tokens) FILTER (WHERE n <= 9000)]) AS two
          FROM many WHERE bucket = '2025-06-01') y;

-- One group that grows far beyond its first room.
SELECT length(points), sum(part.requests)
  FROM (SELECT llm_usage._points_agg('2025-06-01 00:05'::timestamptz - n * interval '1 microsecond', '2025-06-01', 1, 2000, 500) AS points FROM generate_series(1, 200000) n) x,
       llm_usage._points_by_part(ARRAY[points], '{2025-06-01}', '{-infinity, infinity}') part
 GROUP BY 1;

-- No points, and NULL.
SELECT * FROM llm_usage._points_by_part('{""}', '{2025-06-01}', '{2025-06-01}');
SELECT * FROM llm_usage._points_by_part(NULL, '{2025-06-01}', '{2025-06-01}');
SELECT * FROM llm_usage._points_by_part('{"\\x01010203"}', NULL, '{2025-06-01}');
SELECT * FROM llm_usage._points_by_part('{"\\x01010203"}', '{2025-06-01}', NULL);
SELECT llm_usage._points_united('{}') AS of_none, llm_usage._points_united('{""}') AS empty, llm_usage._points_united(NULL) IS NULL AS is_null;

-- The largest values, and sums that leave 64 bits.
CREATE TABLE huge AS
  SELECT llm_usage._points_agg(occurred_at, '2025-06-01', requests, input_tokens, completion_tokens) AS points
    FROM (VALUES (timestamptz '9999-12-31 23:59:59.999999', 1, 9223372036854775807, -9223372036854775808),
                 ('2025-06-01', 0, -9223372036854775808, 9223372036854775807)) v (occurred_at, requests, input_tokens, completion_tokens);
SELECT length(points), part.* FROM huge, llm_usage._points_by_part(ARRAY[points], '{2025-06-01}', '{2025-06-01, 2025-06-02, infinity}') part;
SELECT part.* FROM huge, llm_usage._points_by_part(ARRAY[points], '{2025-06-01}', '{-infinity, infinity}') part;

\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT part.* FROM huge, llm_usage._points_by_part(ARRAY[llm_usage._points_united(ARRAY[points, points])], '{2025-06-01}', '{2025-06-02, infinity}') part;
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM llm_usage._points_by_part('{"\\x010102030102"}', '{2025-06-01}', '{2025-06-01, infinity}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_united('{"\\xffffffffffffffffffffffffffffff"}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_united('{NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM llm_usage._points_by_part('{"\\x01010203"}', '{2025-06-01}', '{2025-06-01, NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM llm_usage._points_by_part('{NULL}', '{2025-06-01}', '{-infinity, infinity}');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_agg('2025-05-31 23:59:59.999999', '2025-06-01', 1, 1, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_agg('2025-06-01', '2025-06-01', 2, 1, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._points_agg('2025-06-01', '2025-06-01', 1, NULL, 1);
\echo :LAST_ERROR_SQLSTATE
