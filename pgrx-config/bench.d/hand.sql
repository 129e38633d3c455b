-- The narrowest rollup for each question that plain SQL can have: complete, in the order of its key, and never brought up to date.
CREATE SCHEMA hand;
CREATE TABLE hand.app_model_hour AS
SELECT e.app_id, date_trunc('hour', e.occurred_at, 'UTC') AS bucket, e.model, count(*) AS requests,
       sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens)::bigint AS input_tokens,
       sum(e.completion_tokens) AS completion_tokens
  FROM llm_usage.usage_events e
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
ALTER TABLE hand.app_model_hour ADD PRIMARY KEY (app_id, bucket, model);

CREATE TABLE hand.app_model_day AS
SELECT h.app_id, (h.bucket AT TIME ZONE 'UTC')::date AS day, h.model, sum(h.requests)::bigint AS requests,
       sum(h.input_tokens)::bigint AS input_tokens, sum(h.completion_tokens)::bigint AS completion_tokens
  FROM hand.app_model_hour h
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
ALTER TABLE hand.app_model_day ADD PRIMARY KEY (app_id, day, model);

CREATE TABLE hand.app_day AS
SELECT d.app_id, d.day, sum(d.input_tokens + d.completion_tokens)::bigint AS total_tokens
  FROM hand.app_model_day d
 GROUP BY 1, 2 ORDER BY 1, 2;
ALTER TABLE hand.app_day ADD PRIMARY KEY (app_id, day);

CREATE TABLE hand.entity_day AS
SELECT n.entity_type, n.entity_id, (e.occurred_at AT TIME ZONE 'UTC')::date AS day, sum(e.cost) AS cost,
       sum(e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens + e.completion_tokens)::bigint AS total_tokens
  FROM llm_usage.usage_events e
 CROSS JOIN LATERAL (VALUES ('App', e.app_id), ('LLM', e.llm_id)) n (entity_type, entity_id)
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
ALTER TABLE hand.entity_day ADD PRIMARY KEY (entity_type, entity_id, day);

CREATE TABLE hand.entity_month AS
SELECT date_trunc('month', d.day::timestamp)::date AS month, d.entity_type, d.entity_id, sum(d.cost) AS cost,
       sum(d.total_tokens)::bigint AS total_tokens
  FROM hand.entity_day d
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
ALTER TABLE hand.entity_month ADD PRIMARY KEY (month, entity_type, entity_id);

CREATE TABLE hand.app_day_chat AS
SELECT c.app_id, c.day, sum(c.sessions)::bigint AS sessions, sum(c.messages)::bigint AS messages
  FROM (SELECT app_id, (started_at AT TIME ZONE 'UTC')::date AS day, 1 AS sessions, 0 AS messages FROM llm_usage.sessions
        UNION ALL
        SELECT app_id, (sent_at AT TIME ZONE 'UTC')::date, 0, 1 FROM llm_usage.messages) c
 GROUP BY 1, 2 ORDER BY 1, 2;
ALTER TABLE hand.app_day_chat ADD PRIMARY KEY (app_id, day);
-- By consumer before day: whether one was there in a range is a single probe.
CREATE TABLE hand.app_consumer_day AS
SELECT DISTINCT s.app_id, s.consumer_id, (s.started_at AT TIME ZONE 'UTC')::date AS day FROM llm_usage.sessions s ORDER BY 1, 2, 3;
ALTER TABLE hand.app_consumer_day ADD PRIMARY KEY (app_id, consumer_id, day);
CREATE TABLE hand.app_consumer AS SELECT DISTINCT d.app_id, d.consumer_id FROM hand.app_consumer_day d ORDER BY 1, 2;
ALTER TABLE hand.app_consumer ADD PRIMARY KEY (app_id, consumer_id);

CREATE TABLE hand.model_event AS
SELECT e.model, e.occurred_at, e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens AS input_tokens, e.completion_tokens
  FROM llm_usage.usage_events e
 ORDER BY 1, 2;
CREATE INDEX ON hand.model_event (model, occurred_at) INCLUDE (input_tokens, completion_tokens);
CREATE TABLE hand.model_minute AS
SELECT e.model, date_trunc('minute', e.occurred_at) AS bucket, sum(e.input_tokens) AS input_tokens,
       sum(e.completion_tokens) AS completion_tokens
  FROM hand.model_event e
 GROUP BY 1, 2 ORDER BY 1, 2;
ALTER TABLE hand.model_minute ADD PRIMARY KEY (model, bucket);
CREATE TABLE hand.model_hour AS
SELECT m.model, date_trunc('hour', m.bucket, 'UTC') AS bucket, sum(m.input_tokens)::bigint AS input_tokens,
       sum(m.completion_tokens)::bigint AS completion_tokens
  FROM hand.model_minute m
 GROUP BY 1, 2 ORDER BY 1, 2;
ALTER TABLE hand.model_hour ADD PRIMARY KEY (model, bucket);

CREATE TABLE hand.rule_event AS
SELECT e.occurred_at, e.rule_type, e.inference_tokens, e.prompt_tokens + e.cache_read_tokens + e.cache_write_tokens AS input_tokens,
       e.completion_tokens
  FROM llm_usage.usage_events e
 WHERE e.rule_type IS NOT NULL
 ORDER BY 1;
CREATE INDEX ON hand.rule_event (occurred_at) INCLUDE (rule_type, inference_tokens, input_tokens, completion_tokens);
CREATE TABLE hand.rule_hour AS
SELECT date_trunc('hour', e.occurred_at, 'UTC') AS bucket, e.rule_type, sum(e.inference_tokens) AS inference_tokens,
       sum(e.input_tokens) AS input_tokens, sum(e.completion_tokens) AS completion_tokens
  FROM hand.rule_event e
 GROUP BY 1, 2 ORDER BY 1, 2;
ALTER TABLE hand.rule_hour ADD PRIMARY KEY (bucket, rule_type);
CREATE TABLE hand.rule_day AS
SELECT (h.bucket AT TIME ZONE 'UTC')::date AS day, h.rule_type, sum(h.inference_tokens)::bigint AS inference_tokens,
       sum(h.input_tokens)::bigint AS input_tokens, sum(h.completion_tokens)::bigint AS completion_tokens
  FROM hand.rule_hour h
 GROUP BY 1, 2 ORDER BY 1, 2;
ALTER TABLE hand.rule_day ADD PRIMARY KEY (day, rule_type);
