CREATE TABLE llm_usage._by_rule_hour (
  bucket            timestamptz NOT NULL,
  requests          bigint NOT NULL,
  inference_tokens  bigint NOT NULL,
  input_tokens      bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  rule_type         text COLLATE "C" NOT NULL,
  task_id           text COLLATE "C",
  UNIQUE NULLS NOT DISTINCT (bucket, rule_type, task_id)
) WITH (fillfactor = 90);
CREATE TABLE llm_usage._by_rule_day (LIKE llm_usage._by_rule_hour INCLUDING INDEXES) WITH (fillfactor = 90);
-- Without a primary key they could not be changed in a publication of all tables.
ALTER TABLE llm_usage._by_rule_hour REPLICA IDENTITY FULL;
ALTER TABLE llm_usage._by_rule_day REPLICA IDENTITY FULL;
-- Without the tasks, of which there may be as many as events: of each app, and of all of them (-1).
CREATE TABLE llm_usage._by_rule_type_hour (
  app_id            bigint NOT NULL,
  bucket            timestamptz NOT NULL,
  inference_tokens  bigint NOT NULL,
  input_tokens      bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  rule_type         text COLLATE "C" NOT NULL,
  PRIMARY KEY (app_id, bucket, rule_type)
) WITH (fillfactor = 90);
CREATE TABLE llm_usage._by_rule_type_day (LIKE llm_usage._by_rule_type_hour INCLUDING INDEXES) WITH (fillfactor = 90);
-- The minutes of the hour: of one that a bound cuts only the events of a minute are read.
ALTER TABLE llm_usage._by_rule_type_hour ADD COLUMN minutes bytea NOT NULL;
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_rule_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_rule_day', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_rule_type_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._by_rule_type_day', '');

CREATE FUNCTION llm_usage._fold_by_rule(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._by_rule_hour AS kept
  SELECT * FROM llm_usage._batch_by_rule('hour')
  ON CONFLICT (bucket, rule_type, task_id) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    inference_tokens = kept.inference_tokens + excluded.inference_tokens,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens;
  INSERT INTO llm_usage._by_rule_day AS kept
  SELECT * FROM llm_usage._batch_by_rule('day')
  ON CONFLICT (bucket, rule_type, task_id) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    inference_tokens = kept.inference_tokens + excluded.inference_tokens,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens;
  INSERT INTO llm_usage._by_rule_type_hour AS kept
  SELECT * FROM llm_usage._batch_by_rule_type_hour()
  ON CONFLICT (app_id, bucket, rule_type) DO UPDATE SET
    inference_tokens = kept.inference_tokens + excluded.inference_tokens,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens,
    minutes = llm_usage._minutes_united(kept.minutes, excluded.minutes);
  INSERT INTO llm_usage._by_rule_type_day AS kept
  SELECT * FROM llm_usage._batch_by_rule_type_day()
  ON CONFLICT (app_id, bucket, rule_type) DO UPDATE SET
    inference_tokens = kept.inference_tokens + excluded.inference_tokens,
    input_tokens = kept.input_tokens + excluded.input_tokens,
    completion_tokens = kept.completion_tokens + excluded.completion_tokens;
END $$;

CREATE FUNCTION llm_usage._by_rule_folded()
  RETURNS TABLE (app_id bigint, bucket timestamptz, requests bigint, inference_tokens bigint, input_tokens bigint,
                 completion_tokens bigint, rule_type text, task_id text)
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT e.app_id, date_trunc('minute', e.occurred_at, 'UTC'), sum(llm_usage._requests(e.requests, e.corrects)),
           sum(e.inference_tokens), llm_usage._sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens),
           sum(e.completion_tokens), e.rule_type COLLATE "C", e.task_id COLLATE "C"
      FROM llm_usage.usage_events e
     WHERE e.id <= llm_usage._folded_up_to('usage_events') AND e.rule_type IS NOT NULL
     GROUP BY 1, 2, 7, 8;
  END;

CREATE FUNCTION llm_usage._by_rule_hour_expected() RETURNS SETOF llm_usage._by_rule_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT llm_usage._hour(b.bucket), llm_usage._sum(b.requests), llm_usage._sum(b.inference_tokens), llm_usage._sum(b.input_tokens),
           llm_usage._sum(b.completion_tokens), b.rule_type, b.task_id
      FROM llm_usage._by_rule_folded() b
     GROUP BY 1, b.rule_type, b.task_id;
  END;
CREATE FUNCTION llm_usage._by_rule_day_expected() RETURNS SETOF llm_usage._by_rule_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT llm_usage._day(h.bucket), llm_usage._sum(h.requests), llm_usage._sum(h.inference_tokens),
           llm_usage._sum(h.input_tokens), llm_usage._sum(h.completion_tokens), h.rule_type, h.task_id
      FROM llm_usage._by_rule_hour h
     GROUP BY 1, h.rule_type, h.task_id;
  END;
CREATE FUNCTION llm_usage._by_rule_type_hour_expected() RETURNS SETOF llm_usage._by_rule_type_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT coalesce(m.app_id, -1), llm_usage._hour(m.bucket), llm_usage._sum(m.inference_tokens), llm_usage._sum(m.input_tokens),
           llm_usage._sum(m.completion_tokens), m.rule_type,
           llm_usage._minutes_packed(array_agg(m.bucket), array_agg(m.inference_tokens), array_agg(m.input_tokens), array_agg(m.completion_tokens))
      FROM (SELECT b.app_id, b.bucket, b.rule_type, llm_usage._sum(b.inference_tokens) AS inference_tokens,
                   llm_usage._sum(b.input_tokens) AS input_tokens, llm_usage._sum(b.completion_tokens) AS completion_tokens
              FROM llm_usage._by_rule_folded() b
             GROUP BY GROUPING SETS ((b.app_id, b.bucket, b.rule_type), (b.bucket, b.rule_type))) m
     GROUP BY m.app_id, 2, m.rule_type;
  END;
CREATE FUNCTION llm_usage._by_rule_type_day_expected() RETURNS SETOF llm_usage._by_rule_type_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT h.app_id, llm_usage._day(h.bucket), llm_usage._sum(h.inference_tokens), llm_usage._sum(h.input_tokens),
           llm_usage._sum(h.completion_tokens), h.rule_type
      FROM llm_usage._by_rule_type_hour h
     GROUP BY h.app_id, 2, h.rule_type;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'by_rule');
INSERT INTO llm_usage._rollup_tables (name)
  VALUES ('_by_rule_hour'), ('_by_rule_day'), ('_by_rule_type_hour'), ('_by_rule_type_day');

-- Rollup, edges and tail of [from_time, to_time): the parts of the sums.
CREATE FUNCTION llm_usage._by_rule(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, rule_type text, task_id text, requests bigint, inference_tokens bigint,
                 input_tokens bigint, completion_tokens bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.rule_type, k.task_id, k.requests, k.inference_tokens, k.input_tokens, k.completion_tokens
      FROM llm_usage._by_rule_day k
     WHERE llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.rule_type, k.task_id, k.requests, k.inference_tokens, k.input_tokens, k.completion_tokens
      FROM llm_usage._by_rule_hour k
     WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.bucket, k.rule_type, k.task_id, k.requests, k.inference_tokens, k.input_tokens, k.completion_tokens
      FROM llm_usage._by_rule_hour k
     WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time)
    UNION ALL
    SELECT t.occurred_at, t.rule_type, t.task_id, t.requests, t.inference_tokens, t.input_tokens, t.completion_tokens
      FROM llm_usage._tenant_rules(from_time, to_time) t
    UNION ALL
    SELECT e.occurred_at, e.rule_type, e.task_id, e.requests, e.inference_tokens, e.input_tokens, e.completion_tokens
      FROM llm_usage._loose_events(from_time, to_time) e
     WHERE e.is_evaluation;
  END;

-- What is in no whole hour of the rollup, without the tasks.
CREATE FUNCTION llm_usage._loose_rule_types(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (rule_type text, inference_tokens bigint, input_tokens bigint, completion_tokens bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.rule_type, llm_usage._sum(e.inference_tokens), llm_usage._sum(e.input_tokens), llm_usage._sum(e.completion_tokens)
      FROM llm_usage._loose_events(from_time, to_time) e
     WHERE e.is_evaluation
     GROUP BY 1;
  END;
CREATE FUNCTION llm_usage._loose_rules(from_time timestamptz, to_time timestamptz, folded_up_to bigint)
  RETURNS TABLE (rule_type text, inference_tokens bigint, input_tokens bigint, completion_tokens bigint)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._may_be_loose('llm_usage.usage_events'::pg_catalog.regclass, folded_up_to, from_time, to_time) THEN
    RETURN QUERY SELECT * FROM llm_usage._loose_rule_types(from_time, to_time);
  END IF;
END $$;

-- Whose sums those of all that are visible are made of: a tenant's of its apps', anybody else's of the one of all apps.
CREATE FUNCTION llm_usage._summed_apps() RETURNS SETOF bigint
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._is_tenant() THEN
    RETURN QUERY SELECT a.id FROM llm_usage.apps a;
  ELSE
    RETURN QUERY SELECT pg_catalog.int8 '-1';
  END IF;
END $$;

-- Both, without the tasks.
CREATE FUNCTION llm_usage._by_rule_type(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (rule_type text, inference_tokens bigint, input_tokens bigint, completion_tokens bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.rule_type, k.inference_tokens, k.input_tokens, k.completion_tokens
      FROM (SELECT d.app_id, d.rule_type, d.inference_tokens, d.input_tokens, d.completion_tokens
              FROM llm_usage._by_rule_type_day d
             WHERE llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
               AND d.bucket >= llm_usage._first_day(from_time, to_time) AND d.bucket < llm_usage._last_day(from_time, to_time)
            UNION ALL
            SELECT h.app_id, h.rule_type, h.inference_tokens, h.input_tokens, h.completion_tokens
              FROM llm_usage._by_rule_type_hour h
             WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
               AND h.bucket >= llm_usage._first_hour(from_time, to_time) AND h.bucket < llm_usage._first_day(from_time, to_time)
            UNION ALL
            SELECT h.app_id, h.rule_type, h.inference_tokens, h.input_tokens, h.completion_tokens
              FROM llm_usage._by_rule_type_hour h
             WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
               AND h.bucket >= llm_usage._last_day(from_time, to_time) AND h.bucket < llm_usage._last_hour(from_time, to_time)) k
     WHERE k.app_id = ANY (ARRAY(SELECT a FROM llm_usage._summed_apps() a))
    UNION ALL
    SELECT e.rule_type, e.inference_tokens, e.input_tokens, e.completion_tokens
      FROM llm_usage._loose_rules(from_time, to_time,
                                  (SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events')) e;
  END;

CREATE FUNCTION llm_usage.rule_activity(from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, rule_type text, task_id text, requests bigint, inference_tokens numeric,
                 input_tokens numeric, completion_tokens numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.bucket AT TIME ZONE 'UTC')::date, a.rule_type, a.task_id, sum(a.requests)::bigint, sum(a.inference_tokens),
           sum(a.input_tokens), sum(a.completion_tokens)
      FROM llm_usage._by_rule(from_time, to_time) a
     GROUP BY 1, 2, 3;
  END;
COMMENT ON FUNCTION llm_usage.rule_activity(timestamptz, timestamptz) IS
  'What evaluations used in [from_time, to_time), a row for each UTC day, rule type and task (NULL: none); NULL: no bound. inference_tokens are those of the user''s inference that the rule was run on; input and completion are the evaluation''s own.';
