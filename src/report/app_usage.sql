SELECT date_trunc($4, a.bucket AT TIME ZONE 'UTC')::date, sum(a.sessions)::text, sum(a.messages)::text, NULL::bigint
  FROM llm_usage._by_session($2, $3, $1) a
 WHERE a.app_id = $1
 GROUP BY 1
UNION ALL
SELECT NULL, NULL, NULL, c.consumers
  FROM llm_usage._session_consumers($1, $2, $3) c
