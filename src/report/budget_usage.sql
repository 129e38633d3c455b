WITH day AS (
  SELECT (now() AT TIME ZONE 'UTC')::date AS today, llm_usage._calendar_day($1) AS first_day, llm_usage._calendar_day($2) AS last_day
), asked AS (
  SELECT today,
         coalesce(first_day, date_trunc('month', coalesce(last_day, today)::timestamp)::date) AS from_day,
         CASE WHEN last_day IS NOT NULL THEN last_day + 1
              WHEN first_day IS NOT NULL THEN today + 1
              ELSE (date_trunc('month', today::timestamp) + interval '1 month')::date
         END AS to_day
    FROM day
)
SELECT trim_scale(b.budget)::text, to_char(b.budget_start_date::timestamp, 'YYYY-MM-DD'), b.entity_id, b.entity_type, b.name,
       trim_scale(b.spent)::text, trim_scale(b.total_cost)::text, b.total_tokens::text,
       llm_usage._percentage(b.spent, b.budget)::text, b.user_email, b.user_id
  FROM asked a, llm_usage.budget_activity(a.today, a.from_day, a.to_day) b
 ORDER BY b.entity_type = 'App', b.entity_id
