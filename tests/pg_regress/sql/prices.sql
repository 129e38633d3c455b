-- Which price holds, and what follows from it.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
INSERT INTO llm_usage.model_prices (vendor, model, currency, valid_from, input_per_token, output_per_token, cache_read_per_token, cache_write_per_token)
VALUES ('acme', 'rocket', 'USD', '2025-01-01Z', 0.000001, 0.000002, 0.0000001, 0.00000125),
       ('acme', 'rocket', 'EUR', '2025-06-01Z', 0.000003, 0.000004, NULL, NULL),
       ('acme', 'free', 'USD', '-infinity', 0, 0, 0, 0);
-- By the event's time; before the first date no price is known.
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', prompt_tokens => 7, occurred_at => '2024-12-31 23:59:59.999999Z');
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', prompt_tokens => 7, occurred_at => '2025-01-01Z');
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', prompt_tokens => 7, occurred_at => '2025-05-31 23:59:59.999999Z');
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', prompt_tokens => 7, occurred_at => '2025-06-01Z');
-- Each kind at its price: 10 + 100 * 0.1 + 20 * 1.25 + 5 * 2 millionths; reasoning is in the completion.
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', prompt_tokens => 10, cache_read_tokens => 100,
  cache_write_tokens => 20, completion_tokens => 5, reasoning_tokens => 4, occurred_at => '2025-02-01Z');
-- A kind without a price leaves the event unpriced; free is a price.
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', cache_read_tokens => 1, occurred_at => '2025-07-01Z');
SELECT cost, currency FROM llm_usage.record_usage('free', prompt_tokens => 1000);
-- Whoever gives a cost keeps it.
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', prompt_tokens => 7, cost => 12.345678901234567890, currency => 'CHF');
SELECT cost, currency FROM llm_usage.record_usage('rocket', vendor => 'acme', prompt_tokens => 7, cost => 0);
-- A bare name means its only vendor, and no vendor where there are several and none is the default.
SELECT cost FROM llm_usage.record_usage('rocket', prompt_tokens => 7, occurred_at => '2025-01-01Z');
SELECT cost FROM llm_usage.record_usage('acme/rocket', prompt_tokens => 7, occurred_at => '2025-01-01Z');
SELECT cost FROM llm_usage.record_usage('other/rocket', prompt_tokens => 7, occurred_at => '2025-01-01Z');
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('other', 'rocket', '2025-01-01Z', 1);
SELECT cost FROM llm_usage.record_usage('rocket', prompt_tokens => 7, occurred_at => '2025-01-01Z');
-- INSERT and COPY price in the same way.
INSERT INTO llm_usage.usage_events (vendor, model, occurred_at, prompt_tokens) VALUES ('acme', 'rocket', '2025-01-01Z', 7) RETURNING cost, currency, priced;
COPY llm_usage.usage_events (vendor, model, occurred_at, prompt_tokens, app_id) FROM stdin;
acme	rocket	2025-06-01 00:00:00Z	7	30
acme	jet	2025-06-01 00:00:00Z	7	30
\.
SELECT model, cost, currency, priced FROM llm_usage.usage_events WHERE app_id = 30 ORDER BY id;
-- A changed price is seen by a session that has priced before, also in the same transaction, and a rollback too.
BEGIN;
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('acme', 'jet', '2020-01-01Z', 5);
SELECT cost FROM llm_usage.record_usage('jet', vendor => 'acme', prompt_tokens => 1);
ROLLBACK;
SELECT cost FROM llm_usage.record_usage('jet', vendor => 'acme', prompt_tokens => 1);
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('acme', 'jet', '2020-01-01Z', 6);
SELECT cost FROM llm_usage.record_usage('jet', vendor => 'acme', prompt_tokens => 1);
COMMIT;
SELECT cost FROM llm_usage.record_usage('jet', vendor => 'acme', prompt_tokens => 1);
-- Prices that are none.
\set VERBOSITY terse
INSERT INTO llm_usage.model_prices (vendor, model, input_per_token) VALUES ('acme', 'bad', -1);
INSERT INTO llm_usage.model_prices (vendor, model, input_per_token) VALUES ('acme', 'bad', 'NaN');
INSERT INTO llm_usage.model_prices (vendor, model, input_per_token, currency) VALUES ('acme', 'bad', 1, 'dollars');
\set VERBOSITY default
-- Unpriced models are listed with their requests.
SELECT vendor, model, requests FROM llm_usage.unpriced_models WHERE model IN ('rocket', 'jet', 'other/rocket') ORDER BY model COLLATE "C", vendor;

-- The catalogue: the first import has always held, the same again changes nothing, a change is a new row.
CREATE TEMP TABLE catalog (doc jsonb);
INSERT INTO catalog VALUES ('{"sample_spec": {"input_cost_per_token": 0},
  "gemini/orbit": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 0.00001,
    "input_cost_per_token_above_200k_tokens": 2.5e-06, "input_cost_per_token_batches": 6.25e-07, "output_cost_per_token_batches": 5e-06},
  "painter": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04},
  "broken": {"litellm_provider": "openai", "input_cost_per_token": "much"}}');
SELECT llm_usage.import_prices(doc) FROM catalog;
SELECT llm_usage.import_prices(doc) FROM catalog;
SELECT service_tier, above_tokens, valid_from, input_per_token, output_per_token, source, is_default FROM llm_usage.model_prices WHERE model = 'orbit' ORDER BY 1, 2, 3;
SELECT cost FROM llm_usage.record_usage('orbit', vendor => 'gemini', prompt_tokens => 200000, completion_tokens => 1, occurred_at => '2020-01-01');
SELECT cost FROM llm_usage.record_usage('gemini/orbit', prompt_tokens => 200001, completion_tokens => 1, occurred_at => '2020-01-01');
SELECT cost FROM llm_usage.record_usage('orbit', service_tier => 'batch', prompt_tokens => 200000, completion_tokens => 1, occurred_at => '2020-01-01');
-- No batch is priced above it, where the ordinary tier is: nothing is guessed.
SELECT cost FROM llm_usage.record_usage('orbit', service_tier => 'batch', prompt_tokens => 200001, completion_tokens => 1, occurred_at => '2020-01-01');
SELECT cost FROM llm_usage.record_usage('orbit', service_tier => 'priority', prompt_tokens => 1, occurred_at => '2020-01-01');
UPDATE catalog SET doc = jsonb_set(doc, '{gemini/orbit,input_cost_per_token}', '0.000002') #- '{gemini/orbit,input_cost_per_token_above_200k_tokens}';
SELECT llm_usage.import_prices(doc) FROM catalog;
SELECT llm_usage.import_prices(doc) FROM catalog;
SELECT service_tier, above_tokens, isfinite(valid_from) AS is_new, input_per_token FROM llm_usage.model_prices WHERE model = 'orbit' ORDER BY 1, 2, 3;
SELECT cost FROM llm_usage.record_usage('orbit', prompt_tokens => 300000, occurred_at => '2020-01-01');
SELECT cost FROM llm_usage.record_usage('orbit', prompt_tokens => 300000);
-- Your own price wins over the list, and an import does not touch it.
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('gemini', 'orbit', '2020-01-01', 0.000001);
SELECT cost FROM llm_usage.record_usage('orbit', prompt_tokens => 300000);
UPDATE catalog SET doc = jsonb_set(doc, '{gemini/orbit,input_cost_per_token}', '0.000009');
SELECT llm_usage.import_prices(doc) FROM catalog;
SELECT cost FROM llm_usage.record_usage('orbit', prompt_tokens => 300000);
-- History stays: another price for the same instant is refused.
SELECT llm_usage.import_prices('{"v/m": {"litellm_provider": "v", "input_cost_per_token": 1}}', '2025-01-01');
SELECT llm_usage.import_prices('{"v/m": {"litellm_provider": "v", "input_cost_per_token": 2}}', '2025-01-01');
SELECT llm_usage.import_prices('{"v/m": {"litellm_provider": "v", "input_cost_per_token": 2}}', '2025-02-01');
SELECT valid_from, input_per_token FROM llm_usage.model_prices WHERE (vendor, model) = ('v', 'm') ORDER BY 1;
-- What is still to come, or another vendor's by then, changes nothing today.
INSERT INTO llm_usage.model_prices (vendor, model, valid_from, input_per_token) VALUES ('v1', 'ahead', '2020-01-01', 1), ('v2', 'ahead', '2099-01-01', 2);
INSERT INTO llm_usage.model_prices (vendor, model, is_default, valid_from, input_per_token) VALUES ('v3', 'ahead', true, '2098-01-01', 3);
SELECT vendor, cost FROM llm_usage.record_usage('ahead', prompt_tokens => 1), (VALUES ('no vendor')) v (vendor);
SELECT cost FROM llm_usage.record_usage('ahead', prompt_tokens => 1, occurred_at => '2098-06-01');
-- An import holds from now on, also where a later price is known, which stays.
SELECT llm_usage.import_prices('{"v/fm": {"litellm_provider": "v", "input_cost_per_token": 1}}') ->> 'added' AS added;
SELECT llm_usage.import_prices('{"v/fm": {"litellm_provider": "v", "input_cost_per_token": 5}}', '2090-01-01') ->> 'changed' AS changed;
SELECT llm_usage.import_prices('{"v/fm": {"litellm_provider": "v", "input_cost_per_token": 1}}') ->> 'unchanged' AS unchanged;
SELECT llm_usage.import_prices('{"v/fm": {"litellm_provider": "v", "input_cost_per_token": 3}}') ->> 'changed' AS changed;
SELECT array_agg(p.cost ORDER BY a.at) AS costs
  FROM (VALUES (timestamptz '2020-01-01'), (now()), ('2090-01-01')) a (at), llm_usage._price('fm', 'v', NULL, a.at, 1, 0, 0, 0) p;
-- Also of one that this transaction has imported.
BEGIN;
SELECT n, llm_usage.import_prices(format('{"v/z": {"litellm_provider": "v", "input_cost_per_token": %s}}', n)::jsonb) ->> 'changed' AS changed FROM generate_series(1, 4) n;
SELECT cost FROM llm_usage.record_usage('z', vendor => 'v', prompt_tokens => 1, occurred_at => now() + interval '1 second');
ROLLBACK;
-- A long context that a tier prices no more is unknown while the ordinary tier has one, and costs what the tier does when that has none.
SELECT llm_usage.import_prices(jsonb_build_object('v1/t', c.extra || '{"litellm_provider": "v1", "input_cost_per_token": 10, "input_cost_per_token_batches": 5}'), c.at) ->> 'changed' AS changed
  FROM (VALUES (1, timestamptz '2026-01-01', jsonb '{"input_cost_per_token_above_200k_tokens": 20, "input_cost_per_token_above_200k_tokens_batches": 10}'),
               (2, '2026-02-01', '{"input_cost_per_token_above_200k_tokens": 20}'), (3, '2026-03-01', '{}')) c (n, at, extra) ORDER BY c.n;
SELECT at::date, coalesce(tier, 'ordinary') AS tier, llm_usage._price('t', 'v1', tier, at, 300000, 0, 0, 0)
  FROM (VALUES (timestamptz '2026-01-02'), ('2026-02-02'), ('2026-03-02')) a (at), (VALUES (NULL), ('batch')) t (tier) ORDER BY 1, 2 DESC;
-- A catalogue alone says the same.
SELECT llm_usage.import_prices('{"v2/t": {"litellm_provider": "v2", "input_cost_per_token": 10, "input_cost_per_token_above_200k_tokens": 20}}') ->> 'added' AS added;
SELECT llm_usage.import_prices('{"v2/t": {"litellm_provider": "v2", "input_cost_per_token": 10, "input_cost_per_token_batches": 5}}', '2026-03-01') ->> 'changed' AS changed;
SELECT cost FROM llm_usage.record_usage('t', vendor => 'v2', service_tier => 'batch', prompt_tokens => 300000, occurred_at => '2026-03-02');
-- A name such as zai/glm means the model of that vendor, not the one that a reseller calls so; else nobody, if there is such a vendor.
SELECT llm_usage.import_prices('{"zai/glm": {"litellm_provider": "zai", "input_cost_per_token": 6}, "shop/zai/glm": {"litellm_provider": "shop", "input_cost_per_token": 4},
  "shop/zai/new": {"litellm_provider": "shop", "input_cost_per_token": 4}, "shop/maker/new": {"litellm_provider": "shop", "input_cost_per_token": 5}}') ->> 'added' AS added;
SELECT m.model, r.cost FROM (VALUES ('zai/glm'), ('glm'), ('shop/zai/glm'), ('zai/new'), ('maker/new')) m (model), llm_usage.record_usage(m.model, prompt_tokens => 1) r;
SELECT cost FROM llm_usage.record_usage('zai/glm', vendor => 'shop', prompt_tokens => 1);
-- A catalogue moves a name to another vendor.
SELECT llm_usage.import_prices('{"q": {"litellm_provider": "v1", "input_cost_per_token": 1}, "v2/q": {"litellm_provider": "v2", "input_cost_per_token": 9}}') ->> 'added' AS added;
SELECT cost FROM llm_usage.record_usage('q', prompt_tokens => 1);
SELECT llm_usage.import_prices('{"v1/q": {"litellm_provider": "v1", "input_cost_per_token": 1}, "q": {"litellm_provider": "v2", "input_cost_per_token": 9}}') ->> 'changed' AS changed;
SELECT cost FROM llm_usage.record_usage('q', prompt_tokens => 1);
