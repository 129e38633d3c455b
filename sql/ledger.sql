-- Columns stand in the order of their alignment: no byte of a row is lost to padding. Values are checked by the trigger that
-- prices them: constraints would be read anew by every statement, and have no hints.
CREATE TABLE llm_usage.usage_events (
  id                      bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
  occurred_at             timestamptz NOT NULL DEFAULT now(),
  app_id                  bigint NOT NULL DEFAULT 0,
  llm_id                  bigint NOT NULL DEFAULT 0,
  user_id                 bigint,
  corrects                bigint,
  prompt_tokens           integer NOT NULL DEFAULT 0,
  cache_read_tokens       integer NOT NULL DEFAULT 0,
  cache_write_tokens      integer NOT NULL DEFAULT 0,
  completion_tokens       integer NOT NULL DEFAULT 0,
  reasoning_tokens        integer NOT NULL DEFAULT 0,
  inference_tokens        integer NOT NULL DEFAULT 0,
  cache_write_1h_tokens   integer,
  prompt_audio_tokens     integer,
  completion_audio_tokens integer,
  cache_read_audio_tokens integer,
  cache_read_image_tokens integer,
  prompt_image_tokens     integer,
  prompt_video_tokens     integer,
  completion_image_tokens integer,
  completion_video_tokens integer,
  unaccounted_tokens      integer,
  requests                smallint,
  priced                  boolean,
  currency                text NOT NULL DEFAULT llm_usage._default_currency(),
  model                   text NOT NULL,
  vendor                  text,
  cost                    numeric,
  reported_cost           numeric,
  service_tier            text,
  quality                 text,
  rule_type               text,
  task_id                 text,
  request_id              text,
  attrs                   jsonb,
  _                       boolean
) PARTITION BY RANGE (occurred_at);
-- A partition, which never had that column, is not laid out as the ledger is: so the server keeps a row in a slot of the partition and
-- forms it once, for the trigger and for the table. Else it would form it twice, and keep the first until the statement ends.
ALTER TABLE llm_usage.usage_events DROP COLUMN _;

-- Each partition has its own keys and indexes, after the pattern of the default one. The ledger as a whole has none: a
-- partition that is restored would be given them twice, by the ledger of the extension and by the dump.
CREATE TABLE llm_usage.usage_events_default PARTITION OF llm_usage.usage_events (PRIMARY KEY (id) WITH (fillfactor = 100)) DEFAULT;
-- Late events come into the middle of it, unlike those of the key: they need room, and few are late.
CREATE INDEX ON llm_usage.usage_events_default (app_id, occurred_at) WITH (fillfactor = 95);
-- A B-tree on time alone would make all writers wait for its last page.
CREATE INDEX ON llm_usage.usage_events_default USING brin (occurred_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX ON llm_usage.usage_events_default (occurred_at) WHERE rule_type IS NOT NULL;
CREATE INDEX ON llm_usage.usage_events_default (corrects) WHERE corrects IS NOT NULL;

COMMENT ON TABLE llm_usage.usage_events IS
  'The ledger: one row a model request, append-only, partitioned by month (UTC). Write with INSERT, COPY or record_usage(); an event without a cost is priced as it is written. UPDATE, DELETE and TRUNCATE are refused (55000): append a correction.';
COMMENT ON TABLE llm_usage.usage_events_default IS 'Events of months that have no partition yet; maintain() moves them to their month.';
COMMENT ON COLUMN llm_usage.usage_events.id IS 'Given by the table, ascending in the order of writing. A given one is refused (23514), but of who restores, as is a row while the sequence is behind the fold, set back or restored without its data (55000): no report would count it. After a rollback the trigger check_and_price may draw a new one: a BEFORE trigger of your own that wants it sorts behind.';
COMMENT ON COLUMN llm_usage.usage_events.occurred_at IS 'When the request was made; default now(). Any instant of the years 0001 to 9999, early or late.';
COMMENT ON COLUMN llm_usage.usage_events.app_id IS 'apps.id, registered or not; 0: none.';
COMMENT ON COLUMN llm_usage.usage_events.llm_id IS 'llms.id, registered or not; 0: none.';
COMMENT ON COLUMN llm_usage.usage_events.prompt_tokens IS 'Input tokens neither read from nor written to a cache.';
COMMENT ON COLUMN llm_usage.usage_events.cache_read_tokens IS 'Input tokens read from a cache; not in prompt_tokens.';
COMMENT ON COLUMN llm_usage.usage_events.cache_write_tokens IS 'Input tokens written to a cache; not in prompt_tokens.';
COMMENT ON COLUMN llm_usage.usage_events.completion_tokens IS 'All output tokens.';
COMMENT ON COLUMN llm_usage.usage_events.reasoning_tokens IS 'The part of completion_tokens spent on reasoning; never added again.';
COMMENT ON COLUMN llm_usage.usage_events.inference_tokens IS 'For an evaluation: tokens of the user''s inference that the rule was run on.';
COMMENT ON COLUMN llm_usage.usage_events.user_id IS 'users.id of who made the request; NULL: unknown.';
COMMENT ON COLUMN llm_usage.usage_events.cache_write_1h_tokens IS 'The part of cache_write_tokens kept for an hour or more, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.prompt_audio_tokens IS 'The part of prompt_tokens that is audio, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.completion_audio_tokens IS 'The part of completion_tokens that is audio, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.cache_read_audio_tokens IS 'The part of cache_read_tokens that is audio, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.cache_read_image_tokens IS 'The part of cache_read_tokens that is of images, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.prompt_image_tokens IS 'The part of prompt_tokens that is of images, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.prompt_video_tokens IS 'The part of prompt_tokens that is of video, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.completion_image_tokens IS 'The part of completion_tokens that is of images, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.completion_video_tokens IS 'The part of completion_tokens that is of video, which may have a price of its own.';
COMMENT ON COLUMN llm_usage.usage_events.unaccounted_tokens IS 'The provider''s total minus what the token kinds add up to; NULL: they do.';
COMMENT ON COLUMN llm_usage.usage_events.corrects IS 'The id of the event that this one corrects. A correction may have negative counts and cost, and is no request unless requests says so.';
COMMENT ON COLUMN llm_usage.usage_events.requests IS 'How many requests the row adds. NULL: 1, in a correction 0. What takes an event back says -1, what stands in its place 1.';
COMMENT ON COLUMN llm_usage.usage_events.priced IS 'NULL: the writer gave the cost; true: it was computed from model_prices; false: no price was known.';
COMMENT ON COLUMN llm_usage.usage_events.currency IS 'ISO 4217 code of cost; default llm_usage.default_currency.';
COMMENT ON COLUMN llm_usage.usage_events.model IS 'The model as the provider names it.';
COMMENT ON COLUMN llm_usage.usage_events.vendor IS 'Who is paid, as in model_prices; NULL: the one that the model''s name means: the one marked there, the one that stands before a slash in it, or the only one.';
COMMENT ON COLUMN llm_usage.usage_events.cost IS 'What the request cost, in currency. NULL: no price is known, which is not the same as free.';
COMMENT ON COLUMN llm_usage.usage_events.reported_cost IS 'What the provider itself said that the request cost, in currency; beside cost, and in no sum with it. NULL: nothing, or something in another currency than the price''s.';
COMMENT ON COLUMN llm_usage.usage_events.quality IS 'How good the figures are. NULL: reported by the provider; partial: a part of them, of an aborted stream; estimated: not the provider''s.';
COMMENT ON COLUMN llm_usage.usage_events.service_tier IS 'The provider''s service tier, for its price: batch, flex, priority, …; NULL: standard.';
COMMENT ON COLUMN llm_usage.usage_events.rule_type IS 'Not NULL: the request was an evaluation by a rule of this type.';
COMMENT ON COLUMN llm_usage.usage_events.task_id IS 'The task that an evaluation belongs to.';
COMMENT ON COLUMN llm_usage.usage_events.request_id IS 'The provider''s or gateway''s id of the request.';
COMMENT ON COLUMN llm_usage.usage_events.attrs IS 'Anything else: team, feature, customer.';

CREATE TABLE llm_usage.sessions (
  id          bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
  started_at  timestamptz NOT NULL DEFAULT now(),
  app_id      bigint NOT NULL DEFAULT 0 CONSTRAINT sessions_app_is_not_negative CHECK (app_id >= 0),
  consumer_id text CONSTRAINT sessions_consumer_has_1_to_500_bytes CHECK (octet_length(consumer_id) BETWEEN 1 AND 500),
  CONSTRAINT sessions_years_are_0001_to_9999
    CHECK (started_at >= '0001-01-01 00:00:00+00' AND started_at < '10000-01-01 00:00:00+00')
) PARTITION BY RANGE (started_at);
CREATE TABLE llm_usage.sessions_default PARTITION OF llm_usage.sessions (PRIMARY KEY (id, app_id, started_at)) DEFAULT;
CREATE INDEX ON llm_usage.sessions_default (app_id, started_at);
COMMENT ON TABLE llm_usage.sessions IS 'The ledger of chat sessions, append-only, partitioned by month (UTC).';
COMMENT ON TABLE llm_usage.sessions_default IS 'Sessions of months that have no partition yet; maintain() moves them to their month.';
COMMENT ON COLUMN llm_usage.sessions.id IS 'Given by the table; messages refer to it.';
COMMENT ON COLUMN llm_usage.sessions.started_at IS 'When the session was started; default now().';
COMMENT ON COLUMN llm_usage.sessions.app_id IS 'apps.id, registered or not; 0: none.';
COMMENT ON COLUMN llm_usage.sessions.consumer_id IS 'Who started it, in the gateway''s own words; NULL: unknown, and counted as nobody.';

CREATE TABLE llm_usage.messages (
  id         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
  sent_at    timestamptz NOT NULL DEFAULT now(),
  app_id     bigint NOT NULL DEFAULT 0 CONSTRAINT messages_app_is_not_negative CHECK (app_id >= 0),
  session_id bigint,
  CONSTRAINT messages_years_are_0001_to_9999
    CHECK (sent_at >= '0001-01-01 00:00:00+00' AND sent_at < '10000-01-01 00:00:00+00')
) PARTITION BY RANGE (sent_at);
CREATE TABLE llm_usage.messages_default PARTITION OF llm_usage.messages (PRIMARY KEY (id, app_id, sent_at)) DEFAULT;
CREATE INDEX ON llm_usage.messages_default (app_id, sent_at);
COMMENT ON TABLE llm_usage.messages IS 'The ledger of chat messages, sent or received, append-only, partitioned by month (UTC).';
COMMENT ON TABLE llm_usage.messages_default IS 'Messages of months that have no partition yet; maintain() moves them to their month.';
COMMENT ON COLUMN llm_usage.messages.id IS 'Given by the table.';
COMMENT ON COLUMN llm_usage.messages.sent_at IS 'When the message was sent; default now().';
COMMENT ON COLUMN llm_usage.messages.app_id IS 'apps.id, registered or not; 0: none.';
COMMENT ON COLUMN llm_usage.messages.session_id IS 'sessions.id; NULL: none.';

-- Partitions made later are not members of the extension and are dumped like any table.
SELECT pg_catalog.pg_extension_config_dump('llm_usage.usage_events_default', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.usage_events_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.sessions_default', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.sessions_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.messages_default', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.messages_id_seq', '');

-- How many requests a row of the ledger adds: those of an unpriced row are its unpriced requests.
CREATE FUNCTION llm_usage._requests(requests smallint, corrects bigint) RETURNS integer
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN requests IS NOT NULL THEN requests::integer WHEN corrects IS NULL THEN 1 ELSE 0 END;

-- What the reports read. maintain() moves rows from the default partition to new ones, which the planner knows at once and
-- a snapshot taken before does not: such a reader still has to look into the default partition, where the planner would
-- no longer look. (Of the cast the planner has no statistics, of tableoid misleading ones.)
CREATE VIEW llm_usage._usage_events WITH (security_invoker) AS
  SELECT e.* FROM llm_usage.usage_events e WHERE e.tableoid::bigint <> 'llm_usage.usage_events_default'::regclass::bigint
  UNION ALL
  SELECT d.* FROM llm_usage.usage_events_default d;
CREATE VIEW llm_usage._sessions WITH (security_invoker) AS
  SELECT s.* FROM llm_usage.sessions s WHERE s.tableoid::bigint <> 'llm_usage.sessions_default'::regclass::bigint
  UNION ALL
  SELECT d.* FROM llm_usage.sessions_default d;
CREATE VIEW llm_usage._messages WITH (security_invoker) AS
  SELECT m.* FROM llm_usage.messages m WHERE m.tableoid::bigint <> 'llm_usage.messages_default'::regclass::bigint
  UNION ALL
  SELECT d.* FROM llm_usage.messages_default d;
