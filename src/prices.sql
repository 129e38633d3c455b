-- Runs in the writer's session, whatever its search_path.
SELECT p.vendor, p.currency, p.service_tier, p.source, p.is_default, p.above_tokens, p.valid_from,
       p.input_per_token::pg_catalog.text, p.output_per_token::pg_catalog.text, p.cache_read_per_token::pg_catalog.text,
       p.cache_write_per_token::pg_catalog.text, p.cache_write_1h_per_token::pg_catalog.text,
       p.reasoning_per_token::pg_catalog.text, p.prompt_audio_per_token::pg_catalog.text,
       p.completion_audio_per_token::pg_catalog.text,
       p.cache_read_audio_per_token::pg_catalog.text, p.cache_read_image_per_token::pg_catalog.text,
       p.prompt_image_per_token::pg_catalog.text, p.prompt_video_per_token::pg_catalog.text,
       p.completion_image_per_token::pg_catalog.text, p.completion_video_per_token::pg_catalog.text
  FROM llm_usage.model_prices p
 WHERE p.model OPERATOR(pg_catalog.=) $1
