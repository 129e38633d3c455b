CREATE FUNCTION llm_usage.user_activity(
    for_user bigint DEFAULT NULL, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, user_id bigint, currency text, requests bigint, unpriced_requests bigint,
                 input_tokens numeric, completion_tokens numeric, total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (e.occurred_at AT TIME ZONE 'UTC')::date, e.user_id, e.currency,
           count(*) FILTER (WHERE e.corrects IS NULL),
           count(*) FILTER (WHERE e.corrects IS NULL AND e.cost IS NULL),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens),
           sum(e.completion_tokens),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens),
           coalesce(sum(e.cost), 0)
      FROM llm_usage._usage_events e
     WHERE (for_user IS NULL OR e.user_id = for_user)
       AND e.occurred_at >= coalesce(from_time, '-infinity')
       AND e.occurred_at < coalesce(to_time, 'infinity')
     GROUP BY 1, 2, 3;
  END;
COMMENT ON FUNCTION llm_usage.user_activity(bigint, timestamptz, timestamptz) IS
  'What users used in [from_time, to_time), a row for each UTC day, user (NULL: requests of nobody known) and currency; NULL arguments: every user, no bound. input_tokens holds the cached kinds, total_tokens = input_tokens + completion_tokens, cost is in currency and leaves unpriced_requests out.';
