CREATE FUNCTION llm_usage.model_activity(
    for_model text DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, vendor text, model text, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens numeric, completion_tokens numeric, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (e.occurred_at AT TIME ZONE 'UTC')::date, e.vendor, e.model, e.currency,
           count(*) FILTER (WHERE e.corrects IS NULL),
           count(*) FILTER (WHERE e.corrects IS NULL AND e.cost IS NULL),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens),
           sum(e.completion_tokens),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens),
           coalesce(sum(e.cost), 0)
      FROM llm_usage._usage_events e
     WHERE (for_model IS NULL OR e.model = for_model)
       AND e.occurred_at >= coalesce(from_time, '-infinity')
       AND e.occurred_at < coalesce(to_time, 'infinity')
     GROUP BY 1, 2, 3, 4;
  END;
COMMENT ON FUNCTION llm_usage.model_activity(text, timestamptz, timestamptz) IS
  'What models were used for in [from_time, to_time), a row for each UTC day, vendor, model and currency; NULL: every model, no bound. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';

CREATE FUNCTION llm_usage.model_activity_between(for_model text, starts timestamptz[], to_time timestamptz)
  RETURNS TABLE (part integer, requests bigint, input_tokens numeric, completion_tokens numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT width_bucket(e.occurred_at, starts),
           count(*) FILTER (WHERE e.corrects IS NULL),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens),
           sum(e.completion_tokens)
      FROM llm_usage._usage_events e
     WHERE e.model = for_model
       AND e.occurred_at >= starts[1]
       AND e.occurred_at < to_time
     GROUP BY 1;
  END;
COMMENT ON FUNCTION llm_usage.model_activity_between(text, timestamptz[], timestamptz) IS
  'What one model was used for in each part of [starts[1], to_time): part i goes from starts[i] to the next start, the last one to to_time. The starts ascend, to the microsecond. Parts without events are absent.';
