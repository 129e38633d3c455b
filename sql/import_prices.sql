CREATE FUNCTION llm_usage.import_prices(catalog jsonb, valid_from timestamptz DEFAULT NULL) RETURNS json
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  read     json := llm_usage._read_catalog(catalog::text);
  starting timestamptz := import_prices.valid_from;
  -- Later than what this transaction has imported.
  present  timestamptz := clock_timestamp();
  added    bigint;
  changed  bigint;
  listed   bigint;
BEGIN
  IF starting = 'infinity' THEN
    RAISE EXCEPTION 'valid_from must not be infinity'
      USING ERRCODE = 'invalid_parameter_value', DETAIL = 'A price holds from some instant on.',
            HINT = 'Leave valid_from out, or give a date; -infinity means always.';
  END IF;
  -- One import at a time; readers and the pricing of events go on.
  LOCK TABLE llm_usage.model_prices IN SHARE ROW EXCLUSIVE MODE;
  WITH listed AS (
    SELECT x.*
      FROM jsonb_to_recordset((read -> 'rows')::jsonb) AS x (
             vendor text, model text, service_tier text, above_tokens bigint, is_default boolean,
             input_per_token numeric, output_per_token numeric, cache_read_per_token numeric,
             cache_write_per_token numeric, cache_write_1h_per_token numeric, reasoning_per_token numeric,
             prompt_audio_per_token numeric, completion_audio_per_token numeric,
             cache_read_audio_per_token numeric, cache_read_image_per_token numeric, prompt_image_per_token numeric,
             prompt_video_per_token numeric, completion_image_per_token numeric, completion_video_per_token numeric)
  ), known AS (
    -- What the list said last before that, by an earlier import or by the shipped rows.
    SELECT DISTINCT ON (p.model, p.vendor, p.service_tier, p.above_tokens) p.*
      FROM llm_usage.model_prices p
     WHERE p.source <> 'own'
       AND p.valid_from <= coalesce(starting, present)
       AND (p.model, p.vendor) IN (SELECT l.model, l.vendor FROM listed l)
     ORDER BY p.model, p.vendor, p.service_tier, p.above_tokens, p.source = 'catalog' DESC, p.valid_from DESC
  ), wanted AS (
    SELECT l.* FROM listed l
    UNION ALL
    -- A long context that the catalogue no longer prices costs what its tier costs otherwise, but is unknown where the ordinary tier
    -- has it; so is a tier.
    SELECT k.vendor, k.model, k.service_tier, k.above_tokens, k.is_default,
           base.input_per_token, base.output_per_token, base.cache_read_per_token, base.cache_write_per_token,
           base.cache_write_1h_per_token, base.reasoning_per_token, base.prompt_audio_per_token,
           base.completion_audio_per_token,
           base.cache_read_audio_per_token, base.cache_read_image_per_token, base.prompt_image_per_token,
           base.prompt_video_per_token, base.completion_image_per_token, base.completion_video_per_token
      FROM known k
      LEFT JOIN listed base
        ON (base.model, base.vendor, base.service_tier, base.above_tokens) = (k.model, k.vendor, k.service_tier, 0)
       AND NOT EXISTS (SELECT FROM listed o WHERE (o.model, o.vendor, o.service_tier, o.above_tokens)
                                                = (k.model, k.vendor, '', k.above_tokens))
     WHERE NOT EXISTS (SELECT FROM listed l WHERE (l.model, l.vendor, l.service_tier, l.above_tokens)
                                                = (k.model, k.vendor, k.service_tier, k.above_tokens))
  ), different AS (
    SELECT w.*, k.model IS NULL AS is_new
      FROM wanted w
      LEFT JOIN known k USING (model, vendor, service_tier, above_tokens)
     WHERE k.model IS NULL
        OR w.is_default <> k.is_default
        OR (w.input_per_token, w.output_per_token, w.cache_read_per_token, w.cache_write_per_token,
            w.cache_write_1h_per_token, w.reasoning_per_token, w.prompt_audio_per_token, w.completion_audio_per_token,
            w.cache_read_audio_per_token, w.cache_read_image_per_token, w.prompt_image_per_token, w.prompt_video_per_token,
            w.completion_image_per_token, w.completion_video_per_token)
           IS DISTINCT FROM
           (k.input_per_token, k.output_per_token, k.cache_read_per_token, k.cache_write_per_token,
            k.cache_write_1h_per_token, k.reasoning_per_token, k.prompt_audio_per_token, k.completion_audio_per_token,
            k.cache_read_audio_per_token, k.cache_read_image_per_token, k.prompt_image_per_token, k.prompt_video_per_token,
            k.completion_image_per_token, k.completion_video_per_token)
  ), written AS (
    INSERT INTO llm_usage.model_prices
      (vendor, model, service_tier, above_tokens, is_default, source, currency, valid_from,
       input_per_token, output_per_token, cache_read_per_token, cache_write_per_token, cache_write_1h_per_token,
       reasoning_per_token, prompt_audio_per_token, completion_audio_per_token,
       cache_read_audio_per_token, cache_read_image_per_token, prompt_image_per_token, prompt_video_per_token,
       completion_image_per_token, completion_video_per_token)
    SELECT d.vendor, d.model, d.service_tier, d.above_tokens, d.is_default, 'catalog', 'USD',
           CASE WHEN starting IS NOT NULL THEN starting
                -- No other price is known: it is the best one for any time.
                WHEN d.is_new AND NOT EXISTS (SELECT FROM llm_usage.model_prices p
                                               WHERE p.model = d.model AND p.vendor = d.vendor AND p.source = 'catalog')
                  THEN '-infinity'
                ELSE greatest(now(), (SELECT max(p.valid_from) + interval '1 microsecond'
                                        FROM llm_usage.model_prices p
                                       WHERE (p.model, p.vendor, p.service_tier, p.above_tokens)
                                           = (d.model, d.vendor, d.service_tier, d.above_tokens)
                                         AND p.source = 'catalog' AND p.valid_from <= present))
           END,
           d.input_per_token, d.output_per_token, d.cache_read_per_token, d.cache_write_per_token,
           d.cache_write_1h_per_token, d.reasoning_per_token, d.prompt_audio_per_token, d.completion_audio_per_token,
           d.cache_read_audio_per_token, d.cache_read_image_per_token, d.prompt_image_per_token, d.prompt_video_per_token,
           d.completion_image_per_token, d.completion_video_per_token
      FROM different d
  )
  SELECT count(*) FILTER (WHERE d.is_new), count(*) FILTER (WHERE NOT d.is_new), (SELECT count(*) FROM wanted)
    INTO added, changed, listed
    FROM different d;
  RETURN json_build_object('added', added, 'changed', changed, 'unchanged', listed - added - changed,
                           'skipped', read -> 'skipped', 'problems', read -> 'problems');
EXCEPTION WHEN unique_violation THEN
  RAISE EXCEPTION 'the catalogue has other prices from % than an earlier import', starting
    USING ERRCODE = 'invalid_parameter_value',
          DETAIL = 'A price that was recorded is history and stays as it is.',
          HINT = 'Give the later valid_from at which the new prices began, or leave it out for now.';
END $$;
COMMENT ON FUNCTION llm_usage.import_prices(jsonb, timestamptz) IS
  'Imports LiteLLM''s model_prices_and_context_window.json, in USD, as rows of model_prices with source catalog. A model with no imported price yet gets one that has always held; a price that differs from the one that holds then becomes a new row from now on, or from valid_from; the same price again changes nothing. Import older catalogues before newer ones: what a later one said without a change was not kept. Your own rows still win. Returns {"added", "changed", "unchanged", "skipped", "problems": [{"key", "reason"}…]}: counts of prices, of entries that are not priced by the token, and entries that could not be taken. Errors: 22004 for NULL, 22023 for anything but an object of models.';
