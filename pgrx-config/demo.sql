\set QUIET on
\pset footer off
\pset null '-'
SET client_min_messages = warning;
SET TimeZone = 'UTC';

\echo '\n== A gateway registers a user, two apps and a budget (they need not be registered to be counted)'
INSERT INTO llm_usage.users (id, email, name) VALUES (3, 'dev@example.com', 'Dev') ON CONFLICT DO NOTHING;
INSERT INTO llm_usage.apps (id, slug, name, owner_id) VALUES (7, 'helpdesk', 'Helpdesk', 3), (8, 'search', 'Search', 3) ON CONFLICT DO NOTHING;
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 100) ON CONFLICT DO NOTHING;
SELECT count(*) AS partitions_made FROM llm_usage.maintain();

\echo '\n== It records what the providers answered; each kind of token is priced by the price of the moment'
SELECT 'openai chat completion, cached input' AS response, r.* FROM llm_usage.record_response('openai', :'openai_chat', app_id => 7, llm_id => 1) r
UNION ALL SELECT 'openai response, reasoning', r.* FROM llm_usage.record_response('openai', :'openai_responses', app_id => 7, llm_id => 1) r
UNION ALL SELECT 'anthropic message, cache read and written', r.* FROM llm_usage.record_response('anthropic', :'anthropic_messages', app_id => 7, llm_id => 2) r
UNION ALL SELECT 'anthropic message, streamed', r.* FROM llm_usage.record_response('anthropic', :'anthropic_messages_stream', app_id => 8, llm_id => 2) r
UNION ALL SELECT 'gemini, cached content and thoughts', r.* FROM llm_usage.record_response('gemini', :'gemini_generate_content', app_id => 8, llm_id => 3) r;

\echo '\n== An evaluation of one of the answers, a model nobody has a price for, and a chat'
SELECT r.* FROM llm_usage.record_usage('gpt-4.1-mini', app_id => 7, prompt_tokens => 812, completion_tokens => 40, inference_tokens => 300, rule_type => 'PIIDataRule', task_id => 'helpdesk-answers') r
UNION ALL SELECT r.* FROM llm_usage.record_usage('house-model-1', app_id => 8, prompt_tokens => 500, completion_tokens => 90) r;
SELECT count(llm_usage.record_message(session_id => s.id)) AS messages_recorded FROM (SELECT llm_usage.record_session(7, consumer) AS id FROM unnest(ARRAY['ann', 'bob', 'ann']) consumer) s, generate_series(1, 4);

\echo '\n== What is in the ledger'
SELECT model, prompt_tokens AS prompt, cache_read_tokens AS cache_read, cache_write_tokens AS cache_write, completion_tokens AS completion, reasoning_tokens AS reasoning, cost, currency FROM llm_usage.usage_events ORDER BY id;
\echo '\n== Budgets, and models without a price'
SELECT entity_type, name, budget, currency, spent, remaining, usage AS percent, period_start, period_end FROM llm_usage.budget_status;
SELECT * FROM llm_usage.unpriced_models;
\echo '\n== The worker folds every second; answers are the same before and after'
SELECT ledger, events, tail_events AS not_folded_yet FROM llm_usage.status();
SELECT count(*) AS differences_from_the_ledger FROM llm_usage.verify();
