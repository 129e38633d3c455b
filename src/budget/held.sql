SELECT h.budget_id, sum(h.amount)::text
  FROM llm_usage._held h
 WHERE h.budget_id = ANY ($1) AND h.expires_at > $2
 GROUP BY 1
