CREATE SCHEMA llm_usage;
COMMENT ON SCHEMA llm_usage IS
  'LLM usage: ledgers of requests, sessions and messages, prices, budgets, and the reports over them. Names that begin with an underscore are internal.';

-- Read by column defaults, so it must answer before the library that defines the setting is loaded.
CREATE FUNCTION llm_usage._default_currency() RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce(nullif(current_setting('llm_usage.default_currency', true), ''), 'USD');

-- A day that events can have, or the nearest one just outside: any date may be asked for, infinite ones included.
CREATE FUNCTION llm_usage._calendar_day(day date) RETURNS date
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN day IS NOT NULL THEN least(greatest(day, '0001-01-01'::date - 1), '10000-01-01'::date) END;

-- The first instant of a UTC day.
CREATE FUNCTION llm_usage._first_instant(day date) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN llm_usage._calendar_day(day)::timestamp AT TIME ZONE 'UTC';

-- The first instant after a UTC day.
CREATE FUNCTION llm_usage._end_instant(day date) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (llm_usage._calendar_day(day) + 1)::timestamp AT TIME ZONE 'UTC';
