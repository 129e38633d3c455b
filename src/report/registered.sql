SELECT 'App', a.id, a.name, coalesce(a.owner_id, 0), u.email
  FROM unnest($1::bigint[]) n (id)
  JOIN llm_usage.apps a ON a.id = n.id
  LEFT JOIN llm_usage.users u ON u.id = a.owner_id
UNION ALL
SELECT 'LLM', l.id, l.name, 0, NULL
  FROM unnest($2::bigint[]) n (id)
  JOIN llm_usage.llms l ON l.id = n.id
