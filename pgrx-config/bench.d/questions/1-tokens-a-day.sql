-- tokens a day, one app, 90 days
-- goal 1
-- ours
SELECT llm_usage.token_usage_for_app(bench.day(90), bench.day(1), 1);
-- hand
SELECT json_build_object('data', json_agg(a.total_tokens), 'labels', json_agg(a.day))
  FROM (SELECT * FROM hand.app_day d WHERE d.app_id = 1 AND d.day >= bench.day(90) AND d.day < bench.day(0) ORDER BY d.day) a;
-- ledger
SELECT json_build_object('data', json_agg(a.total_tokens), 'labels', json_agg(a.day))
  FROM (SELECT (e.occurred_at AT TIME ZONE 'UTC')::date AS day,
               sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens) AS total_tokens
          FROM llm_usage.usage_events e
         WHERE e.app_id = 1 AND e.occurred_at >= bench.instant(90) AND e.occurred_at < bench.instant(0)
         GROUP BY 1 ORDER BY 1) a;
-- duckdb
SELECT CAST(occurred_at AS date) AS day, sum(prompt_tokens + cache_read_tokens + completion_tokens)
  FROM usage_events WHERE app_id = 1 AND occurred_at >= instant(90) AND occurred_at < instant(0) GROUP BY 1 ORDER BY 1;
-- clickhouse
SELECT toDate(occurred_at) AS day, sum(prompt_tokens + cache_read_tokens + completion_tokens)
  FROM usage_events WHERE app_id = 1 AND occurred_at >= instant(90) AND occurred_at < instant(0) GROUP BY day ORDER BY day;
