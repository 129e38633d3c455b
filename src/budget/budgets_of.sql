SELECT b.id FROM llm_usage._budgets_of($1, $2, $3, $4, $5, $6::jsonb) b
