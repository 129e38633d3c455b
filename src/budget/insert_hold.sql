INSERT INTO llm_usage.budget_holds
  (id, made_at, expires_at, app_id, llm_id, user_id, model, vendor, attrs, budget_ids)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING id
