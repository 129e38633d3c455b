\set app random(:first_app, :last_app)
SELECT hold_id FROM llm_usage.reserve_budget(:app, 'gpt-4.1-2025-04-14', cost => 0.01, currency => 'USD') \gset
SELECT status FROM llm_usage.settle_budget(:hold_id, '{"prompt_tokens": 1200, "completion_tokens": 300, "cost": 0.0048}');
