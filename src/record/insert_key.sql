INSERT INTO llm_usage._request_keys AS k (app_id, event_id, recorded_at, billed, request_id, source, quality)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
RETURNING k.event_id
