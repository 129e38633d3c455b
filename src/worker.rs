//! The background worker: folds on a timer and makes partitions. Nothing depends on it, everything stays exact without it.
//!
//! An error of a statement is logged, and the statement is tried again. Whatever ends the process has it started again by
//! the postmaster.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder};
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportWithLevel};
use pgrx::prelude::*;

use crate::error::raise;
use crate::pg::background;
use crate::{query, settings};

const TYPE: &str = "llm_usage worker";
const RESTART: Duration = Duration::from_secs(5);
/// The longest sleep: DROP DATABASE gives up on us after five seconds.
const DOZE: Duration = Duration::from_secs(2);
const FOLD_AGAIN: Duration = Duration::from_secs(5);
/// A ledger in use is left out of a run.
const MAINTAIN: Duration = Duration::from_secs(10 * 60);
const MAINTAIN_AGAIN: Duration = Duration::from_secs(5 * 60);

/// A fold that a crash takes back is done again, so its commit need not wait for the disk. The owner of a database may set
/// its path, which must not lead a superuser astray.
const SESSION: &str = "SELECT pg_catalog.set_config('application_name', 'llm_usage worker', false),
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
    pg_catalog.set_config('synchronous_commit', 'off', false),
    pg_catalog.set_config('default_transaction_isolation', 'read committed', false)";

/// Registers a worker for each database that the setting names, if the postmaster is loading this library.
pub fn register() {
    if !background::is_preloading() || background::is_upgrading() {
        return;
    }
    let list = settings::databases();
    let Some(mut databases) = background::identifiers(&list) else { return refuse(&list) };
    databases.sort_unstable();
    databases.dedup();
    for database in databases {
        BackgroundWorkerBuilder::new(&format!("{TYPE} of {database}"))
            .set_type(TYPE)
            .set_library("llm_usage")
            .set_function("llm_usage_worker")
            .set_extra(&database)
            .enable_spi_access()
            .set_restart_time(Some(RESTART))
            .load();
    }
}

/// A server without a worker is better than no server.
fn refuse(list: &CStr) {
    let message =
        format!("llm_usage.databases is no list of names, no worker is started: {}", list.to_string_lossy());
    let code = PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
    ErrorReport::new(code, message, TYPE)
        .set_hint("Separate the names by commas; put those with capitals, commas or blanks in double quotes.")
        .report(PgLogLevel::WARNING);
}

/// What the worker of one database does, for as long as it lives.
pub fn run() -> ! {
    background::handle_signals();
    BackgroundWorker::connect_worker_to_spi(Some(BackgroundWorker::get_extra()), None);
    BackgroundWorker::transaction(|| raise(query::select(SESSION, &[], |_| Ok(()))));
    let mut fold = Job::new("SELECT llm_usage.fold(at_most => 1000000)", fold_pause);
    let mut rebuild = Job::new(include_str!("rebuild.sql"), fold_pause);
    let mut maintain = Job::new("SELECT count(*) FROM llm_usage.maintain()", maintain_pause);
    loop {
        let works = may_work();
        if works {
            fold.run_if_due();
            rebuild.run_if_due();
            maintain.run_if_due();
        } else {
            // What is created or restored next needs its months at once.
            maintain.last = None;
        }
        background::report_statistics();
        if BackgroundWorker::sighup_received() {
            background::reload_settings();
        }
        background::sleep(if works {
            DOZE.min(fold.left()).min(rebuild.left()).min(maintain.left())
        } else {
            DOZE
        });
    }
}

/// How long to wait after a fold; `None` if there is to be none.
fn fold_pause(failed: bool) -> Option<Duration> {
    let interval = settings::fold_interval()?;
    Some(if failed { interval.max(FOLD_AGAIN) } else { interval })
}

fn maintain_pause(failed: bool) -> Option<Duration> {
    Some(if failed { MAINTAIN_AGAIN } else { MAINTAIN })
}

/// Whether there is something to work on now. Does not return if another session wants the database for itself.
fn may_work() -> bool {
    let asked = background::transaction(|| match background::is_database_wanted() {
        true => None,
        false => Some(raise(query::select(include_str!("worker.sql"), &[], |row| row.get::<bool>(1)))),
    });
    match asked {
        Ok(Some(answer)) => answer == [Some(true)],
        Ok(None) => give_way(),
        Err(error) => {
            warn("looking for the extension", error);
            false
        }
    }
}

/// Ends the process; started again, it waits until the database is free, or finds that it is gone.
fn give_way() -> ! {
    let message = "llm_usage worker disconnects: another session needs the database without users";
    ErrorReport::new(PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN, message, TYPE).report(PgLogLevel::FATAL);
    unreachable!("FATAL ends the process")
}

fn warn(what: &str, error: ErrorReportWithLevel) {
    let mut report = ErrorReport::new(error.sql_error_code(), format!("{what}: {}", error.message()), TYPE);
    if let Some(detail) = error.detail() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint() {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::WARNING);
}

/// A statement that is run again and again, each time in a transaction of its own.
struct Job {
    statement: &'static str,
    /// How long to wait after a run, which may have failed; `None` to run it no more.
    pause: fn(failed: bool) -> Option<Duration>,
    /// When the last run ended, and whether it failed; `None` to run it now.
    last: Option<(Instant, bool)>,
}

impl Job {
    fn new(statement: &'static str, pause: fn(bool) -> Option<Duration>) -> Self {
        Self { statement, pause, last: None }
    }

    /// How long it is until the next run.
    fn left(&self) -> Duration {
        let failed = self.last.is_some_and(|(_, failed)| failed);
        let Some(pause) = (self.pause)(failed) else { return Duration::MAX };
        self.last.map_or(Duration::ZERO, |(ended, _)| pause.saturating_sub(ended.elapsed()))
    }

    fn run_if_due(&mut self) {
        if self.left() > Duration::ZERO {
            return;
        }
        let statement = self.statement;
        let result = background::transaction(|| {
            background::report_running(statement);
            // What reads takes no transaction id: a fold without anything to fold writes nothing.
            raise(query::select(statement, &[], |_| Ok(())));
        });
        background::report_idle();
        self.last = Some((Instant::now(), result.is_err()));
        if let Err(error) = result {
            warn(statement, error);
        }
    }
}
