INSERT INTO llm_usage._held (budget_id, hold_id, expires_at, amount) VALUES ($1, $2, $3, $4) RETURNING hold_id
