CREATE TABLE llm_usage.budgets (
  entity_type text NOT NULL CHECK (entity_type IN ('App', 'LLM')),
  entity_id   bigint NOT NULL CHECK (entity_id > 0),
  amount      numeric NOT NULL CONSTRAINT budgets_amount_is_finite_and_not_negative CHECK (amount >= 0 AND amount < 'Infinity'),
  currency    text NOT NULL DEFAULT llm_usage._default_currency() CHECK (currency ~ '^[A-Z]{3}$'),
  start_date  date CHECK (start_date BETWEEN '0001-01-01' AND '9999-12-31'),
  PRIMARY KEY (entity_type, entity_id)
);
COMMENT ON TABLE llm_usage.budgets IS 'Monthly budgets of apps and LLMs. Spending is computed when asked; nothing is ever reset.';
COMMENT ON COLUMN llm_usage.budgets.entity_type IS 'App or LLM.';
COMMENT ON COLUMN llm_usage.budgets.entity_id IS 'apps.id or llms.id, registered or not.';
COMMENT ON COLUMN llm_usage.budgets.amount IS 'What may be spent in a period, in currency.';
COMMENT ON COLUMN llm_usage.budgets.currency IS 'ISO 4217 code; costs in other currencies are never added to it.';
COMMENT ON COLUMN llm_usage.budgets.start_date IS 'The period starts on this day of each month (UTC), in a shorter month on its last day; the rest of the date does not matter. NULL: the first.';
SELECT pg_catalog.pg_extension_config_dump('llm_usage.budgets', '');

-- Spending as a percentage of a budget, at least six right decimals of it, not capped.
CREATE FUNCTION llm_usage._percentage(spent numeric, budget numeric) RETURNS numeric
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN budget > 0 THEN trim_scale(round(spent * 100.0000000000 / budget, 10)) ELSE 0 END;

CREATE FUNCTION llm_usage.budget_activity(today date, from_day date, to_day date)
  RETURNS TABLE (entity_type text, entity_id bigint, name text, budget numeric, currency text, budget_start_date date,
                 period_start date, period_end date, spent numeric, unpriced_requests bigint,
                 total_cost numeric, total_tokens numeric, user_id bigint, user_email text)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    WITH budgeted AS MATERIALIZED (
      SELECT b.entity_type, b.entity_id, b.amount, b.currency, b.start_date,
             llm_usage._period_start(b.start_date, today) AS period_start,
             llm_usage._period_end(b.start_date, today) AS period_end
        FROM llm_usage.budgets b
    ), calendar AS MATERIALIZED (
      SELECT llm_usage._default_currency() AS currency, date_trunc('month', today::timestamp)::date AS period_start,
             (date_trunc('month', today::timestamp) + interval '1 month')::date AS period_end
    ), present AS MATERIALIZED (
      -- Whose period is the calendar month.
      SELECT a.entity_type, a.entity_id, a.currency AS paid_in, a.cost, a.unpriced_requests
        FROM llm_usage._by_entity(llm_usage._first_instant(date_trunc('month', today::timestamp)::date),
                                  llm_usage._first_instant((date_trunc('month', today::timestamp) + interval '1 month')::date),
                                  false) a
       WHERE NOT EXISTS (SELECT FROM budgeted b
                          WHERE b.entity_type = a.entity_type AND b.entity_id = a.entity_id AND b.start_date IS NOT NULL)
      UNION ALL
      -- Whose period begins on another day: the rollup entity by entity, the tail once.
      SELECT b.entity_type, b.entity_id, a.currency, a.cost, a.unpriced_requests
        FROM budgeted b,
     LATERAL llm_usage._entity_days(b.entity_type, b.entity_id, llm_usage._first_instant(b.period_start),
                                    llm_usage._first_instant(b.period_end)) a
       WHERE b.start_date IS NOT NULL
      UNION ALL
      SELECT b.entity_type, b.entity_id, e.currency, e.cost, e.unpriced_requests
        FROM llm_usage._tail_events e
       CROSS JOIN LATERAL (VALUES ('App' COLLATE "C", e.app_id), ('LLM', e.llm_id)) n (entity_type, entity_id)
        JOIN budgeted b ON b.entity_type = n.entity_type AND b.entity_id = n.entity_id AND b.start_date IS NOT NULL
                       AND e.occurred_at >= llm_usage._first_instant(b.period_start)
                       AND e.occurred_at < llm_usage._first_instant(b.period_end)
       WHERE EXISTS (SELECT FROM budgeted b WHERE b.start_date IS NOT NULL)
    ), asked AS MATERIALIZED (
      SELECT a.entity_type, a.entity_id, a.currency AS paid_in, a.cost, a.total_tokens
        FROM llm_usage._by_entity(llm_usage._first_instant(from_day), llm_usage._first_instant(to_day), false) a
    ), spending AS (
      SELECT e.entity_type, e.entity_id,
             sum(e.spent) FILTER (WHERE e.paid_in = coalesce(b.currency, c.currency)) AS spent,
             sum(e.unpriced_requests) AS unpriced_requests,
             sum(e.total_cost) FILTER (WHERE e.paid_in = coalesce(b.currency, c.currency)) AS total_cost,
             sum(e.total_tokens) AS total_tokens
        FROM (SELECT p.entity_type, p.entity_id, p.paid_in, p.cost AS spent, p.unpriced_requests,
                     NULL::numeric AS total_cost, NULL::numeric AS total_tokens
                FROM present p
              UNION ALL
              SELECT a.entity_type, a.entity_id, a.paid_in, NULL, NULL, a.cost, a.total_tokens FROM asked a
              UNION ALL
              SELECT b.entity_type, b.entity_id, NULL, NULL, NULL, NULL, NULL FROM budgeted b) e
        LEFT JOIN budgeted b ON b.entity_type = e.entity_type AND b.entity_id = e.entity_id
       CROSS JOIN calendar c
       WHERE e.entity_id <> 0
       GROUP BY e.entity_type, e.entity_id
    )
    SELECT s.entity_type, s.entity_id,
           coalesce(CASE s.entity_type WHEN 'App' THEN app.name ELSE llm.name END, s.entity_type || ' ' || s.entity_id),
           b.amount, coalesce(b.currency, c.currency), b.start_date,
           coalesce(b.period_start, c.period_start), coalesce(b.period_end, c.period_end),
           coalesce(s.spent, 0), coalesce(s.unpriced_requests, 0)::bigint,
           coalesce(s.total_cost, 0), coalesce(s.total_tokens, 0),
           coalesce(app.owner_id, 0), owner.email
      FROM spending s
     CROSS JOIN calendar c
      LEFT JOIN budgeted b ON b.entity_type = s.entity_type AND b.entity_id = s.entity_id
      LEFT JOIN llm_usage.apps app ON s.entity_type = 'App' AND app.id = s.entity_id
      LEFT JOIN llm_usage.llms llm ON s.entity_type = 'LLM' AND llm.id = s.entity_id
      LEFT JOIN llm_usage.users owner ON owner.id = app.owner_id;
  END;
COMMENT ON FUNCTION llm_usage.budget_activity(date, date, date) IS
  'Every LLM and App that has a budget, an event in the budget period that holds today (UTC), or one in the UTC days [from_day, to_day). spent is the cost in the period [period_start, period_end), total_cost and total_tokens are those of the asked days; costs are in the budget''s currency, without a budget in llm_usage.default_currency, and costs in other currencies are left out.';
