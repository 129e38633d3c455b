-- Rollups: what is folded and what is not answer the same; verify() tells, rebuild() puts right; a month is dropped.
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'ISO';
\set VERBOSITY default
\set SHOW_CONTEXT never
-- An empty database.
SELECT llm_usage.fold();
SELECT llm_usage.verify();
SELECT llm_usage.rebuild();
SELECT ledger, events, folded_up_to, tail_events, tail_age, last_fold_at, last_fold_events, last_fold_took, held_by_pid, held_since,
       held_by_query, unpriced_events, months_to_rebuild FROM llm_usage.status();

CREATE VIEW answers AS
  SELECT llm_usage.token_usage_for_app('2025-01-01', '2025-03-31', 7) AS by_day,
         llm_usage.app_token_usage(7, '2025-01-31 22:30:00.000001Z', '2025-03-01 00:10Z') -> 'data' AS by_model,
         llm_usage.model_usage_statistics('m', '2025-01-31 23:59:59.999999Z', '2025-02-02 00:04:59.999999Z', 2) -> 'data' AS parts,
         llm_usage.app_usage(7) -> 'data' -> 'summary' AS chats,
         (SELECT json_agg(a ORDER BY a) FROM llm_usage.user_activity(NULL, '2025-01-31 23:59Z', '2025-02-02 11:11:11Z') a) AS users,
         llm_usage.active_users('2025-02-01 00:00:01Z') AS active, llm_usage.active_users(for_app => 7) AS active_of_app;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, llm_id, user_id, model, prompt_tokens, cache_read_tokens, completion_tokens, cost)
  SELECT timestamptz '2025-01-31 21:00Z' + n * interval '17 minutes 3.000001 seconds', 7 + n % 2, n % 3, n % 5, 'm', n, 2 * n, 3, 0.001 * n
    FROM generate_series(0, 99) n;
SELECT llm_usage.maintain(0) IS NOT NULL AS maintained;
SELECT count(*) FROM (SELECT llm_usage.record_session(7, 'c' || n % 4, timestamptz '2025-02-01Z' + n * interval '1 hour') FROM generate_series(1, 9) n) s;
SELECT count(*) FROM (SELECT llm_usage.record_message(7, NULL, timestamptz '2025-02-01Z' + n * interval '7 hours') FROM generate_series(1, 9) n) s;
CREATE TABLE unfolded AS SELECT a::text FROM answers a;
SELECT * FROM answers \gx
SELECT llm_usage.fold();
SELECT llm_usage.fold();
SELECT a::text = u.a AS same FROM answers a, unfolded u;
SELECT llm_usage.verify();

-- Late, without a price, a correction, bounded steps, and a transaction that is rolled back.
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, user_id, prompt_tokens) VALUES ('2025-01-31 23:00Z', 7, 'unknown', 99, 5);
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, cost, corrects) VALUES ('2025-01-31 21:00Z', 7, 'm', -1, -0.5, 1);
BEGIN;
INSERT INTO llm_usage.usage_events (app_id, model) SELECT 7, 'm' FROM generate_series(1, 10);
SELECT llm_usage.fold();
ROLLBACK;
SELECT ledger, events, folded_up_to, tail_events, unpriced_events FROM llm_usage.status();
TRUNCATE unfolded;
INSERT INTO unfolded SELECT a::text FROM answers a;
SELECT llm_usage.fold(at_most => 1), llm_usage.fold(at_most => 100);
SELECT a::text = u.a AS same FROM answers a, unfolded u;
SELECT ledger, events, folded_up_to, tail_events, unpriced_events FROM llm_usage.status();
SELECT day, users, users_7_days, users_30_days FROM llm_usage.active_users_by_day ORDER BY day;

-- What someone did to a rollup comes to light, and is put right.
UPDATE llm_usage._by_app_day SET cost = cost + 1 WHERE app_id = 7 AND bucket = '2025-02-01Z';
DELETE FROM llm_usage._by_model_5min WHERE bucket = '2025-01-31 21:00Z';
SELECT rollup, found ->> 'cost' AS found, expected ->> 'cost' AS expected FROM llm_usage.verify() ORDER BY rollup, found, expected;
UPDATE llm_usage._active_users_hour SET users = '\x' WHERE app_id = 8 AND bucket = '2025-02-01 01:00Z';
UPDATE llm_usage._by_model_5min SET points = '\xff' WHERE bucket = '2025-02-01Z';
SELECT * FROM llm_usage.verify() WHERE found ? 'error';
SELECT llm_usage.rebuild(0);
SELECT DISTINCT months_to_rebuild FROM llm_usage.status();
SELECT llm_usage.rebuild(1);
SELECT llm_usage.rebuild();
SELECT llm_usage.verify();
SELECT a::text = u.a AS same FROM answers a, unfolded u;

-- A month that is dropped is answered as before, by whole hours.
SELECT llm_usage.drop_month('2025-01-15');
SELECT llm_usage.drop_month('2025-01-15');
SELECT count(*) FROM llm_usage.usage_events WHERE occurred_at < '2025-02-01Z';
SELECT a.by_day::text = (u.a::answers).by_day::text AS same FROM (SELECT llm_usage.token_usage_for_app('2025-01-01', '2025-03-31', 7) AS by_day) a, unfolded u;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, cost) VALUES ('2025-01-31 20:00Z', 7, 'm', 1000, 0);
SELECT llm_usage.token_usage_for_app('2025-01-31', '2025-01-31', 7);
SELECT llm_usage.fold();
SELECT llm_usage.token_usage_for_app('2025-01-31', '2025-01-31', 7);
SELECT llm_usage.rebuild();
SELECT llm_usage.token_usage_for_app('2025-01-31', '2025-01-31', 7);
SELECT llm_usage.verify();
SELECT llm_usage.app_token_usage(7, '2025-01-31 21:00:00.000001Z');
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.app_token_usage(7, '2025-01-31 21:00Z', '2025-02-01Z') -> 'data' -> 'total';
SELECT llm_usage.model_usage_statistics('m', '2025-01-31 21:00:00.000001Z', '2025-02-01Z', 1) -> 'data';

-- So many events of a model in 5 minutes that each fold would write more and more anew: most points are in chunks.
CREATE FUNCTION write_busy(events integer) RETURNS integer BEGIN ATOMIC
  INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, completion_tokens, cost)
    SELECT timestamptz '2025-03-05 10:01Z' + n * interval '0.023 seconds', 7, 'busy', n, 1, 0 FROM generate_series(1, events) n;
  SELECT events;
END;
CREATE VIEW busy AS
  SELECT 'row' AS what, k.chunks, k.requests, length(k.points) > 0 AS has_points FROM llm_usage._by_model_5min k JOIN llm_usage._lines l ON l.number = k.line
   WHERE l.model = 'busy'
  UNION ALL
  SELECT 'chunk', k.chunk, NULL, length(k.points) > 0 FROM llm_usage._by_model_points k JOIN llm_usage._lines l ON l.number = k.line
   WHERE l.model = 'busy';
SELECT write_busy(3000), llm_usage.fold();
SELECT write_busy(2), llm_usage.fold();
SELECT write_busy(1), llm_usage.fold();
SELECT * FROM busy ORDER BY what DESC, chunks;
-- What fills the row moves on when more comes, and many at once are a chunk by themselves.
DO $$ BEGIN
  FOR turn IN 1..5 LOOP
    PERFORM write_busy(99);
    PERFORM llm_usage.fold();
  END LOOP;
END $$;
SELECT * FROM busy ORDER BY what DESC, chunks;
SELECT write_busy(201), llm_usage.fold();
SELECT * FROM busy ORDER BY what DESC, chunks;
SELECT part, requests, input_tokens FROM llm_usage.model_activity_between('busy', '{2025-03-05 10:00Z,2025-03-05 10:01:00.046Z}', '2025-03-05 11:00Z');
SELECT d ->> 'prompt_tokens' FROM json_array_elements(
  llm_usage.model_usage_statistics('busy', '2025-03-05 10:01:00.046Z', '2025-03-05 10:01:00.092Z', 2) -> 'data') d;
SELECT width_bucket(occurred_at, '{2025-03-05 10:00Z,2025-03-05 10:01:00.046Z,2025-03-05 10:01:00.069Z,2025-03-05 10:01:00.092Z}'::timestamptz[]) AS part,
       count(*), sum(prompt_tokens)
  FROM llm_usage.usage_events WHERE model = 'busy' GROUP BY 1 ORDER BY 1;
SELECT llm_usage.verify();
-- The sums that stand beside the points, too.
CREATE FUNCTION flip() RETURNS void BEGIN ATOMIC
  UPDATE llm_usage._by_model_points k SET points = set_byte(k.points, 6, get_byte(k.points, 6) # 1) FROM llm_usage._lines l
   WHERE l.number = k.line AND l.model = 'busy' AND k.chunk = 0;
  UPDATE llm_usage._by_app_points k SET points = set_byte(k.points, 6, get_byte(k.points, 6) # 1) FROM llm_usage._lines l
   WHERE l.number = k.line AND l.model = 'busy' AND k.chunk = 0;
END;
SELECT flip();
SELECT rollup, found ->> 'chunk' AS found, expected ->> 'chunk' AS expected FROM llm_usage.verify() ORDER BY 1, 2, 3;
SELECT flip();
SELECT llm_usage.verify();
-- A chunk that is in no row's count, and sums and counts that are others.
UPDATE llm_usage._by_model_points k SET chunk = 7 FROM llm_usage._lines l WHERE l.number = k.line AND l.model = 'busy' AND k.chunk = 1;
SELECT rollup, found ->> 'chunk' AS found, expected ->> 'chunk' AS expected FROM llm_usage.verify() ORDER BY 1, 2, 3;
UPDATE llm_usage._by_model_points k SET chunk = 1 FROM llm_usage._lines l WHERE l.number = k.line AND l.model = 'busy' AND k.chunk = 7;
SELECT llm_usage.verify();
UPDATE llm_usage._by_model_5min k SET requests = k.requests + 1 FROM llm_usage._lines l WHERE l.number = k.line AND l.model = 'busy';
SELECT rollup, found ->> 'requests' AS found, expected ->> 'requests' AS expected FROM llm_usage.verify() WHERE rollup = '_by_model_5min' ORDER BY 2, 3;
UPDATE llm_usage._by_model_5min k SET requests = k.requests - 1, chunks = k.chunks + 1 FROM llm_usage._lines l WHERE l.number = k.line AND l.model = 'busy';
SELECT rollup, found ->> 'chunks' AS found, expected ->> 'chunks' AS expected FROM llm_usage.verify() ORDER BY 1, 2, 3;
SELECT llm_usage.rebuild();
SELECT llm_usage.verify();

-- An app's hour that fills little by little: what there is no room for in the row moves on, and the row begins anew.
DO $$ BEGIN
  FOR turn IN 1..6 LOOP
    INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, completion_tokens, cost)
      SELECT timestamptz '2025-03-06 10:01Z' + (n * 6 + turn) * interval '7.7 seconds', 70, 'm', n, 1, 0 FROM generate_series(0, 59) n;
    PERFORM llm_usage.fold();
  END LOOP;
END $$;
SELECT k.requests, length(k.points) > 0 AS has_points, k.chunks AS counted, array(SELECT c.chunk FROM llm_usage._by_app_points c WHERE c.app_id = 70 ORDER BY 1) AS chunks
  FROM llm_usage._by_app_hour k WHERE k.app_id = 70;
SELECT llm_usage.app_token_usage(70, '2025-03-06 10:10:10Z', '2025-03-06 10:40:40Z') #> '{data,total}' AS answer, count(*), sum(prompt_tokens)
  FROM llm_usage.usage_events WHERE app_id = 70 AND occurred_at >= '2025-03-06 10:10:10Z' AND occurred_at < '2025-03-06 10:40:40Z';
SELECT llm_usage.verify();
DELETE FROM llm_usage._by_app_points WHERE app_id = 70;
SELECT rollup, found ->> 'app_id' AS found, expected ->> 'app_id' AS expected FROM llm_usage.verify() ORDER BY 1, 2, 3;
SELECT llm_usage.rebuild();
SELECT llm_usage.verify();

-- Batches of any size into the same minutes, folded one by one: between any instants what the events say.
DO $$ BEGIN
  PERFORM setseed(0.5);
  FOR turn IN 1..60 LOOP
    INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, completion_tokens, cost)
      SELECT timestamptz '2025-03-07 10:00Z' + random() * interval '8 minutes', 71, 'many', n, n % 7, 0
        FROM generate_series(1, (ARRAY[1, 2, 5, 60, 150, 200, 201, 320, 700])[1 + floor(random() * 9)::integer]) n;
    PERFORM llm_usage.fold();
  END LOOP;
END $$;
SELECT k.chunks > 10 AS has_chunks, k.points <> '' AS has_points FROM llm_usage._by_app_hour k WHERE k.app_id = 71
 UNION ALL
SELECT bool_and(k.chunks > 10), bool_and(k.points <> '') FROM llm_usage._by_model_5min k JOIN llm_usage._lines l ON l.number = k.line WHERE l.model = 'many';
SELECT llm_usage.verify();
SELECT count(*), count(DISTINCT e.sums) > 90 AS differ, count(*) FILTER (WHERE e.sums = a.sums) AS by_app, count(*) FILTER (WHERE e.sums = m.sums) AS by_model,
       count(*) FILTER (WHERE e.sums = b.sums) AS by_sql
  FROM (SELECT least(i.a, i.b) AS first, greatest(i.a, i.b) + interval '1 microsecond' AS last
          FROM (SELECT timestamptz '2025-03-07 09:59Z' + random() * interval '10 minutes' AS a, timestamptz '2025-03-07 09:59Z' + random() * interval '10 minutes' AS b
                  FROM generate_series(1, 100)) i) r,
       LATERAL (SELECT concat(sum(e.prompt_tokens), ',', sum(e.completion_tokens)) AS sums
                  FROM llm_usage.usage_events e WHERE e.app_id = 71 AND e.occurred_at >= r.first AND e.occurred_at < r.last) e,
       LATERAL (SELECT llm_usage.app_token_usage(71, r.first, r.last) #> '{data,total}' AS answer OFFSET 0) t,
       LATERAL (SELECT concat(nullif(t.answer ->> 'input_tokens', '0'), ',', nullif(t.answer ->> 'output_tokens', '0')) AS sums) a,
       LATERAL (SELECT llm_usage.model_usage_statistics('many', r.first, r.last, 1) #> '{data,0}' AS answer OFFSET 0) s,
       LATERAL (SELECT concat(nullif(s.answer ->> 'prompt_tokens', '0'), ',', nullif(s.answer ->> 'response_tokens', '0')) AS sums) m,
       LATERAL (SELECT concat(sum(b.input_tokens), ',', sum(b.completion_tokens)) AS sums
                  FROM llm_usage.model_activity_between('many', ARRAY[r.first], r.last) b) b;

-- A sequence that jumps ahead.
SELECT setval('llm_usage.usage_events_id_seq', 1000000000000);
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (7, 'm', 1, 0);
SELECT llm_usage.fold();
SELECT folded_up_to, tail_events FROM llm_usage.status() WHERE ledger = 'usage_events';

-- A sequence that lets sessions draw ahead.
ALTER SEQUENCE llm_usage.usage_events_id_seq CACHE 10;
SELECT llm_usage.fold();
ALTER SEQUENCE llm_usage.usage_events_id_seq CACHE 1;
SELECT llm_usage.fold();

-- One that was set back: what comes next would not be found.
BEGIN;
ALTER SEQUENCE llm_usage.messages_id_seq RESTART WITH 1;
INSERT INTO llm_usage._fold_progress (ledger, folded_up_to) VALUES ('messages', 5) ON CONFLICT (ledger) DO UPDATE SET folded_up_to = 5;
SAVEPOINT s;
INSERT INTO llm_usage.messages (app_id) VALUES (7);
ROLLBACK TO s;
SELECT llm_usage.fold();
ROLLBACK;
-- As it is in a database that was restored without what its sequences hold, for a session that has written, and one that has not.
BEGIN;
INSERT INTO llm_usage.usage_events (app_id, model) VALUES (7, 'm');
SELECT p.folded_up_to AS folded FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events' \gset
SELECT setval('llm_usage.usage_events_id_seq', :folded - 100) > 0 AS is_set_back;
SAVEPOINT s;
\set VERBOSITY sqlstate
INSERT INTO llm_usage.usage_events (app_id, model) VALUES (7, 'm');
ROLLBACK TO s;
SELECT llm_usage.record_usage('m', request_id => 'set back');
ROLLBACK TO s;
SELECT setval('llm_usage.usage_events_id_seq', :folded - 100) > 0 AS is_set_back;
COMMIT;
\c
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'ISO';
INSERT INTO llm_usage.usage_events (app_id, model) VALUES (7, 'm');
SELECT llm_usage.record_usage_batch('[{"model": "m"}, {"model": "m"}]');
\set VERBOSITY default
SELECT setval('llm_usage.usage_events_id_seq', greatest(:folded, (SELECT max(id) FROM llm_usage.usage_events))) > 0 AS is_put_right;
INSERT INTO llm_usage.usage_events (app_id, model) VALUES (7, 'm');
SELECT llm_usage.fold();
-- A key that is known needs no id, which the fold would wait for.
BEGIN;
SELECT json_array_length(llm_usage.record_usage_batch('[{"model": "m", "request_id": "twice"}]') -> 'known') AS known FROM generate_series(1, 2);
SELECT llm_usage.fold();
COMMIT;

-- All tables can be published, and are changed as before.
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relkind = 'r' AND c.relreplident = 'd'
   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary);

-- Errors.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT llm_usage.fold();
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT llm_usage.rebuild();
ROLLBACK;
SELECT llm_usage.fold(at_most => 0);
SELECT llm_usage.rebuild(-1);
SELECT llm_usage.drop_month(NULL);
SELECT llm_usage.drop_month('infinity');
SELECT llm_usage.drop_month('0044-03-15 BC');
INSERT INTO llm_usage.usage_events (occurred_at, model) VALUES ('2025-02-01Z', 'm');
SELECT llm_usage.drop_month('2025-02-01');

-- A sum has the digits of its parts, however the server stores them.
BEGIN;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, cost)
SELECT '2025-05-05 05:05:05+00', 77, 'm' || c.n, c.cost
  FROM (VALUES (1, 0), (2, 0.000), (3, 1), (4, 10000), (5, 100000000), (6, 0.0001), (7, 0.00010), (8, 0.00001), (9, 1.5),
               (10, 9999.9999), (11, 10000.00001), (12, 999999999999999), (13, 99999999999999.999999999),
               (14, 0.000000000000000000000000000000000000000000000000000000000001),
               (15, 123456789012345.123456789012345678901234567890123456789012345678901234567890), (16, NULL),
               (17, 0.100000000000000000000000000000000000000), (18, 20000000.0002000)) c (n, cost)
 CROSS JOIN generate_series(1, 2);
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, cost, corrects)
SELECT '2025-05-05 05:05:05+00', 77, 'c' || c.n, c.cost, 1
  FROM (VALUES (1, -0.00012), (2, -999999999999999999999999999999.000000000000000000000000000001), (3, -10000), (4, 5e29),
               (5, -0.5)) c (n, cost)
 CROSS JOIN generate_series(1, 3);
SELECT llm_usage.fold() > 0 AS folded;
SELECT e.model, e.cost AS expected, r.cost AS found
  FROM (SELECT e.model, coalesce(sum(e.cost), 0) AS cost FROM llm_usage.usage_events e WHERE e.app_id = 77 GROUP BY 1) e
  LEFT JOIN (SELECT l.model, k.cost FROM llm_usage._by_app_hour k JOIN llm_usage._lines l ON l.number = k.line WHERE k.app_id = 77) r
    ON r.model = e.model AND r.cost::text = e.cost::text
 WHERE r.model IS NULL;
SELECT k.cost, k.cost::text = (SELECT sum(e.cost)::text FROM llm_usage.usage_events e WHERE e.app_id = 77) AS is_exact
  FROM llm_usage._by_entity_day k WHERE k.entity_type = 'App' AND k.entity_id = 77;
SELECT * FROM llm_usage.verify();
ROLLBACK;

-- Who folds in the middle of writing passes no id that is still to be written; the next fold goes on.
CREATE FUNCTION fold_now() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM llm_usage.fold(); RETURN NEW; END $$;
CREATE FUNCTION write_and_fold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.model <> 'inner' THEN
    INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'inner', 1, 0);
    PERFORM llm_usage.fold();
  END IF;
  RETURN NEW;
END $$;
SELECT llm_usage.fold() >= 0 AS folded;
CREATE VIEW app_78 AS
  SELECT (SELECT sum(a.requests) FROM llm_usage.app_activity(78) a) AS reported, (SELECT count(*) FROM llm_usage.usage_events e WHERE e.app_id = 78) AS recorded,
         (SELECT s.tail_events FROM llm_usage.status() s WHERE s.ledger = 'usage_events') AS tail;
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'x', 10 + 0 * llm_usage.fold()::integer, 0), (78, 'x', 10 + 0 * llm_usage.fold()::integer, 0);
TABLE app_78;
-- Also in the first transaction after one that was rolled back.
BEGIN;
INSERT INTO llm_usage.usage_events (app_id, model, cost) VALUES (78, 'x', 0);
ROLLBACK;
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'x', 10 + 0 * llm_usage.fold()::integer, 0);
TABLE app_78;
INSERT INTO llm_usage.messages (app_id) VALUES (78 + 0 * llm_usage.fold()::integer);
SELECT sum(messages) AS messages FROM llm_usage.session_activity(78);
CREATE TRIGGER a_fold BEFORE INSERT ON llm_usage.usage_events FOR EACH STATEMENT EXECUTE FUNCTION fold_now();
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'x', 1, 0), (78, 'x', 1, 0);
SELECT status FROM llm_usage.record_usage('x', app_id => 78, cost => 0, request_id => 'in flight') r;
SELECT status FROM llm_usage.record_usage('x', app_id => 78, cost => 0, request_id => 'in flight') r;
SELECT llm_usage.record_usage_batch('[{"model": "x", "app_id": 78, "cost": 0, "request_id": "in flight 2"}, {"model": "x", "app_id": 78, "cost": 0}]') ->> 'recorded' AS recorded;
TABLE app_78;
DROP TRIGGER a_fold ON llm_usage.usage_events;
CREATE TRIGGER a_fold BEFORE INSERT ON llm_usage.usage_events FOR EACH ROW EXECUTE FUNCTION fold_now();
CREATE TRIGGER z_fold BEFORE INSERT ON llm_usage.usage_events FOR EACH ROW EXECUTE FUNCTION fold_now();
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'x', 1, 0), (78, 'x', 1, 0);
SELECT llm_usage.record_usage_batch('[{"model": "x", "app_id": 78, "cost": 0, "request_id": "in flight 3"}, {"model": "x", "app_id": 78, "cost": 0, "request_id": "in flight"}]') ->> 'recorded' AS recorded;
TABLE app_78;
DROP TRIGGER z_fold ON llm_usage.usage_events;
CREATE TRIGGER z_fold BEFORE INSERT ON llm_usage.usage_events FOR EACH ROW EXECUTE FUNCTION write_and_fold();
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'x', 1, 0);
TABLE app_78;
DROP TRIGGER a_fold ON llm_usage.usage_events;
DROP TRIGGER z_fold ON llm_usage.usage_events;
-- Behind the row nothing is under way.
CREATE TRIGGER z_fold AFTER INSERT ON llm_usage.usage_events FOR EACH ROW EXECUTE FUNCTION fold_now();
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'x', 1, 0), (78, 'x', 1, 0);
TABLE app_78;
DROP TRIGGER z_fold ON llm_usage.usage_events;
SELECT count(*) FROM llm_usage.verify();
SELECT llm_usage.fold() >= 0 AS folded, count(*) FROM llm_usage.verify();

-- A partition of one's own without a key: it is read by SQL.
CREATE TABLE keyless (LIKE llm_usage.usage_events);
ALTER TABLE llm_usage.usage_events ATTACH PARTITION keyless FOR VALUES FROM ('2131-01-01Z') TO ('2131-02-01Z');
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, prompt_tokens, cost) VALUES ('2131-01-05 10:10Z', 79, 'x', 1, 1), (now(), 79, 'x', 2, 2);
SELECT llm_usage.app_token_usage(79) #> '{data,total}' AS unfolded, llm_usage.fold();
SELECT llm_usage.app_token_usage(79) #> '{data,total}' AS folded, (SELECT sum(cost) FROM llm_usage.usage_by_app WHERE app_id = 79) AS cost;
SELECT count(*) FROM llm_usage.verify();

-- At the end of the ids.
SELECT setval('llm_usage.usage_events_id_seq', 9223372036854775800) > 0 AS set;
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, cost) VALUES (78, 'x', 1, 0);
SELECT llm_usage.fold();
TABLE app_78;
SELECT count(*) FROM llm_usage.verify();
