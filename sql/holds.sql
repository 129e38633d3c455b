-- What calls under way may cost. Expired ones no longer count, but can still be settled, for a day.
CREATE TABLE llm_usage.budget_holds (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  made_at    timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  app_id     bigint NOT NULL,
  llm_id     bigint NOT NULL,
  user_id    bigint,
  model      text,
  vendor     text,
  attrs      jsonb,
  budget_ids bigint[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
COMMENT ON TABLE llm_usage.budget_holds IS
  'Calls under way that reserve_budget() let go ahead, until they are settled or released. Written by those functions only.';
COMMENT ON COLUMN llm_usage.budget_holds.id IS 'What reserve_budget() returns as hold_id.';
COMMENT ON COLUMN llm_usage.budget_holds.made_at IS 'When it was reserved.';
COMMENT ON COLUMN llm_usage.budget_holds.expires_at IS 'When it stops to count. A day later it is forgotten by maintain().';
COMMENT ON COLUMN llm_usage.budget_holds.app_id IS 'The app of the call; 0: none.';
COMMENT ON COLUMN llm_usage.budget_holds.llm_id IS 'The LLM of the call; 0: none.';
COMMENT ON COLUMN llm_usage.budget_holds.user_id IS 'The user of the call; NULL: unknown.';
COMMENT ON COLUMN llm_usage.budget_holds.model IS 'The model of the call; NULL: not told.';
COMMENT ON COLUMN llm_usage.budget_holds.vendor IS 'The vendor of the call; NULL: not told.';
COMMENT ON COLUMN llm_usage.budget_holds.attrs IS 'The attributes of the call.';
COMMENT ON COLUMN llm_usage.budget_holds.budget_ids IS 'The budgets that it counts for.';
SELECT pg_catalog.pg_extension_config_dump('llm_usage.budget_holds', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.budget_holds_id_seq', '');

-- How much of which budget, in its unit.
CREATE TABLE llm_usage._held (
  budget_id  bigint NOT NULL,
  hold_id    bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  amount     numeric NOT NULL,
  PRIMARY KEY (budget_id, expires_at, hold_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
SELECT pg_catalog.pg_extension_config_dump('llm_usage._held', '');
