-- the same, between odd instants
-- goal 0.5
-- ours
SELECT llm_usage.app_token_usage(1, bench.off_grid(30), bench.off_grid(1));
-- hand
WITH part AS (
  SELECT d.model, d.requests, d.input_tokens, d.completion_tokens
    FROM hand.app_model_day d
   WHERE d.app_id = 1 AND d.day > bench.day(30) AND d.day < bench.day(1)
  UNION ALL
  SELECT h.model, h.requests, h.input_tokens, h.completion_tokens
    FROM hand.app_model_hour h
   WHERE h.app_id = 1 AND h.bucket >= bench.instant(30) + interval '11 hours' AND h.bucket < bench.instant(29)
  UNION ALL
  SELECT h.model, h.requests, h.input_tokens, h.completion_tokens
    FROM hand.app_model_hour h
   WHERE h.app_id = 1 AND h.bucket >= bench.instant(1) AND h.bucket < bench.instant(1) + interval '10 hours'
  UNION ALL
  SELECT e.model, 1, e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens, e.completion_tokens
    FROM llm_usage.usage_events e
   WHERE e.app_id = 1 AND e.occurred_at >= bench.off_grid(30) AND e.occurred_at < bench.instant(30) + interval '11 hours'
  UNION ALL
  SELECT e.model, 1, e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens, e.completion_tokens
    FROM llm_usage.usage_events e
   WHERE e.app_id = 1 AND e.occurred_at >= bench.instant(1) + interval '10 hours' AND e.occurred_at < bench.off_grid(1)
), model AS (
  SELECT p.model, sum(p.requests) AS requests, sum(p.input_tokens) AS input_tokens, sum(p.completion_tokens) AS completion_tokens
    FROM part p
   GROUP BY 1)
SELECT json_build_object('data', json_build_object(
         'total', (SELECT json_build_object('input_tokens', sum(m.input_tokens), 'output_tokens', sum(m.completion_tokens),
                            'total_tokens', sum(m.input_tokens + m.completion_tokens), 'request_count', sum(m.requests)) FROM model m),
         'by_model', (SELECT json_agg(json_build_object('model', m.model, 'input_tokens', m.input_tokens,
                               'output_tokens', m.completion_tokens, 'total_tokens', m.input_tokens + m.completion_tokens,
                               'request_count', m.requests)
                               ORDER BY m.input_tokens + m.completion_tokens DESC, m.model COLLATE "C") FROM model m)));
-- ledger
WITH model AS (
  SELECT e.model, count(*) AS requests, sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens) AS input_tokens,
         sum(e.completion_tokens) AS completion_tokens
    FROM llm_usage.usage_events e
   WHERE e.app_id = 1 AND e.occurred_at >= bench.off_grid(30) AND e.occurred_at < bench.off_grid(1)
   GROUP BY 1)
SELECT json_build_object('data', json_build_object(
         'total', (SELECT json_build_object('input_tokens', sum(m.input_tokens), 'output_tokens', sum(m.completion_tokens),
                            'total_tokens', sum(m.input_tokens + m.completion_tokens), 'request_count', sum(m.requests)) FROM model m),
         'by_model', (SELECT json_agg(json_build_object('model', m.model, 'input_tokens', m.input_tokens,
                               'output_tokens', m.completion_tokens, 'total_tokens', m.input_tokens + m.completion_tokens,
                               'request_count', m.requests)
                               ORDER BY m.input_tokens + m.completion_tokens DESC, m.model COLLATE "C") FROM model m)));
-- duckdb
SELECT model, count(*), sum(prompt_tokens + cache_read_tokens), sum(completion_tokens) FROM usage_events
 WHERE app_id = 1 AND occurred_at >= off_grid(30) AND occurred_at < off_grid(1) GROUP BY 1 ORDER BY 3 DESC;
-- clickhouse
SELECT model, count(), sum(prompt_tokens + cache_read_tokens) AS input, sum(completion_tokens) FROM usage_events
 WHERE app_id = 1 AND occurred_at >= off_grid(30) AND occurred_at < off_grid(1) GROUP BY model ORDER BY input DESC;
