CREATE TABLE llm_usage._by_app_hour (
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
CREATE TABLE llm_usage._by_app_day (LIKE llm_usage._by_app_hour INCLUDING INDEXES) WITH (fillfactor = 90);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_app_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_app_day', '');
-- Which lines an app ever had, also those that a rebuild finds no more: what a tenant may look up of _lines.
CREATE TABLE llm_usage._app_lines (
  app_id bigint NOT NULL,
  line   integer NOT NULL,
  PRIMARY KEY (app_id, line)
);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._app_lines', '');

-- The hours of some of the ledger, by what makes a line.
CREATE FUNCTION llm_usage._by_app_groups(after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (app_id bigint, bucket timestamptz, llm_id bigint, model text, vendor text, currency text, rows bigint,
                 requests bigint, unpriced_requests bigint, input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT e.app_id, llm_usage._hour(e.occurred_at) AS bucket, e.llm_id, e.model COLLATE "C" AS model,
           e.vendor COLLATE "C" AS vendor, e.currency COLLATE "C" AS currency, count(*) AS rows,
           sum(llm_usage._requests(e.requests, e.corrects)) AS requests,
           coalesce(sum(llm_usage._requests(e.requests, e.corrects)) FILTER (WHERE e.cost IS NULL), 0) AS unpriced_requests,
           llm_usage._sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens) AS input_tokens,
           sum(e.completion_tokens) AS completion_tokens, coalesce(llm_usage._sum(e.cost), 0) AS cost
      FROM llm_usage.usage_events e
     WHERE e.id > after_id AND e.id <= up_to_id AND e.occurred_at >= from_time AND e.occurred_at < to_time
     GROUP BY 1, 2, 3, 4, 5, 6;
  END;

-- Apps and LLMs in all come from the same batch. Where a line has no number yet, it is given one, and nothing else is done: then all
-- is done again, with it. That is dear, and rare.
CREATE FUNCTION llm_usage._fold_by_app(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz,
    OUT rows bigint, OUT newest timestamptz)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  new_lines bigint;
BEGIN
  LOOP
    WITH grouped AS MATERIALIZED (
      SELECT g.app_id, g.bucket, g.requests, g.unpriced_requests, g.input_tokens, g.completion_tokens, l.number AS line, g.cost,
             g.llm_id, g.currency, g.rows, CASE WHEN l.number IS NULL THEN g.model END AS new_model,
             CASE WHEN l.number IS NULL THEN g.vendor END AS new_vendor
        FROM llm_usage._by_app_groups(after_id, up_to_id, from_time, to_time) g
        LEFT JOIN llm_usage._lines l ON l.model = g.model AND l.vendor IS NOT DISTINCT FROM g.vendor
                                    AND l.llm_id = g.llm_id AND l.currency = g.currency
    ), new_line AS MATERIALIZED (
      SELECT DISTINCT g.llm_id, g.new_model, g.new_vendor, g.currency
        FROM grouped g
       WHERE g.line IS NULL
    ), named AS (
      INSERT INTO llm_usage._lines (llm_id, model, vendor, currency)
      SELECT * FROM new_line ORDER BY 2, 3, 1, 4
    ), batch AS NOT MATERIALIZED (
      SELECT * FROM grouped WHERE NOT EXISTS (SELECT FROM new_line)
    ), app_lines AS (
      INSERT INTO llm_usage._app_lines
      SELECT DISTINCT b.app_id, b.line FROM batch b ORDER BY b.app_id, b.line
      ON CONFLICT DO NOTHING
    ), new_hours AS (
      INSERT INTO llm_usage._by_app_hour
      SELECT b.app_id, b.bucket, b.requests, b.unpriced_requests, b.input_tokens, b.completion_tokens, b.line, b.cost
        FROM batch b
       WHERE b.bucket >= new_from
       ORDER BY b.app_id, b.bucket, b.line
    ), hours AS (
      INSERT INTO llm_usage._by_app_hour AS kept
      SELECT b.app_id, b.bucket, b.requests, b.unpriced_requests, b.input_tokens, b.completion_tokens, b.line, b.cost
        FROM batch b
       WHERE b.bucket < new_from
       ORDER BY b.app_id, b.bucket, b.line
      ON CONFLICT (app_id, bucket, line) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        completion_tokens = kept.completion_tokens + excluded.completion_tokens,
        cost = kept.cost + excluded.cost
    ), days AS (
      INSERT INTO llm_usage._by_app_day AS kept
      SELECT b.app_id, llm_usage._day(b.bucket), llm_usage._sum(b.requests), llm_usage._sum(b.unpriced_requests),
             llm_usage._sum(b.input_tokens), llm_usage._sum(b.completion_tokens), b.line, llm_usage._sum(b.cost)
        FROM batch b
       GROUP BY 1, 2, b.line
       ORDER BY 1, 2, b.line
      ON CONFLICT (app_id, bucket, line) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        completion_tokens = kept.completion_tokens + excluded.completion_tokens,
        cost = kept.cost + excluded.cost
    ), entity AS MATERIALIZED (
      SELECT coalesce(b.app_id, b.llm_id) AS entity_id, b.bucket, llm_usage._sum(b.requests) AS requests,
             llm_usage._sum(b.unpriced_requests) AS unpriced_requests,
             llm_usage._sum(b.input_tokens + b.completion_tokens) AS total_tokens,
             CASE WHEN b.app_id IS NULL THEN 'LLM' ELSE 'App' END AS entity_type, b.currency, llm_usage._sum(b.cost) AS cost
        FROM batch b
       GROUP BY GROUPING SETS ((b.bucket, b.currency, b.app_id), (b.bucket, b.currency, b.llm_id))
    ), new_entity_hours AS (
      INSERT INTO llm_usage._by_entity_hour
      SELECT * FROM entity WHERE bucket >= new_from ORDER BY bucket, entity_type, entity_id, currency
    ), entity_hours AS (
      INSERT INTO llm_usage._by_entity_hour AS kept
      SELECT * FROM entity WHERE bucket < new_from ORDER BY bucket, entity_type, entity_id, currency
      ON CONFLICT (bucket, entity_type, entity_id, currency) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
        total_tokens = kept.total_tokens + excluded.total_tokens,
        cost = kept.cost + excluded.cost
    ), entity_days AS (
      INSERT INTO llm_usage._by_entity_day AS kept
      SELECT e.entity_id, llm_usage._day(e.bucket), llm_usage._sum(e.requests), llm_usage._sum(e.unpriced_requests),
             llm_usage._sum(e.total_tokens), e.entity_type, e.currency, sum(e.cost)
        FROM entity e
       GROUP BY 1, 2, e.entity_type, e.currency
       ORDER BY 2, e.entity_type, 1, e.currency
      ON CONFLICT (bucket, entity_type, entity_id, currency) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
        total_tokens = kept.total_tokens + excluded.total_tokens,
        cost = kept.cost + excluded.cost
    ), entity_months AS (
      INSERT INTO llm_usage._by_entity_month AS kept
      SELECT e.entity_id, llm_usage._month(e.bucket), llm_usage._sum(e.requests), llm_usage._sum(e.unpriced_requests),
             llm_usage._sum(e.total_tokens), e.entity_type, e.currency, sum(e.cost)
        FROM entity e
       GROUP BY 1, 2, e.entity_type, e.currency
       ORDER BY 2, e.entity_type, 1, e.currency
      ON CONFLICT (bucket, entity_type, entity_id, currency) DO UPDATE SET
        requests = kept.requests + excluded.requests,
        unpriced_requests = kept.unpriced_requests + excluded.unpriced_requests,
        total_tokens = kept.total_tokens + excluded.total_tokens,
        cost = kept.cost + excluded.cost
    )
    SELECT coalesce(llm_usage._sum(g.rows), 0), max(g.bucket), (SELECT count(*) FROM new_line) INTO rows, newest, new_lines FROM grouped g;
    EXIT WHEN new_lines = 0;
  END LOOP;
END $$;

CREATE FUNCTION llm_usage._by_app_hour_expected() RETURNS SETOF llm_usage._by_app_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT g.app_id, g.bucket, g.requests, g.unpriced_requests, g.input_tokens, g.completion_tokens, l.number, g.cost
      FROM llm_usage._by_app_groups(0, llm_usage._folded_up_to('usage_events'), '-infinity', 'infinity') g
      LEFT JOIN llm_usage._lines l ON l.model = g.model AND l.vendor IS NOT DISTINCT FROM g.vendor
                                  AND l.llm_id = g.llm_id AND l.currency = g.currency;
  END;
CREATE FUNCTION llm_usage._by_app_day_expected() RETURNS SETOF llm_usage._by_app_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT h.app_id, llm_usage._day(h.bucket), llm_usage._sum(h.requests), llm_usage._sum(h.unpriced_requests),
           llm_usage._sum(h.input_tokens), llm_usage._sum(h.completion_tokens), h.line, sum(h.cost)
      FROM llm_usage._by_app_hour h
     GROUP BY 1, 2, h.line;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'by_app');
INSERT INTO llm_usage._rollup_tables (name) VALUES ('_by_app_hour'), ('_by_app_day');

-- What the rollup holds of [from_time, to_time). Whoever asks for one app puts the condition outside, so that each part is
-- read through its index.
CREATE FUNCTION llm_usage._by_app_lines(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, app_id bigint, line integer, requests bigint, unpriced_requests bigint,
                 input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.app_id, k.line, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_app_day k
     WHERE k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.app_id, k.line, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_app_hour k
     WHERE k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.app_id, k.line, k.requests, k.unpriced_requests, k.input_tokens, k.completion_tokens, k.cost
      FROM llm_usage._by_app_hour k
     WHERE k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time);
  END;

-- The parts of the sums over [from_time, to_time), not yet summed.
CREATE FUNCTION llm_usage._by_app(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, app_id bigint, llm_id bigint, vendor text, model text, currency text, requests bigint,
                 unpriced_requests bigint, input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.app_id, l.llm_id, l.vendor, l.model, l.currency, k.requests, k.unpriced_requests, k.input_tokens,
           k.completion_tokens, k.cost
      FROM llm_usage._by_app_lines(from_time, to_time) k
      JOIN llm_usage._lines l ON l.number = k.line
    UNION ALL
    SELECT e.occurred_at, e.app_id, e.llm_id, e.vendor, e.model, e.currency, e.requests, e.unpriced_requests, e.input_tokens,
           e.completion_tokens, e.cost
      FROM llm_usage._loose_events(from_time, to_time) e;
  END;

-- What of one app is in no whole hour of the rollup, by model.
CREATE FUNCTION llm_usage._loose_app_models(for_app bigint, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (model text, requests numeric, input_tokens numeric, completion_tokens numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.model, sum(e.requests), sum(e.input_tokens), sum(e.completion_tokens)
      FROM llm_usage._loose_events(from_time, to_time) e
     WHERE e.app_id = for_app
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

-- One app by model, for its report: lines are summed before they are looked up, and of the rollup only those columns are read that
-- are summed, or each row would be copied into another.
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
      FROM llm_usage._by_app(from_time, to_time) a
     WHERE for_app IS NULL OR a.app_id = for_app
     GROUP BY 1, 2, 3, 4, 5, 6;
  END;
COMMENT ON FUNCTION llm_usage.app_activity(bigint, timestamptz, timestamptz) IS
  'What apps used in [from_time, to_time), a row for each UTC day, app, LLM, vendor, model and currency; NULL: every app, no bound. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';
