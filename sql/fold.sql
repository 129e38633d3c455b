-- Who writes to a ledger now, as pg_locks names transactions: every INSERT holds this lock, on the ledger or on a partition,
-- before it draws an id and until its transaction ends. A prepared transaction has no pid.
CREATE FUNCTION llm_usage._writers(of_ledger text)
  RETURNS TABLE (transaction text, pid integer)
  LANGUAGE sql VOLATILE
  SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT l.virtualtransaction, min(l.pid)
      FROM pg_catalog.pg_locks l
     WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
       AND l.pid IS DISTINCT FROM pg_backend_pid()
       AND l.relation IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(('llm_usage.' || of_ledger)::regclass) t)
     GROUP BY l.virtualtransaction;
  END;

-- Whether this transaction is about to write a row with an id that it has, as where a trigger or a value of an INSERT folds.
CREATE FUNCTION llm_usage._is_writing(of_ledger text) RETURNS boolean
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  sequence CONSTANT regclass := format('llm_usage.%I', of_ledger || '_id_seq')::regclass;
  is_there boolean;
BEGIN
  IF NOT llm_usage._is_drawn_from(sequence) THEN
    RETURN false;
  END IF;
  EXECUTE format('SELECT bool_and(EXISTS (SELECT FROM llm_usage.%I l WHERE l.id = i.id)) FROM unnest($1) i (id)', of_ledger)
     INTO is_there USING llm_usage._ids_under_way(of_ledger, llm_usage._last_drawn(sequence));
  RETURN NOT coalesce(is_there, true);
END $$;

-- Up to which id a ledger is complete: every transaction that could still write a smaller one has ended. Waits for them as long
-- as the patience lasts; those it gave up on are remembered, so that it goes on as soon as they have ended, whoever came since.
CREATE FUNCTION llm_usage._complete_up_to(of_ledger text, patience interval) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  progress   llm_usage._fold_progress;
  complete   bigint;
  last_id    bigint;
  writers    text[];
  give_up_at timestamptz := clock_timestamp() + patience;
  pause      double precision := 0.001;
BEGIN
  -- First the id, then who writes: whoever begins later draws a greater one.
  EXECUTE format('SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM llm_usage.%I', of_ledger || '_id_seq') INTO last_id;
  -- Then how it draws: of ids that sessions draw ahead, small ones are written late.
  IF (SELECT s.seqcache FROM pg_catalog.pg_sequence s WHERE s.seqrelid = format('llm_usage.%I', of_ledger || '_id_seq')::regclass) > 1 THEN
    RAISE EXCEPTION 'sessions draw ids of llm_usage.% ahead', of_ledger
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'The fold goes by the order of ids; it would pass those that are still to be written.',
            HINT = format('ALTER SEQUENCE llm_usage.%I CACHE 1.', of_ledger || '_id_seq');
  END IF;
  -- Never written to, or still being restored: the sequence comes last, and how far it was folded has to come from the dump.
  IF last_id = 0 THEN
    RETURN 0;
  END IF;
  INSERT INTO llm_usage._fold_progress (ledger) VALUES (of_ledger) ON CONFLICT DO NOTHING;
  SELECT * INTO STRICT progress FROM llm_usage._fold_progress p WHERE p.ledger = of_ledger;
  IF last_id < progress.folded_up_to THEN
    RAISE EXCEPTION 'the sequence of llm_usage.% was set back to %', of_ledger, last_id
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('The ledger is folded up to id %s; rows with ids below that are not looked for.', progress.folded_up_to),
            HINT = format('SELECT setval(''llm_usage.%1$s_id_seq'', greatest(%2$s, (SELECT max(id) FROM llm_usage.%1$s))), then llm_usage.rebuild().',
                          of_ledger, progress.folded_up_to);
  END IF;
  complete := progress.folded_up_to;
  IF llm_usage._is_writing(of_ledger) THEN
    RETURN complete;
  END IF;
  IF progress.waiting_up_to IS NOT NULL THEN
    -- A restart gives a prepared transaction another name, -1/…, which none has that is prepared later.
    progress.waiting_for := ARRAY(SELECT w.transaction FROM llm_usage._writers(of_ledger) w
                                   WHERE w.transaction = ANY (progress.waiting_for) OR starts_with(w.transaction, '-1/'));
    IF progress.waiting_for = '{}' THEN
      complete := progress.waiting_up_to;
      progress.waiting_up_to := NULL;
    END IF;
  END IF;
  IF last_id > complete THEN
    writers := ARRAY(SELECT w.transaction FROM llm_usage._writers(of_ledger) w);
    WHILE writers <> '{}' AND clock_timestamp() < give_up_at LOOP
      PERFORM pg_sleep(pause);
      pause := least(pause * 2, 0.05);
      writers := ARRAY(SELECT w.transaction FROM llm_usage._writers(of_ledger) w WHERE w.transaction = ANY (writers));
    END LOOP;
    IF writers = '{}' THEN
      complete := last_id;
      progress.waiting_up_to := NULL;
    ELSIF progress.waiting_up_to IS NULL THEN
      progress.waiting_up_to := last_id;
      progress.waiting_for := writers;
    END IF;
  END IF;
  IF progress.waiting_up_to IS NULL THEN
    progress.waiting_for := NULL;
  END IF;
  UPDATE llm_usage._fold_progress p SET waiting_up_to = progress.waiting_up_to, waiting_for = progress.waiting_for
   WHERE p.ledger = of_ledger
     AND (p.waiting_up_to, p.waiting_for) IS DISTINCT FROM (progress.waiting_up_to, progress.waiting_for);
  RETURN complete;
END $$;

-- Runs every rollup of a ledger over some of its rows; returns how many those are and the newest, which the first of them finds.
CREATE FUNCTION llm_usage._run_rollups(
    of_ledger text, after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz,
    OUT rows bigint, OUT newest timestamptz)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rollup text;
BEGIN
  FOR rollup IN SELECT r.name FROM llm_usage._rollups r WHERE r.ledger = of_ledger ORDER BY r.ordinal LOOP
    IF rows IS NULL THEN
      EXECUTE format('SELECT f.rows, f.newest FROM llm_usage.%I($1, $2, $3, $4, $5) f', '_fold_' || rollup)
         INTO rows, newest USING after_id, up_to_id, from_time, to_time, new_from;
      -- Ids without rows: those of transactions that were rolled back.
      EXIT WHEN rows = 0;
    ELSE
      EXECUTE format('SELECT llm_usage.%I($1, $2, $3, $4, $5)', '_fold_' || rollup)
        USING after_id, up_to_id, from_time, to_time, new_from;
    END IF;
  END LOOP;
END $$;

-- Runs them over all of [from_time, to_time) with ids between, in steps that memory holds. None of what the rollups hold of that is
-- later than newest.
CREATE FUNCTION llm_usage._run_rollups_in_steps(
    of_ledger text, after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, INOUT newest timestamptz,
    OUT rows bigint)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  step_size CONSTANT bigint := 250000;
  step_id   bigint;
  step      record;
BEGIN
  rows := 0;
  WHILE after_id < up_to_id LOOP
    step_id := CASE WHEN up_to_id - after_id > step_size THEN after_id + step_size ELSE up_to_id END;
    SELECT * INTO step
      FROM llm_usage._run_rollups(of_ledger, after_id, step_id, from_time, to_time,
                                  coalesce(llm_usage._hour(newest) + interval '1 hour', '-infinity'));
    rows := rows + step.rows;
    newest := greatest(newest, step.newest);
    after_id := step_id;
    IF step.rows = 0 AND after_id < up_to_id THEN
      -- Someone may have set the sequence far ahead, and a month's last events may have come years later.
      EXECUTE format('SELECT coalesce(min(id) - 1, $2) FROM llm_usage.%1$I WHERE id > $1 AND id <= $2 AND %2$I >= $3 AND %2$I < $4',
                     of_ledger, llm_usage._time_column(of_ledger))
         INTO after_id USING after_id, up_to_id, from_time, to_time;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION llm_usage._fold_ledger(of_ledger text, patience interval, at_most bigint) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  began_at timestamptz := clock_timestamp();
  up_to_id bigint := llm_usage._complete_up_to(of_ledger, patience);
  after_id bigint := llm_usage._folded_up_to(of_ledger);
  done     record;
BEGIN
  IF up_to_id - after_id > at_most THEN
    up_to_id := after_id + at_most;
  END IF;
  IF up_to_id <= after_id THEN
    RETURN 0;
  END IF;
  SELECT * INTO done
    FROM llm_usage._run_rollups_in_steps(of_ledger, after_id, up_to_id, '-infinity', 'infinity',
                                         (SELECT p.newest FROM llm_usage._fold_progress p WHERE p.ledger = of_ledger));
  UPDATE llm_usage._fold_progress p
     SET folded_up_to = up_to_id, folded_rows = p.folded_rows + done.rows, newest = done.newest, last_fold_at = began_at,
         last_fold_rows = done.rows, last_fold_took = clock_timestamp() - began_at
   WHERE p.ledger = of_ledger;
  RETURN done.rows;
END $$;

-- Where the planner takes every row for a group of its own it is told not to sort, and groups them by hash; and it looks all lines up
-- at once. A plan for any ids would read the index of time for all of it.
CREATE FUNCTION llm_usage.fold(patience interval DEFAULT '1 second', at_most bigint DEFAULT NULL) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET work_mem = '64MB'
  SET jit = off
  SET plan_cache_mode = force_custom_plan
  SET enable_sort = off
  SET enable_nestloop = off
AS $$
DECLARE
  ledger   text;
  rows     bigint := 0;
  after_id bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'fold() needs the isolation level READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction',
            DETAIL = 'It has to see what was committed while it waited for writers.',
            HINT = 'Run it in a transaction of its own: SELECT llm_usage.fold().';
  END IF;
  IF at_most < 1 THEN
    RAISE EXCEPTION 'at_most must be at least 1, not %', at_most
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It bounds how many ids of a ledger are folded by one call.',
            HINT = 'Leave it out to fold all there is.';
  END IF;
  IF NOT llm_usage._lock_rollups(false) THEN
    RETURN NULL;
  END IF;
  -- A dump sets sequences last: what is still being restored is left alone.
  IF (SELECT s.is_called FROM llm_usage.usage_events_id_seq s) THEN
    PERFORM llm_usage._try_report_attrs_of_budgets();
    PERFORM llm_usage._sync_attrs();
  END IF;
  after_id := llm_usage._folded_up_to('usage_events');
  FOREACH ledger IN ARRAY ARRAY['usage_events', 'sessions', 'messages'] LOOP
    rows := rows + llm_usage._fold_ledger(ledger, coalesce(patience, '1 second'), at_most);
  END LOOP;
  PERFORM llm_usage._raise_alerts(after_id, llm_usage._folded_up_to('usage_events'));
  RETURN rows;
END $$;
COMMENT ON FUNCTION llm_usage.fold(interval, bigint) IS
  'Adds what was written since the last fold to the rollups, in one transaction, and returns how many rows of the ledgers that were; NULL: another session is folding. Answers are the same before, during and after; only their speed depends on it. Waits for transactions that write now, at most for patience on each ledger (default 1 s): then it leaves a ledger as it is, status() names the writer, and the next fold goes on. It leaves it, too, where its own transaction is about to write there, as in a trigger before the row. at_most bounds how many ids of each ledger one call folds; NULL: all. Errors: 25001 in another isolation level than READ COMMITTED, 22023 for at_most below 1, 55000 where the sequence of a ledger was set back, or was given a CACHE: sessions that draw ids ahead write small ones late.';

CREATE FUNCTION llm_usage.verify()
  RETURNS TABLE (rollup text, found jsonb, expected jsonb)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET work_mem = '64MB'
  SET jit = off
AS $$
BEGIN
  -- Each table in one statement, so in one snapshot: a fold between two of them does no harm.
  FOR rollup IN SELECT t.name FROM llm_usage._rollup_tables t ORDER BY t.name LOOP
    BEGIN
      RETURN QUERY EXECUTE format(
        'SELECT $1, CASE WHEN d.found THEN d.row END, CASE WHEN NOT d.found THEN d.row END
           FROM (SELECT true, f.bucket, to_jsonb(f)
                   FROM (SELECT * FROM llm_usage.%1$I EXCEPT ALL SELECT * FROM llm_usage.%2$I()) f
                 UNION ALL
                 SELECT false, e.bucket, to_jsonb(e)
                   FROM (SELECT * FROM llm_usage.%2$I() EXCEPT ALL SELECT * FROM llm_usage.%1$I) e) d (found, bucket, row)
          WHERE NOT EXISTS (SELECT FROM llm_usage._dropped_months m WHERE m.month = (llm_usage._month(d.bucket) AT TIME ZONE ''UTC'')::date)',
        rollup, rollup || '_expected') USING rollup;
    EXCEPTION WHEN data_corrupted OR invalid_binary_representation THEN
      -- What cannot be read differs, too.
      RETURN QUERY SELECT rollup, jsonb_build_object('error', SQLERRM), NULL::jsonb;
    END;
  END LOOP;
END $$;
COMMENT ON FUNCTION llm_usage.verify() IS
  'Recomputes the rollups from the ledger and returns the rows that differ: those found in a rollup and not expected there, and those expected and not found. None, ever; if there is one, rebuild() puts it right. Months that drop_month() dropped are left out. Reads the whole ledger.';
