WITH activity AS MATERIALIZED (
  SELECT date_trunc($4, a.bucket AT TIME ZONE 'UTC') AS period, sum(a.sessions) AS sessions, sum(a.messages) AS messages
    FROM llm_usage._by_session($2, $3) a
   WHERE a.app_id = $1
   GROUP BY 1
), answer AS (
  SELECT NULL::timestamp AS period, coalesce(sum(a.sessions), 0) AS sessions, coalesce(sum(a.messages), 0) AS messages,
         (SELECT c.consumers FROM llm_usage._session_consumers($1, $2, $3) c) AS consumers
    FROM activity a
  UNION ALL
  SELECT a.period, a.sessions, a.messages, NULL FROM activity a
)
SELECT to_char(a.period, 'YYYY-MM-DD"T"HH24:MI:SS.000"Z"'), a.sessions::text, a.messages::text, a.consumers::text
  FROM answer a
 ORDER BY a.period NULLS FIRST
