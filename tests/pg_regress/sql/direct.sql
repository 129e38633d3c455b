-- Functions write rows past the executor; where more stands between an INSERT and the table than our own trigger, by a statement.
SELECT count(*) > 0 AS made FROM llm_usage.maintain();
INSERT INTO llm_usage.model_prices (vendor, model, currency, valid_from, input_per_token, output_per_token)
  VALUES ('v', 'euro', 'EUR', '2000-01-01Z', 0.5, 1);
SET track_functions = 'all';
SET llm_usage.default_currency = 'GBP';
CREATE FUNCTION trigger_calls() RETURNS bigint LANGUAGE sql
  RETURN (SELECT coalesce(sum(f.calls), 0) FROM pg_stat_xact_user_functions f WHERE f.funcname = '_check_and_price');
-- Each way that a row can differ, the same for any app.
CREATE FUNCTION record_all(app bigint) RETURNS TABLE (status text, cost numeric, currency text) LANGUAGE sql AS $$
  SELECT r.status, r.cost, r.currency FROM llm_usage.record_usage('gpt-4.1', app_id => app, prompt_tokens => 10, occurred_at => now()) r
  UNION ALL SELECT r.status, r.cost, r.currency FROM llm_usage.record_usage('m', app_id => app, llm_id => 2, user_id => 3, vendor => 'v', prompt_tokens => 1,
    cache_read_tokens => 2, cache_write_tokens => 3, completion_tokens => 4, reasoning_tokens => 5, inference_tokens => 6, cost => 0.000000001,
    currency => 'CHF', occurred_at => now() - interval '1 second', task_id => 't', rule_type => 'pii', request_id => 'r1', attrs => '{"team": "réd"}',
    service_tier => 'flex', cache_write_1h_tokens => 1, prompt_audio_tokens => 1, completion_audio_tokens => 2, cache_read_audio_tokens => 1,
    cache_read_image_tokens => 1, prompt_image_tokens => 0, prompt_video_tokens => 0, completion_image_tokens => 1, completion_video_tokens => 1,
    reported_cost => 12345678901.5, quality => 'partial', unaccounted_tokens => -7, source => 's') r
  UNION ALL SELECT r.status, r.cost, r.currency FROM llm_usage.record_usage('euro', app_id => app, prompt_tokens => 3, reported_cost => 1, currency => 'USD') r
  UNION ALL SELECT r.status, r.cost, r.currency FROM llm_usage.record_usage('unknown', app_id => app, completion_tokens => 2147483647) r
  UNION ALL SELECT r.status, r.cost, r.currency FROM llm_usage.record_usage('free', app_id => app, cost => 0) r
  UNION ALL SELECT r.status, r.cost, r.currency FROM llm_usage.record_usage('m', app_id => app, cost => 1, request_id => 'r1', source => 's') r
  UNION ALL SELECT r.status, r.cost, r.currency FROM llm_usage.record_usage('m', app_id => app, attrs => jsonb_build_object('long', repeat('x', 100000))) r
$$;
CREATE FUNCTION differences(one bigint, other bigint) RETURNS bigint LANGUAGE sql
  RETURN (SELECT count(*) FROM (
    (SELECT to_jsonb(e) - 'id' - 'app_id' - 'occurred_at' - 'corrects' FROM llm_usage.usage_events e WHERE e.app_id = one
     EXCEPT ALL SELECT to_jsonb(e) - 'id' - 'app_id' - 'occurred_at' - 'corrects' FROM llm_usage.usage_events e WHERE e.app_id = other)
    UNION ALL
    (SELECT to_jsonb(e) - 'id' - 'app_id' - 'occurred_at' - 'corrects' FROM llm_usage.usage_events e WHERE e.app_id = other
     EXCEPT ALL SELECT to_jsonb(e) - 'id' - 'app_id' - 'occurred_at' - 'corrects' FROM llm_usage.usage_events e WHERE e.app_id = one)) d);
SELECT * FROM record_all(1);
-- Two of them: what takes the place of a partial figure.
SELECT trigger_calls() AS before \gset
SELECT status FROM llm_usage.record_usage('m', app_id => 9, request_id => 'direct');
SELECT llm_usage.record_response('openai', '{"id": "direct-2", "model": "m", "usage": {"prompt_tokens": 1}}', app_id => 9) IS NOT NULL AS recorded;
SELECT trigger_calls() - :before AS by_statement;

-- Each argument goes to its column.
SELECT status FROM llm_usage.record_usage('m', app_id => 11, llm_id => 12, user_id => 13, vendor => 'v14', prompt_tokens => 15, cache_read_tokens => 16,
  cache_write_tokens => 17, completion_tokens => 18, reasoning_tokens => 19, inference_tokens => 20, cost => 21, currency => 'CHF',
  occurred_at => '2025-01-22Z', task_id => 't23', rule_type => 'r24', request_id => 'q25', attrs => '{"a": 26}', service_tier => 's27',
  cache_write_1h_tokens => 28, prompt_audio_tokens => 29, completion_audio_tokens => 30, cache_read_audio_tokens => 31, cache_read_image_tokens => 32,
  prompt_image_tokens => 33, prompt_video_tokens => 34, completion_image_tokens => 35, completion_video_tokens => 36, reported_cost => 37,
  quality => 'partial', unaccounted_tokens => 38, source => 's39');
SET TimeZone = 'UTC';
SELECT c.key, c.value FROM llm_usage.usage_events e, jsonb_each(to_jsonb(e) - 'id') c WHERE e.app_id = 11 ORDER BY substring(c.value::text FROM '\d\d"?}?$'), c.key;
SELECT app_id, request_id, source, quality FROM llm_usage._request_keys WHERE app_id = 11;

CREATE TABLE seen (id bigint, model text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (NEW.id, NEW.model); RETURN NEW; END $$;
CREATE TRIGGER see AFTER INSERT ON llm_usage.usage_events FOR EACH ROW EXECUTE FUNCTION see();
SELECT * FROM record_all(2);
SELECT differences(1, 2), (SELECT count(*) FROM seen) = (SELECT count(*) FROM llm_usage.usage_events WHERE app_id = 2) AS all_seen;
SELECT r -> 'recorded' AS recorded FROM llm_usage.record_usage_batch('[{"model": "a", "app_id": 3}, {"model": "b", "app_id": 3, "request_id": "r"}]') r;
SELECT model FROM seen WHERE model IN ('a', 'b') ORDER BY model;
DROP TRIGGER see ON llm_usage.usage_events;
-- A trigger of statements, and one of a partition alone.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON llm_usage.usage_events FOR EACH STATEMENT EXECUTE FUNCTION refuse();
SELECT llm_usage.record_usage('m', app_id => 4);
SELECT llm_usage.record_usage('m', app_id => 4, request_id => 'refused');
DROP TRIGGER refuse ON llm_usage.usage_events;
SELECT format('CREATE TRIGGER refuse BEFORE INSERT ON llm_usage.usage_events_%s FOR EACH ROW EXECUTE FUNCTION refuse()', to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) AS statement \gset
:statement;
SELECT llm_usage.record_usage('m', app_id => 4);
SELECT format('DROP TRIGGER refuse ON llm_usage.usage_events_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) AS statement \gset
:statement;
-- Nothing of it was written, nor its key taken.
SELECT status FROM llm_usage.record_usage('m', app_id => 4, request_id => 'refused');
-- What is billed is the same however it is given.
SELECT status FROM llm_usage.record_usage('m', app_id => 4, prompt_tokens => 1, cost => 0.50, request_id => 'same');
SELECT r -> 'known' -> 0 ->> 'status' AS status FROM llm_usage.record_usage_batch('[{"app_id": 4, "request_id": "same", "prompt_tokens": 1, "cost": 5e-1, "model": "m"}]') r;
SELECT r -> 'known' -> 0 ->> 'status' AS status FROM llm_usage.record_usage_batch('[{"app_id": 4, "request_id": "same", "prompt_tokens": 1, "cost": "0.5000001", "model": "m"}]') r;
SELECT given FROM llm_usage.conflicts WHERE request_id = 'same';
-- Constraints and columns of one's own.
ALTER TABLE llm_usage.usage_events ADD CONSTRAINT no_model_x CHECK (model <> 'x');
\set VERBOSITY sqlstate
SELECT llm_usage.record_usage('x');
\set VERBOSITY default
SELECT status FROM llm_usage.record_usage('y');
ALTER TABLE llm_usage.usage_events DROP CONSTRAINT no_model_x;
ALTER TABLE llm_usage.usage_events ADD COLUMN region text DEFAULT 'eu';
SELECT status FROM llm_usage.record_usage('m', app_id => 5);
SELECT region FROM llm_usage.usage_events WHERE app_id = 5;
SELECT id AS late FROM llm_usage.record_usage('gpt-4.1', app_id => 5, prompt_tokens => 1) \gset
SELECT status FROM llm_usage.correct_usage(:late, prompt_tokens => 2);
SELECT status FROM llm_usage.void_usage(:late);
SELECT status FROM llm_usage.record_usage('m', app_id => 5, cost => 1, request_id => 'late', quality => 'partial');
SELECT status FROM llm_usage.record_usage('m', app_id => 5, cost => 2, request_id => 'late');
SELECT status FROM llm_usage.record_usage('later', app_id => 5, prompt_tokens => 4);
INSERT INTO llm_usage.model_prices (vendor, model, currency, valid_from, input_per_token, output_per_token)
  VALUES ('v', 'later', 'USD', '2000-01-01Z', 0.5, 1);
SELECT model, events, new_cost FROM llm_usage.reprice(for_model => 'later', dry_run => false);
SELECT llm_usage.fold() > 0 AS folded;
SELECT llm_usage.verify();
ALTER TABLE llm_usage.usage_events DROP COLUMN region;
SELECT status FROM llm_usage.record_usage('m', app_id => 5);
SELECT count(*) FROM llm_usage.usage_events WHERE app_id = 5;
ALTER TABLE llm_usage.usage_events DISABLE TRIGGER check_and_price;
SELECT status, cost FROM llm_usage.record_usage('gpt-4.1', app_id => 5, prompt_tokens => 1);
ALTER TABLE llm_usage.usage_events ENABLE TRIGGER check_and_price;
-- Months without a partition, and indexes of one's own.
SELECT status FROM llm_usage.record_usage('m', app_id => 6, occurred_at => '1999-12-31 23:59:59.999999Z', request_id => 'old');
CREATE UNIQUE INDEX ON llm_usage.usage_events_default (model) WHERE app_id = 6;
CREATE INDEX ON llm_usage.usage_events (user_id);
SELECT llm_usage.record_usage('m', app_id => 6, occurred_at => '1999-12-31 23:59:59.999999Z');
SELECT status FROM llm_usage.record_usage('m', app_id => 6, user_id => 77);
SET enable_seqscan = off;
SELECT count(*) FROM llm_usage.usage_events WHERE user_id = 77;
RESET enable_seqscan;
-- Parts that are undone take keys and holds back with them.
BEGIN;
SAVEPOINT a;
SELECT status FROM llm_usage.record_usage('m', app_id => 7, cost => 1, request_id => 'undone');
ROLLBACK TO a;
SELECT status FROM llm_usage.record_usage('m', app_id => 7, cost => 2, request_id => 'undone');
SELECT status FROM llm_usage.record_usage('m', app_id => 7, cost => 2, request_id => 'undone');
COMMIT;
RESET llm_usage.default_currency;
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 10);
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD') \gset
BEGIN;
SELECT status FROM llm_usage.settle_budget(:hold, '{"cost": 1, "currency": "USD"}');
ROLLBACK;
SELECT count(*) AS holds, (SELECT sum(amount) FROM llm_usage._held) AS held FROM llm_usage.budget_holds;
SELECT status FROM llm_usage.settle_budget(:hold, '{"cost": 1, "currency": "USD"}');
SELECT llm_usage.settle_budget(:hold, '{"cost": 1, "currency": "USD"}');
SELECT count(*) AS holds, (SELECT count(*) FROM llm_usage._held) AS held FROM llm_usage.budget_holds;
-- In one statement, and in another isolation level.
SELECT (llm_usage.settle_budget((llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD')).hold_id, '{"cost": 1}')).status;
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD') \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT status FROM llm_usage.record_usage('m', app_id => 8, request_id => 'rr');
SELECT status FROM llm_usage.record_usage('m', app_id => 8, request_id => 'rr');
SELECT status FROM llm_usage.settle_budget(:hold, '{"cost": 1}');
COMMIT;
SELECT count(*) AS holds, (SELECT count(*) FROM llm_usage._held) AS held FROM llm_usage.budget_holds;
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (0, TG_OP); RETURN NULL; END $$;
-- By a statement, too, where holds have triggers.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (OLD.id, 'hold'); RETURN OLD; END $$;
CREATE TRIGGER keep BEFORE DELETE ON llm_usage.budget_holds FOR EACH ROW EXECUTE FUNCTION keep();
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD') \gset
SELECT llm_usage.release_budget(:hold);
SELECT count(*) FROM seen WHERE model = 'hold';
SELECT count(*) AS holds, (SELECT count(*) FROM llm_usage._held) AS held FROM llm_usage.budget_holds;
DROP TRIGGER keep ON llm_usage.budget_holds;
CREATE TRIGGER watch AFTER INSERT OR DELETE ON llm_usage.budget_holds FOR EACH STATEMENT EXECUTE FUNCTION watch();
CREATE TRIGGER watch BEFORE INSERT ON llm_usage._request_keys FOR EACH STATEMENT EXECUTE FUNCTION watch();
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD') \gset
SELECT status FROM llm_usage.settle_budget(:hold, '{"cost": 1, "request_id": "watched"}');
SELECT model, count(*) FROM seen WHERE model IN ('INSERT', 'DELETE') GROUP BY 1 ORDER BY 1;
DROP TRIGGER watch ON llm_usage.budget_holds;
DROP TRIGGER watch ON llm_usage._request_keys;
-- What they hold has a foreign key, or another type.
ALTER TABLE llm_usage._held ADD CONSTRAINT of_budget FOREIGN KEY (budget_id) REFERENCES llm_usage.budgets ON DELETE CASCADE;
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD') \gset
SELECT llm_usage.release_budget(:hold);
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD') \gset
SELECT status FROM llm_usage.settle_budget(:hold, '{"cost": 1}');
ALTER TABLE llm_usage._held DROP CONSTRAINT of_budget;
BEGIN;
ALTER TABLE llm_usage._held ALTER amount TYPE numeric(12, 2);
ALTER TABLE llm_usage._request_keys ALTER event_id TYPE text;
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 0.12345, currency => 'USD') \gset
SELECT amount FROM llm_usage._held;
SELECT llm_usage.record_usage('m', request_id => 'of another type');
ROLLBACK;
SELECT count(*) AS holds, (SELECT count(*) FROM llm_usage._held) AS held FROM llm_usage.budget_holds;
-- A rule, a trigger that takes rows away, and one in the place of ours.
CREATE RULE also AS ON INSERT TO llm_usage.usage_events WHERE NEW.model = 'ruled' DO ALSO INSERT INTO seen VALUES (0, NEW.model);
SELECT status FROM llm_usage.record_usage('ruled');
SELECT count(*) FROM seen WHERE model = 'ruled';
DROP RULE also ON llm_usage.usage_events;
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER skip BEFORE INSERT ON llm_usage.usage_events FOR EACH ROW WHEN (NEW.model = 'skipped') EXECUTE FUNCTION skip();
SELECT llm_usage.record_usage('skipped', request_id => 'skipped');
DROP TRIGGER skip ON llm_usage.usage_events;
SELECT status FROM llm_usage.record_usage('skipped', request_id => 'skipped');
BEGIN;
CREATE OR REPLACE TRIGGER check_and_price BEFORE INSERT ON llm_usage.usage_events FOR EACH ROW EXECUTE FUNCTION skip();
SELECT llm_usage.record_usage('mine');
ROLLBACK;
BEGIN;
CREATE OR REPLACE TRIGGER check_and_price BEFORE INSERT ON llm_usage.usage_events FOR EACH ROW
  WHEN (NEW.model <> 'euro') EXECUTE FUNCTION llm_usage._check_and_price();
SELECT id AS unpriced FROM llm_usage.record_usage('euro', prompt_tokens => 3) \gset
SELECT cost, priced FROM llm_usage.usage_events WHERE id = :unpriced;
ROLLBACK;
-- What may not write.
SELECT hold_id AS hold FROM llm_usage.reserve_budget(7, 'm', cost => 1, currency => 'USD') \gset
BEGIN READ ONLY;
SELECT llm_usage.release_budget(:hold);
ROLLBACK;
SELECT llm_usage.release_budget(:hold);
BEGIN READ ONLY;
SELECT llm_usage.record_usage('m');
ROLLBACK;
SELECT llm_usage.fold() > 0 AS folded;
SELECT llm_usage.verify();
