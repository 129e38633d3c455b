-- Request keys, corrections and repricing, as SQL shows them.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT count(*) > 0 AS made FROM llm_usage.maintain();
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token, output_per_token) VALUES ('v', 'm', '-infinity', 0.1, 0.2);

SELECT * FROM llm_usage.record_usage('m', app_id => 7, prompt_tokens => 10, request_id => 'r', occurred_at => '2025-06-01Z');
SELECT * FROM llm_usage.record_usage('m', app_id => 7, prompt_tokens => 10, request_id => 'r');
SELECT * FROM llm_usage.record_usage('m', app_id => 7, prompt_tokens => 11, request_id => 'r');
SELECT * FROM llm_usage.record_usage('m', app_id => 7, prompt_tokens => 11, request_id => 'r');
SELECT app_id, event_id, times, request_id, source, recorded, given FROM llm_usage.conflicts;
-- Another app, another source, and no key at all.
SELECT status FROM llm_usage.record_usage('m', app_id => 8, prompt_tokens => 11, request_id => 'r');
SELECT status FROM llm_usage.record_usage('m', app_id => 7, prompt_tokens => 11, request_id => 'r', source => 'gateway-2');
SELECT (llm_usage.record_usage('m', app_id => 9)).status FROM generate_series(1, 2);
-- A key twice in a batch; a figure that is superseded there.
SELECT r - 'ids' || jsonb_build_object('ids', jsonb_array_length(r -> 'ids'))
       #- '{known,0,id}' #- '{known,1,id}' #- '{known,2,id}' AS batch
  FROM (SELECT llm_usage.record_usage_batch('[{"model": "m", "request_id": "b"}, {"model": "m", "request_id": "b"},
    {"model": "m", "request_id": "s", "completion_tokens": 3, "quality": "estimated"}, {"model": "m", "prompt_tokens": 1},
    {"model": "m", "request_id": "s", "completion_tokens": 5}, {"model": "m", "request_id": "b", "prompt_tokens": 1}]')::jsonb) b (r);
SELECT model, requests, completion_tokens FROM llm_usage.model_activity(to_time => '2100-01-01Z') WHERE completion_tokens > 0;

SELECT * FROM llm_usage.correct_usage(1, 'typo', prompt_tokens => 20);
SELECT * FROM llm_usage.correct_usage(1, 'typo', prompt_tokens => 20);
SELECT * FROM llm_usage.correct_usage(1, user_id => 3);
SELECT * FROM llm_usage.correct_usage(1, cost => 0.5);
SELECT * FROM llm_usage.correct_usage(1, prompt_tokens => 30);
SELECT * FROM llm_usage.void_usage(1, 'never happened');
SELECT * FROM llm_usage.void_usage(1);
SELECT event_id, user_id, requests, input_tokens, cost, net_requests, net_total_tokens, net_cost, status, reason FROM llm_usage.corrected_events WHERE event_id = 1;
SELECT event_id, status, reason, corrected_by FROM llm_usage.corrections WHERE event_id = 1;
SELECT * FROM llm_usage.usage_by_app WHERE day = '2025-06-01';
-- A retry does not bring it back.
SELECT * FROM llm_usage.record_usage('m', app_id => 7, prompt_tokens => 10, request_id => 'r');

-- No estimate comes back that was voided.
SELECT (llm_usage.record_usage('m', request_id => 'e', quality => 'estimated')).status;
SELECT (llm_usage.void_usage(max(id))).status FROM llm_usage.usage_events;
SELECT status, cost FROM llm_usage.record_usage('m', request_id => 'e', prompt_tokens => 1);

SELECT count(*) > 0 AS folded FROM llm_usage.fold();
SELECT * FROM llm_usage.verify();

\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT llm_usage.void_usage(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.void_usage(999999);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.void_usage((SELECT min(id) FROM llm_usage.usage_events WHERE corrects = 1));
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.correct_usage(1, prompt_tokens => 5);
\echo :LAST_ERROR_SQLSTATE
SELECT llm_usage.correct_usage(1, prompt_tokens => -5);
\echo :LAST_ERROR_SQLSTATE
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT llm_usage.reprice(dry_run => false);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- What was corrected by hand without all of the event's columns is priced with it; a second time nothing changes.
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'by hand', '2025-01-01Z', 1);
SELECT id AS by_hand FROM llm_usage.record_usage('by hand', app_id => 90, prompt_tokens => 1000, request_id => 'h1', occurred_at => '2026-10-01Z') \gset
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, corrects, prompt_tokens) VALUES ('2026-10-01Z', 90, 'by hand', :by_hand, -400);
SELECT total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 90;
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'by hand', '2025-02-01Z', 3);
SELECT events, old_cost, new_cost FROM llm_usage.reprice(for_model => 'by hand', dry_run => false);
SELECT requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 90;
SELECT count(*) AS again FROM llm_usage.reprice(for_model => 'by hand', dry_run => false);
-- The same of events without a price, in another currency.
SELECT id AS late FROM llm_usage.record_usage('late', app_id => 91, prompt_tokens => 1000, request_id => 'h2', reported_cost => 7, occurred_at => '2026-10-01Z') \gset
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, corrects, prompt_tokens) VALUES ('2026-10-01Z', 91, 'late', :late, -400);
INSERT INTO llm_usage.model_prices (vendor, model, currency, valid_from, input_per_token) VALUES ('v', 'late', 'EUR', '2025-01-01Z', 3);
SELECT events, unpriced_events, new_cost, new_currency FROM llm_usage.reprice(for_model => 'late', dry_run => false);
SELECT currency, requests, unpriced_requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 91 AND (requests, total_tokens) <> (0, 0);
SELECT count(*) AS again FROM llm_usage.reprice(for_model => 'late', dry_run => false);
-- What was reported in dollars is not kept in euros.
SELECT currency, sum(reported_cost) AS reported FROM llm_usage.usage_events WHERE app_id = 91 GROUP BY 1 ORDER BY 1;
SELECT status FROM llm_usage.record_response('openrouter', '{"id": "g", "model": "late", "usage": {"prompt_tokens": 1, "completion_tokens": 0, "cost": 1.1}}', vendor => 'v');
SELECT currency, cost, reported_cost FROM llm_usage.usage_events WHERE request_id = 'g';

-- Who it was, also behind SET ROLE.
BEGIN;
CREATE ROLE auditor NOLOGIN;
SELECT llm_usage.grant_access('auditor', 'admin');
SET LOCAL ROLE auditor;
SELECT (llm_usage.void_usage(id, 'twice')).status FROM (SELECT (llm_usage.record_usage('audited')).id) e;
SELECT reason, corrected_by FROM llm_usage.corrections WHERE corrected_by = 'auditor';
ROLLBACK;

-- What a hand correction changed stays, whatever else is corrected, and so does what it cost.
SELECT id FROM llm_usage.record_usage('gpt-4.1', app_id => 92, prompt_tokens => 1000, request_id => 'hand', occurred_at => '2025-05-01Z') \gset
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, corrects, prompt_tokens, cost) VALUES ('2025-05-01Z', 92, 'gpt-4.1', :id, -100, -0.0002);
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, corrects, cost, currency) VALUES ('2025-05-01Z', 92, 'gpt-4.1', :id, 0.5, 'EUR');
SELECT status, cost FROM llm_usage.record_usage('gpt-4.1', app_id => 92, prompt_tokens => 1000, request_id => 'hand');
SELECT status, cost FROM llm_usage.correct_usage(:id, 'who', user_id => 5);
SELECT currency, requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 92 ORDER BY 1;
SELECT total_tokens FROM llm_usage.user_activity(5) WHERE total_tokens <> 0;
SELECT status, cost FROM llm_usage.correct_usage(:id, 'how many', prompt_tokens => 500);
SELECT currency, requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 92 ORDER BY 1;
SELECT status FROM llm_usage.void_usage(:id);
SELECT currency, requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 92 ORDER BY 1;

-- To give the cost that was computed makes it a given one, which no repricing changes.
SELECT id FROM llm_usage.record_usage('gpt-4.1', app_id => 93, prompt_tokens => 1000) \gset
SELECT status, cost FROM llm_usage.correct_usage(:id, 'the invoice says so', cost => 0.002);
SELECT status, cost FROM llm_usage.correct_usage(:id, 'the invoice says so', cost => 0.002);
SELECT status, cost FROM llm_usage.correct_usage(:id, 'as it is', prompt_tokens => 1000);
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('openai', 'gpt-4.1', '-infinity', 1);
SELECT count(*) AS repriced FROM llm_usage.reprice(for_app => 93);

-- What was dropped costs nobody knows what; what was voided costs nothing.
SELECT status, cost FROM llm_usage.record_usage('gpt-4.1', app_id => 94, prompt_tokens => 5, cost => 7, request_id => 'old', occurred_at => '2024-05-10Z');
SELECT count(*) > 0 AS maintained FROM llm_usage.maintain();
SELECT llm_usage.fold() >= 0 AS folded, llm_usage.drop_month('2024-05-01') > 0 AS dropped;
SELECT status, cost, currency FROM llm_usage.record_usage('gpt-4.1', app_id => 94, prompt_tokens => 5, cost => 7, request_id => 'old');
SELECT status, cost FROM llm_usage.record_usage('gpt-4.1', app_id => 92, prompt_tokens => 1000, request_id => 'hand');
-- Every kind of tokens is corrected, priced anew and taken back.
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token, output_per_token, cache_read_per_token, prompt_audio_per_token, prompt_image_per_token,
  prompt_video_per_token, cache_read_audio_per_token, cache_read_image_per_token, completion_audio_per_token, completion_image_per_token, completion_video_per_token)
VALUES ('v', 'media', '2020-01-01', 100, 200, 300, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001, 0.0000001, 0.00000001);
SELECT id AS media, cost FROM llm_usage.record_usage('media', prompt_tokens => 9, prompt_audio_tokens => 1, prompt_image_tokens => 2, prompt_video_tokens => 3,
  cache_read_tokens => 9, cache_read_audio_tokens => 4, cache_read_image_tokens => 2, completion_tokens => 9, completion_audio_tokens => 1,
  completion_image_tokens => 2, completion_video_tokens => 3, reasoning_tokens => 2) \gset
\echo :cost
SELECT status, cost FROM llm_usage.correct_usage(:media, prompt_image_tokens => 1, completion_video_tokens => 4, cache_read_audio_tokens => 5);
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token, output_per_token, cache_read_per_token, prompt_video_per_token) VALUES ('v', 'media', '2020-01-02', 1, 2, 3, 4);
SELECT old_cost, new_cost FROM llm_usage.reprice(for_model => 'media', dry_run => false);
SELECT status FROM llm_usage.void_usage(:media);
SELECT k.key, array_agg(k.value::bigint ORDER BY e.id), sum(k.value::bigint)
  FROM llm_usage.usage_events e, jsonb_each_text(to_jsonb(e)) k WHERE e.model = 'media' AND k.key ~ '_(audio|image|video)_tokens$' GROUP BY 1 ORDER BY 1;
SELECT id FROM llm_usage.record_usage('media', prompt_tokens => 9, prompt_image_tokens => 2, cache_read_tokens => 3, cache_read_audio_tokens => 1, request_id => 'media');
SELECT status FROM llm_usage.record_usage('media', prompt_tokens => 9, prompt_image_tokens => 2, cache_read_tokens => 3, cache_read_audio_tokens => 1, request_id => 'media');
SELECT status FROM llm_usage.record_usage('media', prompt_tokens => 9, prompt_image_tokens => 2, cache_read_tokens => 3, cache_read_audio_tokens => 2, request_id => 'media');
SELECT llm_usage.record_usage_batch('[{"model": "media", "prompt_tokens": 3, "prompt_video_tokens": 2}, {"model": "media", "completion_tokens": 3, "completion_image_tokens": -1}]') -> 'errors' -> 0 ->> 'reason' AS reason;
-- Values of attributes are told apart as reports tell them: 1 and 1.0 are two, though jsonb takes them for one.
INSERT INTO llm_usage.reported_attrs VALUES ('n') ON CONFLICT DO NOTHING;
SELECT id AS counted FROM llm_usage.record_usage('m', cost => 3, attrs => '{"n": 1}') \gset
SELECT status FROM llm_usage.correct_usage(:counted, attrs => '{"n": 1.0}');
SELECT status FROM llm_usage.correct_usage(:counted, attrs => '{"n": 1.0}');
SELECT value, requests, cost FROM llm_usage.attr_activity('n', now() - interval '1 day') ORDER BY 1;
SELECT status FROM llm_usage.correct_usage(:counted, attrs => '{"n": 2}');
SELECT status FROM llm_usage.correct_usage(:counted, attrs => '{"n": 1.0}');
SELECT status FROM llm_usage.void_usage(:counted);
SELECT value, requests, cost FROM llm_usage.attr_activity('n', now() - interval '1 day') ORDER BY 1;
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'counted', '2020-01-01', 1);
SELECT id AS priced FROM llm_usage.record_usage('counted', prompt_tokens => 1, attrs => '{"n": 5}') \gset
SELECT status FROM llm_usage.correct_usage(:priced, attrs => '{"n": 6}');
SELECT status FROM llm_usage.correct_usage(:priced, attrs => '{"n": 5.0}');
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'counted', '2020-01-02', 2);
SELECT old_cost, new_cost FROM llm_usage.reprice(for_model => 'counted', dry_run => false);
SELECT value, requests, cost FROM llm_usage.attr_activity('n', now() - interval '1 day') WHERE value LIKE '5%' ORDER BY 1;
INSERT INTO llm_usage.budgets (entity_type, entity_key, entity_value, amount, unit)
VALUES ('Attribute', 'n', '1', 1, 'requests'), ('Attribute', 'n', '1.0', 1, 'requests'), ('Attribute', 'n', '1.00', 1, 'requests');
SELECT llm_usage.fold() IS NOT NULL AS folded;
INSERT INTO llm_usage.usage_events (model, attrs) VALUES ('m', '{"n": 1}'), ('m', '{"n": 1.0}'), ('m', '{"n": 1.00}');
SELECT llm_usage.fold();
SELECT b.entity_value, count(*) FROM llm_usage.budget_alerts a JOIN llm_usage.budgets b ON b.id = a.budget_id WHERE b.entity_key = 'n' GROUP BY 1 ORDER BY 1;

-- A better figure may move an event to a month that is dropped then: it stands there, and is neither voided nor recorded anew.
SELECT id AS moved FROM llm_usage.record_usage('m', app_id => 95, completion_tokens => 10, cost => 1, request_id => 'moved', quality => 'partial', occurred_at => '2024-06-01 00:00:01Z') \gset
SELECT status FROM llm_usage.record_usage('m', app_id => 95, completion_tokens => 100, cost => 2, request_id => 'moved', occurred_at => '2024-05-31 23:59:59Z');
SELECT count(*) > 0 AS maintained FROM llm_usage.maintain();
DELETE FROM llm_usage._dropped_months WHERE month = '2024-05-01';
SELECT llm_usage.fold() >= 0 AS folded, llm_usage.drop_month('2024-05-01') > 0 AS dropped;
SELECT day, requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 95 AND requests <> 0;
\set SHOW_CONTEXT never
SELECT llm_usage.void_usage(:moved);
SELECT llm_usage.correct_usage(:moved, completion_tokens => 50);
\set SHOW_CONTEXT errors
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, completion_tokens, cost, corrects) VALUES ('2024-05-31 23:00Z', 95, 'm', -50, -1, :moved);
SELECT day, requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 95 AND requests <> 0;
SELECT llm_usage.fold() > 0 AS folded;
SELECT day, requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 95 AND requests <> 0;
SELECT status, cost FROM llm_usage.record_usage('m', app_id => 95, completion_tokens => 100, cost => 2, request_id => 'moved', occurred_at => '2024-05-31 23:59:59Z');

-- One that was recorded in a month that is dropped then stands in its own, and cost what it costs there.
SELECT id AS moved FROM llm_usage.record_usage('m', app_id => 99, cost => 1, request_id => 'moved', quality => 'partial', occurred_at => '2024-05-31 23:59:59Z') \gset
SELECT status FROM llm_usage.record_usage('m', app_id => 99, cost => 2, request_id => 'moved', occurred_at => '2024-06-01 00:00:01Z');
SELECT count(*) > 0 AS maintained FROM llm_usage.maintain();
DELETE FROM llm_usage._dropped_months WHERE month = '2024-05-01';
SELECT llm_usage.fold() >= 0 AS folded, llm_usage.drop_month('2024-05-01') > 0 AS dropped;
SELECT status, cost, currency FROM llm_usage.record_usage('m', app_id => 99, cost => 2, request_id => 'moved', occurred_at => '2024-06-01 00:00:01Z');
SELECT day, requests, cost FROM llm_usage.usage_by_app WHERE app_id = 99 AND requests <> 0;
\set SHOW_CONTEXT never
SELECT llm_usage.void_usage(:moved);
\set SHOW_CONTEXT errors

-- What was recorded under a key stands beside what was given, to the last null.
SELECT status FROM llm_usage.record_usage('m', app_id => 99, prompt_tokens => 5, request_id => 'nulls', attrs => '{"a": null, "b": {"c": null, "d": [null, {"e": null}]}}');
SELECT status FROM llm_usage.record_usage('m', app_id => 99, prompt_tokens => 6, request_id => 'nulls', attrs => '{"a": null}');
SELECT recorded -> 'attrs' AS recorded, given -> 'attrs' AS given, recorded ? 'user_id' AS has_user FROM llm_usage.conflicts WHERE request_id = 'nulls';

-- A line to which hand corrections have added requests is priced, corrected and taken back all the same.
SELECT id AS twice FROM llm_usage.record_usage('twice', vendor => 'v', app_id => 96, prompt_tokens => 10) \gset
INSERT INTO llm_usage.usage_events (occurred_at, app_id, vendor, model, corrects, requests) SELECT e.occurred_at, 96, 'v', 'twice', :twice, 1 FROM llm_usage.usage_events e WHERE e.id = :twice;
SELECT requests, unpriced_requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 96;
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v', 'twice', '-infinity', 0.1);
SELECT events, unpriced_events, new_cost FROM llm_usage.reprice(for_app => 96);
SELECT events, unpriced_events, new_cost FROM llm_usage.reprice(for_app => 96, dry_run => false);
SELECT count(*) AS again FROM llm_usage.reprice(for_app => 96);
SELECT requests, unpriced_requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 96;
SELECT status, cost FROM llm_usage.correct_usage(:twice, prompt_tokens => 5);
SELECT requests, unpriced_requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 96;
INSERT INTO llm_usage.usage_events (occurred_at, app_id, vendor, model, corrects, requests, completion_tokens)
SELECT e.occurred_at, 96, 'v', 'twice', :twice, 1, 7 FROM llm_usage.usage_events e, generate_series(1, 3) WHERE e.id = :twice;
SELECT status FROM llm_usage.void_usage(:twice);
SELECT requests, unpriced_requests, total_tokens, cost FROM llm_usage.usage_by_app WHERE app_id = 96;

-- What was reported in dollars is not in euros.
SELECT id AS reported FROM llm_usage.record_usage('m', app_id => 97, cost => 0.4, reported_cost => 0.5) \gset
SELECT status FROM llm_usage.correct_usage(:reported, cost => 0.45, currency => 'EUR');
SELECT currency, sum(cost) AS cost, sum(reported_cost) AS reported_cost FROM llm_usage.usage_events WHERE app_id = 97 GROUP BY 1 ORDER BY 1;
SELECT status FROM llm_usage.correct_usage(:reported, currency => 'USD', reported_cost => 0.6);
SELECT currency, sum(cost) AS cost, sum(reported_cost) AS reported_cost FROM llm_usage.usage_events WHERE app_id = 97 GROUP BY 1 ORDER BY 1;
SELECT id AS drifts FROM llm_usage.record_usage('counted', vendor => 'v', app_id => 98, prompt_tokens => 1, reported_cost => 0.5) \gset
SELECT requests, reported_cost FROM llm_usage.cost_drift WHERE model = 'counted';
SELECT status FROM llm_usage.void_usage(:drifts);
SELECT requests, reported_cost FROM llm_usage.cost_drift WHERE model = 'counted';
SELECT count(*) FROM llm_usage.verify();
-- A partition that is made between two corrections of a transaction is known to the second.
BEGIN;
SELECT id AS kept FROM llm_usage.record_usage('m', app_id => 99, completion_tokens => 1, cost => 1, occurred_at => '2023-01-31Z') \gset
SELECT status FROM llm_usage.correct_usage(:kept, completion_tokens => 5);
SELECT status FROM llm_usage.correct_usage(:kept, completion_tokens => 6);
SELECT count(*) > 0 AS maintained FROM llm_usage.maintain();
SELECT status FROM llm_usage.correct_usage(:kept, completion_tokens => 7);
SELECT status FROM llm_usage.void_usage(:kept);
ROLLBACK;

-- Plain retries are answered all at once, without what is done for one that changes something: the answers are the same.
CREATE TEMP TABLE keys (key text, tokens bigint);
CREATE FUNCTION pg_temp.keyed(key text, quality text DEFAULT NULL, of_cost numeric DEFAULT 0.50, at timestamptz DEFAULT '2025-07-01Z') RETURNS bigint
  LANGUAGE sql AS $$
  INSERT INTO keys VALUES (key, 5);
  SELECT id FROM llm_usage.record_usage('nobody-s', app_id => 5, prompt_tokens => 5, cost => of_cost, request_id => key, quality => quality, occurred_at => at);
$$;
SELECT least(pg_temp.keyed('plain'), pg_temp.keyed('unpriced', of_cost => NULL), pg_temp.keyed('estimated', 'estimated')) > 0 AS recorded;
SELECT status FROM llm_usage.void_usage(pg_temp.keyed('voided'));
SELECT status FROM llm_usage.void_usage(pg_temp.keyed('estimated and voided', 'estimated'));
SELECT status FROM llm_usage.correct_usage(pg_temp.keyed('corrected'), prompt_tokens => 9, cost => 0.7, currency => 'EUR');
SELECT status FROM llm_usage.correct_usage(pg_temp.keyed('moved'), app_id => 6);
SELECT pg_temp.keyed('superseded', 'estimated') > 0 AS recorded;
UPDATE keys SET tokens = 7 WHERE key = 'superseded';
SELECT status FROM llm_usage.record_usage('nobody-s', app_id => 5, prompt_tokens => 7, cost => 0.50, request_id => 'superseded', occurred_at => '2025-07-02Z');
INSERT INTO llm_usage.usage_events (occurred_at, app_id, model, corrects, prompt_tokens, cost)
VALUES ('2025-07-01Z', 5, 'nobody-s', pg_temp.keyed('by hand'), 3, 0.25);
SELECT pg_temp.keyed('dropped', at => '2020-03-01Z') > 0 AS recorded;
SELECT count(*) > 0 AS maintained FROM llm_usage.maintain();
SELECT llm_usage.fold() > 0 AS folded, llm_usage.drop_month('2020-03-01') AS dropped;
CREATE FUNCTION pg_temp.answers(key text, tokens bigint, quality text, OUT fast llm_usage.recorded, OUT slow llm_usage.recorded)
  LANGUAGE plpgsql AS $$
DECLARE
  kept llm_usage._request_keys;
  said jsonb := jsonb_build_object('model', 'nobody-s', 'app_id', 5, 'prompt_tokens', tokens, 'cost', 0.50, 'quality', quality, 'request_id', key);
BEGIN
  SELECT * INTO kept FROM llm_usage._request_keys k WHERE k.app_id = 5 AND k.request_id = key;
  IF key = 'unpriced' THEN
    said := said - 'cost';
  END IF;
  BEGIN
    SELECT * INTO fast FROM llm_usage.record_usage('nobody-s', app_id => 5, prompt_tokens => tokens, request_id => key, quality => quality,
                                                   cost => (said ->> 'cost')::numeric);
    RAISE EXCEPTION 'undone' USING ERRCODE = 'UNDON';
  EXCEPTION WHEN SQLSTATE 'UNDON' THEN
  END;
  BEGIN
    slow := llm_usage._settle(5, '', key, CASE WHEN tokens = (SELECT k.tokens FROM keys k WHERE k.key = answers.key) THEN kept.billed
                                               ELSE 'ffffffff-ffff-ffff-ffff-ffffffffffff' END, quality, jsonb_strip_nulls(said));
    RAISE EXCEPTION 'undone' USING ERRCODE = 'UNDON';
  EXCEPTION WHEN SQLSTATE 'UNDON' THEN
  END;
END $$;
SELECT k.key, c.tokens, q.quality, (a.slow).status, (a.slow).cost, (a.slow).currency, a.fast IS NOT DISTINCT FROM a.slow AS is_the_same
  FROM keys k, (VALUES (5), (7), (8)) c (tokens), (VALUES (NULL), ('estimated')) q (quality),
       LATERAL pg_temp.answers(k.key, c.tokens, q.quality) a
 ORDER BY 1, 2, 3;
-- Of what a batch says of a key again, each is told what was so before it.
SELECT json_array_elements(r -> 'known') ->> 'status' AS status
  FROM llm_usage.record_usage_batch((SELECT jsonb_agg(jsonb_build_object('model', 'nobody-s', 'app_id', 5, 'prompt_tokens', s.tokens, 'cost', 0.50,
           'quality', s.quality, 'request_id', 'estimated') ORDER BY s.place)
         FROM (VALUES (1, 5, 'estimated'), (2, 6, NULL), (3, 6, NULL), (4, 5, 'estimated'), (5, 7, NULL)) s (place, tokens, quality))) r;
