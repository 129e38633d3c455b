-- Sets of numbers: exact counts, one form for each set, and every other form refused.
\set VERBOSITY default
\set SHOW_CONTEXT never
-- NULLs and nothing.
SELECT llm_usage._bitmap_agg(n) AS of_nothing FROM generate_series(1, 0) n;
SELECT llm_usage._bitmap_agg(NULL) AS of_nulls FROM generate_series(1, 3);
SELECT llm_usage._bitmap_agg(n) AS nulls_left_out FROM (VALUES (NULL::bigint), (7), (NULL), (7)) v (n);
SELECT llm_usage._bitmap_or_agg(b) AS of_nothing, llm_usage._bitmap_or_count(b) AS counted
  FROM (SELECT NULL::bytea WHERE false) v (b);
SELECT llm_usage._bitmap_or_agg(b) AS of_nulls, llm_usage._bitmap_or_count(b) AS counted
  FROM (VALUES (NULL::bytea), (NULL)) v (b);
SELECT llm_usage._bitmap_or(NULL, NULL) AS of_nulls, llm_usage._bitmap_count(NULL) AS count;
SELECT one.b = llm_usage._bitmap_or(one.b, NULL) AND one.b = llm_usage._bitmap_or(NULL, one.b) AS null_is_empty,
       llm_usage._bitmap_count(llm_usage._bitmap_or(one.b, one.b)) AS same_twice
  FROM (SELECT llm_usage._bitmap_agg(7)) one (b);
-- The empty set has a form too, though no aggregate makes it.
SELECT llm_usage._bitmap_count(e.b) AS count, llm_usage._bitmap_or(e.b, e.b) AS self, llm_usage._bitmap_or(e.b, NULL) AS or_null,
       llm_usage._bitmap_or_agg(e.b) AS united, llm_usage._bitmap_or_count(e.b) AS counted
  FROM (VALUES ('\x0000000000000000'::bytea)) e (b) GROUP BY e.b;
-- Negative, big, and everything between.
SELECT llm_usage._bitmap_count(llm_usage._bitmap_agg(n)) AS different
  FROM (VALUES (0::bigint), (-1), (1), (-1), (9223372036854775807), (-9223372036854775808), (4294967296), (-4294967296),
               (9223372036854775807)) v (n);
SELECT llm_usage._bitmap_agg(n) FROM (VALUES (-1::bigint), (-9223372036854775808)) v (n);
-- Equal sets are equal bytes, in whatever order and parts they were gathered, and count what DISTINCT counts.
CREATE TABLE numbers AS
  SELECT part, n FROM generate_series(1::bigint, 9) part,
         LATERAL (SELECT i * i * part % 30011 FROM generate_series(1::bigint, 3000) i
                  UNION ALL SELECT part * -1000000007 * i FROM generate_series(1::bigint, 20) i
                  UNION ALL SELECT 70000 + part * 1000 + i FROM generate_series(1::bigint, 1500) i) v (n);
CREATE TABLE parts AS SELECT part, llm_usage._bitmap_agg(n) AS bitmap FROM numbers GROUP BY part;
SELECT (SELECT count(DISTINCT n) FROM numbers) AS expected, llm_usage._bitmap_or_count(bitmap) AS counted,
       llm_usage._bitmap_count(llm_usage._bitmap_or_agg(bitmap)) AS united,
       (SELECT llm_usage._bitmap_count(llm_usage._bitmap_agg(n)) FROM numbers) AS gathered
  FROM parts;
SELECT count(DISTINCT bitmap) AS forms
  FROM (SELECT llm_usage._bitmap_agg(n) FROM numbers
        UNION ALL SELECT llm_usage._bitmap_agg(n ORDER BY n DESC) FROM numbers
        UNION ALL SELECT llm_usage._bitmap_or_agg(bitmap ORDER BY part) FROM parts
        UNION ALL SELECT llm_usage._bitmap_or_agg(bitmap ORDER BY part DESC) FROM parts
        UNION ALL SELECT llm_usage._bitmap_or(llm_usage._bitmap_or_agg(bitmap) FILTER (WHERE part < 5),
                                              llm_usage._bitmap_or_agg(bitmap) FILTER (WHERE part > 3)) FROM parts) f (bitmap);
SELECT count(*) AS parts, bool_and(llm_usage._bitmap_count(p.bitmap) = e.count) AS each_exact
  FROM parts p JOIN (SELECT part, count(DISTINCT n) FROM numbers GROUP BY part) e USING (part);
-- As a window, where the state lives on between results.
SELECT part, llm_usage._bitmap_count(llm_usage._bitmap_or_agg(bitmap) OVER w) = llm_usage._bitmap_or_count(bitmap) OVER w AS equal
  FROM parts WHERE part < 4 WINDOW w AS (ORDER BY part);
-- In several processes.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE numbers SET (parallel_workers = 2);
ALTER TABLE parts SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT llm_usage._bitmap_agg(n) FROM numbers;
SELECT llm_usage._bitmap_agg(n) = (SELECT llm_usage._bitmap_agg(n ORDER BY n) FROM numbers) AS same FROM numbers;
SELECT llm_usage._bitmap_or_agg(bitmap) = (SELECT llm_usage._bitmap_agg(n ORDER BY n) FROM numbers) AS same FROM parts;
SELECT llm_usage._bitmap_agg(nullif(n, n)) AS of_nulls FROM numbers;
SELECT llm_usage._bitmap_count(llm_usage._bitmap_agg(n)) AS of_one FROM numbers WHERE n = -1000000007;
RESET max_parallel_workers_per_gather;
-- Kept and united row by row; large ones are stored out of line, and compressed.
CREATE TABLE kept (day integer PRIMARY KEY, bitmap bytea);
INSERT INTO kept VALUES (1, NULL);
DO $$
DECLARE
  piece bytea;
BEGIN
  FOR piece IN SELECT bitmap FROM parts LOOP
    INSERT INTO kept VALUES (1, piece), (2, piece)
        ON CONFLICT (day) DO UPDATE SET bitmap = llm_usage._bitmap_or(kept.bitmap, EXCLUDED.bitmap);
  END LOOP;
END $$;
SELECT day, llm_usage._bitmap_count(bitmap), bitmap = (SELECT llm_usage._bitmap_agg(n) FROM numbers) AS same
  FROM kept ORDER BY day;
-- What is not a bitmap.
\set ON_ERROR_STOP 0
SELECT llm_usage._bitmap_count('');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._bitmap_count('garbage, and long enough');
SELECT llm_usage._bitmap_or('garbage, and long enough', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._bitmap_or(NULL, 'x');
SELECT llm_usage._bitmap_or_agg(b) FROM (VALUES (NULL::bytea), ('\x0000000000000000'), ('\x00')) v (b);
SELECT llm_usage._bitmap_or_count(b) FROM (VALUES (NULL::bytea), ('\x0000000000000000'), ('\x00')) v (b);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage._bitmap_count('\xffffffffffffffff');
SELECT llm_usage._bitmap_count('\x000000000000000000');
SELECT llm_usage._bitmap_count('\x0100000000000000000000003b30000001000000');
SELECT llm_usage._bitmap_count('\x0100000000000000000000003a30000000000000');
SELECT llm_usage._bitmap_count('\x0100000000000000000000003a300000ffffffff');
SELECT llm_usage._bitmap_count('\x0100000000000000000000003a300000010000000000010010000000' || '\x0700'::bytea || '\x0800') AS two;
SELECT llm_usage._bitmap_count('\x0100000000000000000000003a300000010000000000010010000000' || '\x0700'::bytea || '\x0700');
SELECT llm_usage._bitmap_count('\x0100000000000000000000003a300000010000000000010011000000' || '\x0700'::bytea || '\x0800');
SELECT llm_usage._bitmap_count('\x0100000000000000000000003a300000010000000000001010000000' || decode(repeat('00', 8192), 'hex'));
SELECT llm_usage._bitmap_count('\x0200000000000000' || d.b || d.b)
  FROM (VALUES ('\x010000003a3000000100000000000000100000000700'::bytea)) d (b);
