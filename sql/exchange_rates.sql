CREATE TABLE llm_usage.exchange_rates (
  from_currency text COLLATE "C" NOT NULL CHECK (from_currency ~ '^[A-Z]{3}$'),
  to_currency   text COLLATE "C" NOT NULL CHECK (to_currency ~ '^[A-Z]{3}$' AND to_currency <> from_currency),
  valid_from    date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date CHECK (valid_from < 'infinity'),
  rate          numeric NOT NULL CONSTRAINT exchange_rates_are_above_0_and_below_10_to_the_15 CHECK (rate > 0 AND rate < 1e15 AND scale(rate) <= 60),
  PRIMARY KEY (from_currency, to_currency, valid_from)
);
COMMENT ON TABLE llm_usage.exchange_rates IS
  'Exchange rates, each valid from a UTC day until the next one of the same currencies. Only budgets that convert use them, by the day of the event. The opposite direction is a row of its own.';
COMMENT ON COLUMN llm_usage.exchange_rates.from_currency IS 'ISO 4217 code of what is converted.';
COMMENT ON COLUMN llm_usage.exchange_rates.to_currency IS 'ISO 4217 code of the budget''s currency.';
COMMENT ON COLUMN llm_usage.exchange_rates.valid_from IS 'First UTC day on which the rate holds; -infinity: always has.';
COMMENT ON COLUMN llm_usage.exchange_rates.rate IS 'How much of to_currency one of from_currency is.';
SELECT pg_catalog.pg_extension_config_dump('llm_usage.exchange_rates', '');

-- The rate on a UTC day, 1 for the same currency; NULL: none is known.
CREATE FUNCTION llm_usage._exchange_rate(from_currency text, to_currency text, on_day date) RETURNS numeric
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE WHEN from_currency = to_currency THEN 1 ELSE (
    SELECT r.rate FROM llm_usage.exchange_rates r
     WHERE r.from_currency = _exchange_rate.from_currency AND r.to_currency = _exchange_rate.to_currency
       AND r.valid_from <= on_day
     ORDER BY r.valid_from DESC
     LIMIT 1) END;
