SELECT DISTINCT b.entity_key FROM llm_usage.budgets b WHERE b.entity_type = 'Attribute' LIMIT $1
