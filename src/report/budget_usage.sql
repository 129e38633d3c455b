SELECT trim_scale(b.budget)::text, to_char(b.budget_start_date::timestamp, 'YYYY-MM-DD'), b.entity_id, b.entity_type, b.name,
       trim_scale(b.spent)::text, trim_scale(b.total_cost)::text, b.total_tokens::text,
       llm_usage._percentage(b.spent, b.budget)::text, b.user_email, b.user_id
  FROM llm_usage.budget_activity($1, $2, $3) b
 ORDER BY b.entity_type = 'App', b.entity_id
