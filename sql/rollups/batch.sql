-- One pass over events groups them for the rollups that follow, which ask for it by _batch_by_app_day() and its like: to group them
-- for each anew takes more than twice as long. A session holds the batch that it read last, until its transaction ends.
CREATE AGGREGATE llm_usage._batch_agg(
    timestamptz, bigint, bigint, bigint, text, text, text, integer, bigint, integer, numeric, text, text, integer) (
  SFUNC = llm_usage._batch_add, STYPE = internal, FINALFUNC = llm_usage._batch_hold);

-- Lines that have no number yet are given one.
CREATE FUNCTION llm_usage._number_lines() RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO llm_usage._lines (llm_id, model, vendor, currency)
  SELECT b.llm_id, b.model, b.vendor, b.currency FROM llm_usage._batch_lines() b
   WHERE NOT EXISTS (SELECT FROM llm_usage._lines l
                      WHERE l.model = b.model COLLATE "C" AND l.vendor IS NOT DISTINCT FROM b.vendor COLLATE "C"
                        AND l.llm_id = b.llm_id AND l.currency = b.currency COLLATE "C")
   ORDER BY b.model COLLATE "C", b.vendor COLLATE "C", b.llm_id, b.currency COLLATE "C";
  PERFORM llm_usage._number_batch(ARRAY(
    SELECT l.number
      FROM llm_usage._batch_lines() b
      JOIN llm_usage._lines l ON l.model = b.model COLLATE "C" AND l.vendor IS NOT DISTINCT FROM b.vendor COLLATE "C"
                             AND l.llm_id = b.llm_id AND l.currency = b.currency COLLATE "C"
     ORDER BY b.place));
END $$;

CREATE FUNCTION llm_usage._fold_batch(
    after_id bigint, up_to_id bigint, from_time timestamptz, to_time timestamptz, new_from timestamptz,
    OUT rows bigint, OUT newest timestamptz)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF from_time = '-infinity' AND to_time = 'infinity' THEN
    SELECT b.rows, b.newest INTO rows, newest FROM llm_usage._read_batch(after_id, up_to_id) b;
  END IF;
  -- Of a range, or where a partition of one's own has no key.
  IF rows IS NULL THEN
    SELECT llm_usage._batch_agg(e.occurred_at, e.app_id, e.user_id, e.llm_id, e.model, e.vendor, e.currency,
                                llm_usage._requests(e.requests, e.corrects),
                                e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens, e.completion_tokens, e.cost,
                                e.rule_type, e.task_id, e.inference_tokens),
           max(e.occurred_at)
      INTO rows, newest
      FROM llm_usage.usage_events e
     WHERE e.id > after_id AND e.id <= up_to_id AND e.occurred_at >= from_time AND e.occurred_at < to_time;
  END IF;
  PERFORM llm_usage._number_lines();
END $$;
INSERT INTO llm_usage._rollups (ledger, name) VALUES ('usage_events', 'batch');
