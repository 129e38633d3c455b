-- budgets of every app and LLM, 30 days of two months
-- goal -
-- ours
SELECT llm_usage.budget_usage(bench.day(37), bench.day(8));
-- hand
WITH today AS (
  SELECT (now() AT TIME ZONE 'UTC')::date AS day
), asked AS (
  SELECT d.entity_type, d.entity_id, sum(d.cost) AS cost, sum(d.total_tokens) AS total_tokens
    FROM hand.entity_day d
   WHERE d.day >= bench.day(37) AND d.day < bench.day(7)
   GROUP BY 1, 2
), month AS (
  SELECT m.* FROM hand.entity_month m WHERE m.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
), spending AS (
  SELECT entity_type, entity_id, b.amount, b.start_date, coalesce(a.cost, 0) AS total_cost,
         coalesce(a.total_tokens, 0) AS total_tokens,
         coalesce(CASE WHEN b.start_date IS NULL THEN m.cost
                       ELSE (SELECT sum(d.cost) FROM hand.entity_day d
                              WHERE d.entity_type = b.entity_type AND d.entity_id = b.entity_id
                                AND d.day >= llm_usage._period_start('month', b.start_date, t.day)
                                AND d.day < llm_usage._period_end('month', b.start_date, t.day)) END, 0) AS spent
    FROM asked a
    FULL JOIN month m USING (entity_type, entity_id)
    FULL JOIN llm_usage.budgets b USING (entity_type, entity_id)
   CROSS JOIN today t
)
SELECT json_agg(json_build_object('budget', s.amount, 'budget_start_date', s.start_date, 'entity_id', s.entity_id,
         'entity_type', s.entity_type, 'name', coalesce(app.name, llm.name), 'spent', s.spent, 'total_cost', s.total_cost,
         'total_tokens', s.total_tokens, 'usage', CASE WHEN s.amount > 0 THEN round(s.spent * 100 / s.amount, 10) ELSE 0 END,
         'user_email', owner.email, 'user_id', coalesce(app.owner_id, 0)) ORDER BY s.entity_type = 'App', s.entity_id)
  FROM spending s
  LEFT JOIN llm_usage.apps app ON s.entity_type = 'App' AND app.id = s.entity_id
  LEFT JOIN llm_usage.llms llm ON s.entity_type = 'LLM' AND llm.id = s.entity_id
  LEFT JOIN llm_usage.users owner ON owner.id = app.owner_id;
-- ledger
WITH anchored AS MATERIALIZED (
  SELECT b.entity_type, b.entity_id,
         llm_usage._period_start('month', b.start_date, (now() AT TIME ZONE 'UTC')::date)::timestamp AT TIME ZONE 'UTC' AS from_time,
         llm_usage._period_end('month', b.start_date, (now() AT TIME ZONE 'UTC')::date)::timestamp AT TIME ZONE 'UTC' AS to_time
    FROM llm_usage.budgets b
   WHERE b.start_date IS NOT NULL
), month AS (
  SELECT CASE WHEN e.llm_id IS NULL THEN 'App' ELSE 'LLM' END AS entity_type, coalesce(e.app_id, e.llm_id) AS entity_id,
         sum(e.cost) AS cost,
         sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens) AS total_tokens
    FROM llm_usage.usage_events e
   WHERE e.occurred_at >= date_trunc('month', now(), 'UTC')
     AND e.occurred_at < date_trunc('month', now(), 'UTC') + interval '1 month'
   GROUP BY GROUPING SETS ((e.app_id), (e.llm_id))
), asked AS (
  SELECT CASE WHEN e.llm_id IS NULL THEN 'App' ELSE 'LLM' END AS entity_type, coalesce(e.app_id, e.llm_id) AS entity_id,
         sum(e.cost) AS cost,
         sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens) AS total_tokens
    FROM llm_usage.usage_events e
   WHERE e.occurred_at >= bench.instant(37) AND e.occurred_at < bench.instant(7)
   GROUP BY GROUPING SETS ((e.app_id), (e.llm_id))
), other AS (
  SELECT b.entity_type, b.entity_id, p.cost
    FROM anchored b
   CROSS JOIN LATERAL (
      SELECT sum(e.cost) AS cost FROM llm_usage.usage_events e
       WHERE e.app_id = b.entity_id AND e.occurred_at >= b.from_time AND e.occurred_at < b.to_time) p
   WHERE b.entity_type = 'App'
  UNION ALL
  SELECT b.entity_type, b.entity_id, p.cost
    FROM anchored b
   CROSS JOIN LATERAL (
      SELECT sum(e.cost) AS cost FROM llm_usage.usage_events e
       WHERE e.llm_id = b.entity_id AND e.occurred_at >= b.from_time AND e.occurred_at < b.to_time) p
   WHERE b.entity_type = 'LLM'
), spending AS (
  SELECT entity_type, entity_id, b.amount, b.start_date, coalesce(a.cost, 0) AS total_cost,
         coalesce(a.total_tokens, 0) AS total_tokens,
         coalesce(CASE WHEN b.start_date IS NULL THEN m.cost ELSE o.cost END, 0) AS spent
    FROM month m
    FULL JOIN asked a USING (entity_type, entity_id)
    FULL JOIN llm_usage.budgets b USING (entity_type, entity_id)
    LEFT JOIN other o USING (entity_type, entity_id)
)
SELECT json_agg(json_build_object('budget', s.amount, 'budget_start_date', s.start_date, 'entity_id', s.entity_id,
         'entity_type', s.entity_type, 'name', coalesce(app.name, llm.name), 'spent', s.spent, 'total_cost', s.total_cost,
         'total_tokens', s.total_tokens, 'usage', CASE WHEN s.amount > 0 THEN round(s.spent * 100 / s.amount, 10) ELSE 0 END,
         'user_email', owner.email, 'user_id', coalesce(app.owner_id, 0)) ORDER BY s.entity_type = 'App', s.entity_id)
  FROM spending s
  LEFT JOIN llm_usage.apps app ON s.entity_type = 'App' AND app.id = s.entity_id
  LEFT JOIN llm_usage.llms llm ON s.entity_type = 'LLM' AND llm.id = s.entity_id
  LEFT JOIN llm_usage.users owner ON owner.id = app.owner_id;
-- duckdb
SELECT app_id, llm_id, sum(cost), sum(prompt_tokens + cache_read_tokens + completion_tokens) FROM usage_events
 WHERE occurred_at >= instant(37) AND occurred_at < instant(7) GROUP BY GROUPING SETS ((app_id), (llm_id));
-- clickhouse
SELECT app_id, llm_id, sum(cost), sum(prompt_tokens + cache_read_tokens + completion_tokens) FROM usage_events
 WHERE occurred_at >= instant(37) AND occurred_at < instant(7) GROUP BY GROUPING SETS ((app_id), (llm_id));
