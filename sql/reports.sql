-- An answer does not depend on the session's search_path. Compiling or planning a report would take longer than answering it:
-- its plan is made once a session, and partitions are left out when it starts. Such a plan takes the lines of an app for few: told
-- not to sort, it groups them by hash.
ALTER FUNCTION llm_usage.token_usage_for_app(date, date, bigint) SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION llm_usage.budget_usage(date, date) SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION llm_usage.token_usage_grouped(timestamptz, timestamptz, text[]) SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION llm_usage.app_usage(bigint, timestamptz, timestamptz, text) SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION llm_usage.app_token_usage(bigint, timestamptz, timestamptz) SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan SET enable_sort = off;
ALTER FUNCTION llm_usage.model_usage_statistics(text, timestamptz, timestamptz, integer) SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan;

COMMENT ON FUNCTION llm_usage.token_usage_for_app(date, date, bigint) IS
  'Tokens of one app for each UTC day of [start_date, end_date], both inclusive, that has events: {"data": [total tokens…], "labels": ["YYYY-MM-DD"…]}, ascending (Tyk AI Studio, token-usage-for-app). An infinite date is no bound. Errors: 22004 for NULL, naming the argument.';
COMMENT ON FUNCTION llm_usage.budget_usage(date, date) IS
  'Every LLM, then every App, that has a budget or an event in its present budget period or in the UTC days [start_date, end_date]: an array of budget, budget_start_date, entity_id, entity_type, name, spent (in the period), total_cost and total_tokens (in the asked days), usage (percent of the budget, not capped), user_email, user_id (Tyk AI Studio, budget-usage). Costs are in the budget''s currency, without a budget in llm_usage.default_currency; others are left out. Default: the present UTC month; without a start from the start of end_date''s month, without an end to the end of today.';
COMMENT ON FUNCTION llm_usage.token_usage_grouped(timestamptz, timestamptz, text[]) IS
  'Tokens of evaluations (events with a rule_type) in [start_time, end_time), default the present UTC day, grouped by rule_type, task or both: an array of {"rule_type", "task_id", "count"}, in the order of the bytes, nulls last (Arthur GenAI Engine, usage/tokens). Errors: 22023 for another group.';
COMMENT ON FUNCTION llm_usage.app_usage(bigint, timestamptz, timestamptz, text) IS
  'Sessions started, distinct consumers who started one, and messages of one app in [started_after, started_before), NULL: no bound; in all and for each UTC day, ISO week or month that has any: {"data": {"summary", "timeseries"}} (Chipp, analytics/usage). Errors: 22004 for a NULL app_id, 22023 for a group_by other than day, week, month.';
COMMENT ON FUNCTION llm_usage.app_token_usage(bigint, timestamptz, timestamptz) IS
  'Input, output and total tokens and requests of one app in [started_after, started_before), NULL: no bound; in all and by model, most tokens first: {"data": {"total", "by_model"}} (Chipp, analytics/token-usage). Errors: 22004 for a NULL app_id.';
COMMENT ON FUNCTION llm_usage.model_usage_statistics(text, timestamptz, timestamptz, integer) IS
  'Tokens of one model in [start_date, end_date), cut into chunks parts of equal width, or with chunks NULL or 0 into UTC days: {"data": [{"date", "prompt_tokens", "response_tokens", "summary_tokens"}…], "start_date", "end_date"}, every part present, dates being those of the first and last point (Scale GenAI Platform, usage-statistics). Default: the 30 days before end_date, which is now. Errors: 22004 for a NULL model_name; 22023 for chunks below 0 or above 10000, an end not after the start, an infinite bound, or more than 100000 days; 22008 for years outside 0001 to 9999.';
