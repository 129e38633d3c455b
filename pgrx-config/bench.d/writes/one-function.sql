\set app random(1, :apps)
SELECT record_usage('gpt-4.1', app_id => :app, llm_id => 3, user_id => 5, vendor => 'openai', prompt_tokens => 1200,
  completion_tokens => 300, cost => 0.0048);
