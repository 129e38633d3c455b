SELECT llm_usage._day(e.occurred_at), llm_usage._bitmap_agg(e.user_id)
  FROM llm_usage._loose_events($1, $2, $3) e
 WHERE e.requests > 0 AND e.user_id IS NOT NULL
 GROUP BY 1
