CREATE FUNCTION llm_usage.app_activity(
    for_app bigint DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, app_id bigint, llm_id bigint, vendor text, model text, currency text, requests bigint,
                 unpriced_requests bigint, input_tokens numeric, completion_tokens numeric, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (e.occurred_at AT TIME ZONE 'UTC')::date, e.app_id, e.llm_id, e.vendor, e.model, e.currency,
           count(*) FILTER (WHERE e.corrects IS NULL),
           count(*) FILTER (WHERE e.corrects IS NULL AND e.cost IS NULL),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens),
           sum(e.completion_tokens),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens),
           coalesce(sum(e.cost), 0)
      FROM llm_usage._usage_events e
     WHERE (for_app IS NULL OR e.app_id = for_app)
       AND e.occurred_at >= coalesce(from_time, '-infinity')
       AND e.occurred_at < coalesce(to_time, 'infinity')
     GROUP BY 1, 2, 3, 4, 5, 6;
  END;
COMMENT ON FUNCTION llm_usage.app_activity(bigint, timestamptz, timestamptz) IS
  'What apps used in [from_time, to_time), a row for each UTC day, app, LLM, vendor, model and currency; NULL: every app, no bound. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';
