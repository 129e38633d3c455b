-- by model, one app, 30 days
-- goal 0.5
-- ours
SELECT llm_usage.app_token_usage(1, bench.instant(30), bench.instant(0));
-- hand
WITH model AS (
  SELECT d.model, sum(d.requests) AS requests, sum(d.input_tokens) AS input_tokens, sum(d.completion_tokens) AS completion_tokens
    FROM hand.app_model_day d
   WHERE d.app_id = 1 AND d.day >= bench.day(30) AND d.day < bench.day(0)
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
   WHERE e.app_id = 1 AND e.occurred_at >= bench.instant(30) AND e.occurred_at < bench.instant(0)
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
 WHERE app_id = 1 AND occurred_at >= instant(30) AND occurred_at < instant(0) GROUP BY 1 ORDER BY 3 DESC;
-- clickhouse
SELECT model, count(), sum(prompt_tokens + cache_read_tokens) AS input, sum(completion_tokens) FROM usage_events
 WHERE app_id = 1 AND occurred_at >= instant(30) AND occurred_at < instant(0) GROUP BY model ORDER BY input DESC;
