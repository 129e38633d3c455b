//! What the catalog holds: every public object is described, listed in README, and given to nobody by default.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use e2e::cluster::Cluster;
use e2e::readme::table_of;
use postgres::Client;

fn connect() -> Client {
    let cluster = Cluster::shared();
    cluster.connect(&cluster.create_database())
}

fn names(query: &str) -> Vec<String> {
    connect().query(query, &[]).expect(query).iter().map(|row| row.get(0)).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn every_public_function_is_described() {
    let undescribed = names(
        "SELECT p.oid::regprocedure::text FROM pg_proc p
          WHERE p.pronamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND p.proname !~ '^_'
            AND coalesce(obj_description(p.oid, 'pg_proc'), '') = '' ORDER BY 1",
    );
    assert_eq!(undescribed, NONE);
}

#[test]
fn every_public_table_view_and_type_is_described() {
    // Tables and views have types as well, which need no words of their own; neither do arrays.
    let undescribed = names(
        "SELECT c.oid::regclass::text FROM pg_class c
          WHERE c.relnamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND c.relname !~ '^_' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND c.relname !~ '_[0-9]{4}_[0-9]{2}$' AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''
         UNION ALL
         SELECT t.oid::regtype::text FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
          WHERE t.typnamespace = 'llm_usage'::regnamespace AND t.typname !~ '^_' AND coalesce(c.relkind, 'c') = 'c'
            AND coalesce(obj_description(t.oid, 'pg_type'), '') = ''
         ORDER BY 1",
    );
    assert_eq!(undescribed, NONE);
}

#[test]
fn every_column_of_a_table_is_described() {
    let undescribed = names(
        "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relname !~ '^_' AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND a.attname !~ '^_'
            AND coalesce(col_description(c.oid, a.attnum), '') = '' ORDER BY 1",
    );
    assert_eq!(undescribed, NONE);
}

#[test]
fn the_ids_of_the_ledgers_are_given_by_the_table_one_by_one() {
    let ledgers = names(
        "SELECT c.relname::text FROM pg_class c
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id' AND a.attidentity = 'a'
           JOIN pg_depend d ON d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass
           JOIN pg_sequence s ON s.seqrelid = d.objid AND s.seqcache = 1 AND s.seqincrement = 1
          WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relkind = 'p' ORDER BY c.relname COLLATE \"C\"",
    );
    assert_eq!(ledgers, ["messages", "sessions", "usage_events"]);
    let refused = connect().execute("INSERT INTO llm_usage.usage_events (id, model) VALUES (1, 'm')", &[]);
    let code = refused.expect_err("an id is refused").code().map(|code| code.code().to_owned());
    assert_eq!(code.as_deref(), Some("428C9"));
}

#[test]
fn nothing_is_granted_to_everybody() {
    let granted = names(
        "SELECT format('%s on schema %s', g.privilege_type, n.nspname)
           FROM pg_namespace n, aclexplode(n.nspacl) g WHERE n.nspname IN ('llm_usage', 'llm_usage_http') AND g.grantee = 0
         UNION ALL
         SELECT format('%s on %s', g.privilege_type, p.oid::regprocedure)
           FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
          WHERE p.pronamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND g.grantee = 0
         UNION ALL
         SELECT format('%s on %s', g.privilege_type, c.oid::regclass)
           FROM pg_class c, aclexplode(c.relacl) g
          WHERE c.relnamespace IN ('llm_usage'::regnamespace, 'llm_usage_http'::regnamespace) AND g.grantee = 0
         UNION ALL
         SELECT format('%s on %s.%s', g.privilege_type, c.relname, a.attname)
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
          WHERE c.relnamespace = 'llm_usage'::regnamespace AND g.grantee = 0
         UNION ALL
         SELECT format('default %s in %s', g.privilege_type, n.nspname)
           FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) g
          WHERE n.nspname = 'llm_usage' AND g.grantee = 0
         ORDER BY 1",
    );
    assert_eq!(granted, NONE);
}

#[test]
fn what_is_made_later_is_granted_to_nobody_either() {
    let mut client = connect();
    client.execute("SELECT llm_usage.maintain()", &[]).expect("maintenance");
    let query = "SELECT count(*) FROM pg_class c
        WHERE c.relnamespace = 'llm_usage'::regnamespace AND c.relispartition AND c.relkind = 'r'
          AND has_table_privilege('e2e_nobody', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')";
    client.batch_execute("BEGIN; CREATE ROLE e2e_nobody").expect("a role");
    assert_eq!(client.query_one(query, &[]).expect(query).get::<_, i64>(0), 0);
    client.batch_execute("ROLLBACK").expect("no role");
}

#[test]
fn readme_lists_the_public_functions_and_no_others() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("README.md cannot be read: {error}"));
    let listed = table_of(&readme, "## Functions").expect("README.md has a table of functions");
    let functions = "SELECT DISTINCT p.proname::text FROM pg_proc p
        WHERE p.pronamespace = 'llm_usage'::regnamespace AND p.proname !~ '^_'";
    let existing: BTreeSet<String> = names(functions).into_iter().collect();
    let listed: BTreeSet<String> = listed.into_iter().collect();
    let missing: Vec<&String> = existing.difference(&listed).collect();
    let invented: Vec<&String> = listed.difference(&existing).collect();
    assert_eq!(
        (missing, invented),
        (vec![], vec![]),
        "functions that README.md misses, and that do not exist"
    );
}
