-- What this session has drawn last, and above which number it may give ids itself: who restores brings them, before the sequence is
-- set or, as pg_restore does it, beside that.
SELECT llm_usage._last_drawn($1),
       CASE WHEN pg_has_role(session_user, c.relowner, 'MEMBER')
            THEN CASE WHEN starts_with(current_setting('application_name'), 'pg_restore') THEN -9223372036854775808
                      WHEN pg_sequence_last_value($1) IS NULL THEN 0 END END
  FROM pg_class c
 WHERE c.oid = $1
