-- For BI tools, which read JSON or, with Accept: text/csv, CSV, filtered and ordered by the query.
CREATE VIEW llm_usage_http.usage_by_day WITH (security_invoker) AS TABLE llm_usage.usage_by_day;
COMMENT ON VIEW llm_usage_http.usage_by_day IS 'llm_usage.usage_by_day over HTTP.';
CREATE VIEW llm_usage_http.usage_by_app WITH (security_invoker) AS TABLE llm_usage.usage_by_app;
COMMENT ON VIEW llm_usage_http.usage_by_app IS 'llm_usage.usage_by_app over HTTP.';
CREATE VIEW llm_usage_http.usage_by_model WITH (security_invoker) AS TABLE llm_usage.usage_by_model;
COMMENT ON VIEW llm_usage_http.usage_by_model IS 'llm_usage.usage_by_model over HTTP.';
CREATE VIEW llm_usage_http.usage_by_user WITH (security_invoker) AS TABLE llm_usage.usage_by_user;
COMMENT ON VIEW llm_usage_http.usage_by_user IS 'llm_usage.usage_by_user over HTTP.';
CREATE VIEW llm_usage_http.active_users_by_day WITH (security_invoker) AS TABLE llm_usage.active_users_by_day;
COMMENT ON VIEW llm_usage_http.active_users_by_day IS 'llm_usage.active_users_by_day over HTTP.';
CREATE VIEW llm_usage_http.budget_status WITH (security_invoker) AS TABLE llm_usage.budget_status;
COMMENT ON VIEW llm_usage_http.budget_status IS 'llm_usage.budget_status over HTTP.';
CREATE VIEW llm_usage_http.unpriced_models WITH (security_invoker) AS TABLE llm_usage.unpriced_models;
COMMENT ON VIEW llm_usage_http.unpriced_models IS 'llm_usage.unpriced_models over HTTP.';
CREATE VIEW llm_usage_http.cost_drift WITH (security_invoker) AS TABLE llm_usage.cost_drift;
COMMENT ON VIEW llm_usage_http.cost_drift IS 'llm_usage.cost_drift over HTTP.';

CREATE FUNCTION llm_usage_http.openapi() RETURNS json
  LANGUAGE sql STABLE
  RETURN llm_usage._openapi();
COMMENT ON FUNCTION llm_usage_http.openapi() IS 'The OpenAPI 3.0 document of every path that is answered over HTTP, open to everybody.';
