-- Apps and LLMs by currency, for spending and for the days of one app. Months, too: a budget's period is mostly one. Their days has
-- the sums of each day, in a few bytes: rows of days lie in as many pages.
CREATE TABLE llm_usage._by_entity_hour (
  entity_id         bigint NOT NULL,
  bucket            timestamptz NOT NULL,
  requests          bigint NOT NULL,
  unpriced_requests bigint NOT NULL,
  total_tokens      bigint NOT NULL,
  entity_type       text COLLATE "C" NOT NULL,
  currency          text COLLATE "C" NOT NULL,
  cost              numeric NOT NULL,
  PRIMARY KEY (bucket, entity_type, entity_id, currency)
) WITH (fillfactor = 90);
CREATE TABLE llm_usage._by_entity_day (LIKE llm_usage._by_entity_hour, PRIMARY KEY (entity_type, entity_id, bucket, currency))
  WITH (fillfactor = 90);
-- For days of all entities. As an expression, or a cached plan takes it for those of one entity, too.
CREATE INDEX ON llm_usage._by_entity_day ((bucket AT TIME ZONE 'UTC'));
CREATE TABLE llm_usage._by_entity_month (LIKE llm_usage._by_entity_hour INCLUDING INDEXES, days bytea NOT NULL) WITH (fillfactor = 50);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_entity_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_entity_day', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_entity_month', '');

CREATE FUNCTION llm_usage._fold_by_entity(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._by_entity_hour SELECT * FROM llm_usage._batch_by_entity('hour', new_from, 'infinity');
  INSERT INTO llm_usage._by_entity_hour AS kept
  SELECT * FROM llm_usage._batch_by_entity('hour', '-infinity', new_from)
  ON CONFLICT (bucket, entity_type, entity_id, currency) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    total_tokens = kept.total_tokens + excluded.total_tokens,
    cost = kept.cost + excluded.cost;
  INSERT INTO llm_usage._by_entity_day AS kept
  SELECT * FROM llm_usage._batch_by_entity('day', '-infinity', 'infinity')
  ON CONFLICT (bucket, entity_type, entity_id, currency) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    total_tokens = kept.total_tokens + excluded.total_tokens,
    cost = kept.cost + excluded.cost;
  INSERT INTO llm_usage._by_entity_month AS kept
  SELECT * FROM llm_usage._batch_by_entity_month()
  ON CONFLICT (bucket, entity_type, entity_id, currency) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
    total_tokens = kept.total_tokens + excluded.total_tokens,
    cost = kept.cost + excluded.cost,
    days = llm_usage._days_united(kept.days, excluded.days);
END $$;

CREATE FUNCTION llm_usage._by_entity_hour_expected() RETURNS SETOF llm_usage._by_entity_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT n.entity_id, a.bucket, llm_usage._sum(a.requests), llm_usage._sum(a.unpriced_requests),
           llm_usage._sum(a.input_tokens + a.completion_tokens), n.entity_type, l.currency, sum(a.cost)
      FROM llm_usage._by_app_hour a
      JOIN llm_usage._lines l ON l.number = a.line
     CROSS JOIN LATERAL (VALUES ('App' COLLATE "C", a.app_id), ('LLM', l.llm_id)) n (entity_type, entity_id)
     GROUP BY n.entity_type, n.entity_id, l.currency, a.bucket;
  END;
CREATE FUNCTION llm_usage._by_entity_day_expected() RETURNS SETOF llm_usage._by_entity_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT h.entity_id, llm_usage._day(h.bucket), llm_usage._sum(h.requests), llm_usage._sum(h.unpriced_requests),
           llm_usage._sum(h.total_tokens), h.entity_type, h.currency, sum(h.cost)
      FROM llm_usage._by_entity_hour h
     GROUP BY 1, 2, h.entity_type, h.currency;
  END;
CREATE FUNCTION llm_usage._by_entity_month_expected() RETURNS SETOF llm_usage._by_entity_month
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT d.entity_id, llm_usage._month(d.bucket), llm_usage._sum(d.requests), llm_usage._sum(d.unpriced_requests),
           llm_usage._sum(d.total_tokens), d.entity_type, d.currency, sum(d.cost),
           llm_usage._days_packed(array_agg(d.bucket), array_agg(d.requests), array_agg(d.unpriced_requests),
                                  array_agg(d.total_tokens), array_agg(d.cost))
      FROM llm_usage._by_entity_day d
     GROUP BY 1, 2, d.entity_type, d.currency;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'by_entity');
INSERT INTO llm_usage._rollup_tables (name) VALUES ('_by_entity_hour'), ('_by_entity_day'), ('_by_entity_month');

-- What the rollup holds of [from_time, to_time), App 0 and LLM 0 included: the parts of the sums. Whole months stand for their
-- first day, unless by_day. What a range has none of is not looked for: below a tenant's policy the index of days cannot tell.
CREATE FUNCTION llm_usage._by_entity_kept(from_time timestamptz, to_time timestamptz, by_day boolean)
  RETURNS TABLE (bucket timestamptz, entity_type text, entity_id bigint, currency text, requests bigint,
                 unpriced_requests bigint, total_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.entity_type, k.entity_id, k.currency, k.requests, k.unpriced_requests, k.total_tokens, k.cost
      FROM llm_usage._by_entity_month k
     WHERE NOT by_day
       AND k.bucket >= llm_usage._first_month(from_time, to_time) AND k.bucket < llm_usage._last_month(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.entity_type, k.entity_id, k.currency, k.requests, k.unpriced_requests, k.total_tokens, k.cost
      FROM llm_usage._by_entity_day k
     WHERE llm_usage._first_day(from_time, to_time) < CASE WHEN by_day THEN llm_usage._last_day(from_time, to_time)
                                                           ELSE llm_usage._first_month(from_time, to_time) END
       AND k.bucket AT TIME ZONE 'UTC' >= llm_usage._first_day(from_time, to_time) AT TIME ZONE 'UTC'
       AND k.bucket AT TIME ZONE 'UTC' < CASE WHEN by_day THEN llm_usage._last_day(from_time, to_time)
                                              ELSE llm_usage._first_month(from_time, to_time) END AT TIME ZONE 'UTC'
    UNION ALL
    SELECT k.bucket, k.entity_type, k.entity_id, k.currency, k.requests, k.unpriced_requests, k.total_tokens, k.cost
      FROM llm_usage._by_entity_day k
     WHERE NOT by_day AND llm_usage._last_month(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket AT TIME ZONE 'UTC' >= llm_usage._last_month(from_time, to_time) AT TIME ZONE 'UTC'
       AND k.bucket AT TIME ZONE 'UTC' < llm_usage._last_day(from_time, to_time) AT TIME ZONE 'UTC'
    UNION ALL
    SELECT k.bucket, k.entity_type, k.entity_id, k.currency, k.requests, k.unpriced_requests, k.total_tokens, k.cost
      FROM llm_usage._by_entity_hour k
     WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.entity_type, k.entity_id, k.currency, k.requests, k.unpriced_requests, k.total_tokens, k.cost
      FROM llm_usage._by_entity_hour k
     WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time)
    UNION ALL
    SELECT t.bucket, 'LLM', t.llm_id, t.currency, t.requests, t.unpriced_requests, t.input_tokens + t.completion_tokens, t.cost
      FROM llm_usage._tenant_lines(from_time, to_time) t;
  END;

-- The same with edges and tail.
CREATE FUNCTION llm_usage._by_entity(from_time timestamptz, to_time timestamptz, by_day boolean)
  RETURNS TABLE (bucket timestamptz, entity_type text, entity_id bigint, currency text, requests bigint,
                 unpriced_requests bigint, total_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.* FROM llm_usage._by_entity_kept(from_time, to_time, by_day) k
    UNION ALL
    SELECT e.bucket, n.entity_type, n.entity_id, e.currency COLLATE "C", e.requests, e.unpriced_requests,
           e.input_tokens + e.completion_tokens, e.cost
      FROM llm_usage._loose_lines(from_time, to_time, NULL) e
     CROSS JOIN LATERAL (VALUES ('App' COLLATE "C", e.app_id), ('LLM', e.llm_id)) n (entity_type, entity_id);
  END;

-- The tail by entity and UTC day, App 0 and LLM 0 included: whoever needs it for several ranges reads it once.
CREATE FUNCTION llm_usage._entity_tail_days()
  RETURNS TABLE (bucket timestamptz, entity_type text, entity_id bigint, currency text, unpriced_requests bigint,
                 total_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.bucket, CASE WHEN e.app_id IS NULL THEN 'LLM' ELSE 'App' END, coalesce(e.app_id, e.llm_id), e.currency,
           sum(e.unpriced_requests), llm_usage._sum(e.total_tokens), llm_usage._sum(e.cost)
      FROM (SELECT llm_usage._day(t.occurred_at) AS bucket, t.app_id, t.llm_id, t.currency, t.unpriced_requests,
                   t.input_tokens + t.completion_tokens AS total_tokens, t.cost
              FROM llm_usage._tail_events t) e
     GROUP BY GROUPING SETS ((e.bucket, e.currency, e.app_id), (e.bucket, e.currency, e.llm_id));
  END;
CREATE FUNCTION llm_usage._entity_tail(folded_up_to bigint)
  RETURNS TABLE (bucket timestamptz, entity_type text, entity_id bigint, currency text, unpriced_requests bigint,
                 total_tokens bigint, cost numeric)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._may_be_loose('llm_usage.usage_events'::pg_catalog.regclass, folded_up_to, NULL, NULL) THEN
    RETURN QUERY SELECT * FROM llm_usage._entity_tail_days();
  END IF;
END $$;

-- What the rollup alone holds of one entity in whole UTC days [from_day, to_day). The fence keeps the planner from reading all
-- entities when it is asked for many of them.
CREATE FUNCTION llm_usage._entity_days(for_type text, for_id bigint, from_day timestamptz, to_day timestamptz)
  RETURNS TABLE (bucket timestamptz, currency text, unpriced_requests bigint, total_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.currency, k.unpriced_requests, k.total_tokens, k.cost
      FROM llm_usage._by_entity_day k
     WHERE k.entity_type = for_type AND k.entity_id = for_id AND k.bucket >= from_day AND k.bucket < to_day
    OFFSET 0;
  END;

-- The tail of one app in whole UTC days, summed.
CREATE FUNCTION llm_usage._app_tail_days(for_app bigint, from_day timestamptz, to_day timestamptz)
  RETURNS TABLE (bucket timestamptz, total_tokens bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT llm_usage._day(e.occurred_at), llm_usage._sum(e.input_tokens + e.completion_tokens)
      FROM llm_usage._tail_events e
     WHERE e.app_id = for_app AND e.occurred_at >= from_day AND e.occurred_at < to_day
     GROUP BY 1;
  END;
CREATE FUNCTION llm_usage._app_tail(for_app bigint, from_day timestamptz, to_day timestamptz, folded_up_to bigint)
  RETURNS TABLE (bucket timestamptz, total_tokens bigint)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._may_be_loose('llm_usage.usage_events'::pg_catalog.regclass, folded_up_to, from_day, to_day) THEN
    RETURN QUERY SELECT * FROM llm_usage._app_tail_days(for_app, from_day, to_day);
  END IF;
END $$;

-- The tokens of one app in whole UTC days [from_day, to_day), for its report.
CREATE FUNCTION llm_usage._app_days(for_app bigint, from_day timestamptz, to_day timestamptz)
  RETURNS TABLE (bucket timestamptz, total_tokens bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.total_tokens
      FROM llm_usage._by_entity_day k
     WHERE k.entity_type = 'App' AND k.entity_id = for_app AND k.bucket >= from_day AND k.bucket < to_day
    UNION ALL
    SELECT e.bucket, e.total_tokens
      FROM llm_usage._app_tail(for_app, from_day, to_day,
                               (SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events')) e;
  END;

CREATE FUNCTION llm_usage.entity_activity(from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, entity_type text, entity_id bigint, currency text, requests bigint, unpriced_requests bigint,
                 total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.bucket AT TIME ZONE 'UTC')::date, a.entity_type, a.entity_id, a.currency, sum(a.requests)::bigint,
           sum(a.unpriced_requests)::bigint, sum(a.total_tokens), sum(a.cost)
      FROM llm_usage._by_entity(from_time, to_time, true) a
     WHERE a.entity_id <> 0
     GROUP BY 1, 2, 3, 4;
  END;
COMMENT ON FUNCTION llm_usage.entity_activity(timestamptz, timestamptz) IS
  'What each App and each LLM used in [from_time, to_time), a row for each UTC day, entity and currency; NULL: no bound. An event counts for its App and for its LLM; app 0 and LLM 0 are none. cost is in currency and leaves unpriced_requests out.';
