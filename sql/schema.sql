-- Every text is read as UTF-8.
DO $$
BEGIN
  IF getdatabaseencoding() <> 'UTF8' THEN
    RAISE EXCEPTION 'llm_usage needs a database with the encoding UTF8, not %', getdatabaseencoding()
      USING ERRCODE = 'feature_not_supported',
            DETAIL = 'Names of models, users and tasks, and JSON, are Unicode.',
            HINT = 'Make one: CREATE DATABASE usage TEMPLATE template0 ENCODING ''UTF8''.';
  END IF;
END $$;

CREATE SCHEMA llm_usage;
COMMENT ON SCHEMA llm_usage IS
  'LLM usage: ledgers of requests, sessions and messages, prices, budgets, and the reports over them. Names that begin with an underscore are internal.';

-- Who asks, whoever's rights a function runs with: the role of SET ROLE, as behind PostgREST, else the one that logged in.
CREATE FUNCTION llm_usage._caller() RETURNS name
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END;
