SELECT count(b.spent) FROM llm_usage.budget_status b;
