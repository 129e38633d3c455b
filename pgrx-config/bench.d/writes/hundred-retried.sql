\set any random(1, 100)
SELECT record_usage_batch(jsonb_agg(jsonb_build_object('app_id', 1 + (n * 7919 + :any) % 200, 'llm_id', 3, 'user_id', 5,
  'vendor', 'openai', 'model', 'gpt-4.1', 'prompt_tokens', 1200, 'completion_tokens', 300, 'cost', 0.0048,
  'request_id', 'chatcmpl-' || (:any::bigint * 1000 + n)))) FROM generate_series(1, 100) n;
