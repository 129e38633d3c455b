-- Whether a row may bring this id.
SELECT $1 > CASE WHEN s.is_called THEN s.last_value ELSE 0 END AND $1 > 0
    OR starts_with(current_setting('application_name'), 'pg_restore')
  FROM llm_usage.usage_events_id_seq s
