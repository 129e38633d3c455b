CREATE SCHEMA llm_usage;
COMMENT ON SCHEMA llm_usage IS
  'LLM usage: ledgers of requests, sessions and messages, prices, budgets, and the reports over them. Names that begin with an underscore are internal.';

-- Read by column defaults, so it must answer before the library that defines the setting is loaded.
CREATE FUNCTION llm_usage._default_currency() RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce(nullif(current_setting('llm_usage.default_currency', true), ''), 'USD');
