SELECT coalesce(sum(s.cost) FILTER (WHERE s.currency = $5), 0)::text, coalesce(sum(s.requests), 0)::bigint,
       coalesce(sum(s.unpriced_requests), 0)::bigint, coalesce(sum(s.total_tokens), 0)::bigint
  FROM llm_usage._folded_spending($1, $2, $3, $4, $6, $7, false) s
