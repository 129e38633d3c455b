-- The months of a rebuild that is under way; no row: none is.
CREATE TABLE llm_usage._rebuild (
  month   date PRIMARY KEY,
  rebuilt boolean NOT NULL DEFAULT false
);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._rebuild', '');
-- Sessions remember what rollups held.
CREATE TRIGGER month_rebuilt AFTER UPDATE OR DELETE ON llm_usage._rebuild
  FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._announce_change();

-- Every month that a ledger has rows of, but those that were dropped. What only the rollups know cannot be computed anew, and
-- is left as it is.
CREATE FUNCTION llm_usage._months() RETURNS SETOF date
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT (m.month AT TIME ZONE 'UTC')::date
      FROM (SELECT llm_usage._month(e.occurred_at) FROM llm_usage.usage_events e
            UNION
            SELECT llm_usage._month(s.started_at) FROM llm_usage.sessions s
            UNION
            SELECT llm_usage._month(m.sent_at) FROM llm_usage.messages m) m (month)
    EXCEPT
    SELECT d.month FROM llm_usage._dropped_months d
     ORDER BY 1;
  END;

CREATE FUNCTION llm_usage._rebuild_month(of_month date) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  from_time timestamptz := llm_usage._first_instant(of_month);
  to_time   timestamptz := llm_usage._first_instant((of_month + interval '1 month')::date);
  name      text;
  after_id  bigint;
  last_id   bigint;
BEGIN
  FOR name IN SELECT t.name FROM llm_usage._rollup_tables t LOOP
    EXECUTE format('DELETE FROM llm_usage.%I WHERE bucket >= $1 AND bucket < $2', name) USING from_time, to_time;
  END LOOP;
  FOREACH name IN ARRAY ARRAY['usage_events', 'sessions', 'messages'] LOOP
    EXECUTE format('SELECT min(id) - 1, max(id) FROM llm_usage.%1$I WHERE %2$I >= $1 AND %2$I < $2', name, llm_usage._time_column(name))
       INTO after_id, last_id USING from_time, to_time;
    PERFORM llm_usage._run_rollups_in_steps(name, after_id, least(last_id, llm_usage._folded_up_to(name)), from_time, to_time, NULL);
  END LOOP;
END $$;

CREATE FUNCTION llm_usage.rebuild(at_most integer DEFAULT NULL) RETURNS integer
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET work_mem = '64MB'
  SET jit = off
  SET plan_cache_mode = force_custom_plan
  SET enable_sort = off
  SET enable_nestloop = off
AS $$
DECLARE
  next_month date;
  months     integer;
  done       integer;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'rebuild() needs the isolation level READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction',
            DETAIL = 'It has to see what was folded while it waited for its turn.',
            HINT = 'Run it in a transaction of its own: SELECT llm_usage.rebuild().';
  END IF;
  IF at_most < 0 THEN
    RAISE EXCEPTION 'at_most must not be negative: %', at_most
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It bounds how many months are rebuilt by one call.',
            HINT = 'Leave it out to rebuild all there are, or repeat rebuild(1) until it returns 0.';
  END IF;
  PERFORM llm_usage._lock_rollups(true);
  IF NOT EXISTS (SELECT FROM llm_usage._rebuild) THEN
    INSERT INTO llm_usage._rebuild (month) SELECT m FROM llm_usage._months() m;
  END IF;
  SELECT count(*), count(*) FILTER (WHERE r.rebuilt) INTO months, done FROM llm_usage._rebuild r;
  FOR next_month IN SELECT r.month FROM llm_usage._rebuild r WHERE NOT r.rebuilt ORDER BY r.month LIMIT at_most LOOP
    PERFORM llm_usage._rebuild_month(next_month);
    UPDATE llm_usage._rebuild r SET rebuilt = true WHERE r.month = next_month;
    done := done + 1;
    RAISE NOTICE 'rebuilt % (% of % months)', to_char(next_month::timestamp, 'YYYY-MM'), done, months;
  END LOOP;
  IF done = months THEN
    DELETE FROM llm_usage._rebuild;
  END IF;
  RETURN months - done;
END $$;
COMMENT ON FUNCTION llm_usage.rebuild(integer) IS
  'Computes the rollups anew from the ledger, month by month (UTC), with a NOTICE for each, and returns how many months are left. All in one transaction, or at most so many by a call: repeat rebuild(1) until it returns 0, and an interruption costs one month; rebuild(0) only begins, and leaves the months to the worker. status() shows how many are left. Answers are exact before, during and after. Errors: 25001 in another isolation level than READ COMMITTED, 22023 for a negative at_most.';

CREATE FUNCTION llm_usage.status()
  RETURNS TABLE (ledger text, events bigint, folded_up_to bigint, tail_events bigint, tail_age interval,
                 last_fold_at timestamptz, last_fold_events bigint, last_fold_took interval,
                 held_by_pid integer, held_since timestamptz, held_by_query text,
                 unpriced_events bigint, months_to_rebuild bigint)
  LANGUAGE sql VOLATILE
  SET search_path = pg_catalog, pg_temp
  SET jit = off
  BEGIN ATOMIC
    SELECT l.ledger, coalesce(p.folded_rows, 0) + t.rows, coalesce(p.folded_up_to, 0), t.rows,
           CASE WHEN t.rows > 0 THEN greatest(clock_timestamp() - coalesce(p.last_fold_at, t.first_at), interval '0') END,
           p.last_fold_at, p.last_fold_rows, p.last_fold_took, w.pid, w.since, w.query,
           CASE WHEN l.ledger = 'usage_events' THEN u.events END,
           (SELECT count(*) FROM llm_usage._rebuild r WHERE NOT r.rebuilt)
      FROM (VALUES (1, 'usage_events'), (2, 'sessions'), (3, 'messages')) l (ordinal, ledger)
      LEFT JOIN llm_usage._fold_progress p ON p.ledger = l.ledger
      JOIN (SELECT 'usage_events', count(*), min(e.occurred_at) FROM llm_usage._tail_events e
            UNION ALL
            SELECT 'sessions', count(*), min(s.started_at) FROM llm_usage._tail_sessions s
            UNION ALL
            SELECT 'messages', count(*), min(m.sent_at) FROM llm_usage._tail_messages m) t (ledger, rows, first_at)
        ON t.ledger = l.ledger
      LEFT JOIN LATERAL (
        SELECT w.pid, coalesce(a.xact_start, x.prepared) AS since,
               coalesce(a.query, 'PREPARE TRANSACTION ' || quote_literal(x.gid)) AS query
          FROM llm_usage._writers(l.ledger) w
          LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
          LEFT JOIN pg_catalog.pg_locks n ON w.pid IS NULL AND n.virtualtransaction = w.transaction
                                         AND n.locktype = 'transactionid' AND n.pid IS NULL
          LEFT JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = n.transactionid
         WHERE p.waiting_up_to IS NOT NULL AND w.transaction = ANY (p.waiting_for)
        UNION ALL
        -- A fold, rebuild or drop that was not committed lets no other begin. The lock is that of _lock_rollups().
        SELECT a.pid, a.xact_start, a.query
          FROM pg_catalog.pg_locks k
          JOIN pg_catalog.pg_stat_activity a ON a.pid = k.pid
         WHERE k.locktype = 'advisory' AND k.granted AND k.classid = x'4c4c4d55'::integer::oid AND k.objsubid = 76
           AND a.state LIKE 'idle in transaction%'
           AND k.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
         ORDER BY 2
         LIMIT 1) w ON true
     CROSS JOIN (
        SELECT coalesce(sum(e.unpriced_requests), 0)::bigint
          FROM llm_usage._by_entity(NULL, NULL, false) e WHERE e.entity_type = 'App') u (events)
     ORDER BY l.ordinal;
  END;
COMMENT ON FUNCTION llm_usage.status() IS
  'A row for each ledger: how many events (or sessions, messages) it has recorded, up to which id they are folded, how many are not and for how long at most, when the last fold was, how many it folded and how long it took; the transaction that keeps the fold from going on (its pid, NULL if it is prepared, since when it runs, and its query): a writer, as the last fold saw it, or one that folded and is idle; events without a price; months that a rebuild has left.';
