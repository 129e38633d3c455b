-- one model in 30 parts between odd instants
-- goal 5
-- ours
SELECT llm_usage.model_usage_statistics('gpt-4.1-mini-2025-04-14', bench.off_grid(90), bench.off_grid(1), 30);
-- hand
WITH part AS (
  SELECT p.at, p.at + make_interval(mins => 4272) AS till,
         date_trunc('minute', p.at) + interval '1 minute' AS minute, date_trunc('hour', p.at) + interval '1 hour' AS hour,
         date_trunc('hour', p.at + make_interval(mins => 4272)) AS last_hour,
         date_trunc('minute', p.at + make_interval(mins => 4272)) AS last_minute
    FROM generate_series(bench.off_grid(90), bench.off_grid(1) - interval '1 hour', make_interval(mins => 4272)) p (at)
)
SELECT json_build_object('data', json_agg(json_build_object('date', to_char(p.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'),
         'prompt_tokens', p.input_tokens, 'response_tokens', p.completion_tokens,
         'summary_tokens', p.input_tokens + p.completion_tokens) ORDER BY p.at),
       'start_date', to_char(min(p.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'),
       'end_date', to_char(max(p.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'))
  FROM (SELECT p.at, sum(k.input_tokens) AS input_tokens, sum(k.completion_tokens) AS completion_tokens
          FROM part p
         CROSS JOIN LATERAL (
            SELECT h.input_tokens, h.completion_tokens FROM hand.model_hour h
             WHERE h.model = 'gpt-4.1-mini-2025-04-14' AND h.bucket >= p.hour AND h.bucket < p.last_hour
            UNION ALL
            SELECT m.input_tokens, m.completion_tokens FROM hand.model_minute m
             WHERE m.model = 'gpt-4.1-mini-2025-04-14' AND m.bucket >= p.minute AND m.bucket < p.hour
            UNION ALL
            SELECT m.input_tokens, m.completion_tokens FROM hand.model_minute m
             WHERE m.model = 'gpt-4.1-mini-2025-04-14' AND m.bucket >= p.last_hour AND m.bucket < p.last_minute
            UNION ALL
            SELECT e.input_tokens, e.completion_tokens FROM hand.model_event e
             WHERE e.model = 'gpt-4.1-mini-2025-04-14' AND e.occurred_at >= p.at AND e.occurred_at < p.minute
            UNION ALL
            SELECT e.input_tokens, e.completion_tokens FROM hand.model_event e
             WHERE e.model = 'gpt-4.1-mini-2025-04-14' AND e.occurred_at >= p.last_minute AND e.occurred_at < p.till) k
         GROUP BY p.at) p;
-- ledger
WITH bounds AS MATERIALIZED (
  SELECT array_agg(p.at ORDER BY p.at) AS instants
    FROM generate_series(bench.off_grid(90), bench.off_grid(1) - interval '1 hour', make_interval(mins => 4272)) p (at)
)
SELECT json_build_object('data', json_agg(json_build_object('date', to_char(p.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'),
         'prompt_tokens', p.input_tokens, 'response_tokens', p.completion_tokens,
         'summary_tokens', p.input_tokens + p.completion_tokens) ORDER BY p.at),
       'start_date', to_char(min(p.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'),
       'end_date', to_char(max(p.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'))
  FROM (SELECT (SELECT b.instants FROM bounds b)[width_bucket(e.occurred_at, (SELECT b.instants FROM bounds b))] AS at,
               sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens) AS input_tokens,
               sum(e.completion_tokens) AS completion_tokens
          FROM llm_usage.usage_events e
         WHERE e.model = 'gpt-4.1-mini-2025-04-14' AND e.occurred_at >= bench.off_grid(90) AND e.occurred_at < bench.off_grid(1)
         GROUP BY 1) p;
-- duckdb
SELECT time_bucket(INTERVAL 4272 MINUTE, occurred_at, off_grid(90)) AS part, sum(prompt_tokens + cache_read_tokens),
       sum(completion_tokens)
  FROM usage_events
 WHERE model = 'gpt-4.1-mini-2025-04-14' AND occurred_at >= off_grid(90) AND occurred_at < off_grid(1) GROUP BY 1 ORDER BY 1;
-- clickhouse
SELECT intDiv(toUnixTimestamp64Micro(occurred_at) - toUnixTimestamp64Micro(off_grid(90)), 256320000000) AS part,
       sum(prompt_tokens + cache_read_tokens), sum(completion_tokens)
  FROM usage_events
 WHERE model = 'gpt-4.1-mini-2025-04-14' AND occurred_at >= off_grid(90) AND occurred_at < off_grid(1) GROUP BY part ORDER BY part;
