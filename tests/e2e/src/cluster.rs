//! A private PostgreSQL server that never outlives the test process.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, Config, NoTls};

use crate::directory::{fresh_directory, text};
use crate::guard::Guard;
use crate::process::{children, command_line, is_stopped, lives, signal};

/// ICU sorts by language: an answer that is ordered by bytes all the same proves that it asked for that.
const INITDB: [&str; 9] = [
    "-U",
    "postgres",
    "-A",
    "trust",
    "--no-sync",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--locale-provider=icu",
    "--icu-locale=en-US",
];
const SETTINGS: &str = "
listen_addresses = ''
max_connections = 60
max_prepared_transactions = 20
shared_buffers = 64MB
log_min_messages = warning
log_line_prefix = '%m [%p] '
timezone = 'UTC'
";
const TEMPLATE: &str = "e2e_template";
/// A socket's path may have 107 bytes, its name included.
const LONGEST_SOCKET_DIRECTORY: usize = 80;

/// A server with its own data, reached by a socket that only its user and root can open.
pub struct Cluster {
    bin: PathBuf,
    directory: PathBuf,
    socket: PathBuf,
    guard: Mutex<Option<Guard>>,
    /// Its own child, so that nobody else has to bury it: an unburied postmaster passes for a running one.
    postmaster: Mutex<Option<Child>>,
    template: Mutex<bool>,
    databases: AtomicU32,
}

impl Cluster {
    /// A new, running server. `settings` are further lines of postgresql.conf.
    pub fn new(settings: &[&str]) -> Self {
        let cluster = Self::initialized(bin(), settings);
        cluster.start();
        cluster
    }

    fn initialized(bin: PathBuf, settings: &[&str]) -> Self {
        let cluster = Self::without_data(bin);
        cluster.run("initdb", &[&["-D", &text(&cluster.data())], &INITDB[..]].concat());
        cluster.configure(&[&[SETTINGS], settings].concat());
        cluster
    }

    /// A running server of another version with what a stopped one has, by pg_upgrade.
    pub fn upgraded_from(old: &Self, bin: PathBuf, settings: &[&str]) -> Self {
        let cluster = Self::initialized(bin, settings);
        let [old_bin, new_bin, old_data, new_data, socket] =
            [&old.bin, &cluster.bin, &old.data(), &cluster.data(), &cluster.socket].map(|path| text(path));
        let args = ["-b", &old_bin, "-B", &new_bin, "-d", &old_data, "-D", &new_data, "-s", &socket];
        // It writes where it is.
        let output = cluster.program("pg_upgrade", &args).current_dir(&cluster.directory).output();
        let Output { status, stdout, stderr } = output.expect("pg_upgrade starts");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{stdout}{stderr}{}", cluster.upgrade_logs());
        cluster.start();
        cluster
    }

    /// What pg_upgrade has logged of each database.
    fn upgrade_logs(&self) -> String {
        let find = format!("tail -n 30 {}/pg_upgrade_output.d/*/log/*dump*", text(&self.data()));
        let output = Command::new("sh").args(["-c", &find]).output().expect("sh starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A running hot standby, which streams from the primary and has its settings and these further ones.
    pub fn standby_of(primary: &Self, settings: &[&str]) -> Self {
        let cluster = Self::without_data(primary.bin.clone());
        // What leads to the primary is what pg_basebackup is led by.
        let args = ["-D", &text(&cluster.data()), "-c", "fast", "-X", "stream", "-R"];
        let host = text(&primary.socket);
        cluster.run("pg_basebackup", &[&args[..], &["-h", &host]].concat());
        cluster.configure(settings);
        cluster.start();
        cluster
    }

    /// A guarded place for a server.
    fn without_data(bin: PathBuf) -> Self {
        let work = std::env::var_os("LLM_USAGE_WORK").map_or_else(std::env::temp_dir, PathBuf::from);
        // The server's programs run elsewhere.
        let directory = fresh_directory(&std::path::absolute(work).expect("a place to work"));
        let socket = match directory.as_os_str().len() {
            0..=LONGEST_SOCKET_DIRECTORY => directory.clone(),
            _ => fresh_directory(&std::env::temp_dir()),
        };
        let stop = command_line(
            &bin.join("pg_ctl"),
            &["-D", &text(&directory.join("data")), "-m", "immediate", "stop"],
        );
        let guard = Mutex::new(Some(Guard::new(&directory, &socket, &stop)));
        Self {
            bin,
            directory,
            socket,
            guard,
            postmaster: Mutex::default(),
            template: Mutex::default(),
            databases: AtomicU32::new(0),
        }
    }

    /// Adds lines to postgresql.conf, which hold from the next start.
    pub fn configure(&self, settings: &[&str]) {
        let path = self.data().join("postgresql.conf");
        let mut file = File::options().append(true).open(path).expect("a conf");
        let socket = text(&self.socket);
        write!(file, "unix_socket_directories = '{socket}'\n{}\n", settings.join("\n")).expect("a conf");
    }

    /// The server that the tests of one binary share. Commits are fast, since its data is thrown away.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(|| {
            // SAFETY: the function is called once, after main, and touches only what is still there.
            unsafe { libc::atexit(end_shared) };
            Self::new(&["fsync = off"])
        })
    }

    /// Starts the server, which recovers first if it crashed.
    pub fn start(&self) {
        let log =
            File::options().create(true).append(true).open(self.directory.join("log")).expect("the log");
        let mut command = self.program("postgres", &["-D", &text(&self.data())]);
        let log_too = log.try_clone().expect("the log");
        // A group of its own: Ctrl-C is not for the server.
        command.stdin(Stdio::null()).stdout(log).stderr(log_too).process_group(0);
        let mut child = command.spawn().expect("the server starts");
        wait_until("the server takes connections", || {
            let ended = child.try_wait().expect("its state");
            assert!(ended.is_none(), "the server ended: {}", self.log());
            self.try_connect("postgres").is_ok()
        });
        *locked(&self.postmaster) = Some(child);
    }

    /// Stops the server in good order.
    pub fn stop(&self) {
        self.run("pg_ctl", &["-D", &text(&self.data()), "-m", "fast", "-t", "120", "-w", "stop"]);
        self.bury();
    }

    /// Kills every process of the server at once, and waits until they are gone.
    pub fn crash(&self) {
        let pid_file = fs::read_to_string(self.data().join("postmaster.pid")).expect("a running server");
        let postmaster: u32 =
            pid_file.lines().next().and_then(|line| line.parse().ok()).expect("a process id");
        // Stopped, it starts no further process.
        signal("STOP", &[postmaster]);
        wait_until("the postmaster is stopped", || is_stopped(postmaster));
        let mut processes = children(postmaster);
        processes.push(postmaster);
        signal("KILL", &processes);
        // runuser has stopped with its child.
        let child = locked(&self.postmaster).as_ref().map(Child::id);
        signal("CONT", child.as_slice());
        self.bury();
        wait_until("the server's processes are gone", || processes.iter().all(|process| !lives(*process)));
    }

    fn bury(&self) {
        if let Some(mut postmaster) = locked(&self.postmaster).take() {
            postmaster.wait().expect("its end");
        }
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Where its socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection as superuser.
    pub fn connect(&self, database: &str) -> Client {
        self.try_connect(database).unwrap_or_else(|error| panic!("no connection to {database}: {error}"))
    }

    /// Like [`Self::connect`], where the server may be down.
    pub fn try_connect(&self, database: &str) -> Result<Client, postgres::Error> {
        self.connect_as("postgres", database)
    }

    /// As a role that may log in.
    pub fn connect_as(&self, role: &str, database: &str) -> Result<Client, postgres::Error> {
        Config::new().host_path(&self.socket).user(role).dbname(database).connect(NoTls)
    }

    /// A new database with the extension; returns its name.
    pub fn create_database(&self) -> String {
        let mut made = locked(&self.template);
        if !*made {
            let mut postgres = self.connect("postgres");
            postgres
                .batch_execute(&format!("CREATE DATABASE {TEMPLATE} TEMPLATE template0"))
                .expect("a template");
            self.connect(TEMPLATE).batch_execute("CREATE EXTENSION llm_usage").expect("the extension");
            *made = true;
        }
        drop(made);
        self.create_database_from(TEMPLATE)
    }

    /// A new database without anything in it; returns its name.
    pub fn create_empty_database(&self) -> String {
        self.create_database_from("template0")
    }

    fn create_database_from(&self, template: &str) -> String {
        let name = format!("e2e_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        self.connect("postgres").batch_execute(&statement).expect("a database");
        name
    }

    /// Removes a database, whoever is connected to it.
    pub fn drop_database(&self, name: &str) {
        let statement = format!("DROP DATABASE {name} WITH (FORCE)");
        self.connect("postgres").batch_execute(&statement).expect("the database goes");
    }

    /// One of the server's programs, with the environment that leads it here.
    pub fn program(&self, name: &str, args: &[&str]) -> Command {
        let line = command_line(&self.bin.join(name), args);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).current_dir("/");
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PG") {
                command.env_remove(variable);
            }
        }
        command.env("PGHOST", &self.socket).env("PGUSER", "postgres").env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs one of the server's programs to its end; returns what it printed.
    pub fn run(&self, name: &str, args: &[&str]) -> String {
        let Output { status, stdout, stderr } =
            self.program(name, args).output().expect("the program starts");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{name} {args:?}: {status}\n{stdout}{stderr}{}", self.log());
        stdout.into_owned()
    }

    /// A place for a file or directory that goes with the server.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn end(&self) {
        drop(locked(&self.guard).take());
        self.bury();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

static SHARED: OnceLock<Cluster> = OnceLock::new();

/// Statics are never dropped: without this the guard would still clean up, but the test process would not wait for it.
extern "C" fn end_shared() {
    if let Some(cluster) = SHARED.get() {
        cluster.end();
    }
}

/// Where the programs of the tested server are.
fn bin() -> PathBuf {
    std::env::var_os("LLM_USAGE_PG_BIN").map(PathBuf::from).unwrap_or_else(|| {
        panic!(
            "LLM_USAGE_PG_BIN does not name the bin directory of a PostgreSQL with llm_usage: run `make test`"
        )
    })
}

/// Polls until the condition holds; panics after a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "after a minute it is still not so that {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A test that panicked has spoilt nothing that stands behind these.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
