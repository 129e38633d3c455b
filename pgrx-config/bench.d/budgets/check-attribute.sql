\set team random(1, 200)
SELECT verdict FROM llm_usage.check_budget(20001, 'gpt-4.1-2025-04-14', vendor => 'openai', cost => 0.01, currency => 'USD',
                                           attrs => jsonb_build_object('team', :team::integer));
