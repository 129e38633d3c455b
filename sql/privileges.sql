-- What each kind of access needs, as the objects of a GRANT. A reader's functions are those that change nothing.
CREATE VIEW llm_usage._access WITH (security_invoker) AS
  WITH kinds (kind) AS (VALUES ('anonymous'), ('reader'), ('writer'), ('admin')),
  functions AS (
    SELECT p.oid, n.nspname, p.proname, p.provolatile = 'v' AS changes
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname IN ('llm_usage', 'llm_usage_http')
  ), relations AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('llm_usage', 'llm_usage_http') AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        OR n.nspname = 'llm_usage' AND c.relname IN ('usage_events_default', 'sessions_default', 'messages_default')
  )
  SELECT k.kind, 'USAGE' AS privilege, pg_catalog.format('SCHEMA %I', s.name) AS object
    FROM kinds k, (VALUES ('llm_usage'), ('llm_usage_http')) s (name)
  UNION ALL
  -- Whoever knocks is told by each path that a key is missing.
  SELECT k.kind, 'EXECUTE', pg_catalog.format('FUNCTION %s', f.oid::pg_catalog.regprocedure)
    FROM kinds k
    JOIN functions f ON CASE
           WHEN f.nspname = 'llm_usage_http' THEN true
           WHEN f.proname IN ('_api_key', '_key_hash', '_request_header', '_denied', '_respond', '_respond_to_error', '_http_call',
                              '_http_app_call', '_http_arguments', '_http_failure', '_openapi', '_call_with', '_record_with', '_default_currency', '_may_record') THEN true
           WHEN f.proname = '_checked_row' THEN k.kind <> 'anonymous'
           WHEN starts_with(f.proname, 'record_') OR right(f.proname, 7) = '_budget' THEN k.kind IN ('writer', 'admin')
           -- The owner's: who could give more than it has would have it all.
           WHEN f.proname IN ('grant_access', 'revoke_access', '_checked_access', '_change_access', 'enable_row_security', 'disable_row_security', '_is_admin', '_set_policies',
                              '_set_all_policies', '_tenants_changed', '_batch_agg') THEN false
           WHEN k.kind = 'reader' THEN NOT f.changes
           -- What changes something is called by functions that run with the owner's rights.
           ELSE k.kind = 'admin' AND NOT (f.changes AND starts_with(f.proname, '_'))
         END
  UNION ALL
  SELECT k.kind, 'SELECT', pg_catalog.format('TABLE %s', r.oid::pg_catalog.regclass)
    FROM kinds k
    JOIN relations r ON k.kind IN ('reader', 'admin') AND r.relname NOT IN ('api_keys', '_tenants')
  UNION ALL
  SELECT k.kind, 'INSERT', pg_catalog.format('TABLE %s', r.oid::pg_catalog.regclass)
    FROM kinds k
    JOIN relations r ON k.kind IN ('writer', 'admin') AND r.relname IN ('usage_events', 'sessions', 'messages')
  UNION ALL
  SELECT k.kind, 'INSERT, UPDATE, DELETE', pg_catalog.format('TABLE %s', r.oid::pg_catalog.regclass)
    FROM kinds k
    JOIN relations r ON k.kind = 'admin' AND r.relname IN ('users', 'apps', 'llms', 'model_prices', 'budgets', 'exchange_rates', 'reported_attrs', 'api_keys')
  UNION ALL
  -- Whose key it is, not the key.
  SELECT 'admin', 'SELECT (id, created_at, expires_at, revoked_at, role, tenant, name)', 'TABLE llm_usage.api_keys'
  UNION ALL
  SELECT 'admin', 'DELETE', 'TABLE llm_usage.conflicts';

CREATE FUNCTION llm_usage._checked_access(role name, access text) RETURNS void
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  IF role IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
    RAISE EXCEPTION 'there is no role %', coalesce(quote_literal(role), 'NULL')
      USING ERRCODE = CASE WHEN role IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
            DETAIL = 'Access is given to a role of the database.',
            HINT = 'Create it first: CREATE ROLE analyst NOLOGIN;';
  END IF;
  IF access IS NULL OR access NOT IN ('anonymous', 'reader', 'writer', 'admin') THEN
    RAISE EXCEPTION 'there is no access %', coalesce(quote_literal(access), 'NULL')
      USING ERRCODE = CASE WHEN access IS NULL THEN 'null_value_not_allowed' ELSE 'invalid_parameter_value' END,
            DETAIL = 'Access is given by what a role does.',
            HINT = 'Use one of: anonymous, reader, writer, admin.';
  END IF;
END $$;

-- The statement for each privilege that the access needs, on which object, of the role.
CREATE FUNCTION llm_usage._change_access(role name, access text, statement text) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  needed record;
BEGIN
  PERFORM llm_usage._checked_access(role, access);
  FOR needed IN SELECT a.privilege, a.object FROM llm_usage._access a WHERE a.kind = access LOOP
    EXECUTE format(statement, needed.privilege, needed.object, role);
  END LOOP;
END $$;

CREATE FUNCTION llm_usage.grant_access(role name, access text) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  PERFORM llm_usage._change_access(role, access, 'GRANT %s ON %s TO %I');
  -- The error takes it back.
  IF access = 'admin' AND EXISTS (SELECT FROM llm_usage._tenants t JOIN pg_roles r ON r.oid = t.role WHERE pg_has_role(role, r.oid, 'USAGE')) THEN
    RAISE EXCEPTION 'the role % is a tenant''s', quote_literal(role)
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'What an admin calls is about everybody: it folds, corrects and reprices.',
            HINT = format('Give admin to a role of its own, or see everything: SELECT llm_usage.disable_row_security(%L);', role);
  END IF;
END $$;
COMMENT ON FUNCTION llm_usage.grant_access(name, text) IS
  'Lets a role do what its work needs: reader (every report, view and table but api_keys), writer (record, and read nothing that was recorded), admin (both, and prices, budgets, entities, API keys, the fold), anonymous (call llm_usage_http, to be told 401: for PostgREST''s db-anon-role). Only the owner of the extension and superusers can call it. Ask again after an upgrade. Errors: 22004 for NULL, 42704 for a role that does not exist, 22023 for another access, and for admin to a tenant''s role.';

CREATE FUNCTION llm_usage.revoke_access(role name, access text) RETURNS void
  LANGUAGE sql
  RETURN llm_usage._change_access(role, access, 'REVOKE %s ON %s FROM %I');
COMMENT ON FUNCTION llm_usage.revoke_access(name, text) IS
  'Takes back what grant_access() gave; what another access of the role needs as well has to be granted again. Errors: as grant_access().';

-- They write what their callers may neither write nor read; the arguments are checked, and nothing is looked up by search_path.
ALTER FUNCTION llm_usage.record_usage SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.record_usage_batch SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.record_response SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.record_response_batch SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.record_spans SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.void_usage SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.correct_usage SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.reprice SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.record_session SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.record_message SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.check_budget SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.reserve_budget SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.settle_budget SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.release_budget SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.raise_budget_alerts SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.acknowledge_budget_alert SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.import_prices SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.fold SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.rebuild SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.maintain SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
-- Who holds back the fold is another role's query.
ALTER FUNCTION llm_usage.status SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION llm_usage.drop_month SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

-- Nothing is PUBLIC's: a stranger can neither read nor write. Who may what is said with grant_access().
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA llm_usage, llm_usage_http FROM PUBLIC;
