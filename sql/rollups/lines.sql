-- What can stand on a line of a bill: LLM, vendor, model and currency, as one number. Rollups keep the number,
-- which the fold gives.
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
