//! A used database of every released version becomes, by ALTER EXTENSION UPDATE, what a fresh installation is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::cluster::Cluster;
use e2e::look::verify;
use postgres::Client;

/// Works in every version.
const USE: &str = "
INSERT INTO llm_usage.apps (id, name) VALUES (7, 'Helpdesk');
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 100);
SELECT llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => n) FROM generate_series(1, 50) n;
SELECT llm_usage.record_usage('late', app_id => 7, prompt_tokens => 3, occurred_at => '2001-02-03Z');
SELECT llm_usage.record_session(7, 'ann'), llm_usage.record_message(7, 1), llm_usage.maintain(1), llm_usage.fold();
SELECT llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 1);";
const REPORTS: [&str; 3] = [
    "SELECT llm_usage.app_token_usage(7)::text",
    "SELECT llm_usage.budget_usage()::text",
    "SELECT llm_usage.app_usage(7)::text",
];

/// A change for each kind of thing that a catalog holds.
const CHANGES: [&str; 22] = [
    "ALTER TABLE llm_usage.apps ADD COLUMN c integer",
    "ALTER TABLE llm_usage.apps ALTER COLUMN slug TYPE varchar(9)",
    "ALTER TABLE llm_usage.apps ALTER COLUMN name SET DEFAULT 'x'",
    "ALTER TABLE llm_usage.apps ALTER COLUMN name SET NOT NULL",
    "ALTER TABLE llm_usage.apps ALTER COLUMN name SET STORAGE EXTERNAL",
    "ALTER TABLE llm_usage.apps ADD CHECK (id > 0)",
    "ALTER TABLE llm_usage.apps ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE llm_usage._fold_progress RESET (fillfactor)",
    "ALTER TABLE llm_usage.usage_events DISABLE TRIGGER ALL",
    "CREATE POLICY p ON llm_usage.apps",
    "CREATE INDEX ON llm_usage.apps (name)",
    "ALTER SEQUENCE llm_usage.usage_events_id_seq INCREMENT 2",
    "ALTER VIEW llm_usage.usage_by_day RESET (security_invoker)",
    "CREATE OR REPLACE FUNCTION llm_usage._month(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE RETURN at",
    "ALTER FUNCTION llm_usage.verify() SET jit = on",
    "ALTER FUNCTION llm_usage.verify() COST 1",
    "ALTER TYPE llm_usage.recorded ADD ATTRIBUTE a integer",
    "COMMENT ON FUNCTION llm_usage.verify() IS 'x'",
    "GRANT EXECUTE ON FUNCTION llm_usage.verify() TO PUBLIC",
    "GRANT SELECT (id) ON llm_usage.apps TO PUBLIC",
    "ALTER EXTENSION llm_usage DROP VIEW llm_usage.usage_by_day",
    "UPDATE pg_extension SET extconfig = extconfig[2:], extcondition = extcondition[2:] WHERE extname = 'llm_usage'",
];

fn catalog(client: &mut Client) -> BTreeSet<String> {
    let rows = client.query(include_str!("../src/catalog.sql"), &[]).expect("the catalog");
    rows.iter().map(|row| row.get(0)).collect()
}

/// What the one has and the other has not.
fn differences(one: &BTreeSet<String>, other: &BTreeSet<String>) -> Vec<String> {
    one.symmetric_difference(other).cloned().collect()
}

fn answers(client: &mut Client) -> [String; 3] {
    REPORTS.map(|report| client.query_one(report, &[]).expect(report).get(0))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The installed SQL of the versions that were released, by their version.
fn released() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(repository().join("tests/upgrade")).expect("tests/upgrade");
    let version = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        Some((name.strip_prefix("llm_usage--")?.strip_suffix(".sql")?.to_owned(), path))
    };
    files.filter_map(|file| version(file.expect("a file").path())).collect()
}

#[test]
fn every_kind_of_difference_is_found() {
    let cluster = Cluster::shared();
    let mut client = cluster.connect(&cluster.create_database());
    let fresh = catalog(&mut client);
    assert!(fresh.len() > 1000, "{}", fresh.len());
    assert_eq!(catalog(&mut cluster.connect(&cluster.create_database())), fresh);
    // What is used is what was installed.
    client.batch_execute(USE).expect("it is used");
    assert_eq!(differences(&catalog(&mut client), &fresh), Vec::<String>::new());
    for change in CHANGES {
        client.batch_execute("BEGIN").expect("a transaction");
        client.batch_execute(change).expect(change);
        assert_ne!(catalog(&mut client), fresh, "{change}");
        client.batch_execute("ROLLBACK").expect("it is undone");
    }
}

#[test]
fn every_released_version_is_brought_up_to_date() {
    let cluster = Cluster::shared();
    let fresh = catalog(&mut cluster.connect(&cluster.create_database()));
    let share = cluster.run("pg_config", &["--sharedir"]);
    for (version, path) in released() {
        fs::copy(&path, Path::new(share.trim()).join("extension").join(path.file_name().expect("a name")))
            .expect("the private server takes it");
        let mut client = cluster.connect(&cluster.create_empty_database());
        let create = format!("CREATE EXTENSION llm_usage VERSION '{version}'");
        client.batch_execute(&create).expect(&create);
        client.batch_execute(USE).expect("it is used");
        let before = answers(&mut client);
        client.batch_execute("ALTER EXTENSION llm_usage UPDATE").expect("it is brought up to date");
        assert_eq!(answers(&mut client), before, "{version}");
        verify(&mut client).expect("it verifies");
        assert_eq!(differences(&catalog(&mut client), &fresh), Vec::<String>::new(), "{version}");
    }
}

/// A test of no version is none: it may be so only as long as there is none to test.
#[test]
fn nothing_was_released_that_is_not_tested() {
    let changelog = fs::read_to_string(repository().join("CHANGELOG.md")).expect("CHANGELOG.md");
    let tested: Vec<String> = released().into_iter().map(|(version, _)| version).collect();
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    for heading in headings.filter(|heading| !heading.contains("not released")) {
        let version = heading.split_whitespace().next().unwrap_or_default();
        assert!(
            tested.iter().any(|tested| tested == version),
            "tests/upgrade has no llm_usage--{version}.sql"
        );
    }
}
