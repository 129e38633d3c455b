SELECT llm_usage._day(e.occurred_at), e.user_id, e.currency, sum(e.requests)::bigint, sum(e.unpriced_requests)::bigint,
       llm_usage._sum(e.input_tokens), llm_usage._sum(e.completion_tokens), sum(e.cost)
  FROM (SELECT t.occurred_at, t.user_id, t.currency, t.requests, t.unpriced_requests, t.input_tokens, t.completion_tokens, t.cost
          FROM llm_usage._tenant_events($1, $2) t
        UNION ALL
        SELECT l.occurred_at, l.user_id, l.currency, l.requests, l.unpriced_requests, l.input_tokens, l.completion_tokens, l.cost
          FROM llm_usage._loose_events($1, $2) l) e
 GROUP BY 1, 2, 3
