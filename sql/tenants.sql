-- The roles whose sessions are tenants', whatever they are called by now; always the same tenant's, where one is named. Policies are
-- made from it, for those that are still there.
CREATE TABLE llm_usage._tenants (
  role   regrole PRIMARY KEY,
  tenant bigint
);
ALTER TABLE llm_usage._tenants ENABLE ROW LEVEL SECURITY;
-- Of a role that was dropped a dump would have the number, which is another's where it is restored.
SELECT pg_catalog.pg_extension_config_dump('llm_usage._tenants', 'WHERE role IN (SELECT r.oid FROM pg_catalog.pg_roles r)');

-- The tenant that a session names, as users.id: by the setting or, through PostgREST, by a claim; anything else is nobody. An
-- expression, so that a policy takes it in.
CREATE FUNCTION llm_usage._tenant() RETURNS bigint
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN substring(coalesce(nullif(current_setting('llm_usage.tenant', true), ''),
                            nullif(current_setting('request.jwt.claims', true), '')::json ->> 'llm_usage_tenant')
                   FROM '^-?(?:[0-9]{1,18}|[1-8][0-9]{18})$')::bigint;

-- The tenants' roles that the session has, whoever's rights a function runs with. Who is above policies has none.
CREATE FUNCTION llm_usage._tenant_roles() RETURNS SETOF llm_usage._tenants
  LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 1
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  caller CONSTANT name := llm_usage._caller();
BEGIN
  RETURN QUERY
  SELECT t.*
    FROM pg_catalog.pg_roles r
    JOIN llm_usage._tenants t ON pg_has_role(r.oid, t.role, 'USAGE')
   WHERE r.rolname = caller AND NOT r.rolsuper AND NOT r.rolbypassrls;
END $$;

-- Whether totals over all apps are hidden from who asks, as the list of rollups is, too, then: it always has rows.
CREATE FUNCTION llm_usage._is_tenant() RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
  IF pg_catalog.row_security_active('llm_usage._rollups'::pg_catalog.regclass) THEN
    RETURN NOT EXISTS (SELECT FROM llm_usage._rollups);
  END IF;
  RETURN false;
END $$;

-- Whether the session may record for an app: a tenant for its own alone.
CREATE FUNCTION llm_usage._may_record(app bigint) RETURNS boolean
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN NOT EXISTS (
    SELECT FROM llm_usage._tenant_roles() t
     WHERE NOT EXISTS (SELECT FROM llm_usage.apps a WHERE a.id = app AND a.owner_id = coalesce(t.tenant, llm_usage._tenant())));
END $$;

-- That it may not.
CREATE FUNCTION llm_usage._no_app(app bigint) RETURNS jsonb
  LANGUAGE sql IMMUTABLE
  RETURN jsonb_build_object('reason', format('there is no app %s to record for', app),
                            'detail', 'A tenant records for the apps that it owns.',
                            'hint', 'Give the app_id of one of them: SELECT id FROM llm_usage.apps.');

-- Those of some apps that it may not record for, ascending, and why. Who is no tenant is asked once, whatever comes.
CREATE FUNCTION llm_usage._foreign_apps(apps bigint[]) RETURNS TABLE (app bigint, reason text, detail text, hint text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM llm_usage._tenant_roles()) THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT o.app, n.refusal ->> 'reason', n.refusal ->> 'detail', n.refusal ->> 'hint'
    FROM (SELECT DISTINCT a FROM unnest(apps) a) o (app)
   CROSS JOIN LATERAL llm_usage._no_app(o.app) n (refusal)
   WHERE NOT llm_usage._may_record(o.app)
   ORDER BY o.app;
END $$;

-- The app, if the session may record for it: what runs with the owner's rights is bound by no policy.
CREATE FUNCTION llm_usage._refuse_app(app bigint) RETURNS void
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  refusal jsonb;
BEGIN
  IF NOT llm_usage._may_record(app) THEN
    refusal := llm_usage._no_app(app);
    RAISE EXCEPTION USING MESSAGE = refusal ->> 'reason', ERRCODE = 'insufficient_privilege',
                          DETAIL = refusal ->> 'detail', HINT = refusal ->> 'hint';
  END IF;
END $$;
CREATE FUNCTION llm_usage._own_app(app bigint) RETURNS bigint
  LANGUAGE plpgsql STABLE
AS $$
BEGIN
  IF llm_usage._has_row_security('llm_usage.usage_events'::pg_catalog.regclass) THEN
    PERFORM llm_usage._refuse_app(app);
  END IF;
  RETURN app;
END $$;
