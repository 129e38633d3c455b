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

-- A budget whose spending cannot be told hides no other. In a subtransaction, which parallel workers cannot begin.
CREATE FUNCTION llm_usage._try_budget_standing(b llm_usage.budgets, at timestamptz)
  RETURNS TABLE (period_start timestamptz, period_end timestamptz, spent numeric, held numeric, unpriced_requests bigint,
                 other_currencies jsonb)
  LANGUAGE plpgsql STABLE ROWS 1
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT * FROM llm_usage._budget_standing(b, at);
EXCEPTION WHEN object_not_in_prerequisite_state OR data_exception THEN
  RAISE WARNING 'what is spent of budget % cannot be told: %', b.id, SQLERRM;
  RETURN NEXT;
END $$;

-- At the present rate, that of the period so far: a rolling budget goes on as it is.
CREATE VIEW llm_usage.budget_status WITH (security_invoker) AS
  SELECT b.id AS budget_id, b.entity_type, b.entity_id, b.entity_key, b.entity_value, b.name AS budget_name,
         coalesce(app.name, llm.name, u.name, u.email, b.entity_value,
                  CASE WHEN b.entity_type <> 'All' THEN b.entity_type || ' ' || b.entity_id END, 'everything') AS name,
         b.amount AS budget, b.unit, CASE WHEN b.unit = 'money' THEN b.currency END AS currency, b.is_hard,
         s.period_start, s.period_end, trim_scale(s.spent) AS spent, trim_scale(s.held) AS held,
         trim_scale(b.amount - s.spent - s.held) AS remaining, llm_usage._percentage(s.spent, b.amount) AS usage,
         s.unpriced_requests, s.other_currencies,
         CASE WHEN b.period = 'rolling' THEN trim_scale(s.spent)
              ELSE trim_scale(round(s.spent * f.whole / f.past, 10)) END AS expected_spend,
         CASE WHEN b.period <> 'rolling' AND s.spent > 0 AND b.amount * f.past <= s.spent * f.whole
              THEN s.period_start + make_interval(secs => (f.past * b.amount / s.spent)::float8) END AS used_up_at
    FROM llm_usage.budgets b
   CROSS JOIN LATERAL llm_usage._try_budget_standing(b, now()) s
   CROSS JOIN LATERAL (SELECT extract(epoch FROM s.period_end - s.period_start) AS whole,
                              greatest(extract(epoch FROM now() - s.period_start), 0.000001) AS past) f
    LEFT JOIN llm_usage.apps app ON b.entity_type = 'App' AND app.id = b.entity_id
    LEFT JOIN llm_usage.llms llm ON b.entity_type = 'LLM' AND llm.id = b.entity_id
    LEFT JOIN llm_usage.users u ON b.entity_type = 'User' AND u.id = b.entity_id;
COMMENT ON VIEW llm_usage.budget_status IS
  'Every budget (budget_name) of an entity (name) in its present period [period_start, period_end); the end of a rolling one is NULL. spent, held by calls under way, and remaining are in its unit: currency, tokens or requests; usage is spent in percent (not capped; 0 where the budget is 0). other_currencies are costs that are in none of these: {"EUR": 1.5}; unpriced_requests are in spent at the fallback_price only. At the rate of the period so far, expected_spend is what will be spent at its end, and used_up_at when the budget is used up; NULL: not before the end. Where what is spent cannot be told, of an attribute whose month was dropped, the period and all that goes by it are NULL, with a WARNING that says why.';

CREATE VIEW llm_usage.unpriced_models WITH (security_invoker) AS
  SELECT a.vendor, a.model, sum(a.unpriced_requests)::bigint AS requests,
         min(a.day) AS first_day, max(a.day) AS last_day
    FROM llm_usage.model_activity() a
   WHERE a.unpriced_requests > 0
   GROUP BY a.vendor, a.model;
COMMENT ON VIEW llm_usage.unpriced_models IS
  'Models with requests whose price was not known when they were recorded: how many, and on which UTC days first and last. They are in no cost, and in budgets in money only with a fallback_price. Add their price to model_prices for the requests to come, and call reprice() for these.';

CREATE VIEW llm_usage.cost_drift WITH (security_invoker) AS
  SELECT (e.occurred_at AT TIME ZONE 'UTC')::date AS day, e.vendor, e.model, e.currency,
         sum(llm_usage._requests(e.requests, e.corrects)) AS requests, trim_scale(sum(e.cost)) AS cost,
         trim_scale(sum(e.reported_cost)) AS reported_cost, trim_scale(sum(e.reported_cost) - sum(e.cost)) AS difference,
         trim_scale(round(sum(e.reported_cost) / nullif(sum(e.cost), 0), 6)) AS ratio
    FROM llm_usage._usage_events e
   WHERE e.reported_cost IS NOT NULL AND e.priced
   GROUP BY 1, 2, 3, 4
  HAVING sum(llm_usage._requests(e.requests, e.corrects)) <> 0;
COMMENT ON VIEW llm_usage.cost_drift IS
  'Where what providers said that requests cost differs from what model_prices make of them: a row for each UTC day, vendor, model and currency that has requests with both, a reported_cost and a cost that was computed; difference = reported_cost - cost, ratio = reported_cost / cost to six decimals, NULL where cost is 0. A provider that counts in cents shows up as a ratio of 100. Reads the events, not a rollup.';
