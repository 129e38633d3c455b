-- What providers answered, and spans that tell of it. A response can bill several models: it has a row for each event.
CREATE FUNCTION llm_usage.record_response(
    provider text,
    response jsonb,
    app_id bigint DEFAULT 0,
    llm_id bigint DEFAULT 0,
    user_id bigint DEFAULT NULL,
    model text DEFAULT NULL,
    cost numeric DEFAULT NULL,
    currency text DEFAULT NULL,
    occurred_at timestamptz DEFAULT NULL,
    task_id text DEFAULT NULL,
    rule_type text DEFAULT NULL,
    inference_tokens bigint DEFAULT NULL,
    request_id text DEFAULT NULL,
    attrs jsonb DEFAULT NULL,
    vendor text DEFAULT NULL,
    service_tier text DEFAULT NULL,
    quality text DEFAULT NULL,
    source text DEFAULT NULL)
  RETURNS SETOF llm_usage.recorded
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  RETURN QUERY
  SELECT r.id, r.status, r.cost, r.currency
    FROM llm_usage._record_response(provider, response::text, jsonb_build_object(
           'app_id', app_id, 'llm_id', llm_id, 'user_id', user_id, 'model', model, 'cost', cost, 'currency', currency,
           'occurred_at', occurred_at AT TIME ZONE 'UTC', 'task_id', task_id, 'rule_type', rule_type,
           'inference_tokens', inference_tokens, 'request_id', request_id, 'attrs', attrs, 'vendor', vendor,
           'service_tier', service_tier, 'quality', quality, 'source', source)::text) r;
END $$;
COMMENT ON FUNCTION llm_usage.record_response(text, jsonb, bigint, bigint, bigint, text, numeric, text, timestamptz, text, text, bigint, text, jsonb, text, text, text, text) IS
  'Records the usage that a provider''s response reports: the body, or the array of the events of a stream or a session, or of the lines of a batch file. Token kinds come out disjoint by the rules of the provider''s format; what its total says otherwise is kept in unaccounted_tokens, what it says the response cost in reported_cost. vendor, model, request_id and service_tier are the response''s, unless given: its own id makes a request key, too, but that of Ollama, which repeats. A stream that broke off is of quality partial, and superseded by the whole one. Returns as record_usage(), a row for each event: the response''s own first, then those that it bills of other models, with #2, … behind its request_id. A given cost is that of them all and counted once. Errors: 22004 for NULL, or without a model; 22023 for an unknown provider, a count that cannot be, or a response without usage, which is not a usage of zero.';

CREATE FUNCTION llm_usage.record_response_batch(responses json, all_or_nothing boolean DEFAULT false) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN llm_usage._record_response_batch(responses, all_or_nothing);
END $$;
COMMENT ON FUNCTION llm_usage.record_response_batch(json, boolean) IS
  'Records an array of responses in one statement (a json, since it is read once, as it came; cast a jsonb), each an object of provider, response and any other argument of record_response(); occurred_at is ISO 8601, UTC where it has no offset. Returns as record_usage_batch(): a response that bills several models has several ids. A bad element does not keep the others out, unless all_or_nothing: then it is an error (22023, 22004) and nothing is recorded. Errors: 22004 for NULL, 22023 for anything but an array.';

CREATE FUNCTION llm_usage.record_spans(
    export jsonb,
    app_id bigint DEFAULT 0,
    llm_id bigint DEFAULT 0,
    user_id bigint DEFAULT NULL,
    vendor text DEFAULT NULL,
    attrs jsonb DEFAULT NULL,
    source text DEFAULT NULL,
    all_or_nothing boolean DEFAULT false)
  RETURNS json
  LANGUAGE sql
  BEGIN ATOMIC
    SELECT llm_usage._record_spans(export::text, jsonb_build_object(
             'app_id', app_id, 'llm_id', llm_id, 'user_id', user_id, 'vendor', vendor, 'attrs', attrs, 'source', source)::text,
           all_or_nothing);
  END;
COMMENT ON FUNCTION llm_usage.record_spans(jsonb, bigint, bigint, bigint, text, jsonb, text, boolean) IS
  'Records the model calls of an OTLP/JSON export, of an array of spans, or of one span, by OpenTelemetry''s gen_ai.* attributes (current and older names) or OpenInference''s llm.token_count.*. Spans of agents, chains and tools, and model calls that repeat those below them in the same export, are no requests. Vendor, model and time (the start) are the span''s; its trace and span id are the request_id. Of a span that an export has more than once the last copy is taken. Returns as record_usage_batch(); index counts all spans of the export from 0. Errors: 22004 for NULL, 22023 for what has no spans, though an export may be empty; with all_or_nothing also for a bad span.';
