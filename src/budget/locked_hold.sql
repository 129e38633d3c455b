SELECT h.id, h.expires_at, h.budget_ids, h.app_id, h.llm_id, h.user_id, h.model, h.vendor, h.attrs::text FROM llm_usage._locked_hold($1) h
