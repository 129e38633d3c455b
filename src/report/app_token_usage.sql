SELECT a.model, sum(a.requests)::text, sum(a.input_tokens)::text, sum(a.completion_tokens)::text
  FROM llm_usage._app_models($1, $2, $3) a
 GROUP BY a.model
