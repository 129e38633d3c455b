//! README.md does what it says: its SQL is run in one session of a fresh database, and answers what it shows.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use e2e::cluster::Cluster;
use e2e::readme::{Example, examples, shows};

/// Stands between the outputs of two examples.
const END: &str = "-- end of an example --";

/// What psql prints for each example; and, where it stopped before the last one, why.
fn run(examples: &[Example]) -> (Vec<String>, String) {
    let cluster = Cluster::shared();
    let makes_extension = |example: &Example| example.sql.text.to_lowercase().contains("create extension");
    let database = match examples.iter().any(makes_extension) {
        true => cluster.create_empty_database(),
        false => cluster.create_database(),
    };
    let mut script = String::new();
    for example in examples {
        // A statement without its semicolon ends with its block all the same.
        script.push_str(&format!("{}\n;\n\\echo '{END}'\n", example.sql.text));
    }
    let args = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &database, "-f", "-"];
    let mut psql = cluster
        .program("psql", &args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let mut stdin = psql.stdin.take().expect("a pipe");
    // psql stops reading when a statement fails.
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()).ok());
    let output = psql.wait_with_output().expect("psql ends");
    writer.join().expect("the thread");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let mut printed: Vec<String> =
        printed.split(&format!("{END}\n")).map(|part| part.trim_end_matches('\n').to_owned()).collect();
    printed.pop();
    (printed, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_examples_answer_what_they_show() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("README.md cannot be read: {error}"));
    let examples = examples(&readme);
    assert!(!examples.is_empty(), "README.md has no sql block");
    let (printed, errors) = run(&examples);
    let mut wrong = Vec::new();
    for (Example { sql, result }, printed) in examples.iter().zip(&printed) {
        if let Some(result) = result.as_ref().filter(|result| !shows(result, printed)) {
            wrong.push(format!("line {}:\n{}\nprinted\n{printed}\nnot\n{}", sql.line, sql.text, result.text));
        }
    }
    if let Some(Example { sql, .. }) = examples.get(printed.len()) {
        wrong.push(format!("line {}:\n{}\nfailed: {errors}", sql.line, sql.text));
    }
    assert!(wrong.is_empty(), "README.md, {}", wrong.join("\n\n"));
}

#[test]
fn a_failing_example_is_told_from_the_others() {
    let markdown = "```sql\nSELECT 1; SELECT 2\n```\n```text\n1\n2\n```\n```sql\nSELECT 1/0;\n```\n```sql\nSELECT 3;\n```";
    let examples = examples(markdown);
    let (printed, errors) = run(&examples);
    assert_eq!(printed, ["1\n2"]);
    assert!(errors.contains("division by zero"), "{errors}");
    assert!(examples[0].result.as_ref().is_some_and(|result| shows(result, &printed[0])));
}
