-- What is counted of attrs: the keys that were asked for, and those of budgets, which the fold adds.
CREATE TABLE llm_usage.reported_attrs (
  key text COLLATE "C" PRIMARY KEY CHECK (octet_length(key) BETWEEN 1 AND 500)
);
COMMENT ON TABLE llm_usage.reported_attrs IS
  'Keys of attrs that attr_activity() and budgets ask for. The next fold rolls up what was recorded of a new one, too; without a row here it is read from the ledger.';
COMMENT ON COLUMN llm_usage.reported_attrs.key IS 'A key of usage_events.attrs, such as team.';
SELECT pg_catalog.pg_extension_config_dump('llm_usage.reported_attrs', '');

-- The keys that the rollup holds, of every event that is folded, but for months that were dropped before. No trigger fills it: a
-- restore would set off any.
CREATE TABLE llm_usage._rolled_up_attrs (
  key         text COLLATE "C" PRIMARY KEY,
  lost_months date[] NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._rolled_up_attrs', '');

-- An attribute as it is counted: a string without its quotes, anything else as its JSON. Longer ones fit no index.
CREATE FUNCTION llm_usage._attr(attrs jsonb, key text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN octet_length(attrs ->> key) <= 500 THEN attrs ->> key END;

CREATE TABLE llm_usage._by_attr_hour (
  bucket            timestamptz NOT NULL,
  requests          bigint NOT NULL,
  unpriced_requests bigint NOT NULL,
  key               text COLLATE "C" NOT NULL,
  value             text COLLATE "C" NOT NULL,
  currency          text COLLATE "C" NOT NULL,
  input_tokens      numeric NOT NULL,
  completion_tokens numeric NOT NULL,
  cost              numeric NOT NULL,
  PRIMARY KEY (key, value, bucket, currency)
) WITH (fillfactor = 90);
CREATE INDEX ON llm_usage._by_attr_hour USING brin (bucket) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE llm_usage._by_attr_day (LIKE llm_usage._by_attr_hour INCLUDING INDEXES) WITH (fillfactor = 90);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_attr_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_attr_day', '');

CREATE FUNCTION llm_usage._by_attr_batch(
    keys text[], after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz)
  RETURNS SETOF llm_usage._by_attr_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT llm_usage._hour(e.occurred_at), sum(llm_usage._requests(e.requests, e.corrects)),
           coalesce(sum(llm_usage._requests(e.requests, e.corrects)) FILTER (WHERE e.cost IS NULL), 0), k.key COLLATE "C",
           llm_usage._attr(e.attrs, k.key) COLLATE "C", e.currency COLLATE "C",
           sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens), sum(e.completion_tokens)::numeric,
           coalesce(sum(e.cost), 0)
      FROM llm_usage.usage_events e
     CROSS JOIN unnest(keys) k (key)
     WHERE e.id > after_id AND e.id <= up_to_id AND e.occurred_at >= from_time AND e.occurred_at < to_time
       AND e.attrs IS NOT NULL AND llm_usage._attr(e.attrs, k.key) IS NOT NULL
     GROUP BY 1, 4, 5, 6;
  END;

CREATE FUNCTION llm_usage._add_by_attr(
    keys text[], after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  WITH batch AS MATERIALIZED (
    SELECT * FROM llm_usage._by_attr_batch(keys, after_id, up_to_id, from_time, to_time)
  ), hours AS (
    INSERT INTO llm_usage._by_attr_hour AS kept
    SELECT * FROM batch ORDER BY key, value, bucket, currency
    ON CONFLICT (key, value, bucket, currency) DO UPDATE SET
      requests = kept.requests + excluded.requests,
      unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
      input_tokens = kept.input_tokens + excluded.input_tokens,
      completion_tokens = kept.completion_tokens + excluded.completion_tokens,
      cost = kept.cost + excluded.cost
  )
  INSERT INTO llm_usage._by_attr_day AS kept
  SELECT llm_usage._day(b.bucket), sum(b.requests), sum(b.unpriced_requests), b.key, b.value, b.currency, sum(b.input_tokens),
         sum(b.completion_tokens), sum(b.cost)
    FROM batch b
   GROUP BY 1, b.key, b.value, b.currency
   ORDER BY b.key, b.value, 1, b.currency
  ON CONFLICT (key, value, bucket, currency) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    cost = kept.cost + excluded.cost;
END $$;

CREATE FUNCTION llm_usage._fold_by_attr(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  keys text[] := ARRAY(SELECT r.key FROM llm_usage._rolled_up_attrs r ORDER BY r.key);
BEGIN
  IF keys <> '{}' THEN
    PERFORM llm_usage._add_by_attr(keys, after_id, up_to_id, from_time, to_time);
  END IF;
END $$;

CREATE FUNCTION llm_usage._report_attrs_of_budgets() RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage.reported_attrs (key)
  SELECT DISTINCT b.entity_key FROM llm_usage.budgets b
   WHERE b.entity_type = 'Attribute' AND NOT EXISTS (SELECT FROM llm_usage.reported_attrs r WHERE r.key = b.entity_key)
  ON CONFLICT DO NOTHING;
END $$;
-- Left to the next fold where another transaction is about to add a key.
CREATE FUNCTION llm_usage._try_report_attrs_of_budgets() RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET lock_timeout = '1ms'
AS $$
BEGIN
  PERFORM llm_usage._report_attrs_of_budgets();
EXCEPTION WHEN lock_not_available THEN
  RETURN;
END $$;

-- Keeps the rollup to the keys that are reported: catches up with new ones, forgets those that are no more. Whoever calls it
-- holds the rollups' lock.
CREATE FUNCTION llm_usage._sync_attrs() RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  new_keys  text[];
  gone_keys text[];
BEGIN
  new_keys := ARRAY(SELECT r.key FROM llm_usage.reported_attrs r EXCEPT SELECT k.key FROM llm_usage._rolled_up_attrs k);
  gone_keys := ARRAY(SELECT k.key FROM llm_usage._rolled_up_attrs k EXCEPT SELECT r.key FROM llm_usage.reported_attrs r);
  IF new_keys <> '{}' THEN
    PERFORM llm_usage._add_by_attr(new_keys, 0, llm_usage._folded_up_to('usage_events'), '-infinity', 'infinity');
    INSERT INTO llm_usage._rolled_up_attrs
    SELECT n, ARRAY(SELECT d.month FROM llm_usage._dropped_months d) FROM unnest(new_keys) n;
  END IF;
  IF gone_keys <> '{}' THEN
    DELETE FROM llm_usage._by_attr_hour h WHERE h.key = ANY (gone_keys);
    DELETE FROM llm_usage._by_attr_day d WHERE d.key = ANY (gone_keys);
    DELETE FROM llm_usage._rolled_up_attrs k WHERE k.key = ANY (gone_keys);
  END IF;
END $$;

CREATE FUNCTION llm_usage._by_attr_hour_expected() RETURNS SETOF llm_usage._by_attr_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT * FROM llm_usage._by_attr_batch(ARRAY(SELECT k.key FROM llm_usage._rolled_up_attrs k), 0,
                                           llm_usage._folded_up_to('usage_events'), '-infinity', 'infinity');
  END;
CREATE FUNCTION llm_usage._by_attr_day_expected() RETURNS SETOF llm_usage._by_attr_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT llm_usage._day(h.bucket), sum(h.requests)::bigint, sum(h.unpriced_requests)::bigint, h.key, h.value, h.currency,
           sum(h.input_tokens), sum(h.completion_tokens), sum(h.cost)
      FROM llm_usage._by_attr_hour h
     GROUP BY 1, h.key, h.value, h.currency;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'by_attr');
INSERT INTO llm_usage._rollup_tables (name) VALUES ('_by_attr_hour'), ('_by_attr_day');

-- Rollup, edges and tail of [from_time, to_time) of one key: the parts of the sums. What is not rolled up yet is read from the
-- ledger.
CREATE FUNCTION llm_usage._by_attr(for_key text, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, value text, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens numeric, completion_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.value, k.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_attr_day k
     WHERE k.key = for_key
       AND llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.value, k.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_attr_hour k
     WHERE k.key = for_key
       AND llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.value, k.currency, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_attr_hour k
     WHERE k.key = for_key
       AND llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time)
    UNION ALL
    SELECT e.occurred_at, llm_usage._attr(e.attrs, for_key) COLLATE "C", e.currency, e.requests, e.unpriced_requests,
           e.input_tokens, e.completion_tokens, e.cost
      FROM llm_usage._loose_events(from_time, to_time) e
     WHERE llm_usage._attr(e.attrs, for_key) IS NOT NULL
    UNION ALL
    SELECT e.occurred_at, llm_usage._attr(e.attrs, for_key) COLLATE "C", e.currency, e.requests, e.unpriced_requests,
           e.input_tokens, e.completion_tokens, e.cost
      FROM llm_usage._folded_events e
     WHERE NOT EXISTS (SELECT FROM llm_usage._rolled_up_attrs k WHERE k.key = for_key)
       AND e.occurred_at >= llm_usage._first_hour(from_time, to_time) AND e.occurred_at < llm_usage._last_hour(from_time, to_time)
       AND llm_usage._attr(e.attrs, for_key) IS NOT NULL;
  END;

-- Whether all whole hours of a range can be told of a key: true, or an error.
CREATE FUNCTION llm_usage._has_attr(for_key text, from_time timestamptz, to_time timestamptz) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN llm_usage._has_hours(from_time, to_time,
                              (SELECT k.lost_months FROM llm_usage._rolled_up_attrs k WHERE k.key = for_key));
END $$;

CREATE FUNCTION llm_usage.attr_activity(
    for_key text, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, value text, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens numeric, completion_tokens numeric, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.bucket AT TIME ZONE 'UTC')::date, a.value, a.currency, sum(a.requests)::bigint,
           sum(a.unpriced_requests)::bigint, sum(a.input_tokens), sum(a.completion_tokens),
           sum(a.input_tokens + a.completion_tokens), sum(a.cost)
      FROM llm_usage._by_attr(for_key, from_time, to_time) a
     WHERE from_time >= to_time OR llm_usage._has_attr(for_key, from_time, to_time)
     GROUP BY 1, 2, 3;
  END;
COMMENT ON FUNCTION llm_usage.attr_activity(text, timestamptz, timestamptz) IS
  'What was used in [from_time, to_time) by the values of one key of attrs, such as team: a row for each UTC day, value (as text, at most 500 bytes; events without one are left out) and currency; NULL: no bound. Fast for the keys in reported_attrs once they are folded, else read from the ledger. Errors: 55000 where it would need a month that was dropped before the key was folded. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';
