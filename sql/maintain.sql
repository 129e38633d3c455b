CREATE FUNCTION llm_usage._time_column(ledger text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE ledger WHEN 'usage_events' THEN 'occurred_at' WHEN 'sessions' THEN 'started_at' WHEN 'messages' THEN 'sent_at' END;

-- Makes the partition of one month and moves what the default partition holds of it; returns the rows moved. Both are locked.
CREATE FUNCTION llm_usage._make_month(ledger text, time_column text, month date) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  part    text := ledger || to_char(month::timestamp, '_YYYY_MM');
  from_at timestamptz := month::timestamp AT TIME ZONE 'UTC';
  to_at   timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
  moved   bigint;
BEGIN
  EXECUTE format('CREATE TABLE llm_usage.%I (LIKE llm_usage.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING STORAGE)',
                 part, ledger || '_default');
  PERFORM set_config('llm_usage._moving', 'on', true);
  EXECUTE format(
    'WITH moved AS (DELETE FROM llm_usage.%1$I WHERE %2$I >= $1 AND %2$I < $2 RETURNING *) INSERT INTO llm_usage.%3$I SELECT * FROM moved',
    ledger || '_default', time_column, part) USING from_at, to_at;
  GET DIAGNOSTICS moved = ROW_COUNT;
  PERFORM set_config('llm_usage._moving', 'off', true);
  EXECUTE format('ALTER TABLE llm_usage.%I ATTACH PARTITION llm_usage.%I FOR VALUES FROM (%L) TO (%L)',
                 ledger, part, from_at AT TIME ZONE 'UTC' || '+00', to_at AT TIME ZONE 'UTC' || '+00');
  IF llm_usage._has_row_security(format('llm_usage.%I', ledger)::regclass) THEN
    PERFORM llm_usage._set_policies(format('llm_usage.%I', part)::regclass, ledger,
                                    (SELECT v.condition FROM llm_usage._visible_rows v WHERE v.relation = ledger));
  END IF;
  EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llm_usage.%I FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._refuse_change()', part);
  RETURN moved;
END $$;

-- The months that a ledger should have a partition for and has not.
CREATE FUNCTION llm_usage._missing_months(ledger text, time_column text, months_ahead integer) RETURNS SETOF date
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT m.month
       FROM (SELECT (date_trunc(''month'', now() AT TIME ZONE ''UTC'') + make_interval(months => n))::date AS month
               FROM generate_series(0, $1) n
             UNION
             SELECT date_trunc(''month'', d.%I AT TIME ZONE ''UTC'')::date FROM llm_usage.%I d) m
      WHERE to_regclass(''llm_usage.'' || $2 || to_char(m.month::timestamp, ''_YYYY_MM'')) IS NULL
      ORDER BY 1', time_column, ledger || '_default') USING months_ahead, ledger;
END $$;

-- Locks a ledger; false if it is not free now, and who is patient tries for some seconds. No writer may be on its way into
-- the default partition when a month is made, it would be refused there, and no reader that has been planned without that
-- month. Who waits here makes others wait behind it, so it waits for a moment only, and for less than it takes to find a
-- deadlock.
CREATE FUNCTION llm_usage._lock_ledger(ledger text, patient boolean) RETURNS boolean
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET lock_timeout = '400ms'
AS $$
DECLARE
  nowait text := CASE WHEN patient THEN '' ELSE ' NOWAIT' END;
BEGIN
  FOR attempt IN 1 .. CASE WHEN patient THEN 15 ELSE 1 END LOOP
    BEGIN
      EXECUTE format('LOCK TABLE ONLY llm_usage.%I IN ACCESS EXCLUSIVE MODE', ledger) || nowait;
      EXECUTE format('LOCK TABLE llm_usage.%I IN ACCESS EXCLUSIVE MODE', ledger || '_default') || nowait;
      RETURN true;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(CASE WHEN patient THEN 0.1 ELSE 0 END);
    END;
  END LOOP;
  RETURN false;
END $$;

CREATE FUNCTION llm_usage.maintain(months_ahead integer DEFAULT 3)
  RETURNS TABLE (ledger text, month date, moved bigint)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET datestyle = 'ISO'
AS $$
DECLARE
  time_column text;
  holds_lock  boolean := false;
BEGIN
  months_ahead := coalesce(months_ahead, 3);
  IF months_ahead NOT BETWEEN 0 AND 120 THEN
    RAISE EXCEPTION 'months_ahead must be from 0 to 120, not %', months_ahead
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Partitions are made for this month and as many after it.',
            HINT = 'Use maintain(3).';
  END IF;
  PERFORM llm_usage._forget_holds();
  -- In the order in which a report locks them: a standby repeats the locks, and waits for them with those it has.
  FOREACH ledger IN ARRAY ARRAY['usage_events', 'sessions', 'messages'] LOOP
    time_column := llm_usage._time_column(ledger);
    CONTINUE WHEN NOT EXISTS (SELECT FROM llm_usage._missing_months(ledger, time_column, months_ahead));
    -- Who holds one ledger must not wait for another: a writer may hold that one and wait for this.
    IF NOT llm_usage._lock_ledger(ledger, NOT holds_lock) THEN
      IF NOT holds_lock THEN
        RAISE EXCEPTION 'llm_usage.% is in use: its partitions could not be made', ledger
          USING ERRCODE = 'lock_not_available',
                DETAIL = 'A transaction that writes to it or reads it did not end within seconds.',
                HINT = 'Run maintain() again. Nothing is lost meanwhile; pg_stat_activity shows who is idle in a transaction.';
      END IF;
      RAISE NOTICE 'llm_usage.% is in use: run maintain() again', ledger;
      CONTINUE;
    END IF;
    holds_lock := true;
    -- Looked up again: what another session made before the lock was free is there now.
    FOR month IN SELECT m FROM llm_usage._missing_months(ledger, time_column, months_ahead) m LOOP
      moved := llm_usage._make_month(ledger, time_column, month);
      RETURN NEXT;
    END LOOP;
  END LOOP;
  PERFORM llm_usage._renew_policies();
  PERFORM llm_usage._drop_old_keys();
END $$;
COMMENT ON FUNCTION llm_usage.maintain(integer) IS
  'Makes the monthly partitions (UTC) of this month and of months_ahead more (default 3, 0 to 120), and moves what the default partitions hold to the months it belongs to. Returns each partition made: its ledger, the first day of its month, and the rows moved. Drops the request keys that are older than llm_usage.idempotency_window, and makes the policies of tenants again where they are gone. Run it daily; until it runs nothing is lost, and answers are the same before, during and after. Writers and readers wait while rows are moved. A NOTICE says when a ledger was left out, being in use: run it again. Errors: 22023 for months_ahead out of bounds; 55P03 when a transaction holds it up for seconds: run it again.';
