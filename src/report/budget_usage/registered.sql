-- An array is taken for ten elements, its subscripts for a thousand: what is asked for are mostly all that there are.
SELECT 'App', a.id, a.name, coalesce(a.owner_id, 0), u.email
  FROM generate_subscripts($1::bigint[], 1) n
  JOIN llm_usage.apps a ON a.id = ($1::bigint[])[n]
  LEFT JOIN llm_usage.users u ON u.id = a.owner_id
UNION ALL
SELECT 'LLM', l.id, l.name, 0, NULL
  FROM generate_subscripts($2::bigint[], 1) n
  JOIN llm_usage.llms l ON l.id = ($2::bigint[])[n]
