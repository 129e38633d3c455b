SELECT a.model, coalesce(sum(a.input_tokens), 0)::text, coalesce(sum(a.completion_tokens), 0)::text,
       coalesce(sum(a.input_tokens + a.completion_tokens), 0)::text, coalesce(sum(a.requests), 0)::text
  FROM llm_usage._app_models($1, $2, $3) a
 GROUP BY GROUPING SETS ((), (a.model))
 ORDER BY grouping(a.model) DESC, sum(a.input_tokens + a.completion_tokens) DESC, a.model COLLATE "C"
