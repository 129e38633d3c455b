SELECT coalesce(sum(k.cost) FILTER (WHERE k.currency = $3), 0)::text, coalesce(sum(k.requests), 0)::bigint,
       coalesce(sum(k.unpriced_requests), 0)::bigint, coalesce(sum(k.total_tokens), 0)::bigint
  FROM llm_usage._by_entity_month k
 WHERE k.entity_type = $1 AND k.entity_id = $2 AND k.bucket = $4
