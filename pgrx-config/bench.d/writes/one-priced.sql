\set app random(1, :apps)
INSERT INTO usage_events (app_id, llm_id, user_id, vendor, model, prompt_tokens, completion_tokens)
VALUES (:app, 3, 5, 'openai', 'gpt-4.1', 1200, 300);
