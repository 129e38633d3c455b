//! The vendors' published clients, clients generated from the vendors' documents, and thousands of requests made from them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use e2e::cluster::Cluster;
use e2e::gateway::{Gateway, root};

/// A vendor's document with an OpenAPI definition in it, and the path of its server.
struct Seed {
    name: &'static str,
    file: &'static str,
    server: &'static str,
}

const SEEDS: [Seed; 3] = [
    Seed { name: "tyk-tokens", file: "000_461b733c2d66d897.txt", server: "/api/v1" },
    Seed { name: "tyk-budgets", file: "001_6e3cf813a8e94e5a.txt", server: "/api/v1" },
    Seed { name: "scale", file: "004_5d6b33da109cc5b1.txt", server: "" },
];

const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

fn gateway() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(|| Gateway::with_examples(Cluster::shared()))
}

/// Its own, since what is recorded there would be seen by the others.
fn attacked() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(|| Gateway::with_examples(Cluster::shared()))
}

/// A program of the Python environment that `pgrx-config/http-setup clients` makes.
fn program(name: &str) -> Command {
    let environment = std::env::var_os("LLM_USAGE_CLIENTS").map(PathBuf::from);
    let environment = environment.expect("LLM_USAGE_CLIENTS does not name the clients: run `make test`");
    let mut command = Command::new(environment.join("bin").join(name));
    command.env("URL", gateway().url("")).env("KEY", &gateway().reader).env("WRITER", &gateway().writer);
    // Its own directory, since what is generated is written and imported there.
    command.current_dir(Cluster::shared().path(""));
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
    printed
}

fn script(name: &str) -> PathBuf {
    root().join("tests/clients").join(name)
}

/// The documents lie beside the checkout, not in it.
fn definition(seed: &Seed) -> Option<PathBuf> {
    let document = root().join("../shared/seeds").join(seed.file);
    let Ok(text) = fs::read_to_string(&document) else {
        eprintln!("NOT CHECKED: there is no document {}", document.display());
        return None;
    };
    let after = text.split_once("````yaml").expect("an OpenAPI definition").1;
    let definition = after.split_once('\n').expect("a line").1.split("````").next().expect("a definition");
    let mut definition = definition.to_owned();
    // Where there is none these are null, as the description of the last one has it; the schema forgets to say so.
    for property in ["budget", "budget_start_date", "user_email"] {
        let property = format!("\n        {property}:\n");
        definition = definition.replace(&property, &format!("{property}          nullable: true\n"));
    }
    let path = Cluster::shared().path(&format!("{}.yaml", seed.name));
    fs::write(&path, definition).expect("a file");
    Some(path)
}

#[test]
fn scales_own_client_is_answered() {
    run(program("python").arg(script("scale.py")));
}

#[test]
fn arthurs_own_client_is_answered() {
    run(program("python").arg(script("arthur.py")));
}

#[test]
fn clients_generated_from_the_documents_are_answered() {
    let seeds = SEEDS.iter().filter(|seed| seed.name != "scale");
    let documents = seeds.filter_map(|seed| Some((seed.name, definition(seed)?)));
    let ours = [("ours", root().join("src/http/openapi.json"))];
    for (name, document) in documents.chain(ours) {
        let package = format!("{}_client", name.replace('-', "_"));
        let generated = Cluster::shared().path(&package);
        let mut generate = program("openapi-generator-cli");
        generate.args(["generate", "-g", "python", "--package-name", &package, "-i"]).arg(document);
        run(generate.arg("-o").arg(&generated));
        run(program("python")
            .arg(script("generated.py"))
            .args([name, &package])
            .env("PYTHONPATH", &generated));
    }
}

#[test]
fn requests_made_from_the_documents_get_documented_answers_only() {
    let mut sent = 0;
    for seed in &SEEDS {
        if let Some(document) = definition(seed) {
            sent += attack(&document, seed.server, &attacked().reader, &[], 200);
        }
    }
    let ours = root().join("src/http/openapi.json");
    sent += attack(&ours, "", &attacked().reader, &["--exclude-method", "POST"], 100);
    sent += attack(&ours, "", &attacked().writer, &["--include-method", "POST"], 60);
    assert!(sent >= 2_000, "only {sent} requests were made");
}

/// How many requests passed: any that did not fails.
fn attack(document: &PathBuf, server: &str, key: &str, methods: &[&str], examples: u32) -> u32 {
    let mut schemathesis = program("schemathesis");
    schemathesis.arg("run").arg(document).args(["--url", &attacked().url(server)]).args(methods);
    schemathesis.args(["-H", &format!("X-Api-Key: {key}"), "-c", CHECKS, "--mode", "all"]);
    schemathesis.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--continue-on-failure",
        "--suppress-health-check",
        "all",
    ]);
    let printed = run(schemathesis.args(["--max-examples", &examples.to_string(), "--no-color"]));
    let generated = printed.lines().find_map(|line| line.trim().split_once(" generated, ")?.0.parse().ok());
    generated.unwrap_or_else(|| panic!("no count of requests: {printed}"))
}
