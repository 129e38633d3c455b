CREATE TABLE llm_usage.model_prices (
  vendor                     text NOT NULL CHECK (octet_length(vendor) BETWEEN 1 AND 500),
  model                      text NOT NULL CHECK (octet_length(model) BETWEEN 1 AND 500),
  currency                   text NOT NULL DEFAULT llm_usage._default_currency() CHECK (currency ~ '^[A-Z]{3}$'),
  valid_from                 timestamptz NOT NULL DEFAULT now() CHECK (valid_from < 'infinity'),
  input_per_token            numeric,
  output_per_token           numeric,
  cache_read_per_token       numeric,
  cache_write_per_token      numeric,
  cache_write_1h_per_token   numeric,
  reasoning_per_token        numeric,
  prompt_audio_per_token     numeric,
  completion_audio_per_token numeric,
  cache_read_audio_per_token numeric,
  cache_read_image_per_token numeric,
  prompt_image_per_token     numeric,
  prompt_video_per_token     numeric,
  completion_image_per_token numeric,
  completion_video_per_token numeric,
  service_tier               text NOT NULL DEFAULT '' CHECK (octet_length(service_tier) <= 500),
  above_tokens               bigint NOT NULL DEFAULT 0 CHECK (above_tokens >= 0),
  source                     text NOT NULL DEFAULT 'own' CHECK (source IN ('own', 'catalog', 'shipped')),
  is_default                 boolean NOT NULL DEFAULT false,
  PRIMARY KEY (model, vendor, service_tier, above_tokens, source, valid_from),
  -- So that no event costs 10^15. NaN and Infinity are numerics too, and both lie above every price.
  CONSTRAINT model_prices_are_from_0_to_below_100000 CHECK (
    least(input_per_token, output_per_token, cache_read_per_token, cache_write_per_token,
          cache_write_1h_per_token, reasoning_per_token, prompt_audio_per_token, completion_audio_per_token,
          cache_read_audio_per_token, cache_read_image_per_token, prompt_image_per_token, prompt_video_per_token,
          completion_image_per_token, completion_video_per_token) >= 0
    AND greatest(input_per_token, output_per_token, cache_read_per_token, cache_write_per_token,
          cache_write_1h_per_token, reasoning_per_token, prompt_audio_per_token, completion_audio_per_token,
          cache_read_audio_per_token, cache_read_image_per_token, prompt_image_per_token, prompt_video_per_token,
          completion_image_per_token, completion_video_per_token) < 100000),
  CONSTRAINT model_prices_have_at_most_60_decimals CHECK (
    greatest(scale(input_per_token), scale(output_per_token), scale(cache_read_per_token), scale(cache_write_per_token),
             scale(cache_write_1h_per_token), scale(reasoning_per_token), scale(prompt_audio_per_token),
             scale(completion_audio_per_token),
             scale(cache_read_audio_per_token), scale(cache_read_image_per_token), scale(prompt_image_per_token),
             scale(prompt_video_per_token), scale(completion_image_per_token), scale(completion_video_per_token)) <= 60)
);
COMMENT ON TABLE llm_usage.model_prices IS
  'Prices of models per token, each valid from a date until the next one. The row that prices an event is chosen by the event''s time. Your own rows win over imported ones, those over the shipped ones. Never update a price: add a row with its valid_from.';
COMMENT ON COLUMN llm_usage.model_prices.vendor IS 'Who is paid: openai, anthropic, gemini, azure, bedrock, … Compared letter by letter with the event''s vendor.';
COMMENT ON COLUMN llm_usage.model_prices.model IS 'The model as the event names it.';
COMMENT ON COLUMN llm_usage.model_prices.currency IS 'ISO 4217 code of all prices of the row; it becomes the event''s currency.';
COMMENT ON COLUMN llm_usage.model_prices.valid_from IS 'First instant at which the row holds; -infinity: always has.';
COMMENT ON COLUMN llm_usage.model_prices.input_per_token IS 'Price of a prompt token, in currency. NULL: unknown; 0: free.';
COMMENT ON COLUMN llm_usage.model_prices.output_per_token IS 'Price of a completion token. NULL: unknown.';
COMMENT ON COLUMN llm_usage.model_prices.cache_read_per_token IS 'Price of an input token read from a cache. NULL: unknown, so an event with such tokens stays unpriced.';
COMMENT ON COLUMN llm_usage.model_prices.cache_write_per_token IS 'Price of an input token written to a cache. NULL: unknown, so an event with such tokens stays unpriced.';
COMMENT ON COLUMN llm_usage.model_prices.cache_write_1h_per_token IS 'Price of an input token written to a cache for an hour or more. NULL: as cache_write_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.reasoning_per_token IS 'Price of a reasoning token. NULL: as output_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.prompt_audio_per_token IS 'Price of an audio token of the prompt. NULL: as input_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.completion_audio_per_token IS 'Price of an audio token of the completion. NULL: as output_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.cache_read_audio_per_token IS 'Price of an audio token read from a cache. NULL: as cache_read_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.cache_read_image_per_token IS 'Price of a token of an image read from a cache. NULL: as cache_read_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.prompt_image_per_token IS 'Price of a token of an image of the prompt. NULL: as input_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.prompt_video_per_token IS 'Price of a token of a video of the prompt. NULL: as input_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.completion_image_per_token IS 'Price of a token of an image of the completion. NULL: as output_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.completion_video_per_token IS 'Price of a token of a video of the completion. NULL: as output_per_token.';
COMMENT ON COLUMN llm_usage.model_prices.service_tier IS 'The service tier the row prices: batch, flex, priority, …; empty: the standard one. What lists price apart there, a part of a kind or a long context, is unknown in a tier of theirs that leaves it out.';
COMMENT ON COLUMN llm_usage.model_prices.above_tokens IS 'The row holds for requests with more input tokens than this, all tokens of the request included.';
COMMENT ON COLUMN llm_usage.model_prices.source IS 'own: written by you; catalog: by import_prices(); shipped: by this extension, replaced with it and not dumped.';
COMMENT ON COLUMN llm_usage.model_prices.is_default IS 'An event from valid_from on that names the model but no vendor means this vendor; of an imported row, until the next one of the same price.';

SELECT pg_catalog.pg_extension_config_dump('llm_usage.model_prices', $$WHERE source <> 'shipped'$$);
