CREATE SCHEMA llm_usage_http;
COMMENT ON SCHEMA llm_usage_http IS
  'What PostgREST exposes: a function for each documented vendor path, all arguments text, errors in the vendor''s own shape; functions that record; views for BI tools, as JSON or CSV.';

CREATE FUNCTION llm_usage._request_header(name text) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('request.headers', true), '')::json ->> name;

CREATE FUNCTION llm_usage_http.authenticate() RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  granted record;
BEGIN
  SELECT * INTO granted FROM llm_usage._api_key(llm_usage._request_header('x-api-key'));
  PERFORM set_config('llm_usage.api_key', coalesce(granted.id::text, ''), true);
  IF FOUND AND granted.id IS NOT NULL THEN
    PERFORM set_config('llm_usage.tenant', coalesce(granted.tenant, ''), true),
            set_config('role', granted.role, true);
  END IF;
END $$;
COMMENT ON FUNCTION llm_usage_http.authenticate() IS
  'PostgREST''s db-pre-request: takes the role and the tenant of the API key in the header X-Api-Key for the rest of the transaction. Without a good key the request goes on as PostgREST''s anonymous role, which may read nothing unless it is granted.';

-- Why this role may not ask for a report; NULL where it may. Row by row nothing is decided here: the role's own rights are.
CREATE FUNCTION llm_usage._denied(report text) RETURNS text
  LANGUAGE sql STABLE
  RETURN CASE
    WHEN EXISTS (SELECT FROM pg_proc p
                  WHERE p.pronamespace = 'llm_usage'::regnamespace AND p.proname = report AND has_function_privilege(p.oid, 'EXECUTE'))
      THEN NULL
    WHEN nullif(current_setting('llm_usage.api_key', true), '') IS NOT NULL OR llm_usage._request_header('authorization') IS NOT NULL
      THEN 'forbidden'
    ELSE 'unauthorized'
  END;

-- The body of an answer that is none; its status goes beside it.
CREATE FUNCTION llm_usage._respond(refusal json) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM set_config('response.status', refusal ->> 'status', true);
  IF refusal ->> 'status' = '401' THEN
    PERFORM set_config('response.headers', '[{"WWW-Authenticate": "Bearer"}]', true);
  END IF;
  RETURN refusal -> 'body';
END $$;

-- What the caller is not told goes to the log. Reports have 55000 for what was dropped only.
CREATE FUNCTION llm_usage._respond_to_error(report text, code text, message text) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE LOG 'llm_usage_http.%: % (%)', report, message, code;
  RETURN llm_usage._respond(llm_usage._http_failure(
    report, CASE code WHEN '42501' THEN coalesce(llm_usage._denied(report), 'forbidden') WHEN '55000' THEN 'dropped' ELSE 'internal' END,
    message));
END $$;

-- A report's arguments as a JSON object, or {"refusal": {"status", "body"}}.
CREATE FUNCTION llm_usage._http_call(report text, given json) RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  denied text := llm_usage._denied(report);
BEGIN
  IF denied IS NOT NULL THEN
    RETURN json_build_object('refusal', llm_usage._http_failure(report, denied));
  END IF;
  RETURN llm_usage._http_arguments(report, llm_usage._request_header('x-original-uri'), given::text);
END $$;

-- Whether an app is registered, or was used.
CREATE FUNCTION llm_usage._is_app(app bigint) RETURNS boolean
  LANGUAGE sql STABLE
  RETURN app = 0
      OR EXISTS (SELECT FROM llm_usage.apps a WHERE a.id = app)
      OR EXISTS (SELECT FROM llm_usage._by_app(NULL, NULL, app))
      OR EXISTS (SELECT FROM llm_usage._by_session(NULL, NULL) a WHERE a.app_id = app);

-- The same for a report of one app, which comes by its number or its slug, and must exist.
CREATE FUNCTION llm_usage._http_app_call(report text, given json) RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  call json := llm_usage._http_call(report, given);
  app bigint := (call ->> 'app_id')::bigint;
BEGIN
  IF call -> 'refusal' IS NOT NULL THEN
    RETURN call;
  END IF;
  IF app IS NULL OR NOT llm_usage._is_app(app) THEN
    app := (SELECT a.id FROM llm_usage.apps a WHERE a.slug = call ->> 'slug');
  END IF;
  IF app IS NOT NULL THEN
    RETURN call::jsonb || jsonb_build_object('app_id', app);
  END IF;
  RETURN json_build_object('refusal', llm_usage._http_failure(report, 'not_found'));
END $$;

CREATE FUNCTION llm_usage_http.token_usage_for_app(start_date text DEFAULT NULL, end_date text DEFAULT NULL, app_id text DEFAULT NULL)
  RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  call json;
BEGIN
  call := llm_usage._http_call('token_usage_for_app', json_build_object(
    'start_date', start_date, 'end_date', end_date, 'app_id', app_id));
  IF call -> 'refusal' IS NOT NULL THEN
    RETURN llm_usage._respond(call -> 'refusal');
  END IF;
  RETURN (SELECT llm_usage.token_usage_for_app(a.start_date, a.end_date, a.app_id)
            FROM json_to_record(call) AS a (start_date date, end_date date, app_id bigint));
EXCEPTION WHEN query_canceled OR others THEN
  RETURN llm_usage._respond_to_error('token_usage_for_app', SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION llm_usage_http.token_usage_for_app(text, text, text) IS
  'Tyk AI Studio, GET /api/v1/analytics/token-usage-for-app: llm_usage.token_usage_for_app() over HTTP. Dates are YYYY-MM-DD, UTC, both inclusive. Errors: 400, 401, 403, 500 as {"errors": [{"title", "detail"}]}.';

CREATE FUNCTION llm_usage_http.budget_usage(start_date text DEFAULT NULL, end_date text DEFAULT NULL)
  RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  call json;
BEGIN
  call := llm_usage._http_call('budget_usage', json_build_object(
    'start_date', start_date, 'end_date', end_date));
  IF call -> 'refusal' IS NOT NULL THEN
    RETURN llm_usage._respond(call -> 'refusal');
  END IF;
  RETURN (SELECT llm_usage.budget_usage(a.start_date, a.end_date)
            FROM json_to_record(call) AS a (start_date date, end_date date));
EXCEPTION WHEN query_canceled OR others THEN
  RETURN llm_usage._respond_to_error('budget_usage', SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION llm_usage_http.budget_usage(text, text) IS
  'Tyk AI Studio, GET /api/v1/analytics/budget-usage: llm_usage.budget_usage() over HTTP. Dates are YYYY-MM-DD, UTC, both inclusive; left out as in SQL. Errors: 400, 401, 403, 500 as {"errors": [{"title", "detail"}]}.';

CREATE FUNCTION llm_usage_http.token_usage_grouped(
    start_time text DEFAULT NULL, end_time text DEFAULT NULL, VARIADIC group_by text[] DEFAULT '{}')
  RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  call json;
BEGIN
  call := llm_usage._http_call('token_usage_grouped', json_build_object(
    'start_time', start_time, 'end_time', end_time, 'group_by', group_by));
  IF call -> 'refusal' IS NOT NULL THEN
    RETURN llm_usage._respond(call -> 'refusal');
  END IF;
  RETURN (SELECT llm_usage.token_usage_grouped(a.start_time, a.end_time, a.group_by)
            FROM json_to_record(call) AS a (start_time timestamptz, end_time timestamptz, group_by text[]));
EXCEPTION WHEN query_canceled OR others THEN
  RETURN llm_usage._respond_to_error('token_usage_grouped', SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION llm_usage_http.token_usage_grouped(text, text, text[]) IS
  'Arthur GenAI Engine, GET /api/v2/usage/tokens: llm_usage.token_usage_grouped() over HTTP, group_by repeated. Instants are ISO 8601, UTC where they have no offset. Errors: 422 as {"detail": [{"loc", "msg", "type", "input"}]}; 401, 403, 500 as {"detail"}.';

CREATE FUNCTION llm_usage_http.app_usage(
    app_id text DEFAULT NULL, started_after text DEFAULT NULL, started_before text DEFAULT NULL, group_by text DEFAULT NULL)
  RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  call json;
BEGIN
  call := llm_usage._http_app_call('app_usage', json_build_object(
    'app_id', app_id, 'started_after', started_after, 'started_before', started_before, 'group_by', group_by));
  IF call -> 'refusal' IS NOT NULL THEN
    RETURN llm_usage._respond(call -> 'refusal');
  END IF;
  RETURN (SELECT llm_usage.app_usage(a.app_id, a.started_after, a.started_before, a.group_by)
            FROM json_to_record(call) AS a (app_id bigint, started_after timestamptz, started_before timestamptz, group_by text));
EXCEPTION WHEN query_canceled OR others THEN
  RETURN llm_usage._respond_to_error('app_usage', SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION llm_usage_http.app_usage(text, text, text, text) IS
  'Chipp, GET /api/v1/apps/{appId}/analytics/usage: llm_usage.app_usage() over HTTP. app_id is the app''s number or its slug; instants are ISO 8601, UTC where they have no offset; group_by is day, week or month. Errors: 400, 401, 403, 404 (neither registered nor used), 500 as {"error": {"code", "message"}}.';

CREATE FUNCTION llm_usage_http.app_token_usage(
    app_id text DEFAULT NULL, started_after text DEFAULT NULL, started_before text DEFAULT NULL)
  RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  call json;
BEGIN
  call := llm_usage._http_app_call('app_token_usage', json_build_object(
    'app_id', app_id, 'started_after', started_after, 'started_before', started_before));
  IF call -> 'refusal' IS NOT NULL THEN
    RETURN llm_usage._respond(call -> 'refusal');
  END IF;
  RETURN (SELECT llm_usage.app_token_usage(a.app_id, a.started_after, a.started_before)
            FROM json_to_record(call) AS a (app_id bigint, started_after timestamptz, started_before timestamptz));
EXCEPTION WHEN query_canceled OR others THEN
  RETURN llm_usage._respond_to_error('app_token_usage', SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION llm_usage_http.app_token_usage(text, text, text) IS
  'Chipp, GET /api/v1/apps/{appId}/analytics/token-usage: llm_usage.app_token_usage() over HTTP. Arguments and errors as those of app_usage(), without group_by.';

CREATE FUNCTION llm_usage_http.model_usage_statistics(
    model_name text DEFAULT NULL, start_date text DEFAULT NULL, end_date text DEFAULT NULL, chunks text DEFAULT NULL)
  RETURNS json
  LANGUAGE plpgsql STABLE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  call json;
BEGIN
  call := llm_usage._http_call('model_usage_statistics', json_build_object(
    'model_name', model_name, 'start_date', start_date, 'end_date', end_date, 'chunks', chunks));
  IF call -> 'refusal' IS NOT NULL THEN
    RETURN llm_usage._respond(call -> 'refusal');
  END IF;
  RETURN (SELECT llm_usage.model_usage_statistics(a.model_name, a.start_date, a.end_date, a.chunks)
            FROM json_to_record(call) AS a (model_name text, start_date timestamptz, end_date timestamptz, chunks integer));
EXCEPTION WHEN query_canceled OR others THEN
  RETURN llm_usage._respond_to_error('model_usage_statistics', SQLSTATE, SQLERRM);
END $$;
COMMENT ON FUNCTION llm_usage_http.model_usage_statistics(text, text, text, text) IS
  'Scale GenAI Platform, GET /v4/models/{model_name}/usage-statistics: llm_usage.model_usage_statistics() over HTTP; an argument may be left out, empty or the word null. Instants are ISO 8601, UTC where they have no offset. Errors: 422 as {"detail": [{"loc", "msg", "type", "input"}]}; 401, 403, 500 as {"detail"}.';
