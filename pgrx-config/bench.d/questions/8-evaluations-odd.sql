-- the same, between odd instants
-- goal -
-- ours
SELECT llm_usage.token_usage_grouped(bench.off_grid(30), bench.off_grid(1));
-- hand
WITH part AS (
  SELECT d.rule_type, d.inference_tokens, d.input_tokens, d.completion_tokens
    FROM hand.rule_day d
   WHERE d.day > bench.day(30) AND d.day < bench.day(1)
  UNION ALL
  SELECT h.rule_type, h.inference_tokens, h.input_tokens, h.completion_tokens
    FROM hand.rule_hour h
   WHERE h.bucket >= bench.instant(30) + interval '11 hours' AND h.bucket < bench.instant(29)
  UNION ALL
  SELECT h.rule_type, h.inference_tokens, h.input_tokens, h.completion_tokens
    FROM hand.rule_hour h
   WHERE h.bucket >= bench.instant(1) AND h.bucket < bench.instant(1) + interval '10 hours'
  UNION ALL
  SELECT e.rule_type, e.inference_tokens, e.input_tokens, e.completion_tokens
    FROM hand.rule_event e
   WHERE e.occurred_at >= bench.off_grid(30) AND e.occurred_at < bench.instant(30) + interval '11 hours'
  UNION ALL
  SELECT e.rule_type, e.inference_tokens, e.input_tokens, e.completion_tokens
    FROM hand.rule_event e
   WHERE e.occurred_at >= bench.instant(1) + interval '10 hours' AND e.occurred_at < bench.off_grid(1))
SELECT json_agg(json_build_object('rule_type', r.rule_type, 'task_id', NULL, 'count', json_build_object(
         'inference', r.inference, 'eval_prompt', r.prompt, 'eval_completion', r.completion,
         'user_input', r.inference, 'prompt', r.prompt, 'completion', r.completion)) ORDER BY r.rule_type COLLATE "C")
  FROM (SELECT p.rule_type, sum(p.inference_tokens) AS inference, sum(p.input_tokens) AS prompt, sum(p.completion_tokens) AS completion
          FROM part p
         GROUP BY 1) r;
-- ledger
SELECT json_agg(json_build_object('rule_type', r.rule_type, 'task_id', NULL, 'count', json_build_object(
         'inference', r.inference, 'eval_prompt', r.prompt, 'eval_completion', r.completion,
         'user_input', r.inference, 'prompt', r.prompt, 'completion', r.completion)) ORDER BY r.rule_type COLLATE "C")
  FROM (SELECT e.rule_type, sum(e.inference_tokens) AS inference,
               sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens) AS prompt, sum(e.completion_tokens) AS completion
          FROM llm_usage.usage_events e
         WHERE e.rule_type IS NOT NULL AND e.occurred_at >= bench.off_grid(30) AND e.occurred_at < bench.off_grid(1)
         GROUP BY 1) r;
-- duckdb
SELECT rule_type, sum(inference_tokens), sum(prompt_tokens + cache_read_tokens), sum(completion_tokens) FROM usage_events
 WHERE rule_type IS NOT NULL AND occurred_at >= off_grid(30) AND occurred_at < off_grid(1) GROUP BY 1 ORDER BY 1;
-- clickhouse
SELECT rule_type, sum(inference_tokens), sum(prompt_tokens + cache_read_tokens), sum(completion_tokens) FROM usage_events
 WHERE rule_type IS NOT NULL AND occurred_at >= off_grid(30) AND occurred_at < off_grid(1) GROUP BY rule_type ORDER BY rule_type;
