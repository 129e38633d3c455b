-- Totals over all apps are not a tenant's to see. What the rollups of them answer is answered to a tenant from what has the app:
-- by_app, or its events, which policies leave to it. Each of these functions returns at once when no tenant asks.

-- An app's lines, which a tenant may look up.
CREATE FUNCTION llm_usage._by_app_kept(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, llm_id bigint, vendor text, model text, currency text, requests bigint,
                 unpriced_requests bigint, input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, l.llm_id, l.vendor, l.model, l.currency, k.requests, k.unpriced_requests, k.input_tokens,
           k.completion_tokens, k.cost
      FROM llm_usage._by_app_lines(from_time, to_time) k
      JOIN llm_usage._lines l ON l.number = k.line;
  END;
CREATE FUNCTION llm_usage._tenant_lines(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, llm_id bigint, vendor text, model text, currency text, requests bigint,
                 unpriced_requests bigint, input_tokens bigint, completion_tokens bigint, cost numeric)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._is_tenant() THEN
    RETURN QUERY SELECT * FROM llm_usage._by_app_kept(from_time, to_time);
  END IF;
END $$;

-- Whether the events of all whole hours in a range are there, but for months that were not lost (NULL: all that were dropped): true,
-- or an error.
CREATE FUNCTION llm_usage._has_hours(from_time timestamptz, to_time timestamptz, lost date[] DEFAULT NULL) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  dropped date := (SELECT max(d.month) FROM llm_usage._dropped_months d
                    WHERE (lost IS NULL OR d.month = ANY (lost))
                      AND llm_usage._first_instant(d.month) < llm_usage._last_hour(from_time, to_time)
                      AND llm_usage._first_instant((d.month + interval '1 month')::date) > llm_usage._first_hour(from_time, to_time));
BEGIN
  IF dropped IS NOT NULL THEN
    RAISE EXCEPTION 'the events of % were dropped', to_char(dropped::timestamp, 'YYYY-MM')
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'What is asked is in no rollup that may be read: by user, task and attribute a tenant is answered from its events, and an attribute that is reported since is not in that of months before.',
            HINT = format('Ask from %s on.', to_char(dropped + interval '1 month', 'YYYY-MM-DD'));
  END IF;
  RETURN true;
END $$;
CREATE FUNCTION llm_usage._folded_hours(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (occurred_at timestamptz, user_id bigint, currency text, rule_type text, task_id text, requests integer,
                 unpriced_requests integer, input_tokens bigint, completion_tokens bigint, inference_tokens bigint, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.occurred_at, e.user_id, e.currency, e.rule_type, e.task_id, e.requests, e.unpriced_requests, e.input_tokens,
           e.completion_tokens, e.inference_tokens, e.cost
      FROM llm_usage._folded_events e
     WHERE CASE WHEN from_time IS NULL OR to_time IS NULL OR from_time < to_time THEN llm_usage._has_hours(from_time, to_time) END
       AND e.occurred_at >= llm_usage._first_hour(from_time, to_time) AND e.occurred_at < llm_usage._last_hour(from_time, to_time);
  END;
CREATE FUNCTION llm_usage._folded_rules(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (occurred_at timestamptz, rule_type text, task_id text, requests integer, input_tokens bigint,
                 completion_tokens bigint, inference_tokens bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.occurred_at, e.rule_type, e.task_id, e.requests, e.input_tokens, e.completion_tokens, e.inference_tokens
      FROM llm_usage._folded_hours(from_time, to_time) e
     WHERE e.rule_type IS NOT NULL;
  END;
CREATE FUNCTION llm_usage._tenant_events(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (occurred_at timestamptz, user_id bigint, currency text, rule_type text, task_id text, requests integer,
                 unpriced_requests integer, input_tokens bigint, completion_tokens bigint, inference_tokens bigint, cost numeric)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._is_tenant() THEN
    RETURN QUERY SELECT * FROM llm_usage._folded_hours(from_time, to_time);
  END IF;
END $$;
CREATE FUNCTION llm_usage._tenant_rules(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (occurred_at timestamptz, rule_type text, task_id text, requests integer, input_tokens bigint,
                 completion_tokens bigint, inference_tokens bigint)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._is_tenant() THEN
    RETURN QUERY SELECT * FROM llm_usage._folded_rules(from_time, to_time);
  END IF;
END $$;

-- One model between any instants: what no bound cuts from the days and hours of its apps, hours that are cut from points. Of a day
-- that one bound cuts, which an app has with all its lines, the hours of the shorter side are read: the longer has what is left.
-- An index is reached below a policy by what was computed before, not by what is added up for each row: that may fail, and tell on what.
CREATE FUNCTION llm_usage._between_of_apps(for_model text, starts timestamptz[], to_time timestamptz)
  RETURNS TABLE (part integer, last_part integer, requests bigint, input_tokens bigint, completion_tokens bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH line AS MATERIALIZED (
      SELECT l.number FROM llm_usage._lines l WHERE l.model = for_model
    ), cut AS MATERIALIZED (
      SELECT c.at FROM unnest(starts || to_time) c (at)
    ), cut_day AS MATERIALIZED (
      SELECT d.bucket, d.cuts, d.hour, d.next_hour,
             CASE WHEN d.is_short_before THEN d.before ELSE d.after END AS short_part,
             CASE WHEN d.is_short_before THEN d.after ELSE d.before END AS long_part,
             CASE WHEN d.cuts > 1 OR d.is_short_before THEN d.bucket ELSE d.hour END AS from_hour,
             CASE WHEN d.cuts = 1 AND d.is_short_before THEN d.next_hour ELSE d.bucket + interval '24 hours' END AS until
        FROM (SELECT c.bucket, c.cuts, c.hour, c.next_hour,
                     width_bucket(c.bucket, starts || to_time) AS before,
                     width_bucket(c.bucket + interval '23:59:59.999999', starts || to_time) AS after,
                     c.hour - c.bucket <= c.bucket + interval '24 hours' - c.next_hour AS is_short_before
                FROM (SELECT llm_usage._day(c.at) AS bucket, count(DISTINCT c.at) AS cuts, llm_usage._hour(min(c.at)) AS hour,
                             llm_usage._hour(min(c.at) + interval '59:59.999999') AS next_hour
                        FROM cut c
                       WHERE c.at <> llm_usage._day(c.at)
                       GROUP BY llm_usage._day(c.at)) c) d
    )
    SELECT CASE WHEN d.cuts = 1 THEN d.long_part ELSE width_bucket(k.bucket, starts || to_time) END,
           CASE WHEN d.cuts = 1 THEN d.long_part ELSE width_bucket(k.bucket + interval '23:59:59.999999', starts || to_time) END,
           k.requests, k.input_tokens, k.completion_tokens
      FROM llm_usage._by_app_day k
      LEFT JOIN cut_day d ON d.bucket = k.bucket
     WHERE k.line IN (SELECT l.number FROM line l) AND k.bucket >= llm_usage._day(starts[array_lower(starts, 1)]) AND k.bucket < to_time
    UNION ALL
    SELECT p.part, p.last_part, p.sign * h.requests, p.sign * h.input_tokens, p.sign * h.completion_tokens
      FROM (SELECT d.bucket AS day, d.cuts, d.short_part, d.long_part,
                   CASE WHEN d.cuts > 1 OR k.bucket >= d.hour AND k.bucket < d.next_hour THEN k.bucket END AS hour,
                   sum(k.requests)::bigint AS requests, sum(k.input_tokens)::bigint AS input_tokens,
                   sum(k.completion_tokens)::bigint AS completion_tokens
              FROM cut_day d
             CROSS JOIN LATERAL (
                SELECT k.* FROM llm_usage._by_app_hour k
                 WHERE k.line = ANY (ARRAY(SELECT l.number FROM line l)) AND k.bucket >= d.from_hour AND k.bucket < d.until OFFSET 0) k
             GROUP BY 1, 2, 3, 4, 5) h
     CROSS JOIN LATERAL (
        SELECT width_bucket(h.hour, starts || to_time) AS part,
               width_bucket(h.hour + interval '59:59.999999', starts || to_time) AS last_part, 1 AS sign
         WHERE h.cuts > 1
        UNION ALL
        SELECT h.short_part, h.short_part, 1 WHERE h.cuts = 1 AND h.hour IS NULL
        UNION ALL
        SELECT h.long_part, h.long_part, -1 WHERE h.cuts = 1) p
    UNION ALL
    SELECT p.part, p.part, p.requests, p.input_tokens, p.completion_tokens
      FROM (SELECT array_agg(k.points) AS points, array_agg(k.bucket) AS buckets
              FROM (SELECT DISTINCT llm_usage._hour(c.at) AS bucket FROM cut c WHERE c.at <> llm_usage._hour(c.at)) h
             CROSS JOIN LATERAL (
                SELECT k.bucket, k.points FROM llm_usage._by_app_hour k
                 WHERE k.bucket = h.bucket AND k.line = ANY (ARRAY(SELECT l.number FROM line l))
                UNION ALL
                SELECT k.bucket, k.points FROM llm_usage._by_app_points k
                 WHERE k.bucket = h.bucket AND k.line = ANY (ARRAY(SELECT l.number FROM line l)) OFFSET 0) k
             GROUP BY h.bucket) k
     CROSS JOIN LATERAL llm_usage._points_by_part(k.points, k.buckets, starts || to_time) p;
  END;
-- To plan it for each array of bounds takes longer than to run it.
CREATE FUNCTION llm_usage._tenant_between(for_model text, starts timestamptz[], to_time timestamptz)
  RETURNS TABLE (part integer, last_part integer, requests bigint, input_tokens bigint, completion_tokens bigint)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  IF llm_usage._is_tenant() THEN
    RETURN QUERY SELECT * FROM llm_usage._between_of_apps(for_model, starts, to_time);
  END IF;
END $$;

-- The LLMs that its events name which are not folded yet.
CREATE FUNCTION llm_usage._tail_llms() RETURNS SETOF bigint
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT DISTINCT e.llm_id FROM llm_usage._tail_events e;
  END;
CREATE FUNCTION llm_usage._tenant_llms(folded_up_to bigint) RETURNS SETOF bigint
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF llm_usage._may_be_loose('llm_usage.usage_events'::pg_catalog.regclass, folded_up_to, NULL, NULL) THEN
    RETURN QUERY SELECT * FROM llm_usage._tail_llms();
  END IF;
END $$;
