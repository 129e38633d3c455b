-- distinct consumers and totals, one app, 90 days
-- goal 1
-- ours
SELECT llm_usage.app_usage(1, bench.instant(90), bench.instant(0));
-- hand
SELECT json_build_object('data', json_build_object(
         'summary', json_build_object('total_sessions', sum(d.sessions), 'total_messages', sum(d.messages), 'unique_consumers',
                      (SELECT count(*) FROM hand.app_consumer c
                        WHERE c.app_id = 1
                          AND EXISTS (SELECT FROM hand.app_consumer_day k
                                       WHERE k.app_id = 1 AND k.consumer_id = c.consumer_id
                                         AND k.day >= bench.day(90) AND k.day < bench.day(0) OFFSET 0))),
         'timeseries', json_agg(json_build_object('period', to_char(d.day, 'YYYY-MM-DD"T00:00:00.000Z"'),
                         'session_count', d.sessions, 'message_count', d.messages))))
  FROM (SELECT * FROM hand.app_day_chat d WHERE d.app_id = 1 AND d.day >= bench.day(90) AND d.day < bench.day(0) ORDER BY d.day) d;
-- ledger
WITH day AS (
  SELECT c.day, sum(c.sessions) AS sessions, sum(c.messages) AS messages
    FROM (SELECT (s.started_at AT TIME ZONE 'UTC')::date AS day, 1 AS sessions, 0 AS messages FROM llm_usage.sessions s
           WHERE s.app_id = 1 AND s.started_at >= bench.instant(90) AND s.started_at < bench.instant(0)
          UNION ALL
          SELECT (m.sent_at AT TIME ZONE 'UTC')::date, 0, 1 FROM llm_usage.messages m
           WHERE m.app_id = 1 AND m.sent_at >= bench.instant(90) AND m.sent_at < bench.instant(0)) c
   GROUP BY 1)
SELECT json_build_object('data', json_build_object(
         'summary', json_build_object('total_sessions', sum(d.sessions), 'total_messages', sum(d.messages), 'unique_consumers',
                      (SELECT count(DISTINCT s.consumer_id) FROM llm_usage.sessions s
                        WHERE s.app_id = 1 AND s.started_at >= bench.instant(90) AND s.started_at < bench.instant(0))),
         'timeseries', json_agg(json_build_object('period', to_char(d.day, 'YYYY-MM-DD"T00:00:00.000Z"'),
                         'session_count', d.sessions, 'message_count', d.messages) ORDER BY d.day)))
  FROM day d;
-- duckdb
SELECT coalesce(s.day, m.day) AS day, s.n, m.n,
       (SELECT count(DISTINCT consumer_id) FROM sessions
         WHERE app_id = 1 AND started_at >= instant(90) AND started_at < instant(0))
  FROM (SELECT CAST(started_at AS date) AS day, count(*) AS n FROM sessions
         WHERE app_id = 1 AND started_at >= instant(90) AND started_at < instant(0) GROUP BY 1) s
  FULL JOIN (SELECT CAST(sent_at AS date) AS day, count(*) AS n FROM messages
              WHERE app_id = 1 AND sent_at >= instant(90) AND sent_at < instant(0) GROUP BY 1) m USING (day)
 ORDER BY 1;
-- clickhouse
SELECT day, s.n, m.n,
       (SELECT uniqExact(consumer_id) FROM sessions WHERE app_id = 1 AND started_at >= instant(90) AND started_at < instant(0))
  FROM (SELECT toDate(started_at) AS day, count() AS n FROM sessions
         WHERE app_id = 1 AND started_at >= instant(90) AND started_at < instant(0) GROUP BY day) s
  FULL JOIN (SELECT toDate(sent_at) AS day, count() AS n FROM messages
              WHERE app_id = 1 AND sent_at >= instant(90) AND sent_at < instant(0) GROUP BY day) m USING (day)
 ORDER BY day;
