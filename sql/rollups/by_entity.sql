CREATE FUNCTION llm_usage.entity_activity(from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, entity_type text, entity_id bigint, currency text, requests bigint, unpriced_requests bigint,
                 total_tokens numeric, cost numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (e.occurred_at AT TIME ZONE 'UTC')::date, 'App', e.app_id, e.currency,
           count(*) FILTER (WHERE e.corrects IS NULL),
           count(*) FILTER (WHERE e.corrects IS NULL AND e.cost IS NULL),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens),
           coalesce(sum(e.cost), 0)
      FROM llm_usage._usage_events e
     WHERE e.app_id <> 0
       AND e.occurred_at >= coalesce(from_time, '-infinity')
       AND e.occurred_at < coalesce(to_time, 'infinity')
     GROUP BY 1, e.app_id, e.currency
    UNION ALL
    SELECT (e.occurred_at AT TIME ZONE 'UTC')::date, 'LLM', e.llm_id, e.currency,
           count(*) FILTER (WHERE e.corrects IS NULL),
           count(*) FILTER (WHERE e.corrects IS NULL AND e.cost IS NULL),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens),
           coalesce(sum(e.cost), 0)
      FROM llm_usage._usage_events e
     WHERE e.llm_id <> 0
       AND e.occurred_at >= coalesce(from_time, '-infinity')
       AND e.occurred_at < coalesce(to_time, 'infinity')
     GROUP BY 1, e.llm_id, e.currency;
  END;
COMMENT ON FUNCTION llm_usage.entity_activity(timestamptz, timestamptz) IS
  'What each App and each LLM used in [from_time, to_time), a row for each UTC day, entity and currency; NULL: no bound. An event counts for its App and for its LLM; app 0 and LLM 0 are none. cost is in currency and leaves unpriced_requests out.';
