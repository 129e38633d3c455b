INSERT INTO llm_usage.usage_events AS e
  (model, app_id, llm_id, user_id, vendor, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, reasoning_tokens,
   inference_tokens, cost, currency, occurred_at, task_id, rule_type, request_id, attrs, service_tier, cache_write_1h_tokens,
   prompt_audio_tokens, completion_audio_tokens, cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens,
   prompt_video_tokens, completion_image_tokens, completion_video_tokens, reported_cost, quality, unaccounted_tokens, id)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
        $28, $29, $30, $31, $32)
RETURNING e.id, 'recorded', e.cost, e.currency
