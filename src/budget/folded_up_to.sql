SELECT 'llm_usage.usage_events'::regclass::oid::bigint,
       coalesce((SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events'), 0)
