SELECT a.part, a.input_tokens::text, a.completion_tokens::text, (a.input_tokens + a.completion_tokens)::text
  FROM llm_usage.model_activity_between($1, $2, $3) a
