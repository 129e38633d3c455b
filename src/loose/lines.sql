SELECT llm_usage._day(e.occurred_at), e.app_id, e.llm_id, e.vendor, e.model, e.currency, sum(e.requests)::bigint,
       sum(e.unpriced_requests)::bigint, llm_usage._sum(e.input_tokens), llm_usage._sum(e.completion_tokens), sum(e.cost)
  FROM llm_usage._loose_events($1, $2, $3) e
 GROUP BY 1, 2, 3, 4, 5, 6
