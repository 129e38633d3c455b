SELECT (a.bucket AT TIME ZONE 'UTC')::date, sum(a.total_tokens)::text
  FROM llm_usage._app_days($1, llm_usage._first_instant($2), llm_usage._end_instant($3)) a
 GROUP BY a.bucket
 ORDER BY a.bucket
