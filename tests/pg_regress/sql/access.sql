-- What each kind of access (a: anonymous, r: reader, w: writer, A: admin) may do with each object, and x, a stranger: read from the catalog. An object that is new appears
-- here, to be decided on.
SET client_min_messages = warning;
BEGIN;
CREATE ROLE access_stranger;
CREATE ROLE access_anonymous;
CREATE ROLE access_reader;
CREATE ROLE access_writer;
CREATE ROLE access_admin;
SELECT llm_usage.grant_access(('access_' || a)::name, a) FROM unnest('{anonymous,reader,writer,admin}'::text[]) a;
CREATE TEMP VIEW roles (role, name) AS
  VALUES ('x' COLLATE "C", 'access_stranger'::name), ('a', 'access_anonymous'), ('r', 'access_reader'), ('w', 'access_writer'), ('A', 'access_admin');
-- Tables and views: of each privilege the roles that have it, for the whole or, in brackets, for some columns.
SELECT c.oid::regclass AS relation,
       max(p.roles) FILTER (WHERE p.privilege = 'SELECT') AS "select", max(p.roles) FILTER (WHERE p.privilege = 'INSERT') AS "insert",
       max(p.roles) FILTER (WHERE p.privilege = 'UPDATE') AS "update", max(p.roles) FILTER (WHERE p.privilege = 'DELETE') AS "delete",
       max(p.roles) FILTER (WHERE p.privilege NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) AS others
  FROM pg_class c
 CROSS JOIN LATERAL (
   SELECT v.privilege,
          string_agg(CASE WHEN has_table_privilege(r.name, c.oid, v.privilege) THEN r.role
                          WHEN v.privilege IN ('SELECT', 'INSERT', 'UPDATE') AND has_any_column_privilege(r.name, c.oid, v.privilege)
                            THEN '(' || r.role || ')' END, '' ORDER BY r.role) AS roles
     FROM roles r, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) v (privilege)
    GROUP BY v.privilege) p
 WHERE c.relnamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 GROUP BY c.oid
 ORDER BY c.oid::regclass::text COLLATE "C";
-- Sequences are nobody's.
SELECT c.oid::regclass AS sequence, r.role
  FROM pg_class c, roles r
 WHERE c.relnamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND c.relkind = 'S'
   AND has_sequence_privilege(r.name, c.oid, 'USAGE, SELECT, UPDATE');
-- Functions and who may call them.
SELECT p.pronamespace::regnamespace || '.' || p.proname AS function, p.prosecdef AS definer,
       string_agg(r.role, '' ORDER BY r.role) FILTER (WHERE has_function_privilege(r.name, p.oid, 'EXECUTE')) AS execute
  FROM pg_proc p, roles r
 WHERE p.pronamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace)
 GROUP BY p.oid
 ORDER BY p.pronamespace::regnamespace::text COLLATE "C", p.proname COLLATE "C", p.oid::regprocedure::text COLLATE "C";
-- What runs with the owner's rights has its search_path pinned, and views run with the rights of who asks.
SELECT p.oid::regprocedure AS unpinned FROM pg_proc p
 WHERE p.pronamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND p.prosecdef
   AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false);
SELECT c.oid::regclass AS not_the_invokers FROM pg_class c
 WHERE c.relnamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND c.relkind = 'v'
   AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false);
-- What was given is taken back.
SELECT llm_usage.revoke_access(('access_' || a)::name, a) FROM unnest('{anonymous,reader,writer,admin}'::text[]) a;
SELECT count(*) AS kept
  FROM (SELECT g.grantee FROM pg_class c, aclexplode(c.relacl) g
        UNION ALL
        SELECT g.grantee FROM pg_attribute a, aclexplode(a.attacl) g
        UNION ALL
        SELECT g.grantee FROM pg_proc p, aclexplode(p.proacl) g
        UNION ALL
        SELECT g.grantee FROM pg_namespace n, aclexplode(n.nspacl) g) k
  JOIN pg_roles r ON r.oid = k.grantee
 WHERE r.rolname LIKE 'access\_%';
ROLLBACK;
