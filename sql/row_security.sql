-- What a tenant may see of each table, as the condition of a policy: only here is it decided. Its own apps are those that the
-- policy of apps leaves to it.
CREATE VIEW llm_usage._visible_rows (relation, condition) WITH (security_invoker) AS
  VALUES
    ('apps', 'owner_id = %s'),
    ('users', 'id = %s'),
    ('usage_events', 'app_id = ANY (%s)'),
    ('sessions', 'app_id = ANY (%s)'),
    ('messages', 'app_id = ANY (%s)'),
    ('_by_app_hour', 'app_id = ANY (%s)'),
    ('_by_app_day', 'app_id = ANY (%s)'),
    ('_by_app_points', 'app_id = ANY (%s)'),
    ('_by_rule_type_hour', 'app_id = ANY (%s)'),
    ('_by_rule_type_day', 'app_id = ANY (%s)'),
    ('_by_session_hour', 'app_id = ANY (%s)'),
    ('_by_session_day', 'app_id = ANY (%s)'),
    ('_active_users_hour', 'app_id = ANY (%s)'),
    ('_active_users_day', 'app_id = ANY (%s)'),
    ('_app_lines', 'app_id = ANY (%s)'),
    ('_request_keys', 'app_id = ANY (%s)'),
    ('conflicts', 'app_id = ANY (%s)'),
    ('budgets', 'entity_type = ''App'' AND entity_id = ANY (%s)'),
    ('_by_entity_hour', 'entity_type = ''App'' AND entity_id = ANY (%s)'),
    ('_by_entity_day', 'entity_type = ''App'' AND entity_id = ANY (%s)'),
    ('_by_entity_month', 'entity_type = ''App'' AND entity_id = ANY (%s)'),
    ('corrections', 'EXISTS (SELECT FROM llm_usage.usage_events e WHERE e.id = event_id)'),
    ('_lines', 'number = ANY (ARRAY(SELECT l.line FROM llm_usage._app_lines l))'),
    ('llms', 'id = ANY (ARRAY(SELECT l.llm_id FROM llm_usage._lines l
                              UNION ALL
                              SELECT t FROM llm_usage._tenant_llms(llm_usage._folded_up_to(''usage_events'')) t))'),
    ('_consumers', 'llm_usage._bitmap_contains((SELECT llm_usage._bitmap_or_agg(d.consumers) FROM llm_usage._by_session_day d), number)'),
    ('model_prices', 'source <> ''own'''),
    -- Totals over all apps: none, in words that an index understands; by false alone rows would be read and then left out.
    ('_by_model_5min', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_model_points', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_model_hour', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_model_day', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_user_hour', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_user_day', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_rule_hour', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_rule_day', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_attr_hour', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    ('_by_attr_day', 'bucket = ANY (ARRAY(SELECT NULL::timestamptz WHERE false))'),
    -- A key that is not rolled up is read from the ledger.
    ('_rolled_up_attrs', 'false'),
    ('reported_attrs', 'false'),
    ('budget_alerts', 'budget_id = ANY (ARRAY(SELECT b.id FROM llm_usage.budgets b))'),
    ('budget_holds', 'app_id = ANY (%s)'),
    ('_held', 'budget_id = ANY (ARRAY(SELECT b.id FROM llm_usage.budgets b))'),
    -- What operators did, and who else there is.
    ('_corrected_events', 'false'),
    ('repricings', 'false'),
    ('_rebuild', 'false'),
    ('_late_alerts', 'false'),
    ('api_keys', 'false'),
    ('_rollups', 'false'),
    -- The owner's alone: no policy at all.
    ('_tenants', NULL),
    -- Nobody's usage.
    ('_fold_progress', 'true'),
    ('_rollup_tables', 'true'),
    ('_dropped_months', 'true'),
    ('exchange_rates', 'true');

-- Whether a bitmap has a number.
CREATE FUNCTION llm_usage._bitmap_contains(bitmap bytea, number bigint) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT coalesce(llm_usage._bitmap_count(llm_usage._bitmap_or(bitmap, llm_usage._bitmap_agg(n))) = llm_usage._bitmap_count(bitmap), false)
      FROM (VALUES (number)) v (n);
  END;

-- The policies of a table, or of a partition of a ledger, as _tenants and _visible_rows say.
CREATE FUNCTION llm_usage._set_policies(relation regclass, ledger text, condition text) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  policy record;
  roles  text;
  mine   CONSTANT text := CASE WHEN ledger IN ('apps', 'users') THEN 'llm_usage._tenant()' ELSE 'ARRAY(SELECT a.id FROM llm_usage.apps a)' END;
BEGIN
  FOR policy IN SELECT p.polname AS name FROM pg_policy p WHERE p.polrelid = relation AND p.polname LIKE 'llm\_usage\_%' LOOP
    EXECUTE format('DROP POLICY %I ON %s', policy.name, relation);
  END LOOP;
  IF NOT EXISTS (SELECT FROM llm_usage._tenants t JOIN pg_roles r ON r.oid = t.role) THEN
    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', relation);
    RETURN;
  END IF;
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
  EXECUTE format('CREATE POLICY llm_usage_everybody ON %s USING (true)', relation);
  IF ledger IN ('apps', 'users') THEN
    -- Roles that are always one tenant's have its number in a policy of their own, and in its name: src/tenant.rs reads that.
    FOR policy IN SELECT t.tenant, string_agg(quote_ident(r.rolname), ', ') AS roles
                    FROM llm_usage._tenants t JOIN pg_roles r ON r.oid = t.role WHERE t.tenant IS NOT NULL GROUP BY t.tenant LOOP
      EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE TO %s USING (%s)', 'llm_usage_tenant_' || policy.tenant, relation,
                     policy.roles, format(condition, policy.tenant));
    END LOOP;
    roles := (SELECT string_agg(quote_ident(r.rolname), ', ') FROM llm_usage._tenants t JOIN pg_roles r ON r.oid = t.role WHERE t.tenant IS NULL);
  ELSE
    roles := (SELECT string_agg(quote_ident(r.rolname), ', ') FROM llm_usage._tenants t JOIN pg_roles r ON r.oid = t.role);
  END IF;
  IF roles IS NULL THEN
    RETURN;
  END IF;
  IF ledger IN ('usage_events', 'sessions', 'messages') THEN
    EXECUTE format('CREATE POLICY llm_usage_tenants ON %s AS RESTRICTIVE FOR SELECT TO %s USING (%s)', relation, roles, format(condition, mine));
    EXECUTE format('CREATE POLICY llm_usage_records ON %s AS RESTRICTIVE FOR INSERT TO %s WITH CHECK (%sllm_usage._may_record(app_id))', relation, roles,
                   -- A correction by hand could name what is another's.
                   CASE WHEN ledger = 'usage_events' THEN 'corrects IS NULL AND ' ELSE '' END);
  ELSE
    EXECUTE format('CREATE POLICY llm_usage_tenants ON %s AS RESTRICTIVE TO %s USING (%s)', relation, roles, format(condition, mine));
  END IF;
END $$;

-- Of all tables, or of those of the extension; false if they are in use after so many attempts, with NULL it goes on. They are locked
-- at once or not at all: who waited with some would stop a restore that loads others.
CREATE FUNCTION llm_usage._set_all_policies(of_members_only boolean, attempts integer DEFAULT NULL) RETURNS boolean
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tables CONSTANT jsonb := (
    SELECT jsonb_agg(jsonb_build_object('relid', t.relid, 'relation', v.relation, 'condition', v.condition) ORDER BY t.relid)
      FROM llm_usage._visible_rows v
     CROSS JOIN LATERAL (
       SELECT p.relid::oid FROM pg_partition_tree(format('llm_usage.%I', v.relation)::regclass) p
       UNION
       SELECT format('llm_usage.%I', v.relation)::regclass::oid) t (relid)
     WHERE v.condition <> 'true'
       AND (NOT of_members_only OR EXISTS (SELECT FROM pg_depend d
                                            WHERE d.classid = 'pg_class'::regclass AND d.objid = t.relid AND d.deptype = 'e')));
  names  CONSTANT text := (SELECT string_agg('ONLY ' || (t ->> 'relid')::oid::regclass, ', ') FROM jsonb_array_elements(tables) t);
BEGIN
  LOOP
    BEGIN
      EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', names);
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      attempts := attempts - 1;
      IF attempts <= 0 THEN
        RETURN false;
      END IF;
      PERFORM pg_sleep(0.05);
    END;
  END LOOP;
  PERFORM llm_usage._set_policies((t ->> 'relid')::oid, t ->> 'relation', t ->> 'condition') FROM jsonb_array_elements(tables) t;
  RETURN true;
END $$;

-- Makes the policies again where a role of tenants has none: DROP OWNED BY it takes them away, and a restore without triggers makes
-- none.
CREATE FUNCTION llm_usage._renew_policies() RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  role name := (
    SELECT min(r.rolname)
      FROM llm_usage._tenants t
      JOIN pg_roles r ON r.oid = t.role
     CROSS JOIN llm_usage._visible_rows v
     WHERE v.condition <> 'true'
       AND NOT EXISTS (SELECT FROM pg_policy p
                        WHERE p.polrelid = format('llm_usage.%I', v.relation)::regclass AND p.polname LIKE 'llm\_usage\_tenant%'
                          AND r.oid = ANY (p.polroles)));
BEGIN
  IF role IS NOT NULL AND NOT llm_usage._set_all_policies(false, 20) THEN
    RAISE WARNING 'the role % is a tenant''s and sees everything: its policies are gone, and could not be made now', quote_literal(role)
      USING HINT = format('SELECT llm_usage.disable_row_security(%1$L), llm_usage.enable_row_security(%1$L, …);', role);
  END IF;
END $$;

-- pg_dump leaves out the policies of an extension's tables, and gives back what was granted: they are made as this table is loaded.
CREATE FUNCTION llm_usage._tenants_changed() RETURNS trigger
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM llm_usage._set_all_policies(true);
  RETURN NULL;
END $$;
CREATE TRIGGER tenants_changed AFTER INSERT OR UPDATE OR DELETE ON llm_usage._tenants
  FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._tenants_changed();
-- By who replays or restores as a replica, too.
ALTER TABLE llm_usage._tenants ENABLE ALWAYS TRIGGER tenants_changed;

-- Whether a role has what only an admin's work needs.
CREATE FUNCTION llm_usage._is_admin(role name) RETURNS boolean
  LANGUAGE sql STABLE
  RETURN has_function_privilege(role, 'llm_usage.void_usage(bigint, text)', 'EXECUTE');

CREATE FUNCTION llm_usage.enable_row_security(role name, tenant text DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  number bigint := substring(tenant FROM '^-?(?:[0-9]{1,18}|[1-8][0-9]{18})$')::bigint;
BEGIN
  PERFORM llm_usage._checked_access(role, 'reader');
  IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role AND (r.rolsuper OR r.rolbypassrls))
     OR EXISTS (SELECT FROM pg_class c, pg_roles r
                 WHERE c.oid = 'llm_usage.apps'::regclass AND r.rolname = role AND pg_has_role(r.oid, c.relowner, 'USAGE')) THEN
    RAISE EXCEPTION 'the role % sees everything', quote_literal(role)
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'No policy holds for superusers, roles with BYPASSRLS and the owner of the extension.',
            HINT = 'Create a role for tenants: CREATE ROLE tenants NOLOGIN;';
  END IF;
  IF llm_usage._is_admin(role) THEN
    RAISE EXCEPTION 'the role % is an admin', quote_literal(role)
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'What an admin calls is about everybody: it folds, corrects and reprices.',
            HINT = format('Take that back first: SELECT llm_usage.revoke_access(%L, ''admin'');', role);
  END IF;
  IF tenant IS NOT NULL AND number IS NULL THEN
    RAISE EXCEPTION 'invalid tenant: %', quote_literal(tenant)
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'A tenant is the users.id of the owner of apps.',
            HINT = 'Give a number, or leave it out: then llm_usage.tenant says who the tenant is.';
  END IF;
  INSERT INTO llm_usage._tenants AS t (role, tenant) VALUES (quote_ident(role)::regrole, number)
  ON CONFLICT ON CONSTRAINT _tenants_pkey DO UPDATE SET tenant = excluded.tenant;
  PERFORM llm_usage._set_all_policies(false);
END $$;
COMMENT ON FUNCTION llm_usage.enable_row_security(name, text) IS
  'Makes the sessions of a role, and of its members that inherit from it, a tenant''s: of every table, report and view they see what belongs to the apps of which the tenant is the owner (apps.owner_id), and record for those alone. With tenant, a users.id, they are always that tenant''s, whatever they set; this is for roles that log in with SQL of their own. Without, the tenant is what the setting llm_usage.tenant says, which API keys set, or else the claim llm_usage_tenant of PostgREST''s JWT: only for roles that cannot run SET. Who names no tenant, or one without apps, sees nothing. All other roles go on seeing everything; but PostgreSQL refuses COPY FROM into tables with policies to all but superusers, the owner and roles with BYPASSRLS. What the role may do at all is said by grant_access(). DROP OWNED BY the role takes its policies away, and a restore with --disable-triggers makes none: maintain(), which the worker runs, makes them again. Errors: 22004 for NULL, 42704 for a role that does not exist, 22023 for one that no policy holds for or that is an admin, and for a tenant that is no number.';

CREATE FUNCTION llm_usage.disable_row_security(role name) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  PERFORM llm_usage._checked_access(role, 'reader');
  DELETE FROM llm_usage._tenants t WHERE t.role = quote_ident(role)::regrole OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = t.role);
  PERFORM llm_usage._set_all_policies(false);
END $$;
COMMENT ON FUNCTION llm_usage.disable_row_security(name) IS
  'Takes back enable_row_security(): the sessions of the role are no tenant''s any more, and see all that grant_access() gave it. Errors: 22004 for NULL, 42704 for a role that does not exist.';
