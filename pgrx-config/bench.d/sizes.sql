-- Bytes an event.
WITH ledger AS (
  SELECT sum(pg_relation_size(t.relid)) AS heap, sum(pg_indexes_size(t.relid)) AS indexes,
         sum(pg_total_relation_size(t.relid)) AS total
    FROM pg_partition_tree('llm_usage.usage_events') t
   WHERE t.isleaf
), rollups AS (
  SELECT pg_total_relation_size('llm_usage.' || t.name) AS total, t.name LIKE '\_by\_session%' AS is_chat
    FROM llm_usage._rollup_tables t
)
SELECT 'size', s.name, round(s.bytes / :events, 1)
  FROM ledger l,
       LATERAL (VALUES ('ledger, its rows', l.heap), ('ledger, its indexes', l.indexes), ('ledger, in all', l.total),
                       ('rollups of events', (SELECT sum(r.total) FROM rollups r WHERE NOT r.is_chat))) s (name, bytes);
