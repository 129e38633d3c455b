CREATE FUNCTION llm_usage.session_activity(
    for_app bigint DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, app_id bigint, sessions bigint, messages bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (a.at AT TIME ZONE 'UTC')::date, a.app_id,
           count(*) FILTER (WHERE a.is_session), count(*) FILTER (WHERE NOT a.is_session)
      FROM (SELECT s.app_id, s.started_at AS at, true AS is_session
              FROM llm_usage._sessions s
             WHERE (for_app IS NULL OR s.app_id = for_app)
               AND s.started_at >= coalesce(from_time, '-infinity')
               AND s.started_at < coalesce(to_time, 'infinity')
            UNION ALL
            SELECT m.app_id, m.sent_at, false
              FROM llm_usage._messages m
             WHERE (for_app IS NULL OR m.app_id = for_app)
               AND m.sent_at >= coalesce(from_time, '-infinity')
               AND m.sent_at < coalesce(to_time, 'infinity')) a
     GROUP BY 1, 2;
  END;
COMMENT ON FUNCTION llm_usage.session_activity(bigint, timestamptz, timestamptz) IS
  'Sessions started and messages sent in [from_time, to_time), a row for each UTC day and app; NULL: every app, no bound.';

CREATE FUNCTION llm_usage.session_consumers(
    for_app bigint, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS bigint
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT count(DISTINCT s.consumer_id COLLATE "C")
      FROM llm_usage._sessions s
     WHERE s.app_id = for_app
       AND s.started_at >= coalesce(from_time, '-infinity')
       AND s.started_at < coalesce(to_time, 'infinity');
  END;
COMMENT ON FUNCTION llm_usage.session_consumers(bigint, timestamptz, timestamptz) IS
  'How many different consumers started a session of the app in [from_time, to_time), exactly; NULL: no bound. A session without a consumer counts nobody.';
