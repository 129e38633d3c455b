\set any random(1, 1000000)
SELECT record_usage_batch(jsonb_agg(jsonb_build_object('app_id', 1 + (n * 7919 + :any) % :apps, 'llm_id', 3, 'user_id', 5,
  'vendor', 'openai', 'model', 'gpt-4.1', 'prompt_tokens', 1200, 'completion_tokens', 300, 'cost', 0.0048))) FROM generate_series(1, 100) n;
