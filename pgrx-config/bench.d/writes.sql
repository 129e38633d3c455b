-- The ledger, and the same partitioned table with the same columns, defaults and indexes outside the extension: as it is, with a
-- row trigger that never fires, which is the least that PostgreSQL takes for any trigger of a row, and with a statement trigger
-- that keeps counters.
CREATE EXTENSION llm_usage;
SELECT llm_usage.maintain(1);
SELECT format('CREATE SCHEMA %I', s.name),
       format('CREATE TABLE %I.usage_events (LIKE llm_usage.usage_events INCLUDING ALL) PARTITION BY RANGE (occurred_at)', s.name)
  FROM (VALUES ('plain'), ('triggered'), ('counters')) s (name)
\gexec
SELECT format('CREATE TABLE %1$I.%2$I (LIKE llm_usage.%2$I INCLUDING ALL)', s.name, c.relname),
       format('ALTER TABLE %1$I.usage_events ATTACH PARTITION %1$I.%2$I %3$s', s.name, c.relname, pg_get_expr(c.relpartbound, c.oid))
  FROM (VALUES ('plain'), ('triggered'), ('counters')) s (name),
       pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'llm_usage.usage_events'::regclass
 ORDER BY s.name, c.relname
\gexec
CREATE TRIGGER never BEFORE INSERT ON triggered.usage_events FOR EACH ROW
  WHEN (NEW.model IS NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger();

CREATE TABLE counters.app_day (
  app_id bigint, day date, requests bigint, total_tokens bigint, cost numeric, PRIMARY KEY (app_id, day)) WITH (fillfactor = 50);
-- In the order of the key, or writers of many rows wait for each other in a circle.
CREATE FUNCTION counters.add_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO counters.app_day AS kept
  SELECT n.app_id, (n.occurred_at AT TIME ZONE 'UTC')::date, count(*),
         sum(n.prompt_tokens::bigint + n.cache_read_tokens + n.cache_write_tokens + n.completion_tokens), sum(n.cost)
    FROM new_rows n
   GROUP BY 1, 2 ORDER BY 1, 2
  ON CONFLICT (app_id, day) DO UPDATE SET
    requests = kept.requests + excluded.requests,
    total_tokens = kept.total_tokens + excluded.total_tokens,
    cost = kept.cost + excluded.cost;
  RETURN NULL;
END $$;
CREATE TRIGGER add_up AFTER INSERT ON counters.usage_events REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION counters.add_up();

-- What OpenAI answers, one and a hundred; @ stands for what makes its id another each time.
CREATE TABLE public.responses AS
WITH response AS (
  SELECT n, json_build_object(
           'id', 'chatcmpl-@-' || n, 'object', 'chat.completion', 'created', 1760000000 + n, 'model', 'gpt-4.1-2025-04-14',
           'choices', json_build_array(json_build_object(
             'index', 0, 'finish_reason', 'stop', 'logprobs', NULL,
             'message', json_build_object('role', 'assistant', 'content', repeat('Fifteen words say what was asked for. ', 15), 'refusal', NULL))),
           'usage', json_build_object(
             'prompt_tokens', 1200, 'completion_tokens', 300, 'total_tokens', 1500,
             'prompt_tokens_details', json_build_object('cached_tokens', 200, 'audio_tokens', 0),
             'completion_tokens_details', json_build_object('reasoning_tokens', 0, 'audio_tokens', 0, 'accepted_prediction_tokens', 0,
                                                            'rejected_prediction_tokens', 0)),
           'service_tier', 'default', 'system_fingerprint', 'fp_0123456789') AS body
    FROM generate_series(1, 100) n)
SELECT min(body::text) FILTER (WHERE n = 1) AS one,
       json_agg(json_build_object('provider', 'openai', 'app_id', n, 'user_id', 5, 'response', body))::text AS hundred
  FROM response;
