CREATE FUNCTION llm_usage._refuse_change() RETURNS trigger
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ledger text := regexp_replace(TG_TABLE_NAME, '_(default|[0-9]{4}_[0-9]{2})$', '');
BEGIN
  -- maintain() moves rows from the default partition to their month, in one transaction.
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = ledger || '_default'
     AND current_setting('llm_usage._moving', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'llm_usage.% is append-only: % is refused', ledger, TG_OP
    USING ERRCODE = 'object_not_in_prerequisite_state',
          DETAIL = 'What was recorded stays readable, so that every report can be recomputed.',
          HINT = CASE
            WHEN ledger <> 'usage_events' THEN 'To remove old rows, drop their month: SELECT llm_usage.drop_month(''2025-01-01'').'
            ELSE 'To take an event back: SELECT llm_usage.void_usage(id); to change it: llm_usage.correct_usage(). To remove old events, drop their month: SELECT llm_usage.drop_month(''2025-01-01'').'
          END;
END $$;

-- What this session has drawn from a sequence last, nothing if it has not.
CREATE FUNCTION llm_usage._last_drawn(sequence oid) RETURNS bigint
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN currval(sequence);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RETURN NULL;
END $$;
-- usage_events has a trigger that does this, and prices.
CREATE TRIGGER check_id BEFORE INSERT ON llm_usage.sessions
  FOR EACH ROW EXECUTE FUNCTION llm_usage._check_id('sessions');
CREATE TRIGGER check_id BEFORE INSERT ON llm_usage.messages
  FOR EACH ROW EXECUTE FUNCTION llm_usage._check_id('messages');

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON llm_usage.usage_events
  FOR EACH ROW EXECUTE FUNCTION llm_usage._refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON llm_usage.sessions
  FOR EACH ROW EXECUTE FUNCTION llm_usage._refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON llm_usage.messages
  FOR EACH ROW EXECUTE FUNCTION llm_usage._refuse_change();
-- Row triggers reach every partition by themselves. TRUNCATE has statement triggers only; maintain() adds them, and that of
-- the default partition keeps the whole ledger from being truncated.
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llm_usage.usage_events_default
  FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llm_usage.sessions_default
  FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llm_usage.messages_default
  FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._refuse_change();
