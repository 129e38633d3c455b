CREATE FUNCTION llm_usage.rule_activity(from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
  RETURNS TABLE (day date, rule_type text, task_id text, requests bigint, inference_tokens numeric,
                 input_tokens numeric, completion_tokens numeric)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT (e.occurred_at AT TIME ZONE 'UTC')::date, e.rule_type, e.task_id,
           count(*) FILTER (WHERE e.corrects IS NULL),
           sum(e.inference_tokens),
           sum(e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens),
           sum(e.completion_tokens)
      FROM llm_usage._usage_events e
     WHERE e.rule_type IS NOT NULL
       AND e.occurred_at >= coalesce(from_time, '-infinity')
       AND e.occurred_at < coalesce(to_time, 'infinity')
     GROUP BY 1, 2, 3;
  END;
COMMENT ON FUNCTION llm_usage.rule_activity(timestamptz, timestamptz) IS
  'What evaluations used in [from_time, to_time), a row for each UTC day, rule type and task (NULL: none); NULL: no bound. inference_tokens are those of the user''s inference that the rule was run on; input and completion are the evaluation''s own.';
