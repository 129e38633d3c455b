-- Who may ask over HTTP. A key is 256 random bits, so its hash needs no salt and no stretching; it is looked up by it.
CREATE TABLE llm_usage.api_keys (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  role       name NOT NULL,
  tenant     text,
  name       text,
  key_hash   bytea NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32)
);
COMMENT ON TABLE llm_usage.api_keys IS 'API keys for HTTP, by their hash: create_api_key() makes one and shows it once, revoke_api_key() ends it.';
COMMENT ON COLUMN llm_usage.api_keys.id IS 'Names the key to revoke_api_key().';
COMMENT ON COLUMN llm_usage.api_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN llm_usage.api_keys.expires_at IS 'From then on it is refused; NULL: never.';
COMMENT ON COLUMN llm_usage.api_keys.revoked_at IS 'When it was revoked; NULL: it was not.';
COMMENT ON COLUMN llm_usage.api_keys.role IS 'The database role that a request with it runs as.';
COMMENT ON COLUMN llm_usage.api_keys.tenant IS 'What llm_usage.tenant is set to for a request with it; NULL: nothing.';
COMMENT ON COLUMN llm_usage.api_keys.name IS 'For people to read.';
COMMENT ON COLUMN llm_usage.api_keys.key_hash IS 'SHA-256 of the key; the key itself is kept nowhere.';
SELECT pg_catalog.pg_extension_config_dump('llm_usage.api_keys', '');
SELECT pg_catalog.pg_extension_config_dump('llm_usage.api_keys_id_seq', '');

CREATE FUNCTION llm_usage._key_hash(key text) RETURNS bytea
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN sha256(convert_to(key, 'UTF8'));

CREATE FUNCTION llm_usage.create_api_key(
    role name, tenant text DEFAULT NULL, name text DEFAULT NULL, expires_at timestamptz DEFAULT NULL)
  RETURNS text
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  -- Of each 128 bits a UUID fixes 6; hashed, 244 random ones make an even key.
  key text := 'llmu_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex');
BEGIN
  IF role IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
    RAISE EXCEPTION 'there is no role %', coalesce(quote_literal(role), 'NULL')
      USING ERRCODE = CASE WHEN role IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
            DETAIL = 'A request with the key runs as a role of the database.',
            HINT = 'Create one and say what it may do: CREATE ROLE analyst NOLOGIN; SELECT llm_usage.grant_access(''analyst'', ''reader'').';
  END IF;
  INSERT INTO llm_usage.api_keys (role, tenant, name, expires_at, key_hash)
  VALUES (role, tenant, name, expires_at, llm_usage._key_hash(key));
  RETURN key;
END $$;
COMMENT ON FUNCTION llm_usage.create_api_key(name, text, text, timestamptz) IS
  'Makes an API key for HTTP whose requests run as role, with llm_usage.tenant set to tenant, until expires_at (NULL: for ever). Returns the key, which is kept nowhere and cannot be shown again. Errors: 22004 for a NULL role, 42704 for one that does not exist.';

CREATE FUNCTION llm_usage.revoke_api_key(id bigint) RETURNS boolean
  LANGUAGE sql
  BEGIN ATOMIC
    WITH revoked AS (
      UPDATE llm_usage.api_keys k SET revoked_at = now() WHERE k.id = revoke_api_key.id AND k.revoked_at IS NULL RETURNING 1
    )
    SELECT EXISTS (SELECT FROM revoked);
  END;
COMMENT ON FUNCTION llm_usage.revoke_api_key(bigint) IS
  'Ends the API key of this id in api_keys: the next request with it is refused. Returns false where there is no such key, or it was revoked before.';

-- Whoever knocks may ask for the role of the key it holds, and for nothing else of the table.
CREATE FUNCTION llm_usage._api_key(key text) RETURNS TABLE (id bigint, role name, tenant text)
  LANGUAGE sql STABLE STRICT SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT k.id, k.role, k.tenant
      FROM llm_usage.api_keys k
     WHERE k.key_hash = llm_usage._key_hash(key)
       AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
  END;
