-- What can stand on a line of a bill: LLM, vendor, model and currency, as one number. Rollups keep the number.
CREATE TABLE llm_usage._lines (
  number   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  llm_id   bigint NOT NULL,
  model    text COLLATE "C" NOT NULL,
  vendor   text COLLATE "C",
  currency text COLLATE "C" NOT NULL,
  UNIQUE NULLS NOT DISTINCT (model, vendor, llm_id, currency)
);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._lines', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage._lines_number_seq', '');

-- Numbers what has none yet; before the rollups that need the numbers.
CREATE FUNCTION llm_usage._fold_lines(after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz)
  RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._lines (llm_id, model, vendor, currency)
  SELECT DISTINCT e.llm_id, e.model COLLATE "C", e.vendor COLLATE "C", e.currency COLLATE "C"
    FROM llm_usage.usage_events e
   WHERE e.id > after_id AND e.id <= up_to_id AND e.occurred_at >= from_time AND e.occurred_at < to_time
  EXCEPT
  SELECT l.llm_id, l.model, l.vendor, l.currency FROM llm_usage._lines l
   ORDER BY 2, 3, 1, 4;
END $$;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'lines');
