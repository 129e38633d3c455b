//! How transactions end.

use std::sync::OnceLock;

use pgrx::prelude::*;

/// How a transaction, or a part of it, ended.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    /// It was committed or prepared, as a whole.
    Kept,
    /// What it did since the beginning of the numbered subtransaction is gone.
    Undone(pg_sys::SubTransactionId),
}

/// The number of the subtransaction that is all of a transaction, as the server has it.
pub const WHOLE: pg_sys::SubTransactionId = 1;

/// Called at each end. It may not fail, nor ask the server for anything.
static LISTENER: OnceLock<fn(End)> = OnceLock::new();

/// Has each end told, as long as the process lives.
pub fn listen(listener: fn(End)) {
    if LISTENER.set(listener).is_err() {
        return;
    }
    // SAFETY: registered once for the life of the process.
    unsafe {
        pg_sys::RegisterXactCallback(Some(transaction_ended), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_ended), std::ptr::null_mut());
    }
}

/// Whose work a snapshot sees. Within a transaction of which nothing was undone in between, two that are the same see the same.
#[derive(PartialEq)]
pub struct Seen {
    bounds: [u32; 3],
    in_progress: Vec<pg_sys::TransactionId>,
}

/// What the active snapshot sees; `None` of a special one.
pub fn seen() -> Option<Seen> {
    // SAFETY: it is active; its arrays have as many transactions as it says.
    unsafe {
        let snapshot = &*pg_sys::GetActiveSnapshot();
        if snapshot.snapshot_type != pg_sys::SnapshotType::SNAPSHOT_MVCC {
            return None;
        }
        let list = |first: *mut pg_sys::TransactionId, count: i64| match usize::try_from(count) {
            Ok(count) if count > 0 => std::slice::from_raw_parts(first, count),
            _ => &[],
        };
        let whole = list(snapshot.xip, snapshot.xcnt.into());
        let parts = list(snapshot.subxip, snapshot.subxcnt.into());
        Some(Seen {
            bounds: [snapshot.xmin.into_inner(), snapshot.xmax.into_inner(), snapshot.curcid],
            in_progress: [whole, parts].concat(),
        })
    }
}

/// The subtransaction that is running.
pub fn subtransaction() -> pg_sys::SubTransactionId {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// Whether something of the running transaction may have been undone by now.
pub fn may_have_undone() -> bool {
    // SAFETY: plain variables of this process; while the server starts, there is no transaction.
    unsafe { pg_sys::IsTransactionBlock() || pg_sys::GetCurrentTransactionNestLevel() > 1 }
}

fn tell(end: End) {
    if let Some(listener) = LISTENER.get() {
        listener(end);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ended(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    match event {
        XACT_EVENT_COMMIT | XACT_EVENT_PREPARE => tell(End::Kept),
        XACT_EVENT_ABORT => tell(End::Undone(WHOLE)),
        _ => {}
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn subtransaction_ended(
    event: pg_sys::SubXactEvent::Type,
    ended: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        tell(End::Undone(ended));
    }
}
