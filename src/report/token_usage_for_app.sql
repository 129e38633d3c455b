SELECT to_char(a.bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD'), sum(a.total_tokens)::text
  FROM llm_usage._by_entity(llm_usage._first_instant($2), llm_usage._end_instant($3), true) a
 WHERE a.entity_type = 'App' AND a.entity_id = $1
 GROUP BY 1
 ORDER BY 1
