CREATE FUNCTION llm_usage.reserve_budget(
    app_id bigint DEFAULT 0, model text DEFAULT NULL, user_id bigint DEFAULT NULL, llm_id bigint DEFAULT 0,
    vendor text DEFAULT NULL, attrs jsonb DEFAULT NULL, cost numeric DEFAULT NULL, currency text DEFAULT NULL,
    prompt_tokens bigint DEFAULT 0, completion_tokens bigint DEFAULT 0, hold_for interval DEFAULT '10 minutes')
  RETURNS llm_usage.budget_decision
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET jit = off
  SET plan_cache_mode = force_generic_plan
  SET enable_seqscan = off
  SET enable_bitmapscan = off
AS $$
DECLARE
  until    timestamptz;
  call     record;
  ids      bigint[];
  shown    bigint[];
  d        record;
  decision llm_usage.budget_decision;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'reserve_budget() needs the isolation level READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction',
            DETAIL = 'It has to see what was committed while it waited for its turn.',
            HINT = 'Run it in a transaction of its own: SELECT * FROM llm_usage.reserve_budget(…).';
  END IF;
  IF hold_for <= interval '0' OR hold_for > interval '30 days'
     OR NOT now() + hold_for BETWEEN now() + interval '1 microsecond' AND now() + interval '30 days' THEN
    RAISE EXCEPTION 'hold_for must be from above 0 to 30 days, not %', hold_for
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'A hold ends by itself after that time.',
            HINT = 'Give the longest that the call may take, such as 10 minutes.';
  END IF;
  -- What settle_budget() could not record would be refused after the call.
  IF octet_length(model) NOT BETWEEN 1 AND 500 OR octet_length(vendor) NOT BETWEEN 1 AND 500 OR jsonb_typeof(attrs) <> 'object'
     OR least(app_id, llm_id, user_id) < 0 THEN
    PERFORM llm_usage._checked_row('usage_events', jsonb_strip_nulls(jsonb_build_object(
              'model', coalesce(model, 'm'), 'app_id', app_id, 'llm_id', llm_id, 'user_id', user_id, 'vendor', vendor,
              'attrs', attrs))::text);
  END IF;
  PERFORM llm_usage._own_app(coalesce(app_id, 0));
  call := llm_usage._call_cost(model, vendor, cost, currency, prompt_tokens, completion_tokens);
  ids := llm_usage._call_budgets(app_id, llm_id, user_id, model, vendor, attrs::text);
  IF llm_usage._has_row_security('llm_usage.budgets'::regclass) THEN
    shown := llm_usage._shown_budgets(ids);
  END IF;
  SELECT * INTO d FROM llm_usage._decide(ids, call.cost, call.currency, coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0), true, shown);
  decision := (d.verdict, NULL, d.budget_id, d.spent, d.held, d.remaining, d.resets_at, d.reason);
  IF decision.verdict = 'denied' THEN
    RETURN decision;
  END IF;
  until := clock_timestamp() + coalesce(hold_for, '10 minutes');
  INSERT INTO llm_usage.budget_holds AS h (made_at, expires_at, app_id, llm_id, user_id, model, vendor, attrs, budget_ids)
  VALUES (clock_timestamp(), until, coalesce(app_id, 0), coalesce(llm_id, 0), user_id, model, vendor, attrs, d.counted_ids)
  RETURNING h.id INTO decision.hold_id;
  FOR budget IN 1 .. cardinality(d.counted_ids) LOOP
    INSERT INTO llm_usage._held (budget_id, hold_id, expires_at, amount)
    VALUES (d.counted_ids[budget], decision.hold_id, until, d.amounts[budget]);
  END LOOP;
  RETURN decision;
END $$;
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
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  hold     llm_usage.budget_holds;
  attrs    jsonb;
  recorded llm_usage.recorded;
BEGIN
  IF usage IS NULL OR jsonb_typeof(usage) <> 'object' THEN
    RAISE EXCEPTION 'usage must be a JSON object, not %', coalesce(jsonb_typeof(usage), 'NULL')
      USING ERRCODE = CASE WHEN usage IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
            DETAIL = 'Its keys are columns of usage_events.',
            HINT = 'Pass what the call took: ''{"prompt_tokens": 100, "completion_tokens": 50}''.';
  END IF;
  IF jsonb_path_exists(usage, '$.* ? (@ == null)') THEN
    usage := usage - ARRAY(SELECT u.key FROM jsonb_each(usage) u WHERE jsonb_typeof(u.value) = 'null');
  END IF;
  hold := CASE WHEN usage ? 'request_id' THEN llm_usage._locked_hold(hold_id) ELSE llm_usage._end_hold(hold_id) END;
  -- Attributes are an object, of whatever depth: they are not read again.
  attrs := coalesce(usage -> 'attrs', hold.attrs);
  IF jsonb_typeof(attrs) = 'object' THEN
    usage := usage - 'attrs';
  END IF;
  recorded := llm_usage._record_one(
    llm_usage._checked_row('usage_events', (
      jsonb_strip_nulls(jsonb_build_object('app_id', hold.app_id, 'llm_id', hold.llm_id, 'user_id', hold.user_id,
                                           'model', hold.model, 'vendor', hold.vendor))
      || usage)::text)::jsonb
    || CASE WHEN attrs IS NULL THEN '{}' ELSE jsonb_build_object('attrs', attrs) END);
  -- A conflict is not recorded: the call goes on to hold what it holds.
  IF usage ? 'request_id' AND recorded.status <> 'conflict' THEN
    PERFORM llm_usage._end_hold(hold_id);
  END IF;
  RETURN recorded;
END $$;
COMMENT ON FUNCTION llm_usage.settle_budget(bigint, jsonb) IS
  'Records a call that reserve_budget() let go ahead, and ends its hold, both or neither. usage is an object whose keys are columns of usage_events, as an element of record_usage_batch(): what the call took. What it leaves out, or is null, is as it was reserved (app, LLM, user, model, vendor, attributes). With a request_id that is known with other content the status is conflict, and the hold stays. A call that took more than was held is recorded all the same, as is one whose hold has expired, within a day. Returns as record_usage(). Errors: 22023 for a hold that is not there, or has been settled or released, and for bad usage; 22004 for NULL.';

CREATE FUNCTION llm_usage.release_budget(hold_id bigint) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM llm_usage._end_hold(hold_id);
END $$;
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
