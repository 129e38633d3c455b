-- The ledger, and the same partitioned table with the same columns, defaults and indexes outside the extension: once as it
-- is, and once with a row trigger that never fires, which is the least that PostgreSQL takes for any trigger of a row.
CREATE EXTENSION llm_usage;
SELECT llm_usage.maintain(1);
SELECT format('CREATE SCHEMA %I', s.name),
       format('CREATE TABLE %I.usage_events (LIKE llm_usage.usage_events INCLUDING ALL) PARTITION BY RANGE (occurred_at)', s.name)
  FROM (VALUES ('plain'), ('triggered')) s (name)
\gexec
SELECT format('CREATE TABLE %1$I.%2$I (LIKE llm_usage.%2$I INCLUDING ALL)', s.name, c.relname),
       format('ALTER TABLE %1$I.usage_events ATTACH PARTITION %1$I.%2$I %3$s', s.name, c.relname, pg_get_expr(c.relpartbound, c.oid))
  FROM (VALUES ('plain'), ('triggered')) s (name),
       pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'llm_usage.usage_events'::regclass
 ORDER BY s.name, c.relname
\gexec
CREATE TRIGGER never BEFORE INSERT ON triggered.usage_events FOR EACH ROW
  WHEN (NEW.model IS NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger();
