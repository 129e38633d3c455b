SELECT b.id, b.entity_type, b.entity_id, b.entity_value,
       CASE b.entity_type WHEN 'All' THEN 'everything' WHEN 'Attribute' THEN b.entity_key || ' = ' || b.entity_value
                          ELSE b.entity_type || ' ' || coalesce(b.entity_id::text, b.entity_value) END,
       b.name, b.amount::text, b.unit, b.currency, b.unpriced, b.fallback_price::text, b.converts,
       CASE WHEN b.converts THEN llm_usage._exchange_rate($2, b.currency, (now() AT TIME ZONE 'UTC')::date)::text END,
       b.is_hard, p.period_start, p.period_end, llm_usage._counted_to(p.period_end, p.at),
       to_char(p.period_end AT TIME ZONE b.time_zone, 'YYYY-MM-DD HH24:MI ') || b.time_zone,
       greatest(llm_usage._hour(p.at), p.period_start), least(llm_usage._hour(p.at) + interval '1 hour', p.period_end),
       b.entity_key
  FROM llm_usage.budgets b
 CROSS JOIN LATERAL (
    SELECT a.at, q.period_start, q.period_end
      FROM (SELECT clock_timestamp() AS at OFFSET 0) a
     CROSS JOIN LATERAL llm_usage._budget_period(b.period, b.start_date, b.rolling_window, b.time_zone, a.at) q) p
 WHERE b.id = ANY ($1)
 ORDER BY b.id
