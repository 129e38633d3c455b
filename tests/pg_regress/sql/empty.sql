-- Nothing recorded: the documented empty shapes, never null, never an error.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-03', 901);
SELECT llm_usage.token_usage_for_app('2025-06-03', '2025-06-01', 7);
SELECT llm_usage.budget_usage('1999-01-01', '1999-01-31') -> 0 -> 'entity_id' AS only_what_has_a_budget;
SELECT llm_usage.token_usage_grouped('1990-01-01', '1990-01-02');
SELECT llm_usage.token_usage_grouped('1990-01-02', '1990-01-01', '{task}');
SELECT llm_usage.app_usage(901);
SELECT llm_usage.app_token_usage(901);
SELECT llm_usage.model_usage_statistics('no such model', '2025-06-01', '2025-06-03', 2);
