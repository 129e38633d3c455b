SELECT s.id, s.status, s.cost, s.currency FROM llm_usage._settle_event($1, $2, $3, $4, $5, $6, $7) s
