-- The ledger, and the same partitioned table with the same columns, defaults and indexes outside the extension.
CREATE EXTENSION llm_usage;
SELECT llm_usage.maintain(1);
CREATE SCHEMA plain;
CREATE TABLE plain.usage_events (LIKE llm_usage.usage_events INCLUDING ALL) PARTITION BY RANGE (occurred_at);
SELECT format('CREATE TABLE plain.%1$I (LIKE llm_usage.%1$I INCLUDING ALL)', c.relname),
       format('ALTER TABLE plain.usage_events ATTACH PARTITION plain.%I %s', c.relname, pg_get_expr(c.relpartbound, c.oid))
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'llm_usage.usage_events'::regclass
 ORDER BY c.relname
\gexec
