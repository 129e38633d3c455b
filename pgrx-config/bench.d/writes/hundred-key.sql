\set any random(1, 1000000000)
INSERT INTO usage_events (app_id, llm_id, user_id, vendor, model, prompt_tokens, completion_tokens, cost, request_id)
SELECT 1 + (n * 7919 + :any) % :apps, 3, 5, 'openai', 'gpt-4.1', 1200, 300, 0.0048, 'chatcmpl-' || (:any::bigint * 1000 + n) FROM generate_series(1, 100) n;
