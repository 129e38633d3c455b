-- What the roles do with what they were granted, and what they are refused.
\set VERBOSITY terse
\set ON_ERROR_ROLLBACK on
SET TimeZone = 'UTC';
BEGIN;
CREATE ROLE roles_reader;
CREATE ROLE roles_writer;
CREATE ROLE roles_admin;
CREATE ROLE roles_stranger;
SELECT llm_usage.grant_access('roles_reader', 'reader'), llm_usage.grant_access('roles_writer', 'writer'),
       llm_usage.grant_access('roles_admin', 'admin');

-- A writer writes by functions, INSERT and COPY; what it writes is priced.
SET LOCAL ROLE roles_writer;
SELECT status, cost FROM llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 100, request_id => 'r', occurred_at => '2025-06-01Z');
INSERT INTO llm_usage.usage_events (model, app_id, prompt_tokens, occurred_at) VALUES ('gpt-4.1', 7, 200, '2025-06-01Z');
COPY llm_usage.usage_events (model, app_id, prompt_tokens, occurred_at) FROM stdin;
gpt-4.1-mini	7	100	2025-06-01Z
gpt-4.1-mini	8	300	2025-06-01Z
\.
INSERT INTO llm_usage.sessions (app_id, started_at) VALUES (7, '2025-06-01Z');
INSERT INTO llm_usage.messages (app_id, sent_at) VALUES (7, '2025-06-01Z');
SELECT llm_usage.record_session(7, 'ann', '2025-06-01Z') > 0 AS session, llm_usage.record_message(7, NULL, '2025-06-01Z') > 0 AS message;
SELECT status FROM llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 100, request_id => 'r');
-- It reads nothing: not its own rows, no price, not by RETURNING, ON CONFLICT, COPY or an error.
SELECT count(*) FROM llm_usage.usage_events;
SELECT count(*) FROM llm_usage.usage_events_default;
SELECT count(*) FROM llm_usage.model_prices;
SELECT count(*) FROM llm_usage._request_keys;
INSERT INTO llm_usage.usage_events (model) VALUES ('gpt-4.1') RETURNING cost;
INSERT INTO llm_usage.usage_events (model) SELECT model FROM llm_usage.usage_events;
COPY llm_usage.usage_events TO stdout;
INSERT INTO llm_usage.usage_events (id, model) OVERRIDING SYSTEM VALUE VALUES (1, 'gpt-4.1');
SELECT last_value FROM llm_usage.usage_events_id_seq;
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-01', 7);
SELECT llm_usage._standing(1);
SELECT llm_usage.void_usage(1);
SELECT llm_usage.fold();
INSERT INTO llm_usage.model_prices (vendor, model) VALUES ('x', 'x');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 1);
SELECT llm_usage.import_prices('{}');

-- A reader reads, and changes nothing.
SET LOCAL ROLE roles_reader;
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-01', 7);
SELECT app_id, requests, cost FROM llm_usage.usage_by_app ORDER BY app_id;
SELECT count(*) FROM llm_usage.model_prices WHERE model = 'gpt-4.1';
SELECT (llm_usage.record_usage('gpt-4.1')).status;
INSERT INTO llm_usage.usage_events (model) VALUES ('gpt-4.1');
UPDATE llm_usage.model_prices SET input_per_token = 0;
DELETE FROM llm_usage.budgets;
INSERT INTO llm_usage.apps (id) VALUES (1);
SELECT llm_usage.fold();
SELECT llm_usage.maintain();
SELECT llm_usage.drop_month('2025-06-01');
SELECT llm_usage.create_api_key('roles_admin');
SELECT key_hash FROM llm_usage.api_keys;
SELECT llm_usage.grant_access('roles_reader', 'admin');

-- An admin, which is no superuser, does all there is to do.
SET LOCAL ROLE roles_admin;
INSERT INTO llm_usage.users (id, email) VALUES (3, 'dev@example.com');
INSERT INTO llm_usage.apps (id, slug, owner_id) VALUES (7, 'helpdesk', 3);
INSERT INTO llm_usage.apps (name) VALUES ('Next');
INSERT INTO llm_usage.llms (id, name) VALUES (1, 'LLM');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 100);
UPDATE llm_usage.budgets SET amount = 50 WHERE entity_id = 7;
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token, output_per_token)
  VALUES ('openai', 'gpt-4.1', '2025-01-01Z', 0.1, 0.2);
SELECT count(*) > 0 AS made FROM llm_usage.maintain();
SELECT llm_usage.fold() AS folded;
SELECT events, tail_events FROM llm_usage.status() WHERE ledger = 'usage_events';
SELECT count(*) AS differences FROM llm_usage.verify();
SELECT llm_usage.rebuild() AS left_over;
SELECT status FROM llm_usage.void_usage((SELECT min(id) FROM llm_usage.usage_events));
SELECT status FROM llm_usage.correct_usage((SELECT max(id) FROM llm_usage.usage_events WHERE model = 'gpt-4.1-mini'), prompt_tokens => 50);
SELECT model, difference FROM llm_usage.reprice(dry_run => false);
SELECT (llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 101, request_id => 'r')).status;
DELETE FROM llm_usage.conflicts;
SELECT length(llm_usage.create_api_key('roles_reader', name => 'dashboard')) AS key;
SELECT name, role FROM llm_usage.api_keys;
SELECT llm_usage.revoke_api_key(id) AS revoked FROM llm_usage.api_keys;
SELECT key_hash FROM llm_usage.api_keys;
SELECT (llm_usage.import_prices('{"m": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 1e-7, "output_cost_per_token": 1e-7}}')) IS NOT NULL AS imported;
SELECT llm_usage.fold() > 0 AS folded;
SELECT llm_usage.drop_month('2025-06-01') > 0 AS dropped;
-- But for what is the owner's: to give access, and to change what was recorded.
SELECT llm_usage.grant_access('roles_stranger', 'admin');
DELETE FROM llm_usage.usage_events;
TRUNCATE llm_usage.usage_events;
UPDATE llm_usage._by_app_day SET cost = 0;

-- A stranger can do nothing.
SET LOCAL ROLE roles_stranger;
SELECT count(*) FROM llm_usage.usage_by_app;
SELECT llm_usage.token_usage_for_app('2025-06-01', '2025-06-01', 7);
SELECT llm_usage_http.token_usage_for_app('2025-06-01', '2025-06-01', '7');
ROLLBACK;

-- A tenant asks a budget that is not its own, is told whether there is room, and stays a tenant by any name.
BEGIN;
CREATE ROLE roles_tenant;
INSERT INTO llm_usage.apps (id, owner_id) VALUES (1, 1), (2, 2);
INSERT INTO llm_usage.budgets (entity_type, amount) VALUES ('All', 10);
SELECT llm_usage.grant_access('roles_tenant', 'reader'), llm_usage.grant_access('roles_tenant', 'writer'),
       llm_usage.enable_row_security('roles_tenant', '2');
SET LOCAL ROLE roles_tenant;
SELECT * FROM llm_usage.check_budget(2, cost => 1);
SELECT * FROM llm_usage.check_budget(2, cost => 11);
SELECT verdict, hold_id > 0 AS held, reason FROM llm_usage.reserve_budget(2, 'm', cost => 1);
SELECT * FROM llm_usage.check_budget(1, cost => 1);
RESET ROLE;
-- A soft budget of all says nothing to it; its own is shown, however little is left of that of all, and stops a call before it.
INSERT INTO llm_usage.budgets (entity_type, name, amount, is_hard) VALUES ('All', 'soft', 0, false);
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 2, 1000);
SELECT status FROM llm_usage.record_usage('m', app_id => 1, cost => 8);
SET LOCAL ROLE roles_tenant;
SELECT verdict, spent, held, remaining, reason FROM llm_usage.check_budget(2, cost => 1);
SELECT verdict, spent, held, remaining, reason FROM llm_usage.check_budget(2, cost => 2);
SELECT verdict, spent, held, remaining FROM llm_usage.check_budget(2, cost => 1001);
-- What others own does not keep its own events out of a batch.
SELECT llm_usage.record_usage_batch('[{"model": "m", "app_id": 2}, {"model": "m", "app_id": 1}, {"model": ""}, {"model": "m"}]')::jsonb - 'ids' AS batch;
SAVEPOINT whole;
SELECT llm_usage.record_usage_batch('[{"model": "m", "app_id": 2}, {"model": "m", "app_id": 1}]', true);
ROLLBACK TO whole;
RESET ROLE;
-- What a correction gave to another app a retry does not take from it, nor show.
SELECT id AS moved FROM llm_usage.record_usage('m', app_id => 2, cost => 0.5, completion_tokens => 1, request_id => 'moved', quality => 'partial') \gset
SELECT status, cost FROM llm_usage.correct_usage(:moved, app_id => 1, cost => 123);
SET LOCAL ROLE roles_tenant;
SELECT status, cost FROM llm_usage.record_usage('m', app_id => 2, cost => 0.5, completion_tokens => 1, request_id => 'moved', quality => 'partial');
SELECT status, cost FROM llm_usage.record_usage('m', app_id => 2, cost => 0.7, completion_tokens => 9, request_id => 'moved');
RESET ROLE;
SELECT app_id, requests, cost FROM llm_usage.usage_by_app WHERE app_id = 1;
ALTER ROLE roles_tenant RENAME TO roles_renamed;
SET LOCAL ROLE roles_renamed;
SELECT status FROM llm_usage.record_usage('m', app_id => 1);
INSERT INTO llm_usage.usage_events (model, app_id) VALUES ('m', 1);
SELECT status FROM llm_usage.record_usage('m', app_id => 2);
RESET ROLE;
SELECT llm_usage.disable_row_security('roles_renamed');
SELECT count(*) AS tenants FROM llm_usage._tenants;
-- One that is no more does not stand in the way of others.
SELECT llm_usage.enable_row_security('roles_renamed', '2');
DROP OWNED BY roles_renamed;
DROP ROLE roles_renamed;
CREATE ROLE roles_tenant;
SELECT count(*) > 0 AS maintained FROM llm_usage.maintain(20);
SELECT llm_usage.enable_row_security('roles_tenant');
SELECT llm_usage.disable_row_security('roles_tenant');
SELECT count(*) AS tenants FROM llm_usage._tenants;
ROLLBACK;

-- A tenant appends no corrections by hand, which could name what is another's; an admin is no tenant.
INSERT INTO llm_usage.usage_events (app_id, model, prompt_tokens, occurred_at)
VALUES (902, 'z', 7, '2025-11-10 11:30Z'), (902, 'z', 100, '2025-11-10 10:30Z'), (903, 'z', 1000, '2025-11-10 10:30Z');
SELECT llm_usage.fold() > 0 AS folded;
BEGIN;
CREATE ROLE roles_tenant;
SELECT llm_usage.grant_access('roles_tenant', 'reader'), llm_usage.grant_access('roles_tenant', 'writer');
INSERT INTO llm_usage.users (id, email) VALUES (902, 'tenant@example.com'), (903, 'other@example.com');
INSERT INTO llm_usage.apps (id, name, owner_id) VALUES (902, 'theirs', 902), (903, 'another''s', 903);
SELECT llm_usage.enable_row_security('roles_tenant', '902');
SET LOCAL ROLE roles_tenant;
SAVEPOINT before;
INSERT INTO llm_usage.usage_events (app_id, model, corrects) VALUES (902, 'z', 1);
ROLLBACK TO before;
RESET ROLE;
SELECT llm_usage.grant_access('roles_tenant', 'admin');
ROLLBACK TO before;
RESET ROLE;
CREATE ROLE roles_other;
SELECT llm_usage.grant_access('roles_other', 'admin');
SELECT llm_usage.enable_row_security('roles_other', '903');
ROLLBACK TO before;
-- In a function that runs with a tenant's rights it is that tenant who asks, also where a bound cuts an hour.
RESET ROLE;
CREATE ROLE roles_other;
SELECT llm_usage.grant_access('roles_other', 'reader'), llm_usage.enable_row_security('roles_other', '903');
GRANT CREATE ON SCHEMA public TO roles_tenant;
SET LOCAL ROLE roles_tenant;
CREATE FUNCTION public.theirs() RETURNS json LANGUAGE sql SECURITY DEFINER AS
  $$ SELECT llm_usage.model_usage_statistics('z', '2025-11-10 10:15Z', '2025-11-10 12:00Z', 1) -> 'data' -> 0 -> 'prompt_tokens' $$;
SELECT public.theirs();
SET LOCAL ROLE roles_other;
SELECT public.theirs() AS asked_by_another;
RESET ROLE;
SELECT public.theirs() AS asked_by_the_owner;
ROLLBACK;

-- The policies of a tenant's role that DROP OWNED BY has taken come back, before anybody grants it access again.
BEGIN;
CREATE ROLE roles_dropped;
SELECT llm_usage.grant_access('roles_dropped', 'reader'), llm_usage.enable_row_security('roles_dropped', '903');
DROP OWNED BY roles_dropped;
SELECT count(*) AS policies FROM pg_policy p WHERE 'roles_dropped'::regrole = ANY (p.polroles);
SELECT count(*) > 0 AS is_maintained FROM llm_usage.maintain();
SELECT count(*) > 40 AS has_policies, bool_or(p.polrelid = 'llm_usage.apps'::regclass) AS of_apps FROM pg_policy p WHERE 'roles_dropped'::regrole = ANY (p.polroles);
ROLLBACK;
