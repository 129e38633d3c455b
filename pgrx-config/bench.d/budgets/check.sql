\set app random(1, 10000)
SELECT verdict FROM llm_usage.check_budget(:app, 'gpt-4.1-2025-04-14', user_id => 7, vendor => 'openai', cost => 0.01, currency => 'USD');
