CREATE FUNCTION llm_usage._lines_of(for_type text, for_id bigint, for_value text) RETURNS integer[]
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN ARRAY(SELECT l.number FROM llm_usage._lines l
                WHERE CASE for_type WHEN 'LLM' THEN l.llm_id = for_id WHEN 'Model' THEN l.model = for_value
                                    WHEN 'Vendor' THEN l.vendor = for_value ELSE true END);

-- Events of an entity that rollups do not tell apart, of [from_1, to_1) and [from_2, to_2), found through the apps' index.
CREATE FUNCTION llm_usage._edge_spending(
    for_type text, for_id bigint, for_key text, for_value text,
    from_1 timestamptz, to_1 timestamptz, from_2 timestamptz, to_2 timestamptz)
  RETURNS TABLE (bucket timestamptz, currency text, requests bigint, unpriced_requests bigint, total_tokens numeric, cost numeric)
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
  SET enable_bitmapscan = on
AS $$
#variable_conflict use_column
DECLARE
  apps bigint[] := llm_usage._folded_apps(CASE for_type WHEN 'App' THEN for_id END);
BEGIN
  RETURN QUERY
  SELECT e.occurred_at, e.currency, e.requests::bigint, e.unpriced_requests::bigint,
         (e.input_tokens + e.completion_tokens)::numeric, e.cost
    FROM (SELECT * FROM llm_usage._folded_events f WHERE f.app_id = ANY (apps) AND f.occurred_at >= from_1 AND f.occurred_at < to_1
          UNION ALL
          SELECT * FROM llm_usage._folded_events f WHERE f.app_id = ANY (apps) AND f.occurred_at >= from_2 AND f.occurred_at < to_2) e
   WHERE CASE for_type WHEN 'LLM' THEN e.llm_id = for_id WHEN 'User' THEN e.user_id = for_id
                       WHEN 'Model' THEN e.model = for_value WHEN 'Vendor' THEN e.vendor = for_value
                       WHEN 'Attribute' THEN llm_usage._attr(e.attrs, for_key) = for_value ELSE true END;
END $$;

-- What is spent for an entity in [from_time, to_time) by what is folded: the parts of the sums. Parts of a rollup that the range
-- does not need are not looked for: this is asked before calls. Every part is found by an index, however small a table was when
-- that was planned. By day, whole months are read as days.
CREATE FUNCTION llm_usage._folded_spending(
    for_type text, for_id bigint, for_key text, for_value text, from_time timestamptz, to_time timestamptz, by_day boolean)
  RETURNS TABLE (bucket timestamptz, currency text, requests bigint, unpriced_requests bigint, total_tokens numeric, cost numeric)
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
  SET jit = off
  SET enable_seqscan = off
  SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  cut          timestamptz[] := llm_usage._cut(from_time, to_time);
  first        timestamptz := cut[1];
  first_hour   timestamptz := cut[2];
  first_day    timestamptz := cut[3];
  first_month  timestamptz := cut[4];
  last_month   timestamptz := cut[5];
  last_day     timestamptz := cut[6];
  last_hour    timestamptz := cut[7];
  last         timestamptz := cut[8];
  months       timestamptz[];
  hours        timestamptz[];
  lines        integer[];
  is_rolled_up boolean := true;
BEGIN
  IF first_month < last_month AND NOT by_day AND for_type IN ('App', 'LLM', 'All') THEN
    months := CASE WHEN last_month - first_month < interval '32 days' THEN ARRAY[first_month] ELSE
                ARRAY(SELECT m AT TIME ZONE 'UTC' FROM generate_series(first_month AT TIME ZONE 'UTC', (last_month - interval '1 day') AT TIME ZONE 'UTC', interval '1 month') m) END;
    RETURN QUERY
    SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, k.total_tokens::numeric, k.cost
      FROM llm_usage._by_entity_month k
     WHERE k.bucket = ANY (months) AND k.entity_type = CASE for_type WHEN 'All' THEN 'App' ELSE for_type END
       AND (k.entity_id = for_id OR for_type = 'All');
  ELSE
    first_month := last_day;
    last_month := last_day;
  END IF;

  IF for_type IN ('App', 'LLM') THEN
    IF first_day < first_month OR last_month < last_day THEN
      RETURN QUERY
      SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, k.total_tokens::numeric, k.cost
        FROM llm_usage._by_entity_day k
       WHERE k.entity_type = for_type AND k.entity_id = for_id AND k.bucket >= first_day AND k.bucket < last_day
         AND (k.bucket < first_month OR k.bucket >= last_month);
    END IF;
    IF first_hour < first_day OR last_day < last_hour THEN
      hours := ARRAY(SELECT h FROM generate_series(first_hour, first_day - interval '1 hour', interval '1 hour') h
                     UNION ALL
                     SELECT h FROM generate_series(last_day, last_hour - interval '1 hour', interval '1 hour') h);
      RETURN QUERY
      SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, k.total_tokens::numeric, k.cost
        FROM llm_usage._by_entity_hour k
       WHERE k.bucket = ANY (hours) AND k.entity_type = for_type AND k.entity_id = for_id;
    END IF;
  ELSIF for_type = 'User' THEN
    RETURN QUERY
    SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
      FROM llm_usage._by_user_day k
     WHERE k.user_id = for_id AND k.bucket >= first_day AND k.bucket < last_day
    UNION ALL
    SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
      FROM llm_usage._by_user_hour k
     WHERE k.user_id = for_id AND k.bucket >= first_hour AND k.bucket < first_day
    UNION ALL
    SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
      FROM llm_usage._by_user_hour k
     WHERE k.user_id = for_id AND k.bucket >= last_day AND k.bucket < last_hour;
  ELSIF for_type = 'Attribute' THEN
    is_rolled_up := EXISTS (SELECT FROM llm_usage._rolled_up_attrs k WHERE k.key = for_key);
    PERFORM llm_usage._has_attr(for_key, from_time, to_time);
    RETURN QUERY
    SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
      FROM llm_usage._by_attr_day k
     WHERE k.key = for_key AND k.value = for_value AND k.bucket >= first_day AND k.bucket < last_day
    UNION ALL
    SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
      FROM llm_usage._by_attr_hour k
     WHERE k.key = for_key AND k.value = for_value AND k.bucket >= first_hour AND k.bucket < first_day
    UNION ALL
    SELECT k.bucket, k.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
      FROM llm_usage._by_attr_hour k
     WHERE k.key = for_key AND k.value = for_value AND k.bucket >= last_day AND k.bucket < last_hour;
  ELSIF first_day < first_month OR last_month < last_day OR first_hour < first_day OR last_day < last_hour THEN
    lines := llm_usage._lines_of(for_type, for_id, for_value);
    RETURN QUERY
    SELECT k.bucket, l.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
      FROM unnest(lines) n (line)
     CROSS JOIN LATERAL (
        SELECT d.* FROM llm_usage._by_model_day d
         WHERE d.line = n.line AND d.bucket >= first_day AND d.bucket < last_day
           AND (d.bucket < first_month OR d.bucket >= last_month)
        UNION ALL
        SELECT h.* FROM llm_usage._by_model_hour h
         WHERE h.line = n.line AND h.bucket >= first_hour AND h.bucket < first_day
        UNION ALL
        SELECT h.* FROM llm_usage._by_model_hour h
         WHERE h.line = n.line AND h.bucket >= last_day AND h.bucket < last_hour) k
      JOIN llm_usage._lines l ON l.number = n.line;
  END IF;

  -- The edges, or where the rollup does not know the attribute yet, all of it. Days of time zones begin at quarters of an hour: of lines
  -- there are sums of 5 minutes, and of others the hour tells whether there is anything to look for.
  IF NOT is_rolled_up OR first < first_hour AND llm_usage._has_events(first, first)
     OR last_hour < last AND llm_usage._has_events(last_hour, last) THEN
    IF for_type IN ('LLM', 'Model', 'Vendor', 'All') AND llm_usage._5min(first) = first AND llm_usage._5min(last) = last THEN
      lines := llm_usage._lines_of(for_type, for_id, for_value);
      RETURN QUERY
      SELECT k.bucket, l.currency, k.requests, k.unpriced_requests, (k.input_tokens + k.completion_tokens)::numeric, k.cost
        FROM unnest(lines) n (line)
       CROSS JOIN LATERAL (
          SELECT m.* FROM llm_usage._by_model_5min m WHERE m.line = n.line AND m.bucket >= first AND m.bucket < first_hour
          UNION ALL
          SELECT m.* FROM llm_usage._by_model_5min m WHERE m.line = n.line AND m.bucket >= last_hour AND m.bucket < last) k
        JOIN llm_usage._lines l ON l.number = n.line;
    ELSIF (CASE for_type
            WHEN 'App' THEN EXISTS (SELECT FROM llm_usage._by_entity_hour k
                                     WHERE k.bucket = ANY (ARRAY[llm_usage._hour(first), last_hour]) AND k.entity_type = 'App' AND k.entity_id = for_id)
            WHEN 'User' THEN EXISTS (SELECT FROM llm_usage._by_user_hour k
                                      WHERE k.user_id = for_id AND k.bucket = ANY (ARRAY[llm_usage._hour(first), last_hour]))
            WHEN 'Attribute' THEN NOT is_rolled_up
                 OR EXISTS (SELECT FROM llm_usage._by_attr_hour k
                             WHERE k.key = for_key AND k.value = for_value AND k.bucket = ANY (ARRAY[llm_usage._hour(first), last_hour]))
            ELSE true
          END) THEN
      RETURN QUERY
      SELECT * FROM llm_usage._edge_spending(for_type, for_id, for_key, for_value, first,
                                             CASE WHEN is_rolled_up THEN first_hour ELSE last END,
                                             CASE WHEN is_rolled_up THEN last_hour ELSE last END, last);
    END IF;
  END IF;
END $$;

-- What is not folded, event by event, where _tail_spending() cannot read it without a plan. To set one up over all partitions takes
-- longer than all else, so only if there is any.
CREATE FUNCTION llm_usage._tail_events_of(
    for_type text, for_id bigint, for_key text, for_value text, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, currency text, requests bigint, unpriced_requests bigint, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.occurred_at, e.currency, e.requests::bigint, e.unpriced_requests::bigint,
           (e.input_tokens + e.completion_tokens)::numeric, e.cost
      FROM llm_usage._tail_events e
     WHERE e.occurred_at >= from_time AND e.occurred_at < to_time
       AND CASE for_type WHEN 'App' THEN e.app_id = for_id WHEN 'LLM' THEN e.llm_id = for_id WHEN 'User' THEN e.user_id = for_id
                         WHEN 'Model' THEN e.model = for_value WHEN 'Vendor' THEN e.vendor = for_value
                         WHEN 'Attribute' THEN llm_usage._attr(e.attrs, for_key) = for_value ELSE true END;
  END;
CREATE FUNCTION llm_usage._tail_spending_by_event(
    for_type text, for_id bigint, for_key text, for_value text, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, currency text, requests bigint, unpriced_requests bigint, total_tokens numeric, cost numeric)
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF llm_usage._may_be_loose('llm_usage.usage_events'::regclass, llm_usage._folded_up_to('usage_events'), NULL, NULL) THEN
    RETURN QUERY SELECT * FROM llm_usage._tail_events_of(for_type, for_id, for_key, for_value, from_time, to_time);
  END IF;
END $$;

-- What is folded and, if it is asked for, what is not.
CREATE FUNCTION llm_usage._entity_spending(
    for_type text, for_id bigint, for_key text, for_value text, from_time timestamptz, to_time timestamptz, by_day boolean,
    with_tail boolean)
  RETURNS TABLE (bucket timestamptz, currency text, requests bigint, unpriced_requests bigint, total_tokens numeric, cost numeric)
  LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY
  SELECT * FROM llm_usage._folded_spending(for_type, for_id, for_key, for_value, from_time, to_time, by_day);
  IF with_tail THEN
    RETURN QUERY
    SELECT t.bucket, t.currency COLLATE "C", t.requests, t.unpriced_requests, t.total_tokens::numeric, t.cost
      FROM llm_usage._tail_spending(for_type, for_id, for_key, for_value, from_time, to_time) t;
  END IF;
END $$;

-- Up to when a period's events count. Clocks of gateways differ: of a rolling budget what is dated up to a day ahead counts now.
CREATE FUNCTION llm_usage._counted_to(period_end timestamptz, at timestamptz) RETURNS timestamptz
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce(period_end, llm_usage._hour(at) + interval '25 hours');

-- What of a budget is spent and held at an instant, with or without what is not folded. Every part is found by an index, however small
-- a table was when it was planned. In other currencies: costs that are not in spent, {"EUR": 1.5}; NULL: none.
CREATE FUNCTION llm_usage._budget_standing(b llm_usage.budgets, at timestamptz, with_tail boolean DEFAULT true)
  RETURNS TABLE (period_start timestamptz, period_end timestamptz, spent numeric, held numeric, unpriced_requests bigint,
                 other_currencies jsonb)
  LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off
AS $$
BEGIN
  SELECT p.period_start, p.period_end INTO period_start, period_end
    FROM llm_usage._budget_period(b.period, b.start_date, b.rolling_window, b.time_zone, at) p;
  SELECT CASE b.unit WHEN 'requests' THEN sum(s.requests) WHEN 'tokens' THEN sum(s.total_tokens)
              ELSE coalesce(sum(s.cost * s.rate), 0) + coalesce(b.fallback_price, 0) * sum(s.unpriced_requests) END,
         sum(s.unpriced_requests), jsonb_object_agg(s.currency, trim_scale(s.cost)) FILTER (WHERE s.rate IS NULL AND s.cost <> 0)
    INTO spent, unpriced_requests, other_currencies
    FROM (SELECT c.currency, c.is_known, sum(c.requests) AS requests, sum(c.unpriced_requests) AS unpriced_requests,
                 sum(c.total_tokens) AS total_tokens, CASE WHEN c.is_known THEN 1 END AS rate,
                 sum(CASE WHEN c.is_known THEN c.cost * c.rate ELSE c.cost END) AS cost
            FROM (SELECT e.*, e.rate IS NOT NULL AS is_known
                    FROM (SELECT p.*, CASE WHEN p.currency = b.currency THEN 1
                                           WHEN b.converts THEN llm_usage._exchange_rate(p.currency, b.currency, (p.bucket AT TIME ZONE 'UTC')::date)
                                      END AS rate
                            FROM llm_usage._entity_spending(b.entity_type, b.entity_id, b.entity_key, b.entity_value,
                                                            period_start, llm_usage._counted_to(period_end, at), b.converts,
                                                            with_tail) p) e) c
           GROUP BY c.currency, c.is_known) s;
  SELECT sum(h.amount) INTO held FROM llm_usage._held h WHERE h.budget_id = b.id AND h.expires_at > clock_timestamp();
  spent := coalesce(spent, 0);
  held := coalesce(held, 0);
  unpriced_requests := coalesce(unpriced_requests, 0);
  RETURN NEXT;
END $$;

-- The budgets that a call counts for.
CREATE FUNCTION llm_usage._budgets_of(app_id bigint, llm_id bigint, user_id bigint, model text, vendor text, attrs jsonb)
  RETURNS TABLE (id bigint, is_hard boolean)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT b.id, b.is_hard FROM llm_usage.budgets b WHERE b.entity_type = 'App' AND b.entity_id = app_id
    UNION ALL
    SELECT b.id, b.is_hard FROM llm_usage.budgets b WHERE b.entity_type = 'LLM' AND b.entity_id = llm_id
    UNION ALL
    SELECT b.id, b.is_hard FROM llm_usage.budgets b WHERE b.entity_type = 'User' AND b.entity_id = user_id
    UNION ALL
    SELECT b.id, b.is_hard FROM llm_usage.budgets b
     WHERE b.entity_type = 'Model' AND b.entity_id IS NULL AND b.entity_key IS NULL AND b.entity_value = model
    UNION ALL
    SELECT b.id, b.is_hard FROM llm_usage.budgets b
     WHERE b.entity_type = 'Vendor' AND b.entity_id IS NULL AND b.entity_key IS NULL AND b.entity_value = vendor
    UNION ALL
    SELECT b.id, b.is_hard
      FROM jsonb_each_text(CASE WHEN jsonb_typeof(attrs) = 'object' THEN attrs END) a (key, value)
      JOIN llm_usage.budgets b ON b.entity_type = 'Attribute' AND b.entity_id IS NULL AND b.entity_key = a.key COLLATE "C"
                              AND b.entity_value = a.value COLLATE "C"
    UNION ALL
    SELECT b.id, b.is_hard FROM llm_usage.budgets b WHERE b.entity_type = 'All';
  END;

CREATE TYPE llm_usage.budget_decision AS (
  verdict text, hold_id bigint, budget_id bigint, spent numeric, held numeric, remaining numeric, resets_at timestamptz, reason text);
COMMENT ON TYPE llm_usage.budget_decision IS
  'Whether a call may go ahead. verdict: allowed, warned (a soft budget has no room left), or denied. hold_id: what reserve_budget() holds; NULL: nothing. The budget that decides, NULL where none applies: what of it is spent, held by calls under way, and remaining, in its currency, tokens or requests; resets_at: when its period ends, NULL for a rolling one. reason: why, in words for a user.';

-- Which of some budgets are the caller's to know: a tenant's those of its own apps. NULL: all. Of the others it learns that they stop a
-- call, and no more.
CREATE FUNCTION llm_usage._shown_budgets(ids bigint[]) RETURNS bigint[]
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM llm_usage._tenant_roles()) THEN
    RETURN NULL;
  END IF;
  RETURN ARRAY(SELECT b.id FROM llm_usage.budgets b
                WHERE b.id = ANY (ids) AND b.entity_type = 'App' AND llm_usage._may_record(b.entity_id));
END $$;

CREATE FUNCTION llm_usage.check_budget(
    app_id bigint DEFAULT 0, model text DEFAULT NULL, user_id bigint DEFAULT NULL, llm_id bigint DEFAULT 0,
    vendor text DEFAULT NULL, attrs jsonb DEFAULT NULL, cost numeric DEFAULT NULL, currency text DEFAULT NULL,
    prompt_tokens bigint DEFAULT 0, completion_tokens bigint DEFAULT 0)
  RETURNS llm_usage.budget_decision
  LANGUAGE c VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'check_budget_wrapper';
COMMENT ON FUNCTION llm_usage.check_budget(bigint, text, bigint, bigint, text, jsonb, numeric, text, bigint, bigint) IS
  'Whether a call may go ahead, by all budgets that it counts for: those of its app, model, user, LLM, vendor (as the event will name it), attributes, and of everything. What is committed counts, folded or not, and what is held. The call is taken for what it may cost at most: cost in currency (default llm_usage.default_currency), else its tokens at the present price; without a model and a cost it is only asked whether anything is left. Nothing is held: of two calls that ask at once both may be allowed; reserve_budget() keeps them apart. Errors: 22023 for a bad estimate or currency; 55000 where a budget needs an attribute''s events of a month that was dropped.';
