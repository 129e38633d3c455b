SELECT e.id, e.occurred_at, e.app_id, e.llm_id, e.user_id, e.model, e.vendor, e.currency, e.requests, e.unpriced_requests,
       e.total_tokens, e.cost
  FROM llm_usage._counted_events e
 WHERE e.id = ANY ($1)
