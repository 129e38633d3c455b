CREATE FUNCTION llm_usage.reserve_budget(
    app_id bigint DEFAULT 0, model text DEFAULT NULL, user_id bigint DEFAULT NULL, llm_id bigint DEFAULT 0,
    vendor text DEFAULT NULL, attrs jsonb DEFAULT NULL, cost numeric DEFAULT NULL, currency text DEFAULT NULL,
    prompt_tokens bigint DEFAULT 0, completion_tokens bigint DEFAULT 0, hold_for interval DEFAULT '10 minutes')
  RETURNS llm_usage.budget_decision
  LANGUAGE c VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'reserve_budget_wrapper';
COMMENT ON FUNCTION llm_usage.reserve_budget(bigint, text, bigint, bigint, text, jsonb, numeric, text, bigint, bigint, interval) IS
  'As check_budget(), and holds what the call may take, until settle_budget() or release_budget(), at most for hold_for (default 10 minutes, up to 30 days). hold_id is NULL where the call is denied. However many reserve at once, what is spent and held never passes a hard budget by it. Run it in a transaction of its own: others wait for its end where room is short. Errors: 25001 in another isolation level than READ COMMITTED; 22023 for a bad hold_for or estimate, and for what settle_budget() could not record.';

-- Whether a hold of the app is the session's to end: a tenant's of its own apps.
CREATE FUNCTION llm_usage._may_end(app bigint) RETURNS boolean
  LANGUAGE sql STABLE
  RETURN CASE WHEN llm_usage._has_row_security('llm_usage.budget_holds'::regclass) THEN llm_usage._may_record(app) ELSE true END;

-- A hold, which nobody else ends meanwhile; an error if there is none.
CREATE FUNCTION llm_usage._locked_hold(of_hold bigint) RETURNS llm_usage.budget_holds
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  hold llm_usage.budget_holds;
BEGIN
  SELECT h.* INTO hold FROM llm_usage.budget_holds h
   WHERE h.id = of_hold
     AND llm_usage._may_end(h.app_id)
     FOR UPDATE;
  IF hold.id IS NULL THEN
    RAISE EXCEPTION 'there is no hold %', coalesce(of_hold::text, 'NULL')
      USING ERRCODE = CASE WHEN of_hold IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
            DETAIL = 'It was settled or released, has expired more than a day ago, or was never made.',
            HINT = 'Record a call without a hold: record_usage(…).';
  END IF;
  RETURN hold;
END $$;
-- Ends it and returns it.
CREATE FUNCTION llm_usage._end_hold(of_hold bigint) RETURNS llm_usage.budget_holds
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  hold llm_usage.budget_holds;
BEGIN
  DELETE FROM llm_usage.budget_holds h
   WHERE h.id = of_hold
     AND llm_usage._may_end(h.app_id)
   RETURNING h.* INTO hold;
  IF hold.id IS NULL THEN
    RETURN llm_usage._locked_hold(of_hold);
  END IF;
  DELETE FROM llm_usage._held h
   WHERE h.budget_id = ANY (hold.budget_ids) AND h.expires_at = hold.expires_at AND h.hold_id = of_hold;
  RETURN hold;
END $$;

CREATE FUNCTION llm_usage.settle_budget(hold_id bigint, usage jsonb) RETURNS llm_usage.recorded
  LANGUAGE c VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'settle_budget_wrapper';
COMMENT ON FUNCTION llm_usage.settle_budget(bigint, jsonb) IS
  'Records a call that reserve_budget() let go ahead, and ends its hold, both or neither. usage is an object whose keys are columns of usage_events, as an element of record_usage_batch(): what the call took. What it leaves out, or is null, is as it was reserved (app, LLM, user, model, vendor, attributes). With a request_id that is known with other content the status is conflict, and the hold stays. A call that took more than was held is recorded all the same, as is one whose hold has expired, within a day. Returns as record_usage(). Errors: 22023 for a hold that is not there, or has been settled or released, and for bad usage; 22004 for NULL.';

CREATE FUNCTION llm_usage.release_budget(hold_id bigint) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'release_budget_wrapper';
COMMENT ON FUNCTION llm_usage.release_budget(bigint) IS
  'Ends the hold of a call that was not made or cost nothing; nothing is recorded. Errors: 22023 for a hold that is not there, or has been settled or released; 22004 for NULL.';

-- Of calls that were neither settled nor released, and are not just now.
CREATE FUNCTION llm_usage._forget_holds() RETURNS void
  LANGUAGE sql
  BEGIN ATOMIC
    WITH forgotten AS (
      DELETE FROM llm_usage.budget_holds h
       WHERE h.id IN (SELECT e.id FROM llm_usage.budget_holds e WHERE e.expires_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED)
      RETURNING h.id, h.expires_at, h.budget_ids
    )
    DELETE FROM llm_usage._held h USING forgotten f
     WHERE h.budget_id = ANY (f.budget_ids) AND h.expires_at = f.expires_at AND h.hold_id = f.id;
  END;
