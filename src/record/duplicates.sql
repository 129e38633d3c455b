-- Of calls whose keys are known: which are duplicates of an event that stands as it was recorded, by _settle()'s rules. OFFSET and LIMIT
-- keep the order: each is found by its key, then its event by the id, and what corrects that by its own index.
SELECT g.place, e.id, e.cost, e.currency
  FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY g (app_id, source, request_id, billed, quality, place)
 CROSS JOIN LATERAL (
    SELECT k.event_id, k.billed, k.quality
      FROM llm_usage._request_keys k
     WHERE k.request_id = g.request_id AND k.app_id = g.app_id AND k.source = g.source OFFSET 0) k
 CROSS JOIN LATERAL (
    SELECT e.id, e.app_id, e.cost, e.currency
      FROM llm_usage.usage_events e
     WHERE e.id = k.event_id AND e.corrects IS NULL AND llm_usage._requests(e.requests, e.corrects) > 0 OFFSET 0) e
  LEFT JOIN LATERAL (SELECT true AS is_there FROM llm_usage.usage_events c WHERE c.corrects = k.event_id LIMIT 1) correction ON true
 WHERE correction.is_there IS NULL
   AND e.app_id = g.app_id
   AND (k.billed = g.billed AND (k.quality IS NULL OR g.quality IS NOT NULL) OR k.quality IS NULL AND g.quality IS NOT NULL)
