CREATE TABLE llm_usage.budget_alerts (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  budget_id       bigint NOT NULL,
  period_start    timestamptz NOT NULL,
  threshold       numeric NOT NULL,
  crossed_at      timestamptz NOT NULL,
  spent           numeric NOT NULL,
  amount          numeric NOT NULL,
  fell_below_at   timestamptz,
  acknowledged_at timestamptz,
  UNIQUE (budget_id, period_start, threshold)
);
COMMENT ON TABLE llm_usage.budget_alerts IS
  'Thresholds that budgets have crossed: one row for each budget, period and threshold, ever. A consumer reads what is not acknowledged, and acknowledges it; NOTIFY on llm_usage_budget_alerts tells it when to look, with the id as payload.';
COMMENT ON COLUMN llm_usage.budget_alerts.id IS 'Ascending in the order of finding, but for transactions that overlap.';
COMMENT ON COLUMN llm_usage.budget_alerts.budget_id IS 'budgets.id.';
COMMENT ON COLUMN llm_usage.budget_alerts.period_start IS 'Where the budget''s period starts. A rolling budget is alerted once in each length of its window, counted from 1970.';
COMMENT ON COLUMN llm_usage.budget_alerts.threshold IS 'Percentage of the amount, one of budgets.thresholds.';
COMMENT ON COLUMN llm_usage.budget_alerts.crossed_at IS 'When the crossing was found.';
COMMENT ON COLUMN llm_usage.budget_alerts.spent IS 'What was spent then, in the budget''s unit.';
COMMENT ON COLUMN llm_usage.budget_alerts.amount IS 'The amount of the budget then.';
COMMENT ON COLUMN llm_usage.budget_alerts.fell_below_at IS 'When spending was found back below the threshold, after a correction; NULL: it is not. It is not alerted again.';
COMMENT ON COLUMN llm_usage.budget_alerts.acknowledged_at IS 'When a consumer acknowledged it; NULL: not yet.';
CREATE INDEX ON llm_usage.budget_alerts (id) WHERE acknowledged_at IS NULL;
SELECT pg_catalog.pg_extension_config_dump('llm_usage.budget_alerts', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.budget_alerts_id_seq', '');

-- Whether spending has reached a percentage of an amount; of an amount of 0 by anything that is spent.
CREATE FUNCTION llm_usage._has_crossed(spent numeric, threshold numeric, amount numeric) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN spent > 0 AND spent * 100 >= threshold * amount;

-- Whether a budget's alerts are as what is spent asks for.
CREATE FUNCTION llm_usage._is_alerted(b llm_usage.budgets, start timestamptz, so_far numeric) RETURNS boolean
  LANGUAGE sql STABLE
  RETURN NOT EXISTS (SELECT FROM unnest(b.thresholds) t (threshold)
                      WHERE llm_usage._has_crossed(so_far, t.threshold, b.amount)
                        AND NOT EXISTS (SELECT FROM llm_usage.budget_alerts a
                                         WHERE a.budget_id = b.id AND a.period_start = start AND a.threshold = t.threshold))
     AND NOT EXISTS (SELECT FROM llm_usage.budget_alerts a
                      WHERE a.budget_id = b.id AND a.period_start = start
                        AND (a.fell_below_at IS NULL) <> llm_usage._has_crossed(so_far, a.threshold, b.amount));

-- Raises what one budget has crossed and is not raised yet; returns how many those are. Whoever comes second waits for the
-- unique row of the first, and raises nothing. After a fold, what is not folded, all of which is read for a budget, is so only
-- where what is folded asks for something: the rest is looked at when it is folded.
CREATE FUNCTION llm_usage._raise_alerts_of(b llm_usage.budgets, after_fold boolean) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  at     timestamptz := clock_timestamp();
  s      record;
  start  timestamptz;
  raised bigint;
BEGIN
  SELECT * INTO s FROM llm_usage._budget_standing(b, at, NOT after_fold);
  start := CASE WHEN b.period = 'rolling' THEN date_bin(make_interval(secs => extract(epoch FROM b.rolling_window)::float8), at, '1970-01-01Z')
                ELSE s.period_start END;
  IF llm_usage._is_alerted(b, start, s.spent) THEN
    RETURN 0;
  END IF;
  IF after_fold THEN
    SELECT * INTO s FROM llm_usage._budget_standing(b, at);
  END IF;
  UPDATE llm_usage.budget_alerts a SET fell_below_at = CASE WHEN a.fell_below_at IS NULL THEN at END
   WHERE a.budget_id = b.id AND a.period_start = start
     AND (a.fell_below_at IS NULL) <> llm_usage._has_crossed(s.spent, a.threshold, b.amount);
  WITH crossed AS (
    INSERT INTO llm_usage.budget_alerts AS a (budget_id, period_start, threshold, crossed_at, spent, amount)
    SELECT DISTINCT b.id, start, t.threshold, at, s.spent, b.amount
      FROM unnest(b.thresholds) t (threshold)
     WHERE llm_usage._has_crossed(s.spent, t.threshold, b.amount)
       AND NOT EXISTS (SELECT FROM llm_usage.budget_alerts k
                        WHERE k.budget_id = b.id AND k.period_start = start AND k.threshold = t.threshold)
     ORDER BY t.threshold
    ON CONFLICT (budget_id, period_start, threshold) DO NOTHING
    RETURNING a.id
  )
  SELECT count(pg_notify('llm_usage_budget_alerts', c.id::text)) INTO raised FROM crossed c;
  RETURN raised;
END $$;

-- Budgets that were left to the next fold, because others held their alerts. Without a key, which others could hold as well.
CREATE TABLE llm_usage._late_alerts (budget_id bigint NOT NULL);
ALTER TABLE llm_usage._late_alerts REPLICA IDENTITY FULL;
SELECT pg_catalog.pg_extension_config_dump('llm_usage._late_alerts', '');

-- A budget whose spending cannot be told keeps nobody from folding, and no other from being alerted. Nor does one whose alerts a
-- consumer holds, for as long as he likes: the next fold looks at it again.
CREATE FUNCTION llm_usage._try_raise_alerts_of(b llm_usage.budgets, after_fold boolean) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET lock_timeout = '1ms'
AS $$
BEGIN
  RETURN llm_usage._raise_alerts_of(b, after_fold);
EXCEPTION
  WHEN lock_not_available THEN
    INSERT INTO llm_usage._late_alerts VALUES (b.id);
    RETURN 0;
  WHEN object_not_in_prerequisite_state OR data_exception THEN
    RAISE WARNING 'the alerts of budget % were left out: %', b.id, SQLERRM;
    RETURN 0;
END $$;

-- Of some budgets, those of one app or LLM by UTC month, which most are, that need nothing, as _is_alerted()
-- says it of one: what is folded reaches no threshold that was not raised, and has not left one.
CREATE FUNCTION llm_usage._quiet_budgets(budget_ids bigint[]) RETURNS SETOF bigint
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT s.id
      FROM (SELECT b.id, b.amount, b.thresholds, k.bucket,
                   CASE b.unit WHEN 'requests' THEN sum(k.requests) WHEN 'tokens' THEN sum(k.total_tokens)
                        ELSE coalesce(sum(k.cost) FILTER (WHERE k.currency = b.currency), 0)
                             + coalesce(b.fallback_price, 0) * sum(k.unpriced_requests) END AS spent
              FROM llm_usage.budgets b
              JOIN llm_usage._by_entity_month k ON k.entity_type = b.entity_type AND k.entity_id = b.entity_id
             WHERE b.id = ANY (budget_ids) AND b.entity_type IN ('App', 'LLM') AND b.period = 'month' AND b.start_date IS NULL
               AND b.time_zone = 'UTC' AND NOT b.converts
               AND k.bucket = (SELECT llm_usage._month(clock_timestamp()))
             GROUP BY b.id, k.bucket) s
     WHERE NOT EXISTS (SELECT FROM unnest(s.thresholds) t (threshold)
                        WHERE llm_usage._has_crossed(s.spent, t.threshold, s.amount)
                          AND NOT EXISTS (SELECT FROM llm_usage.budget_alerts a
                                           WHERE a.budget_id = s.id AND a.period_start = s.bucket AND a.threshold = t.threshold))
       AND NOT EXISTS (SELECT FROM llm_usage.budget_alerts a
                        WHERE a.budget_id = s.id AND a.period_start = s.bucket
                          AND (a.fell_below_at IS NULL) <> llm_usage._has_crossed(s.spent, a.threshold, s.amount));
  END;

-- Of the budgets that events between two ids count for, and of those that were left, or with NULL of all.
CREATE FUNCTION llm_usage._raise_alerts(after_id bigint, up_to_id bigint) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET enable_sort = on
  SET enable_nestloop = on
  SET jit = off
  SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  b      llm_usage.budgets;
  raised bigint := 0;
  ids    bigint[];
  late   bigint[] := ARRAY(SELECT l.budget_id FROM llm_usage._late_alerts l);
BEGIN
  IF up_to_id <= after_id AND late = '{}' OR NOT EXISTS (SELECT FROM llm_usage.budgets) THEN
    RETURN 0;
  END IF;
  IF after_id IS NOT NULL THEN
    WITH spender AS MATERIALIZED (
      SELECT * FROM llm_usage._batch_spenders() WHERE up_to_id > after_id
    ), attrs AS MATERIALIZED (
      SELECT d.attrs::jsonb AS attrs
        FROM (SELECT DISTINCT e.attrs::text AS attrs
                FROM llm_usage.usage_events e
               WHERE e.id > after_id AND e.id <= up_to_id AND e.attrs IS NOT NULL
                 AND EXISTS (SELECT FROM llm_usage.budgets x WHERE x.entity_type = 'Attribute')) d
    )
    SELECT array_agg(t.id) INTO ids
      FROM (SELECT x.id FROM llm_usage.budgets x
             WHERE (x.entity_type, x.entity_id) IN (SELECT s.entity_type COLLATE "C", s.entity_id FROM spender s)
            UNION ALL
            SELECT x.id FROM llm_usage.budgets x
             WHERE (x.entity_type, x.entity_value) IN (SELECT s.entity_type COLLATE "C", s.entity_value COLLATE "C" FROM spender s)
            UNION ALL
            SELECT x.id FROM llm_usage.budgets x
             WHERE x.entity_type = 'Attribute'
               AND EXISTS (SELECT FROM attrs a WHERE llm_usage._attr(a.attrs, x.entity_key) COLLATE "C" = x.entity_value)
            UNION ALL
            SELECT x.id FROM llm_usage.budgets x WHERE x.entity_type = 'All') t;
    ids := ARRAY(SELECT unnest(ids) EXCEPT SELECT llm_usage._quiet_budgets(ids) UNION SELECT unnest(late));
    DELETE FROM llm_usage._late_alerts l WHERE l.budget_id = ANY (late);
  END IF;
  FOR b IN SELECT * FROM llm_usage.budgets x WHERE after_id IS NULL OR x.id = ANY (ids) ORDER BY x.id LOOP
    raised := raised + llm_usage._try_raise_alerts_of(b, after_id IS NOT NULL);
  END LOOP;
  RETURN raised;
END $$;

CREATE FUNCTION llm_usage.raise_budget_alerts() RETURNS bigint
  LANGUAGE sql
  RETURN llm_usage._raise_alerts(NULL, NULL);
COMMENT ON FUNCTION llm_usage.raise_budget_alerts() IS
  'Looks at every budget, and raises an alert for each threshold that spending in the present period has reached and none was raised for: a row of budget_alerts and a NOTIFY on llm_usage_budget_alerts, once, however many sessions look at the same time. Returns how many it raised. fold() does the same for the budgets of what it has folded; this is for budgets that were changed. A budget whose spending cannot be told is left out, with a WARNING; one whose alerts another transaction holds is left to the next fold.';

CREATE FUNCTION llm_usage.acknowledge_budget_alert(alert_id bigint) RETURNS boolean
  LANGUAGE sql
  BEGIN ATOMIC
    WITH acknowledged AS (
      UPDATE llm_usage.budget_alerts a SET acknowledged_at = clock_timestamp()
       WHERE a.id = alert_id AND a.acknowledged_at IS NULL
      RETURNING 1
    )
    SELECT EXISTS (SELECT FROM acknowledged);
  END;
COMMENT ON FUNCTION llm_usage.acknowledge_budget_alert(bigint) IS
  'Marks an alert as handled. Returns whether it was not yet: of several consumers one gets true.';
