//! What a background worker needs of PostgreSQL.

use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::list::PgList;
use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::prelude::*;

use crate::worker;

/// Where the postmaster enters a worker, by this name.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn llm_usage_worker(_arg: pg_sys::Datum) {
    worker::run()
}

/// Whether the postmaster is loading what `shared_preload_libraries` names.
pub fn is_preloading() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Whether pg_upgrade runs this server, which nobody may write to then.
pub fn is_upgrading() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::IsBinaryUpgrade }
}

/// The names of a list, as PostgreSQL reads identifiers; `None` if it is no list of names.
pub fn identifiers(list: &CStr) -> Option<Vec<String>> {
    let mut names = std::ptr::null_mut();
    // SAFETY: the server cuts its own copy of the list into the names, which live as long as it does.
    unsafe {
        let copy = pg_sys::pstrdup(list.as_ptr());
        if !pg_sys::SplitIdentifierString(copy, b',' as c_char, &mut names) {
            return None;
        }
        let names = PgList::<c_char>::from_pg(names);
        names.iter_ptr().map(|name| CStr::from_ptr(name).to_str().ok().map(String::from)).collect()
    }
}

unsafe extern "C-unwind" {
    /// The server's own handler; what pgrx has under this name is a wrapper that cannot be one.
    fn die(signal: c_int);
}

/// Lets SIGTERM end this process wherever it is, as it ends any session. The postmaster starts it again, which it would
/// not after an end in good order.
pub fn handle_signals() {
    let sigterm = pg_sys::SIGTERM as c_int;
    // SAFETY: a handler made for processes like this one.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(sigterm, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(sigterm, Some(die));
    }
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP);
}

/// Reads the configuration files again.
pub fn reload_settings() {
    // SAFETY: outside of any transaction and any other reading of settings.
    unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
}

/// Sleeps that long, or until a signal. Ends with the postmaster.
pub fn sleep(time: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // A rest of a millisecond is waited for as a whole one, not skipped again and again.
    let milliseconds = time.as_millis().saturating_add(1).try_into().unwrap_or(i64::MAX);
    // SAFETY: the latch is this process's own.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        // There is no statement to cancel now.
        pg_sys::QueryCancelPending = 0;
    }
    pg_sys::check_for_interrupts!();
}

/// Runs the body in a transaction of its own; an error rolls it back and is returned.
pub fn transaction<T>(
    body: impl FnOnce() -> T + UnwindSafe + RefUnwindSafe,
) -> Result<T, ErrorReportWithLevel> {
    let aborted = |error| {
        // SAFETY: the body is over, and with it all that it had of the transaction.
        unsafe { pg_sys::AbortCurrentTransaction() };
        match error {
            CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic { ereport: report, .. } => Err(report),
        }
    };
    PgTryBuilder::new(|| Ok(BackgroundWorker::transaction(body))).catch_others(aborted).execute()
}

/// Whether another session has locked this database against whoever uses it, as DROP DATABASE does. To be asked in a
/// transaction, which then holds a lock that DROP DATABASE waits for.
pub fn is_database_wanted() -> bool {
    let database = pg_sys::LOCKTAG {
        locktag_field1: 0,
        locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
        // SAFETY: a plain variable of this process.
        locktag_field3: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    // SAFETY: the tag is that of this database as a shared object; the lock goes with the transaction.
    let lock = unsafe { pg_sys::LockAcquire(&database, pg_sys::RowExclusiveLock as c_int, false, true) };
    lock == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Shows the statement in `pg_stat_activity` as running.
pub fn report_running(statement: &str) {
    // What cannot be shown has an empty text.
    let statement = CString::new(statement).unwrap_or_default();
    // SAFETY: the server copies the text.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, statement.as_ptr()) };
}

/// Shows this process as idle in `pg_stat_activity`.
pub fn report_idle() {
    // SAFETY: no text is given.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()) };
}

/// Hands over what this process counted, which autovacuum goes by. Not in a transaction.
pub fn report_statistics() {
    // SAFETY: no transaction is open. What comes too early after the last report is kept for the next.
    unsafe { pg_sys::pgstat_report_stat(false) };
}
