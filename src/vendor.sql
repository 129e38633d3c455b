-- Runs in the writer's session, whatever its search_path.
SELECT p.vendor FROM llm_usage.model_prices p WHERE p.vendor OPERATOR(pg_catalog.=) $1 LIMIT 1
