CREATE TABLE llm_usage.repricings (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  repriced_at     timestamptz NOT NULL DEFAULT now(),
  from_time       timestamptz,
  to_time         timestamptz,
  first_id        bigint NOT NULL,
  last_id         bigint NOT NULL,
  events          bigint NOT NULL,
  unpriced_events bigint NOT NULL,
  repriced_by     text NOT NULL DEFAULT llm_usage._caller(),
  reason          text,
  vendor          text,
  model           text NOT NULL,
  old_cost        numeric NOT NULL,
  old_currency    text NOT NULL,
  new_cost        numeric NOT NULL,
  new_currency    text NOT NULL,
  prices          jsonb NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('llm_usage.repricings', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.repricings_id_seq', '');
COMMENT ON TABLE llm_usage.repricings IS 'What reprice() changed: a row for each vendor, model and pair of currencies of a call.';
COMMENT ON COLUMN llm_usage.repricings.id IS 'Given by the table.';
COMMENT ON COLUMN llm_usage.repricings.repriced_at IS 'When the transaction began that did it.';
COMMENT ON COLUMN llm_usage.repricings.from_time IS 'The range that was asked for, its first instant; NULL: no bound.';
COMMENT ON COLUMN llm_usage.repricings.to_time IS 'Its end, exclusive; NULL: no bound.';
COMMENT ON COLUMN llm_usage.repricings.first_id IS 'The first row that was appended to usage_events for it.';
COMMENT ON COLUMN llm_usage.repricings.last_id IS 'The last such row.';
COMMENT ON COLUMN llm_usage.repricings.events IS 'How many events cost something else since.';
COMMENT ON COLUMN llm_usage.repricings.unpriced_events IS 'How many of them had no price before.';
COMMENT ON COLUMN llm_usage.repricings.repriced_by IS 'The role that did it: that of SET ROLE, as behind PostgREST, else the one that was logged in.';
COMMENT ON COLUMN llm_usage.repricings.reason IS 'In the words of who did it.';
COMMENT ON COLUMN llm_usage.repricings.vendor IS 'As in the events; NULL: they name none.';
COMMENT ON COLUMN llm_usage.repricings.model IS 'As in the events.';
COMMENT ON COLUMN llm_usage.repricings.old_cost IS 'What the events cost before, in old_currency; unpriced ones add nothing.';
COMMENT ON COLUMN llm_usage.repricings.old_currency IS 'ISO 4217 code.';
COMMENT ON COLUMN llm_usage.repricings.new_cost IS 'What they cost since, in new_currency.';
COMMENT ON COLUMN llm_usage.repricings.new_currency IS 'ISO 4217 code.';
COMMENT ON COLUMN llm_usage.repricings.prices IS 'The rows of model_prices for the model as they were then.';

-- What stands of each event in a range whose cost was computed, or for which no price was known, and what it costs now. Parts of
-- one event that corrections have left on different lines of a report, or that were written by hand without all of its columns,
-- stand for themselves: they may be no request, or less.
CREATE FUNCTION llm_usage._repriced(
    from_time timestamptz, to_time timestamptz, for_model text, for_vendor text, for_app bigint,
    OUT event llm_usage.usage_events, OUT new_cost numeric, OUT new_currency text)
  RETURNS SETOF record
  LANGUAGE sql VOLATILE
  BEGIN ATOMIC
    SELECT s.event, p.cost, p.currency
      FROM (SELECT ROW(NULL, e.occurred_at, e.app_id, e.llm_id, e.user_id, coalesce(e.corrects, e.id), sum(e.prompt_tokens),
                       sum(e.cache_read_tokens), sum(e.cache_write_tokens), sum(e.completion_tokens), sum(e.reasoning_tokens),
                       sum(e.inference_tokens), sum(e.cache_write_1h_tokens), sum(e.prompt_audio_tokens),
                       sum(e.completion_audio_tokens), sum(e.cache_read_audio_tokens), sum(e.cache_read_image_tokens),
                       sum(e.prompt_image_tokens), sum(e.prompt_video_tokens), sum(e.completion_image_tokens),
                       sum(e.completion_video_tokens), sum(e.unaccounted_tokens),
                       sum(llm_usage._requests(e.requests, e.corrects)), e.priced, e.currency, e.model, e.vendor, sum(e.cost),
                       sum(e.reported_cost), e.service_tier, e.quality, e.rule_type, e.task_id, e.request_id,
                       e.attrs::text::jsonb)::llm_usage.usage_events AS event
              FROM llm_usage.usage_events e
             WHERE e.priced IS NOT NULL
               AND e.occurred_at >= coalesce(from_time, '-infinity') AND e.occurred_at < coalesce(to_time, 'infinity')
               AND (for_model IS NULL OR e.model = for_model) AND (for_vendor IS NULL OR e.vendor = for_vendor)
               AND (for_app IS NULL OR e.app_id = for_app)
             GROUP BY coalesce(e.corrects, e.id), e.occurred_at, e.app_id, e.llm_id, e.user_id, e.priced, e.currency, e.model,
                      e.vendor, e.service_tier, e.quality, e.rule_type, e.task_id, e.request_id, e.attrs::text
            HAVING (sum(llm_usage._requests(e.requests, e.corrects)), sum(e.prompt_tokens), sum(e.cache_read_tokens),
                    sum(e.cache_write_tokens), sum(e.completion_tokens)) <> (0, 0, 0, 0, 0)) s
     CROSS JOIN LATERAL llm_usage._price(
             (s.event).model, (s.event).vendor, (s.event).service_tier, (s.event).occurred_at, (s.event).prompt_tokens,
             (s.event).cache_read_tokens, (s.event).cache_write_tokens, (s.event).completion_tokens,
             (s.event).reasoning_tokens, (s.event).cache_write_1h_tokens, (s.event).prompt_audio_tokens,
             (s.event).completion_audio_tokens,
             (s.event).cache_read_audio_tokens, (s.event).cache_read_image_tokens, (s.event).prompt_image_tokens,
             (s.event).prompt_video_tokens, (s.event).completion_image_tokens, (s.event).completion_video_tokens) p
     WHERE (s.event).cost IS DISTINCT FROM p.cost OR (s.event).currency <> p.currency;
  END;

-- Appends what makes the events cost what they cost now, and returns what it wrote down of it. A cost in another currency, or
-- where there was none, belongs on another line of a report: the event is taken back there and stands here.
CREATE FUNCTION llm_usage._append_repriced(
    from_time timestamptz, to_time timestamptz, for_model text, for_vendor text, for_app bigint, reason text)
  RETURNS SETOF llm_usage.repricings
  LANGUAGE sql VOLATILE
  BEGIN ATOMIC
    WITH repriced AS MATERIALIZED (
      SELECT r.event, r.new_cost, r.new_currency FROM llm_usage._repriced(from_time, to_time, for_model, for_vendor, for_app) r
    ), appended AS (
      INSERT INTO llm_usage.usage_events AS n
        (occurred_at, app_id, llm_id, user_id, corrects, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens,
         reasoning_tokens, inference_tokens, cache_write_1h_tokens, prompt_audio_tokens, completion_audio_tokens,
         cache_read_audio_tokens, cache_read_image_tokens, prompt_image_tokens, prompt_video_tokens, completion_image_tokens,
         completion_video_tokens,
         unaccounted_tokens, requests, priced, currency, model, vendor, cost, reported_cost, service_tier, quality, rule_type,
         task_id, request_id, attrs)
      SELECT e.occurred_at, e.app_id, e.llm_id, e.user_id, e.corrects, t.sign * e.prompt_tokens, t.sign * e.cache_read_tokens,
             t.sign * e.cache_write_tokens, t.sign * e.completion_tokens, t.sign * e.reasoning_tokens,
             t.sign * e.inference_tokens, t.sign * e.cache_write_1h_tokens, t.sign * e.prompt_audio_tokens,
             t.sign * e.completion_audio_tokens, t.sign * e.cache_read_audio_tokens, t.sign * e.cache_read_image_tokens,
             t.sign * e.prompt_image_tokens, t.sign * e.prompt_video_tokens, t.sign * e.completion_image_tokens,
             t.sign * e.completion_video_tokens, t.sign * e.unaccounted_tokens, t.requests,
             CASE s.sign WHEN -1 THEN e.priced ELSE true END, CASE s.sign WHEN 1 THEN r.new_currency ELSE e.currency END,
             e.model, e.vendor, CASE s.sign WHEN 0 THEN r.new_cost - e.cost WHEN 1 THEN t.sign * r.new_cost ELSE t.sign * e.cost END,
             CASE WHEN s.sign < 1 OR e.currency = r.new_currency THEN t.sign * e.reported_cost END, e.service_tier, e.quality, e.rule_type, e.task_id, e.request_id, e.attrs
        FROM repriced r
       CROSS JOIN LATERAL (SELECT (r.event).*) e
       CROSS JOIN (VALUES (-1), (0), (1)) s (sign)
       CROSS JOIN LATERAL llm_usage._signed_rows(s.sign, e.requests) t
       WHERE (s.sign = 0) = (e.cost IS NOT NULL AND e.currency = r.new_currency)
       ORDER BY e.corrects, s.sign, t.sign = 0
      RETURNING n.id
    )
    INSERT INTO llm_usage.repricings
      (from_time, to_time, first_id, last_id, events, unpriced_events, reason, vendor, model, old_cost, old_currency, new_cost,
       new_currency, prices)
    SELECT from_time, to_time, (SELECT min(a.id) FROM appended a), (SELECT max(a.id) FROM appended a), g.events,
           g.unpriced_events, reason, g.vendor, g.model, g.old_cost, g.old_currency, g.new_cost, g.new_currency,
           (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(p)) ORDER BY p.vendor, p.service_tier, p.above_tokens, p.source, p.valid_from), '[]')
              FROM llm_usage.model_prices p WHERE p.model IN (g.model, substr(g.model, strpos(g.model, '/') + 1)))
      FROM (SELECT (r.event).vendor, (r.event).model, sum((r.event).requests) AS events,
                   coalesce(sum((r.event).requests) FILTER (WHERE (r.event).cost IS NULL), 0) AS unpriced_events,
                   coalesce(sum((r.event).cost), 0) AS old_cost,
                   CASE WHEN (r.event).cost IS NULL THEN r.new_currency ELSE (r.event).currency END AS old_currency,
                   sum(r.new_cost) AS new_cost, r.new_currency
              FROM repriced r
             GROUP BY 1, 2, 6, 8) g
     ORDER BY g.model, g.vendor
    RETURNING *;
  END;

CREATE FUNCTION llm_usage.reprice(
    from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL, for_model text DEFAULT NULL, for_vendor text DEFAULT NULL,
    for_app bigint DEFAULT NULL, dry_run boolean DEFAULT true, reason text DEFAULT NULL)
  RETURNS TABLE (vendor text, model text, events bigint, unpriced_events bigint, old_cost numeric, old_currency text,
                 new_cost numeric, new_currency text, difference numeric)
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET work_mem = '64MB'
  SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  IF coalesce(dry_run, true) THEN
    RETURN QUERY
      SELECT g.*, CASE WHEN g.old_currency = g.new_currency THEN trim_scale(g.new_cost - g.old_cost) END
        FROM (SELECT (r.event).vendor, (r.event).model, sum((r.event).requests),
                     coalesce(sum((r.event).requests) FILTER (WHERE (r.event).cost IS NULL), 0),
                     trim_scale(coalesce(sum((r.event).cost), 0)),
                     CASE WHEN (r.event).cost IS NULL THEN r.new_currency ELSE (r.event).currency END,
                     trim_scale(sum(r.new_cost)), r.new_currency
                FROM llm_usage._repriced(from_time, to_time, for_model, for_vendor, for_app) r
               GROUP BY 1, 2, 6, 8) g (vendor, model, events, unpriced_events, old_cost, old_currency, new_cost, new_currency)
       ORDER BY g.model, g.vendor;
    RETURN;
  END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'reprice() needs the isolation level READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction',
            DETAIL = 'It has to see what was committed while it waited for corrections.',
            HINT = 'Run it in a transaction of its own.';
  END IF;
  -- No event is corrected meanwhile: it would be taken back for what it cost before.
  LOCK TABLE llm_usage._corrected_events IN SHARE ROW EXCLUSIVE MODE;
  RETURN QUERY
    SELECT p.vendor, p.model, p.events, p.unpriced_events, trim_scale(p.old_cost), p.old_currency, trim_scale(p.new_cost),
           p.new_currency, CASE WHEN p.old_currency = p.new_currency THEN trim_scale(p.new_cost - p.old_cost) END
      FROM llm_usage._append_repriced(from_time, to_time, for_model, for_vendor, for_app, reason) p;
END $$;
COMMENT ON FUNCTION llm_usage.reprice(timestamptz, timestamptz, text, text, bigint, boolean, text) IS
  'What the rows of model_prices would change now about events of [from_time, to_time), of one model, vendor or app, NULL: any: a row for each vendor, model and pair of currencies, with the number of events, how many of them had no price, and what they cost and would cost; difference = new_cost - old_cost, NULL across currencies. Only costs that were computed change, and events for which no price was known; never a cost that a writer gave, nor one for which no price is known any more. With dry_run => false it appends to usage_events what makes them cost so, at their own time, and writes down in repricings who did it, when and why; a second call changes nothing. Calls that correct events wait meanwhile, others do not. Errors: 25001 in another isolation level than READ COMMITTED when it writes.';

CREATE VIEW llm_usage.corrected_events WITH (security_invoker) AS
  SELECT c.event_id, e.id, e.occurred_at, e.app_id, e.llm_id, e.user_id, e.vendor, e.model, e.currency,
         llm_usage._requests(e.requests, e.corrects) AS requests,
         e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens AS input_tokens, e.completion_tokens, trim_scale(e.cost) AS cost,
         sum(llm_usage._requests(e.requests, e.corrects)) OVER so_far AS net_requests,
         sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens) OVER so_far AS net_total_tokens,
         trim_scale(sum(e.cost) OVER so_far_in_currency) AS net_cost,
         coalesce(k.status, CASE WHEN p.id IS NOT NULL THEN 'repriced' END) AS status, coalesce(k.reason, p.reason) AS reason,
         coalesce(k.corrected_by, p.repriced_by) AS corrected_by, coalesce(k.corrected_at, p.repriced_at) AS corrected_at
    FROM (SELECT DISTINCT r.corrects AS event_id FROM llm_usage.usage_events r WHERE r.corrects IS NOT NULL) c
   CROSS JOIN LATERAL (
     SELECT o.* FROM llm_usage.usage_events o WHERE o.id = c.event_id
     UNION ALL
     SELECT r.* FROM llm_usage.usage_events r WHERE r.corrects = c.event_id) e
    LEFT JOIN llm_usage.corrections k ON k.event_id = c.event_id AND e.id BETWEEN k.first_id AND k.last_id
    LEFT JOIN LATERAL (
      SELECT r.id, r.reason, r.repriced_by, r.repriced_at
        FROM llm_usage.repricings r
       WHERE k.id IS NULL AND e.corrects IS NOT NULL AND e.priced IS NOT NULL AND e.id BETWEEN r.first_id AND r.last_id
       LIMIT 1) p ON true
  WINDOW so_far AS (PARTITION BY c.event_id ORDER BY e.id),
         so_far_in_currency AS (PARTITION BY c.event_id, e.currency ORDER BY e.id);
COMMENT ON VIEW llm_usage.corrected_events IS
  'The history of every event that was corrected: a row for it and for each row that names it in corrects, in the order of id, with what stood after that row (net_requests, net_total_tokens, and net_cost in the row''s currency), and who made the correction and why, where a function did. Ask for one: WHERE event_id = ….';
