//! A database behind HTTP as the project configures it: nginx before PostgREST, or before its stand-in, on loopback.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use postgres::Client;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::directory::{fresh_directory, text};
use crate::guard::Guard;

/// The figures at the end of the contract, and a little more.
const EXAMPLES: &str = "
INSERT INTO llm_usage.users (id, email) VALUES (3, 'dev@example.com');
INSERT INTO llm_usage.apps (id, slug, name, owner_id) VALUES (7, 'help desk', 'Helpdesk', 3);
INSERT INTO llm_usage.budgets (entity_type, entity_id, amount) VALUES ('App', 7, 100);
SELECT llm_usage.record_usage('gpt-4.1', app_id => 7, prompt_tokens => 100, completion_tokens => 50, cost => 0.0006,
  occurred_at => '2025-06-01T23:59:59.999999Z');
SELECT llm_usage.record_usage('claude-sonnet-4-20250514', app_id => 7, prompt_tokens => 10, cache_read_tokens => 5, completion_tokens => 3,
  cost => 0.000081, occurred_at => '2025-06-02T00:00:00Z');
SELECT llm_usage.record_usage('openai/gpt-4.1 mini:free', app_id => 8, prompt_tokens => 7, completion_tokens => 1, inference_tokens => 30,
  rule_type => 'PIIDataRule', task_id => 't', occurred_at => '2025-06-02T00:00:00Z');
SELECT llm_usage.record_message(session_id => llm_usage.record_session(7, 'ann', '2025-06-01T00:00:00Z'), sent_at => '2025-06-02T00:00:00Z');
";

static ROLES: Mutex<()> = Mutex::new(());

/// Stops both when it is dropped, also when the test is killed.
pub struct Gateway {
    pub port: u16,
    pub database: String,
    pub reader: String,
    pub writer: String,
    _guard: Guard,
}

/// What came back.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub headers: String,
    pub body: String,
    pub took: Duration,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{}: {}: {error}", self.status, self.body))
    }
}

/// That it is this JSON, and says so.
pub fn assert_json(answer: &Answer, status: u16, body: Value, what: &str) {
    assert_eq!((answer.status, answer.json()), (status, body), "{what}");
    assert!(answer.content_type.starts_with("application/json"), "{what}: {}", answer.content_type);
}

impl Gateway {
    /// A new database of the cluster with the extension, the roles of the configuration, a reader's and a writer's key.
    pub fn new(cluster: &Cluster) -> Self {
        let database = cluster.create_database();
        let roles = root().join("pgrx-config/http/roles.sql");
        // Roles are the whole cluster's: of two tests that miss one at once, one could not make it.
        let alone = ROLES.lock().expect("nobody failed meanwhile");
        cluster.run("psql", &["-qX", "-v", "ON_ERROR_STOP=1", "-d", &database, "-f", &text(&roles)]);
        drop(alone);
        let mut client = cluster.connect(&database);
        let reader = create_key(&mut client, "llm_usage_reader");
        let writer = create_key(&mut client, "llm_usage_writer");
        // Beside the cluster's: that guard may be the first to remove its own, and with it who is to be stopped.
        let directory = fresh_directory(cluster.path("").parent().expect("a place to work"));
        let stop = vec![text(&root().join("pgrx-config/http-stop")), text(&directory)];
        let guard = Guard::new(&directory, &directory, &stop);
        let port = free_port();
        let mut start = Command::new(root().join("pgrx-config/http-start"));
        start.arg(&directory).arg(&database).arg(port.to_string()).env("PGHOST", cluster.socket());
        // A statement that is kept waiting ends early enough for a test.
        start.env("STATEMENT_TIMEOUT", "1s").stdin(Stdio::null());
        let started = start.output().expect("http-start runs");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Self { port, database, reader, writer, _guard: guard }
    }

    /// The same, with the examples recorded.
    pub fn with_examples(cluster: &Cluster) -> Self {
        let gateway = Self::new(cluster);
        cluster.connect(&gateway.database).batch_execute(EXAMPLES).expect("the examples");
        gateway
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Asks with the reader's key.
    pub fn get(&self, path: &str) -> Answer {
        self.curl(path, &["-H", &format!("Authorization: Bearer {}", self.reader)])
    }

    /// Sends a JSON body with the writer's key.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let key = format!("X-Api-Key: {}", self.writer);
        self.curl(path, &["-H", &key, "-H", "Content-Type: application/json", "-d", &body.to_string()])
    }

    /// Asks with curl, which sends a path as it is.
    pub fn curl(&self, path: &str, options: &[&str]) -> Answer {
        let start = Instant::now();
        let output = Command::new("curl")
            .args(["-s", "-i", "--path-as-is", "--globoff", "--max-time", "30"])
            .args(options)
            .arg(self.url(path))
            .output()
            .expect("curl runs");
        let took = start.elapsed();
        let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        let (headers, body) = text.split_once("\n\n").unwrap_or_else(|| panic!("{path}: no answer: {text}"));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let content_type = headers
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-type: ").map(str::to_owned))
            .unwrap_or_default();
        Answer { status, content_type, headers: headers.to_owned(), body: body.to_owned(), took }
    }
}

/// A new API key of a role.
pub fn create_key(client: &mut Client, role: &str) -> String {
    let query = "SELECT llm_usage.create_api_key($1::text::name)";
    client.query_one(query, &[&role]).expect("a key").get(0)
}

/// The project.
pub fn root() -> PathBuf {
    std::path::absolute(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the project")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
