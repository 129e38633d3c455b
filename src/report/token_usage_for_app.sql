SELECT to_char(a.day::timestamp, 'YYYY-MM-DD'), sum(a.total_tokens)::text
  FROM llm_usage.app_activity($1, llm_usage._first_instant($2), llm_usage._end_instant($3)) a
 GROUP BY a.day
 ORDER BY a.day
