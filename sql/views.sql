CREATE VIEW llm_usage.usage_by_day WITH (security_invoker) AS
  SELECT a.day, a.currency, sum(a.requests)::bigint AS requests, sum(a.unpriced_requests)::bigint AS unpriced_requests,
         sum(a.input_tokens) AS input_tokens, sum(a.completion_tokens) AS completion_tokens,
         sum(a.total_tokens) AS total_tokens, trim_scale(sum(a.cost)) AS cost
    FROM llm_usage.model_activity() a
   GROUP BY a.day, a.currency;
COMMENT ON VIEW llm_usage.usage_by_day IS
  'What was used, a row for each UTC day and currency. cost leaves unpriced_requests out.';

CREATE VIEW llm_usage.usage_by_app WITH (security_invoker) AS
  SELECT a.day, a.app_id, coalesce(app.name, CASE WHEN a.app_id <> 0 THEN 'App ' || a.app_id END) AS app,
         a.currency, sum(a.requests)::bigint AS requests, sum(a.unpriced_requests)::bigint AS unpriced_requests,
         sum(a.input_tokens) AS input_tokens, sum(a.completion_tokens) AS completion_tokens,
         sum(a.total_tokens) AS total_tokens, trim_scale(sum(a.cost)) AS cost
    FROM llm_usage.app_activity() a
    LEFT JOIN llm_usage.apps app ON app.id = a.app_id
   GROUP BY a.day, a.app_id, app.name, a.currency;
COMMENT ON VIEW llm_usage.usage_by_app IS
  'What apps used, a row for each UTC day, app (0: none) and currency. cost leaves unpriced_requests out.';

CREATE VIEW llm_usage.usage_by_model WITH (security_invoker) AS
  SELECT a.day, a.vendor, a.model, a.currency, a.requests, a.unpriced_requests, a.input_tokens, a.completion_tokens,
         a.total_tokens, trim_scale(a.cost) AS cost
    FROM llm_usage.model_activity() a;
COMMENT ON VIEW llm_usage.usage_by_model IS
  'What models were used for, a row for each UTC day, vendor, model and currency. cost leaves unpriced_requests out.';

CREATE VIEW llm_usage.usage_by_user WITH (security_invoker) AS
  SELECT a.day, a.user_id, u.email AS user_email, a.currency, a.requests, a.unpriced_requests, a.input_tokens,
         a.completion_tokens, a.total_tokens, trim_scale(a.cost) AS cost
    FROM llm_usage.user_activity() a
    LEFT JOIN llm_usage.users u ON u.id = a.user_id;
COMMENT ON VIEW llm_usage.usage_by_user IS
  'What users used, a row for each UTC day, user (NULL: unknown) and currency. cost leaves unpriced_requests out.';

CREATE VIEW llm_usage.budget_status WITH (security_invoker) AS
  SELECT b.entity_type, b.entity_id, b.name, b.budget, b.currency, b.period_start, b.period_end,
         trim_scale(b.spent) AS spent, trim_scale(b.budget - b.spent) AS remaining,
         llm_usage._percentage(b.spent, b.budget) AS usage, b.unpriced_requests
    FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) t,
         llm_usage.budget_activity(t.today, t.today, t.today) b
   WHERE b.budget IS NOT NULL;
COMMENT ON VIEW llm_usage.budget_status IS
  'Every budget in its present period [period_start, period_end), UTC days: spent and remaining in currency, usage in percent (not capped; 0 where the budget is 0). unpriced_requests of the period are not in spent.';

CREATE VIEW llm_usage.unpriced_models WITH (security_invoker) AS
  SELECT a.vendor, a.model, sum(a.unpriced_requests)::bigint AS requests,
         min(a.day) AS first_day, max(a.day) AS last_day
    FROM llm_usage.model_activity() a
   WHERE a.unpriced_requests > 0
   GROUP BY a.vendor, a.model;
COMMENT ON VIEW llm_usage.unpriced_models IS
  'Models with requests whose price was not known when they were recorded: how many, and on which UTC days first and last. They are in no cost and in no budget. Add their price to model_prices for the requests to come.';
