-- evaluations by rule type, 30 days
-- goal -
-- ours
SELECT llm_usage.token_usage_grouped(bench.instant(30), bench.instant(0));
-- hand
SELECT json_agg(json_build_object('rule_type', r.rule_type, 'task_id', NULL, 'count', json_build_object(
         'inference', r.inference, 'eval_prompt', r.prompt, 'eval_completion', r.completion,
         'user_input', r.inference, 'prompt', r.prompt, 'completion', r.completion)) ORDER BY r.rule_type COLLATE "C")
  FROM (SELECT d.rule_type, sum(d.inference_tokens) AS inference, sum(d.input_tokens) AS prompt, sum(d.completion_tokens) AS completion
          FROM hand.rule_day d
         WHERE d.day >= bench.day(30) AND d.day < bench.day(0)
         GROUP BY 1) r;
-- ledger
SELECT json_agg(json_build_object('rule_type', r.rule_type, 'task_id', NULL, 'count', json_build_object(
         'inference', r.inference, 'eval_prompt', r.prompt, 'eval_completion', r.completion,
         'user_input', r.inference, 'prompt', r.prompt, 'completion', r.completion)) ORDER BY r.rule_type COLLATE "C")
  FROM (SELECT e.rule_type, sum(e.inference_tokens) AS inference,
               sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens) AS prompt, sum(e.completion_tokens) AS completion
          FROM llm_usage.usage_events e
         WHERE e.rule_type IS NOT NULL AND e.occurred_at >= bench.instant(30) AND e.occurred_at < bench.instant(0)
         GROUP BY 1) r;
-- duckdb
SELECT rule_type, sum(inference_tokens), sum(prompt_tokens + cache_read_tokens), sum(completion_tokens) FROM usage_events
 WHERE rule_type IS NOT NULL AND occurred_at >= instant(30) AND occurred_at < instant(0) GROUP BY 1 ORDER BY 1;
-- clickhouse
SELECT rule_type, sum(inference_tokens), sum(prompt_tokens + cache_read_tokens), sum(completion_tokens) FROM usage_events
 WHERE rule_type IS NOT NULL AND occurred_at >= instant(30) AND occurred_at < instant(0) GROUP BY rule_type ORDER BY rule_type;
