SELECT s.spent::text, s.held::text
  FROM llm_usage.budgets b
 CROSS JOIN LATERAL llm_usage._budget_standing(b, clock_timestamp()) s
 WHERE b.id = $1
