\set app random(1, :apps)
\set key random(1, 1000000000000)
INSERT INTO usage_events (app_id, llm_id, user_id, vendor, model, prompt_tokens, completion_tokens, cost, request_id)
VALUES (:app, 3, 5, 'openai', 'gpt-4.1', 1200, 300, 0.0048, 'chatcmpl-' || :key);
