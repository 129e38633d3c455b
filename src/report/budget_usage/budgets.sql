SELECT b.entity_type, b.entity_id, b.amount, b.currency, b.start_date
  FROM llm_usage.budgets b
 WHERE b.entity_type IN ('App', 'LLM') AND b.name = '' AND b.unit = 'money' AND b.period = 'month' AND b.time_zone = 'UTC'
