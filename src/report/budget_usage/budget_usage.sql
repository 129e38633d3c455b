SELECT b.entity_type, b.entity_id, b.budget, b.budget_start_date, b.spent, b.total_cost, b.total_tokens::text, b.name, b.user_id,
       b.user_email
  FROM llm_usage.budget_activity($1, $2, $3) b
 ORDER BY b.entity_type = 'App', b.entity_id
