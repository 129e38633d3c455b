-- How far each ledger is folded: the rollups hold exactly its rows with id <= folded_up_to. No row: nothing is folded yet.
-- None of them is later than newest. A ledger's writers of an earlier moment, who kept the fold from going on to waiting_up_to, are
-- kept until they have ended.
CREATE TABLE llm_usage._fold_progress (
  ledger         text PRIMARY KEY,
  folded_up_to   bigint NOT NULL DEFAULT 0,
  folded_rows    bigint NOT NULL DEFAULT 0,
  newest         timestamptz,
  last_fold_at   timestamptz,
  last_fold_rows bigint,
  last_fold_took interval,
  waiting_up_to  bigint,
  waiting_for    text[]
) WITH (fillfactor = 50);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._fold_progress', '');

CREATE FUNCTION llm_usage._folded_up_to(of_ledger text) RETURNS bigint
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce((SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = of_ledger), 0);

-- The rollups, which the driver runs in this order; each registers itself. _fold_<name>(after_id, up_to_id, from_time,
-- to_time, new_from) adds the ledger's rows between to the rollup's tables; that of a ledger's first rollup returns how many rows
-- there are, and the newest instant. From new_from on, a full hour, the rollups hold nothing yet: what is
-- inserted there need not be looked for first, which costs more than the row itself.
CREATE TABLE llm_usage._rollups (
  ordinal integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ledger  text NOT NULL,
  name    text NOT NULL UNIQUE
);
-- Their tables, each with a column bucket: the start of the hour, day, … in UTC. <name>_expected() returns the rows that a table
-- should hold, from the ledger or from the rollup's next finer table.
-- A BRIN index finds what is asked of a time and of every app, user or value: rows come in the order of time, and it takes no room.
CREATE TABLE llm_usage._rollup_tables (name text PRIMARY KEY);

-- Months whose events were dropped: the rollups alone know them.
CREATE TABLE llm_usage._dropped_months (month date PRIMARY KEY);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._dropped_months', '');

CREATE FUNCTION llm_usage._is_dropped(at timestamptz) RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN EXISTS (SELECT FROM llm_usage._dropped_months d WHERE d.month = date_trunc('month', at AT TIME ZONE 'UTC')::date);

-- Whether the part of the hour that a bound cuts, which is from an instant on or up to the bound, can be answered: true, or an error.
CREATE FUNCTION llm_usage._has_events(at timestamptz, bound timestamptz) RETURNS boolean
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  of_month text := to_char(at AT TIME ZONE 'UTC', 'YYYY-MM');
BEGIN
  IF llm_usage._is_dropped(at) THEN
    RAISE EXCEPTION 'only whole hours of % can be asked for', of_month
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('The events of the month were dropped. A bound is %s.',
                            to_char(bound AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
            HINT = 'Begin and end at the full hour (UTC).';
  END IF;
  RETURN true;
END $$;

-- What the rollups add up with: sum(bigint) makes a numeric, which costs more than to add the few rows of a group. The tokens of a
-- rollup's row have 64 bits: it takes a billion of the greatest events to fill them, and more would be an error, as in any bigint.
CREATE AGGREGATE llm_usage._sum(bigint) (SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, PARALLEL = SAFE);
-- The same for costs, where most groups have a few rows: the state of sum(numeric) takes longer to make than they to be added.
CREATE AGGREGATE llm_usage._sum(numeric) (SFUNC = numeric_add, STYPE = numeric, COMBINEFUNC = numeric_add, PARALLEL = SAFE);

-- Instants as the rollups cut them: any instant may be asked for, infinite ones included.
CREATE FUNCTION llm_usage._hour(at timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN date_bin('1 hour', at, '2000-01-01 00:00:00+00');
CREATE FUNCTION llm_usage._day(at timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN date_bin('24 hours', at, '2000-01-01 00:00:00+00');
CREATE FUNCTION llm_usage._month(at timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN date_trunc('month', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
-- What the rollups hold of the ledgers, and what they do not hold yet. A rollup and its tail are read in one statement, so in
-- one snapshot. Without the fences the planner would look for the tail through the index of an app or of time, which
-- leads to the whole history; and, where it does not know what is asked for, for what is folded through that of ids (id + 0 has none).
-- Evaluations have an index of time: whoever asks for them alone asks for is_evaluation, as that of rule_type in "C" has no index.
CREATE VIEW llm_usage._folded_events WITH (security_invoker) AS
  SELECT e.id, e.occurred_at, e.app_id, e.llm_id, e.user_id, e.vendor COLLATE "C" AS vendor, e.model COLLATE "C" AS model,
         e.currency COLLATE "C" AS currency, e.rule_type COLLATE "C" AS rule_type, e.task_id COLLATE "C" AS task_id,
         llm_usage._requests(e.requests, e.corrects) AS requests,
         CASE WHEN e.cost IS NULL THEN llm_usage._requests(e.requests, e.corrects) ELSE 0 END AS unpriced_requests,
         e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens AS input_tokens,
         e.completion_tokens::bigint AS completion_tokens, e.inference_tokens::bigint AS inference_tokens,
         coalesce(e.cost, 0) AS cost, e.attrs, e.rule_type IS NOT NULL AS is_evaluation
    FROM llm_usage._usage_events e
   WHERE e.id + 0 <= (SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events');
CREATE VIEW llm_usage._tail_events WITH (security_invoker) AS
  SELECT e.id, e.occurred_at, e.app_id, e.llm_id, e.user_id, e.vendor COLLATE "C" AS vendor, e.model COLLATE "C" AS model,
         e.currency COLLATE "C" AS currency, e.rule_type COLLATE "C" AS rule_type, e.task_id COLLATE "C" AS task_id,
         llm_usage._requests(e.requests, e.corrects) AS requests,
         CASE WHEN e.cost IS NULL THEN llm_usage._requests(e.requests, e.corrects) ELSE 0 END AS unpriced_requests,
         e.prompt_tokens::bigint + e.cache_read_tokens + e.cache_write_tokens AS input_tokens,
         e.completion_tokens::bigint AS completion_tokens, e.inference_tokens::bigint AS inference_tokens,
         coalesce(e.cost, 0) AS cost, e.attrs, e.rule_type IS NOT NULL AS is_evaluation
    FROM llm_usage.usage_events e
   WHERE e.id > (SELECT coalesce(max(p.folded_up_to), 0) FROM llm_usage._fold_progress p WHERE p.ledger = 'usage_events')
     AND e.id <= 9223372036854775807
  OFFSET 0;
CREATE VIEW llm_usage._folded_sessions WITH (security_invoker) AS
  SELECT s.id, s.started_at, s.app_id, s.consumer_id COLLATE "C" AS consumer_id
    FROM llm_usage._sessions s
   WHERE s.id + 0 <= (SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'sessions');
CREATE VIEW llm_usage._tail_sessions WITH (security_invoker) AS
  SELECT s.id, s.started_at, s.app_id, s.consumer_id COLLATE "C" AS consumer_id
    FROM llm_usage.sessions s
   WHERE s.id > (SELECT coalesce(max(p.folded_up_to), 0) FROM llm_usage._fold_progress p WHERE p.ledger = 'sessions')
     AND s.id <= 9223372036854775807
  OFFSET 0;
CREATE VIEW llm_usage._folded_messages WITH (security_invoker) AS
  SELECT m.id, m.sent_at, m.app_id
    FROM llm_usage._messages m
   WHERE m.id + 0 <= (SELECT p.folded_up_to FROM llm_usage._fold_progress p WHERE p.ledger = 'messages');
CREATE VIEW llm_usage._tail_messages WITH (security_invoker) AS
  SELECT m.id, m.sent_at, m.app_id
    FROM llm_usage.messages m
   WHERE m.id > (SELECT coalesce(max(p.folded_up_to), 0) FROM llm_usage._fold_progress p WHERE p.ledger = 'messages')
     AND m.id <= 9223372036854775807
  OFFSET 0;

-- One app, or with NULL every app of which anything is folded: the ledgers' indexes of time begin with the app, and without one a few
-- minutes would be looked for in the whole month. The apps are those of rollups that verify() looks at, found one after the other in
-- their indexes.
CREATE FUNCTION llm_usage._folded_apps(for_app bigint) RETURNS bigint[]
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF for_app IS NOT NULL THEN
    RETURN ARRAY[for_app];
  END IF;
  RETURN ARRAY(
    WITH RECURSIVE app AS (
      SELECT least((SELECT min(k.app_id) FROM llm_usage._by_app_day k), (SELECT min(k.app_id) FROM llm_usage._by_session_day k)) AS id
      UNION ALL
      SELECT least((SELECT min(k.app_id) FROM llm_usage._by_app_day k WHERE k.app_id > a.id),
                   (SELECT min(k.app_id) FROM llm_usage._by_session_day k WHERE k.app_id > a.id))
        FROM app a WHERE a.id IS NOT NULL
    )
    SELECT a.id FROM app a WHERE a.id IS NOT NULL);
END $$;

-- What of [from_time, to_time) is in no whole hour of a rollup: the edges, of one app or with NULL of all, and the tail. Mostly that is
-- nothing, and to prepare for reading every partition of the ledger takes longer than to read the rollup: a report reads it by a
-- function in PL/pgSQL, which does so only if it must. (_may_be_loose() looks with the eyes of the statement, so it finds what that
-- would find.)
CREATE FUNCTION llm_usage._loose_events(from_time timestamptz, to_time timestamptz, for_app bigint DEFAULT NULL)
  RETURNS TABLE (id bigint, occurred_at timestamptz, app_id bigint, llm_id bigint, user_id bigint, vendor text, model text, currency text,
                 rule_type text, task_id text, requests integer, unpriced_requests integer, input_tokens bigint,
                 completion_tokens bigint, inference_tokens bigint, cost numeric, attrs jsonb, is_evaluation boolean)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.*
      FROM llm_usage._folded_events e
     WHERE CASE WHEN llm_usage._first(from_time, to_time) < llm_usage._first_hour(from_time, to_time)
                  THEN llm_usage._has_events(llm_usage._first(from_time, to_time), llm_usage._first(from_time, to_time)) END
       AND e.app_id = ANY ((SELECT llm_usage._folded_apps(for_app))::bigint[])
       AND e.occurred_at >= llm_usage._first(from_time, to_time) AND e.occurred_at < llm_usage._first_hour(from_time, to_time)
    UNION ALL
    SELECT e.*
      FROM llm_usage._folded_events e
     WHERE CASE WHEN llm_usage._last_hour(from_time, to_time) < llm_usage._last(from_time, to_time)
                  THEN llm_usage._has_events(llm_usage._last_hour(from_time, to_time), llm_usage._last(from_time, to_time)) END
       AND e.app_id = ANY ((SELECT llm_usage._folded_apps(for_app))::bigint[])
       AND e.occurred_at >= llm_usage._last_hour(from_time, to_time) AND e.occurred_at < llm_usage._last(from_time, to_time)
    UNION ALL
    SELECT e.*
      FROM llm_usage._tail_events e
     WHERE e.occurred_at >= llm_usage._first(from_time, to_time) AND e.occurred_at < llm_usage._last(from_time, to_time)
       AND (for_app IS NULL OR e.app_id = for_app);
  END;
CREATE FUNCTION llm_usage._loose_sessions(from_time timestamptz, to_time timestamptz, for_app bigint)
  RETURNS TABLE (id bigint, started_at timestamptz, app_id bigint, consumer_id text)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.*
      FROM llm_usage._folded_sessions e
     WHERE CASE WHEN llm_usage._first(from_time, to_time) < llm_usage._first_hour(from_time, to_time)
                  THEN llm_usage._has_events(llm_usage._first(from_time, to_time), llm_usage._first(from_time, to_time)) END
       AND e.app_id = ANY ((SELECT llm_usage._folded_apps(for_app))::bigint[])
       AND e.started_at >= llm_usage._first(from_time, to_time) AND e.started_at < llm_usage._first_hour(from_time, to_time)
    UNION ALL
    SELECT e.*
      FROM llm_usage._folded_sessions e
     WHERE CASE WHEN llm_usage._last_hour(from_time, to_time) < llm_usage._last(from_time, to_time)
                  THEN llm_usage._has_events(llm_usage._last_hour(from_time, to_time), llm_usage._last(from_time, to_time)) END
       AND e.app_id = ANY ((SELECT llm_usage._folded_apps(for_app))::bigint[])
       AND e.started_at >= llm_usage._last_hour(from_time, to_time) AND e.started_at < llm_usage._last(from_time, to_time)
    UNION ALL
    SELECT e.*
      FROM llm_usage._tail_sessions e
     WHERE e.started_at >= llm_usage._first(from_time, to_time) AND e.started_at < llm_usage._last(from_time, to_time)
       AND (for_app IS NULL OR e.app_id = for_app);
  END;
CREATE FUNCTION llm_usage._loose_messages(from_time timestamptz, to_time timestamptz, for_app bigint)
  RETURNS TABLE (id bigint, sent_at timestamptz, app_id bigint)
  LANGUAGE sql STABLE PARALLEL SAFE
  BEGIN ATOMIC
    SELECT e.*
      FROM llm_usage._folded_messages e
     WHERE CASE WHEN llm_usage._first(from_time, to_time) < llm_usage._first_hour(from_time, to_time)
                  THEN llm_usage._has_events(llm_usage._first(from_time, to_time), llm_usage._first(from_time, to_time)) END
       AND e.app_id = ANY ((SELECT llm_usage._folded_apps(for_app))::bigint[])
       AND e.sent_at >= llm_usage._first(from_time, to_time) AND e.sent_at < llm_usage._first_hour(from_time, to_time)
    UNION ALL
    SELECT e.*
      FROM llm_usage._folded_messages e
     WHERE CASE WHEN llm_usage._last_hour(from_time, to_time) < llm_usage._last(from_time, to_time)
                  THEN llm_usage._has_events(llm_usage._last_hour(from_time, to_time), llm_usage._last(from_time, to_time)) END
       AND e.app_id = ANY ((SELECT llm_usage._folded_apps(for_app))::bigint[])
       AND e.sent_at >= llm_usage._last_hour(from_time, to_time) AND e.sent_at < llm_usage._last(from_time, to_time)
    UNION ALL
    SELECT e.*
      FROM llm_usage._tail_messages e
     WHERE e.sent_at >= llm_usage._first(from_time, to_time) AND e.sent_at < llm_usage._last(from_time, to_time)
       AND (for_app IS NULL OR e.app_id = for_app);
  END;
