-- All that the extension consists of, a line of text for each, without what maintenance makes: the months' partitions.
WITH schemas AS (
  SELECT n.oid, n.nspname, n.nspacl, n.nspowner FROM pg_namespace n WHERE n.nspname IN ('llm_usage', 'llm_usage_http')
), relations AS (
  SELECT c.*, c.oid::regclass::text AS name
    FROM pg_class c WHERE c.relnamespace IN (SELECT s.oid FROM schemas s) AND c.relname !~ '_[0-9]{4}_[0-9]{2}'
), functions AS (
  SELECT p.*, p.oid::regprocedure::text AS name FROM pg_proc p WHERE p.pronamespace IN (SELECT s.oid FROM schemas s)
), columns AS (
  SELECT r.name, r.relkind, a.*, row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum) AS place
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
), privileges AS (
  SELECT 'schema ' || nspname AS of, coalesce(nspacl, acldefault('n', nspowner)) AS acl FROM schemas
  UNION ALL SELECT 'relation ' || name, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) FROM relations
  UNION ALL SELECT 'function ' || name, coalesce(proacl, acldefault('f', proowner)) FROM functions
  UNION ALL SELECT 'column ' || name || '.' || attname, attacl FROM columns
  UNION ALL SELECT 'type ' || t.oid::regtype, t.typacl FROM pg_type t WHERE t.typnamespace IN (SELECT s.oid FROM schemas s) AND t.typname !~ '_[0-9]{4}_[0-9]{2}'
)
SELECT concat_ws(' | ', 'relation', name, relkind, relpersistence, reloptions, relrowsecurity, relforcerowsecurity, relreplident,
                 relispartition, pg_get_expr(relpartbound, oid), CASE relkind WHEN 'p' THEN pg_get_partkeydef(oid) END,
                 CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) WHEN 'i' THEN pg_get_indexdef(oid) WHEN 'I' THEN pg_get_indexdef(oid) END)
  FROM relations
UNION ALL
SELECT concat_ws(' | ', 'column', c.name, c.place, c.attname, format_type(c.atttypid, c.atttypmod), c.attnotnull, c.attidentity,
                 c.attgenerated, c.attstorage, c.attcompression, c.attcollation::regcollation, c.attoptions, pg_get_expr(d.adbin, d.adrelid))
  FROM columns c LEFT JOIN pg_attrdef d ON d.adrelid = c.attrelid AND d.adnum = c.attnum
UNION ALL
SELECT concat_ws(' | ', 'constraint', r.name, c.conname, pg_get_constraintdef(c.oid))
  FROM relations r JOIN pg_constraint c ON c.conrelid = r.oid
UNION ALL
SELECT concat_ws(' | ', 'trigger', r.name, pg_get_triggerdef(t.oid), t.tgenabled) FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid
UNION ALL
SELECT concat_ws(' | ', 'policy', r.name, p.polname, p.polcmd, p.polroles::regrole[], pg_get_expr(p.polqual, r.oid), pg_get_expr(p.polwithcheck, r.oid))
  FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
UNION ALL
SELECT concat_ws(' | ', 'sequence', r.name, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
  FROM relations r JOIN pg_sequence s ON s.seqrelid = r.oid
UNION ALL
SELECT concat_ws(' | ', 'function', f.name, f.prokind, CASE f.prokind WHEN 'a' THEN (SELECT to_jsonb(a)::text FROM
         (SELECT g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn, g.aggdeserialfn, g.aggtranstype::regtype, g.agginitval
            FROM pg_aggregate g WHERE g.aggfnoid = f.oid) a) ELSE pg_get_functiondef(f.oid) END)
  FROM functions f
UNION ALL
SELECT concat_ws(' | ', 'type', t.oid::regtype, t.typtype, t.typnotnull, t.typdefault, t.typbasetype::regtype,
                 (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_type t WHERE t.typnamespace IN (SELECT s.oid FROM schemas s) AND t.typname !~ '_[0-9]{4}_[0-9]{2}'
UNION ALL
SELECT concat_ws(' | ', 'comment', o.name, d.description)
  FROM pg_description d, LATERAL pg_describe_object(d.classoid, d.objoid, d.objsubid) o (name)
 WHERE d.classoid = 'pg_namespace'::regclass AND d.objoid IN (SELECT s.oid FROM schemas s)
    OR d.classoid = 'pg_class'::regclass AND d.objoid IN (SELECT r.oid FROM relations r)
    OR d.classoid = 'pg_proc'::regclass AND d.objoid IN (SELECT f.oid FROM functions f)
    OR d.classoid = 'pg_type'::regclass AND d.objoid IN (SELECT t.oid FROM pg_type t WHERE t.typnamespace IN (SELECT s.oid FROM schemas s))
UNION ALL
SELECT concat_ws(' | ', 'privilege', p.of, g.grantee::regrole, g.privilege_type, g.is_grantable) FROM privileges p, aclexplode(p.acl) g
UNION ALL
SELECT concat_ws(' | ', 'member', pg_describe_object(d.classid, d.objid, d.objsubid))
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'llm_usage'
UNION ALL
SELECT concat_ws(' | ', 'extension', e.extversion, e.extrelocatable, e.extnamespace::regnamespace) FROM pg_extension e WHERE e.extname = 'llm_usage'
UNION ALL
SELECT concat_ws(' | ', 'dumped', c.oid::regclass, c.condition)
  FROM pg_extension e, unnest(e.extconfig, e.extcondition) c (oid, condition) WHERE e.extname = 'llm_usage'
ORDER BY 1
