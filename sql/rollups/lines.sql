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

-- Numbers what has none yet; before the rollups that need the numbers. It looks at every event, so it counts them, too.
CREATE FUNCTION llm_usage._fold_lines(after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz)
  RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rows bigint;
BEGIN
  WITH batch AS MATERIALIZED (
    SELECT e.llm_id, e.model COLLATE "C" AS model, e.vendor COLLATE "C" AS vendor, e.currency COLLATE "C" AS currency,
           count(*) AS rows
      FROM llm_usage.usage_events e
     WHERE e.id > after_id AND e.id <= up_to_id AND e.occurred_at >= from_time AND e.occurred_at < to_time
     GROUP BY 1, 2, 3, 4
  ), new AS (
    INSERT INTO llm_usage._lines (llm_id, model, vendor, currency)
    SELECT b.llm_id, b.model, b.vendor, b.currency
      FROM batch b
     WHERE NOT EXISTS (SELECT FROM llm_usage._lines l
                        WHERE l.model = b.model AND l.vendor IS NOT DISTINCT FROM b.vendor
                          AND l.llm_id = b.llm_id AND l.currency = b.currency)
     ORDER BY b.model, b.vendor, b.llm_id, b.currency
  )
  SELECT sum(b.rows) INTO rows FROM batch b;
  RETURN coalesce(rows, 0);
END $$;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'lines');
