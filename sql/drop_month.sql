CREATE FUNCTION llm_usage.drop_month(month date) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET lock_timeout = '6s'
AS $$
DECLARE
  of_month date := date_trunc('month', drop_month.month::timestamp)::date;
  suffix   text := to_char(of_month::timestamp, '_YYYY_MM');
  ledger   text;
  part     text;
  last_id  bigint;
  rows     bigint;
  dropped  bigint;
  budget   bigint;
BEGIN
  IF of_month IS NULL OR of_month < '0001-01-01' OR of_month >= date_trunc('month', now() AT TIME ZONE 'UTC')::date THEN
    RAISE EXCEPTION 'month must be a past one, not %', coalesce(drop_month.month::text, 'NULL')
      USING ERRCODE = CASE WHEN drop_month.month IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
            DETAIL = 'The present month (UTC) and those ahead are written to, and none is before the year 0001.',
            HINT = 'Give any day of a past month, such as 2025-01-01.';
  END IF;
  BEGIN
    PERFORM llm_usage._lock_rollups(true);
    -- A budget that is about to be committed may begin in the month.
    LOCK TABLE llm_usage.budgets IN SHARE MODE;
  EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'another session folds, rebuilds, drops or changes budgets: the month could not be dropped'
      USING ERRCODE = 'lock_not_available',
            DETAIL = 'Its transaction did not end within seconds.',
            HINT = 'Run drop_month() again; nothing was dropped. status() names a fold that is idle, pg_stat_activity any other.';
  END;
  -- What budgets and reports ask of attributes is still to be had.
  PERFORM llm_usage._report_attrs_of_budgets();
  PERFORM llm_usage._sync_attrs();
  budget := (SELECT min(b.id) FROM llm_usage.budgets b,
             LATERAL llm_usage._budget_period(b.period, b.start_date, b.rolling_window, b.time_zone, now()) p
              WHERE p.period_start <> llm_usage._hour(p.period_start)
                AND p.period_start >= llm_usage._first_instant(of_month)
                AND p.period_start < llm_usage._first_instant((of_month + interval '1 month')::date));
  IF budget IS NOT NULL THEN
    RAISE EXCEPTION 'the period of budget % begins in the month', budget
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'It does not begin at a full hour (UTC), so that its first events are needed one by one.',
            HINT = 'Drop the month when that period has ended: see resets_at in budget_status.';
  END IF;
  FOREACH ledger IN ARRAY ARRAY['usage_events', 'sessions', 'messages'] LOOP
    part := ledger || suffix;
    CONTINUE WHEN to_regclass(format('llm_usage.%I', part)) IS NULL;
    -- Who holds one ledger must not wait for another: a writer may hold that one and wait for this.
    IF NOT llm_usage._lock_ledger(ledger, dropped IS NULL) THEN
      RAISE EXCEPTION 'llm_usage.% is in use: its month could not be dropped', ledger
        USING ERRCODE = 'lock_not_available',
              DETAIL = 'A transaction that writes to it or reads it did not end within seconds.',
              HINT = 'Run drop_month() again; nothing was dropped.';
    END IF;
    EXECUTE format('SELECT count(*), max(id) FROM llm_usage.%I', part) INTO rows, last_id;
    IF last_id > llm_usage._folded_up_to(ledger) THEN
      RAISE EXCEPTION 'llm_usage.% has rows that are not folded yet', part
        USING ERRCODE = 'object_not_in_prerequisite_state',
              DETAIL = 'Reports would lose them.',
              HINT = 'Run fold() first.';
    END IF;
    EXECUTE format('DROP TABLE llm_usage.%I', part);
    dropped := coalesce(dropped, 0) + rows;
  END LOOP;
  IF dropped IS NOT NULL THEN
    INSERT INTO llm_usage._dropped_months (month) VALUES (of_month) ON CONFLICT DO NOTHING;
    -- A rebuild that is under way must not come to it any more; without a month left it is over.
    DELETE FROM llm_usage._rebuild r
     WHERE r.month = of_month
        OR NOT EXISTS (SELECT FROM llm_usage._rebuild l WHERE l.month <> of_month AND NOT l.rebuilt);
  END IF;
  RETURN coalesce(dropped, 0);
END $$;
COMMENT ON FUNCTION llm_usage.drop_month(date) IS
  'Drops the partitions of a past month (UTC), given by any of its days, from all ledgers, and returns how many rows those had. The rollups keep the month: it is reported as before, by whole hours and days. Events that arrive late for it are counted, too. Errors: 22004 for NULL, 22023 for the present month or one ahead, 55000 when rows are not folded yet: run fold(), or when the present period of a budget begins in the month within an hour (UTC), as in zones of half hours; 55P03 when a transaction holds it up for seconds.';
