CREATE TABLE llm_usage._by_user_hour (
  user_id           bigint,
  bucket            timestamptz NOT NULL,
  requests          bigint NOT NULL,
  unpriced_requests bigint NOT NULL,
  input_tokens      bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  currency          text COLLATE "C" NOT NULL,
  cost              numeric NOT NULL,
  UNIQUE NULLS NOT DISTINCT (user_id, bucket, currency)
) WITH (fillfactor = 90);
CREATE INDEX ON llm_usage._by_user_hour USING brin (bucket) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE llm_usage._by_user_day (LIKE llm_usage._by_user_hour INCLUDING INDEXES) WITH (fillfactor = 90);
-- Without a primary key they could not be changed in a publication of all tables.
ALTER TABLE llm_usage._by_user_hour REPLICA IDENTITY FULL;
ALTER TABLE llm_usage._by_user_day REPLICA IDENTITY FULL;
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_user_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_user_day', '');

CREATE FUNCTION llm_usage._fold_by_user(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._by_user_hour SELECT * FROM llm_usage._batch_by_user('hour', new_from, 'infinity');
  INSERT INTO llm_usage._by_user_hour AS kept
  SELECT * FROM llm_usage._batch_by_user('hour', '-infinity', new_from)
  ON CONFLICT (user_id, bucket, currency) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    cost = kept.cost + excluded.cost;
  INSERT INTO llm_usage._by_user_day AS kept
  SELECT * FROM llm_usage._batch_by_user('day', '-infinity', 'infinity')
  ON CONFLICT (user_id, bucket, currency) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    cost = kept.cost + excluded.cost;
END $$;

CREATE FUNCTION llm_usage._by_user_hour_expected() RETURNS SETOF llm_usage._by_user_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT e.user_id, llm_usage._hour(e.occurred_at), sum(llm_usage._requests(e.requests, e.corrects)),
           coalesce(sum(llm_usage._requests(e.requests, e.corrects)) FILTER (WHERE e.cost IS NULL), 0),
           llm_usage._sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens), sum(e.completion_tokens),
           e.currency COLLATE "C", coalesce(sum(e.cost), 0)
      FROM llm_usage.usage_events e
     WHERE e.id <= llm_usage._folded_up_to('usage_events')
     GROUP BY 1, 2, 7;
  END;
CREATE FUNCTION llm_usage._by_user_day_expected() RETURNS SETOF llm_usage._by_user_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT h.user_id, llm_usage._day(h.bucket), llm_usage._sum(h.requests), llm_usage._sum(h.unpriced_requests),
           llm_usage._sum(h.input_tokens), llm_usage._sum(h.completion_tokens), h.currency, sum(h.cost)
      FROM llm_usage._by_user_hour h
     GROUP BY 1, 2, h.currency;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'by_user');
INSERT INTO llm_usage._rollup_tables (name) VALUES ('_by_user_hour'), ('_by_user_day');

-- Rollup, edges and tail of [from_time, to_time): the parts of the sums.
CREATE FUNCTION llm_usage._by_user(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, user_id bigint, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.user_id, k.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_user_day k
     WHERE llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.user_id, k.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_user_hour k
     WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.user_id, k.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_user_hour k
     WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time)
    UNION ALL
    SELECT e.bucket, e.user_id, e.currency COLLATE "C", e.requests, e.unpriced_requests, e.input_tokens, e.completion_tokens, e.cost
      FROM llm_usage._loose_users(from_time, to_time) e;
  END;

CREATE FUNCTION llm_usage.user_activity(
    for_user bigint DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, user_id bigint, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens numeric, completion_tokens numeric, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.bucket AT TIME ZONE 'UTC')::date, a.user_id, a.currency, sum(a.requests)::bigint,
           sum(a.unpriced_requests)::bigint, sum(a.input_tokens), sum(a.completion_tokens),
           sum(a.input_tokens + a.completion_tokens), sum(a.cost)
      FROM llm_usage._by_user(from_time, to_time) a
     WHERE for_user IS NULL OR a.user_id = for_user
     GROUP BY 1, 2, 3;
  END;
COMMENT ON FUNCTION llm_usage.user_activity(bigint, timestamptz, timestamptz) IS
  'What users used in [from_time, to_time), a row for each UTC day, user (NULL: requests of nobody known) and currency; NULL arguments: every user, no bound. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';
