SELECT s.bucket, s.currency, s.requests, s.unpriced_requests, s.total_tokens::bigint, s.cost
  FROM llm_usage._tail_spending_by_event($1, $2, $3, $4, $5, $6) s
