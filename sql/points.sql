-- Points of a rollup's row, packed into as few bytes as they need: at is in microseconds since the row's bucket began. Of the same
-- points the packing is the same, whatever order they came in; of no rows it is empty, not NULL.
CREATE AGGREGATE llm_usage._points_agg(occurred_at timestamptz, bucket timestamptz, requests integer, input_tokens bigint, completion_tokens bigint) (
  SFUNC = llm_usage._points_add,
  STYPE = internal,
  -- What the planner would guess for a state of its own kind is 8 kB a group.
  SSPACE = 256,
  FINALFUNC = llm_usage._points_packed,
  PARALLEL = SAFE
);
