-- The roles of postgrest.conf; run as superuser in the database with the extension. Roles of API keys have to be granted to
-- llm_usage_authenticator, which PostgREST connects as.
SELECT format('CREATE ROLE %I %s', r.name, r.options)
  FROM (VALUES ('llm_usage_authenticator', 'LOGIN NOINHERIT'), ('llm_usage_anonymous', 'NOLOGIN'),
               ('llm_usage_reader', 'NOLOGIN'), ('llm_usage_writer', 'NOLOGIN')) r (name, options)
 WHERE to_regrole(r.name) IS NULL
\gexec
GRANT llm_usage_anonymous, llm_usage_reader, llm_usage_writer TO llm_usage_authenticator;
SELECT llm_usage.grant_access('llm_usage_anonymous', 'anonymous'),
       llm_usage.grant_access('llm_usage_reader', 'reader'),
       llm_usage.grant_access('llm_usage_writer', 'writer');
NOTIFY pgrst, 'reload schema';
