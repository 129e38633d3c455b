\set any random(1, 100)
\set n random(1, 100)
SELECT record_usage('gpt-4.1', app_id => 1 + (:n * 7919 + :any) % 200, llm_id => 3, user_id => 5, vendor => 'openai', prompt_tokens => 1200,
  completion_tokens => 300, cost => 0.0048, request_id => 'chatcmpl-' || (:any::bigint * 1000 + :n));
