-- Makes the partition of one month and moves what the default partition holds of it. Returns the rows moved, NULL if the
-- month has its partition already.
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
  IF to_regclass(format('llm_usage.%I', part)) IS NOT NULL THEN
    RETURN NULL;
  END IF;
  EXECUTE format('LOCK TABLE llm_usage.%I IN ACCESS EXCLUSIVE MODE', ledger || '_default');
  EXECUTE format('CREATE TABLE llm_usage.%I (LIKE llm_usage.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', part, ledger);
  PERFORM set_config('llm_usage._moving', 'on', true);
  EXECUTE format(
    'WITH moved AS (DELETE FROM llm_usage.%1$I WHERE %2$I >= $1 AND %2$I < $2 RETURNING *) INSERT INTO llm_usage.%3$I SELECT * FROM moved',
    ledger || '_default', time_column, part) USING from_at, to_at;
  GET DIAGNOSTICS moved = ROW_COUNT;
  PERFORM set_config('llm_usage._moving', 'off', true);
  EXECUTE format('ALTER TABLE llm_usage.%I ATTACH PARTITION llm_usage.%I FOR VALUES FROM (%L) TO (%L)',
                 ledger, part, from_at AT TIME ZONE 'UTC' || '+00', to_at AT TIME ZONE 'UTC' || '+00');
  EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llm_usage.%I FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._refuse_change()', part);
  RETURN moved;
END $$;

CREATE FUNCTION llm_usage.maintain(months_ahead integer DEFAULT 3)
  RETURNS TABLE (ledger text, month date, moved bigint)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET lock_timeout = '5s'
  SET datestyle = 'ISO'
AS $$
DECLARE
  this_month date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
  time_column text;
BEGIN
  months_ahead := coalesce(months_ahead, 3);
  IF months_ahead NOT BETWEEN 0 AND 120 THEN
    RAISE EXCEPTION 'months_ahead must be from 0 to 120, not %', months_ahead
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Partitions are made for this month and as many after it.',
            HINT = 'Use maintain(3).';
  END IF;
  FOR ledger, time_column IN VALUES ('messages', 'sent_at'), ('sessions', 'started_at'), ('usage_events', 'occurred_at') LOOP
    -- Only maintenance takes this lock: a second one waits here and then finds everything done.
    EXECUTE format('LOCK TABLE llm_usage.%I IN SHARE UPDATE EXCLUSIVE MODE', ledger);
    FOR month IN EXECUTE format(
      'SELECT m::date FROM generate_series($1::timestamp, $1 + make_interval(months => $2), interval ''1 month'') m
        UNION SELECT date_trunc(''month'', %I AT TIME ZONE ''UTC'')::date FROM llm_usage.%I ORDER BY 1',
      time_column, ledger || '_default') USING this_month, months_ahead
    LOOP
      moved := llm_usage._make_month(ledger, time_column, month);
      IF moved IS NOT NULL THEN
        RETURN NEXT;
      END IF;
    END LOOP;
  END LOOP;
END $$;
COMMENT ON FUNCTION llm_usage.maintain(integer) IS
  'Makes the monthly partitions (UTC) of this month and of months_ahead more (default 3, 0 to 120), and moves what the default partitions hold to the months it belongs to. Returns each partition made: its ledger, the first day of its month, and the rows moved. Run it daily; until it runs nothing is lost. Errors: 22023 for months_ahead out of bounds; 55P03 when writers hold it up for 5 seconds: try again.';
