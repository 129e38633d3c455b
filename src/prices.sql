SELECT p.vendor, p.currency, p.service_tier, p.source, p.is_default, p.above_tokens, p.valid_from,
       p.input_per_token::text, p.output_per_token::text, p.cache_read_per_token::text, p.cache_write_per_token::text,
       p.cache_write_1h_per_token::text, p.reasoning_per_token::text, p.prompt_audio_per_token::text,
       p.completion_audio_per_token::text
  FROM llm_usage.model_prices p
 WHERE p.model = $1
