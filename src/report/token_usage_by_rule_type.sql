SELECT a.rule_type, sum(a.inference_tokens)::text, sum(a.input_tokens)::text, sum(a.completion_tokens)::text
  FROM llm_usage._by_rule_type($1, $2) a
 GROUP BY a.rule_type
 ORDER BY a.rule_type COLLATE "C"
