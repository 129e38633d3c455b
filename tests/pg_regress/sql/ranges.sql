-- Between any instants no question has to read a month for a few minutes, nor the hours of all time for those of a day: it has an index.
SET timezone = 'UTC';
INSERT INTO llm_usage.reported_attrs VALUES ('team');
SELECT count(*) > 0 AS made FROM llm_usage.maintain();
INSERT INTO llm_usage.usage_events (occurred_at, app_id, user_id, model, rule_type, prompt_tokens, cost, attrs)
SELECT timestamptz '2025-06-01Z' + n * interval '17 minutes', n % 7, n % 5, 'm' || n % 3, CASE WHEN n % 4 = 0 THEN 'pii' END, n, 0,
       jsonb_build_object('team', n % 3)
  FROM generate_series(1, 2400) n;
INSERT INTO llm_usage.sessions (app_id, consumer_id, started_at)
SELECT n % 7, 'c' || n % 9, timestamptz '2025-06-01Z' + n * interval '1 hour' FROM generate_series(1, 600) n;
SELECT count(*) > 0 AS moved FROM llm_usage.maintain();
SELECT llm_usage.fold() > 0 AS folded;
SELECT llm_usage.verify();
CREATE VIEW questions AS
  SELECT q.question, regexp_replace(regexp_replace(q.question, '\mF\M', '''2025-06-03T05:17:33Z'''), '\mT\M', '''2025-06-05T21:42:11Z''') AS asked
    FROM unnest(ARRAY[
      'active_users(F, T)', 'active_users(F, T, 1)', 'app_activity(NULL, F, T)', 'app_activity(1, F, T)', 'app_token_usage(1, F, T)',
      'app_usage(1, F, T)', 'attr_activity(''team'', F, T)', 'entity_activity(F, T)', 'model_activity(NULL, F, T)',
      'model_activity(''m1'', F, T)', 'model_activity_between(''m1'', ARRAY[F::timestamptz], T)', 'model_usage_statistics(''m1'', F, T)',
      'rule_activity(F, T)', 'session_activity(NULL, F, T)', 'session_activity(1, F, T)', 'session_consumers(1, F, T)',
      'session_consumers(NULL, F, T)', 'token_usage_grouped(F, T)', 'token_usage_grouped(F, T, ''{task}'')', 'user_activity(NULL, F, T)',
      'user_activity(1, F, T)']) q (question);
CREATE TABLE read_to_the_end (question text, relation text);
-- A session whose counts begin at 0. The tables are small: by itself the server would read all of them.
\c -
SET timezone = 'UTC';
SET enable_seqscan = off;
DO $$
DECLARE
  q questions;
BEGIN
  FOR q IN TABLE questions LOOP
    EXECUTE format('SELECT count(*) FROM llm_usage.%s', q.asked);
    INSERT INTO public.read_to_the_end
    SELECT q.question, t.relname FROM pg_stat_xact_user_tables t
     WHERE t.schemaname = 'llm_usage' AND t.relname ~ '^(usage_events|sessions|messages)_2025|_hour$|_5min$' AND t.seq_tup_read > 0
       AND NOT EXISTS (SELECT FROM read_to_the_end r WHERE r.relation = t.relname);
  END LOOP;
END $$;
RESET enable_seqscan;
SELECT * FROM read_to_the_end ORDER BY question, relation;
-- That would have come to light.
BEGIN;
SELECT count(*) FROM llm_usage.usage_events_2025_06;
SELECT t.seq_tup_read > 0 AS read FROM pg_stat_xact_user_tables t WHERE t.relid = 'llm_usage.usage_events_2025_06'::regclass;
ROLLBACK;

-- What they say of all apps is what the events say.
SELECT llm_usage.active_users('2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') = count(DISTINCT e.user_id) AS users,
       (SELECT sum(a.input_tokens) FROM llm_usage.app_activity(NULL, '2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') a) = sum(e.prompt_tokens) AS apps,
       (SELECT sum(a.input_tokens) FROM llm_usage.app_activity(1, '2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') a)
         = sum(e.prompt_tokens) FILTER (WHERE e.app_id = 1) AS app,
       (SELECT sum(a.input_tokens) FROM llm_usage.user_activity(NULL, '2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') a) = sum(e.prompt_tokens) AS all_users,
       llm_usage.token_usage_grouped('2025-06-03T05:17:33Z', '2025-06-05T21:42:11Z') #>> '{0,count,prompt}'
         = (sum(e.prompt_tokens) FILTER (WHERE e.rule_type IS NOT NULL))::text AS rules
  FROM llm_usage.usage_events e WHERE e.occurred_at >= '2025-06-03T05:17:33Z' AND e.occurred_at < '2025-06-05T21:42:11Z';

-- Hours that are cut at the turn of a month, some of whose events are still in the default partition.
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, rule_type, prompt_tokens, cost)
SELECT at, 1 + n % 3, 'm', 'turn', 1 << n::integer, 0
  FROM unnest('{2025-05-31 23:59:59.999999Z, 2025-06-01Z, 2025-06-30 23:59:59.999999Z, 2025-07-01Z, 2025-07-31 23:59:59.999999Z, 2025-08-01Z}'::timestamptz[])
       WITH ORDINALITY a (at, n);
SELECT llm_usage.fold() AS folded;
SELECT count(*) AS bounds, count(DISTINCT e.tokens) AS sums, count(*) FILTER (WHERE e.tokens = a.tokens) AS the_same
  FROM (SELECT f, t
          FROM unnest('{2025-05-31 23:59:59.999998Z, 2025-05-31 23:59:59.999999Z, 2025-06-01 00:00:00.000001Z, 2025-06-30 23:30Z, 2025-06-30 23:59:59.999999Z,
                        2025-07-01 00:00:00.000001Z, 2025-07-31 23:59:59.999999Z, 2025-08-01 00:00:00.000001Z}'::timestamptz[]) f,
               unnest('{2025-06-01 00:00:00.000001Z, 2025-06-30 23:59:59.999999Z, 2025-07-01 00:00:00.000001Z, 2025-07-31 23:59:59.999999Z,
                        2025-08-01 00:00:00.000001Z, 2025-08-01 00:59Z}'::timestamptz[]) t) b,
       LATERAL (SELECT coalesce(sum(e.prompt_tokens), 0) AS tokens
                  FROM llm_usage.usage_events e WHERE e.rule_type = 'turn' AND e.occurred_at >= b.f AND e.occurred_at < b.t) e,
       LATERAL (SELECT coalesce(sum((r #>> '{count,prompt}')::bigint), 0) AS tokens
                  FROM json_array_elements(llm_usage.token_usage_grouped(b.f, b.t)) r WHERE r ->> 'rule_type' = 'turn') a;
