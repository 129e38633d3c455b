-- The ledger, and the same partitioned table with the same columns, defaults and indexes outside the extension.
CREATE EXTENSION llm_usage;
SELECT llm_usage.maintain(1);
CREATE SCHEMA plain;
CREATE TABLE plain.usage_events (LIKE llm_usage.usage_events INCLUDING ALL) PARTITION BY RANGE (occurred_at);
CREATE TABLE plain.usage_events_default PARTITION OF plain.usage_events DEFAULT;
SELECT format('CREATE TABLE plain.%I PARTITION OF plain.usage_events %s', c.relname, pg_get_expr(c.relpartbound, c.oid))
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'llm_usage.usage_events'::regclass AND c.relname <> 'usage_events_default'
\gexec
