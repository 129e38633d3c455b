-- The first instant of a local day. Where the clock is put back over midnight there are two, of which PostgreSQL takes the
-- second; where it is put forward there is none, and it takes the instant of the change.
CREATE FUNCTION llm_usage._day_in_zone(day date, zone text) RETURNS timestamptz
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE WHEN ((day::timestamp AT TIME ZONE zone) - interval '1 hour') AT TIME ZONE zone >= day::timestamp
              THEN (day::timestamp AT TIME ZONE zone) - interval '1 hour'
              ELSE day::timestamp AT TIME ZONE zone END;

-- The period of a budget that holds an instant, [period_start, period_end); a rolling one has no end.
CREATE FUNCTION llm_usage._budget_period(
    period text, anchor date, rolling_window interval, zone text, at timestamptz)
  RETURNS TABLE (period_start timestamptz, period_end timestamptz)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    -- Days are local ones, hours go by the clock of everybody; and nothing moves within an hour.
    SELECT CASE WHEN period = 'rolling'
                THEN llm_usage._hour(((llm_usage._hour(at) AT TIME ZONE zone) - date_trunc('day', rolling_window)) AT TIME ZONE zone
                                     - (rolling_window - date_trunc('day', rolling_window)))
                ELSE llm_usage._day_in_zone(llm_usage._period_start(period, anchor, d.local_time::date), zone) END,
           CASE WHEN period <> 'rolling'
                THEN llm_usage._day_in_zone(llm_usage._period_end(period, anchor, d.local_time::date), zone) END
      FROM (SELECT at AT TIME ZONE zone AS local_time) d;
  END;
