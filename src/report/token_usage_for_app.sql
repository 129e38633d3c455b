SELECT to_char(a.bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD'), sum(a.total_tokens)::text
  FROM llm_usage._app_days($1, llm_usage._first_instant($2), llm_usage._end_instant($3)) a
 GROUP BY 1
 ORDER BY 1
