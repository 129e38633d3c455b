-- Who made a request, as bitmaps of users.id: app_id NULL stands for all apps together.
CREATE TABLE llm_usage._active_users_hour (
  app_id bigint,
  bucket timestamptz NOT NULL,
  users  bytea NOT NULL,
  UNIQUE NULLS NOT DISTINCT (app_id, bucket)
) WITH (fillfactor = 90);
CREATE INDEX ON llm_usage._active_users_hour USING brin (bucket) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE llm_usage._active_users_day (LIKE llm_usage._active_users_hour INCLUDING INDEXES) WITH (fillfactor = 90);
-- Without a primary key they could not be changed in a publication of all tables.
ALTER TABLE llm_usage._active_users_hour REPLICA IDENTITY FULL;
ALTER TABLE llm_usage._active_users_day REPLICA IDENTITY FULL;
SELECT pg_catalog.pg_extension_config_dump('llm_usage._active_users_hour', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._active_users_day', '');

CREATE FUNCTION llm_usage._fold_active_users(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._active_users_hour SELECT * FROM llm_usage._batch_active_users('hour', new_from, 'infinity');
  INSERT INTO llm_usage._active_users_hour AS kept
  SELECT * FROM llm_usage._batch_active_users('hour', '-infinity', new_from)
  ON CONFLICT (app_id, bucket) DO UPDATE SET users = llm_usage._bitmap_or(kept.users, excluded.users);
  INSERT INTO llm_usage._active_users_day AS kept
  SELECT * FROM llm_usage._batch_active_users('day', '-infinity', 'infinity')
  ON CONFLICT (app_id, bucket) DO UPDATE SET users = llm_usage._bitmap_or(kept.users, excluded.users);
END $$;

CREATE FUNCTION llm_usage._active_users_hour_expected() RETURNS SETOF llm_usage._active_users_hour
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    WITH app AS MATERIALIZED (
      SELECT e.app_id, llm_usage._hour(e.occurred_at) AS bucket, llm_usage._bitmap_agg(e.user_id) AS users
        FROM llm_usage.usage_events e
       WHERE e.id <= llm_usage._folded_up_to('usage_events') AND e.user_id IS NOT NULL AND llm_usage._requests(e.requests, e.corrects) > 0
       GROUP BY 1, 2
    )
    SELECT a.app_id, a.bucket, a.users FROM app a
    UNION ALL
    SELECT NULL, a.bucket, llm_usage._bitmap_or_agg(a.users) FROM app a GROUP BY a.bucket;
  END;
CREATE FUNCTION llm_usage._active_users_day_expected() RETURNS SETOF llm_usage._active_users_day
  LANGUAGE sql STABLE
  BEGIN ATOMIC
    SELECT h.app_id, llm_usage._day(h.bucket), llm_usage._bitmap_or_agg(h.users)
      FROM llm_usage._active_users_hour h
     GROUP BY 1, 2;
  END;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'active_users');
INSERT INTO llm_usage._rollup_tables (name) VALUES ('_active_users_hour'), ('_active_users_day');

-- What the rollup holds of [from_time, to_time), with NULL for all apps; whoever asks for one app puts the condition outside.
CREATE FUNCTION llm_usage._active_users_kept(from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (app_id bigint, bucket timestamptz, users bytea)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.app_id, k.bucket, k.users
      FROM llm_usage._active_users_day k
     WHERE llm_usage._first_day(from_time, to_time) < llm_usage._last_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_day(from_time, to_time) AND k.bucket < llm_usage._last_day(from_time, to_time)
    UNION ALL
    SELECT k.app_id, k.bucket, k.users
      FROM llm_usage._active_users_hour k
     WHERE llm_usage._first_hour(from_time, to_time) < llm_usage._first_day(from_time, to_time)
       AND k.bucket >= llm_usage._first_hour(from_time, to_time) AND k.bucket < llm_usage._first_day(from_time, to_time)
    UNION ALL
    SELECT k.app_id, k.bucket, k.users
      FROM llm_usage._active_users_hour k
     WHERE llm_usage._last_day(from_time, to_time) < llm_usage._last_hour(from_time, to_time)
       AND k.bucket >= llm_usage._last_day(from_time, to_time) AND k.bucket < llm_usage._last_hour(from_time, to_time);
  END;
-- All apps by themselves, of which policies leave a tenant its own.
CREATE FUNCTION llm_usage._tenant_active_users(for_app bigint, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, users bytea)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
AS $$
BEGIN
  IF for_app IS NULL AND llm_usage._is_tenant() THEN
    RETURN QUERY SELECT k.bucket, k.users FROM llm_usage._active_users_kept(from_time, to_time) k;
  END IF;
END $$;

-- Rollup, edges and tail of [from_time, to_time) as bitmaps, for one app or with NULL for all.
CREATE FUNCTION llm_usage._active_users(for_app bigint, from_time timestamptz, to_time timestamptz)
  RETURNS TABLE (bucket timestamptz, users bytea)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT k.bucket, k.users FROM llm_usage._active_users_kept(from_time, to_time) k WHERE k.app_id = for_app
    UNION ALL
    SELECT k.bucket, k.users FROM llm_usage._active_users_kept(from_time, to_time) k WHERE for_app IS NULL AND k.app_id IS NULL
    UNION ALL
    SELECT t.bucket, t.users FROM llm_usage._tenant_active_users(for_app, from_time, to_time) t
    UNION ALL
    SELECT e.bucket, e.users FROM llm_usage._loose_active_users(from_time, to_time, for_app) e;
  END;

CREATE FUNCTION llm_usage.active_users(
    from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL, for_app bigint DEFAULT NULL)
  RETURNS bigint
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT llm_usage._bitmap_or_count(a.users)
      FROM llm_usage._active_users(for_app, from_time, to_time) a;
  END;
COMMENT ON FUNCTION llm_usage.active_users(timestamptz, timestamptz, bigint) IS
  'How many different users made a request in [from_time, to_time), of one app or with NULL of any; NULL: no bound. Exact over any range. Requests without a user_id count nobody; who made one that was taken back later made it all the same.';

CREATE VIEW llm_usage.active_users_by_day WITH (security_invoker) AS
  WITH day AS MATERIALIZED (
    SELECT (a.bucket AT TIME ZONE 'UTC')::date AS day, llm_usage._bitmap_or_agg(a.users) AS users
      FROM (SELECT llm_usage._day(k.bucket) AS bucket, k.users FROM llm_usage._active_users(NULL, NULL, NULL) k) a
     GROUP BY 1
  )
  SELECT d.day, llm_usage._bitmap_count(d.users) AS users,
         (SELECT llm_usage._bitmap_or_count(w.users) FROM day w WHERE w.day > d.day - 7 AND w.day <= d.day)
           AS users_7_days,
         (SELECT llm_usage._bitmap_or_count(w.users) FROM day w WHERE w.day > d.day - 30 AND w.day <= d.day)
           AS users_30_days
    FROM day d;
COMMENT ON VIEW llm_usage.active_users_by_day IS
  'Different users who made a request, a row for each UTC day on which any did: on the day, in the 7 days and in the 30 days that end with it. Exact.';
