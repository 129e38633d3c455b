//! What has to be said to PostgreSQL in its own terms: documents, instants, changes of tables, rows of triggers. The only
//! `unsafe` of the extension.

use std::cell::Cell;
use std::ffi::CStr;

use bigdecimal::BigDecimal;
use llm_usage_core::Error;
use llm_usage_core::calendar::DAY;
use pgrx::array::RawArray;
use pgrx::datum::{Date, Internal, TimestampWithTimeZone};
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::varlena::{set_varsize_4b, varlena_to_byte_slice, varsize_4b};

use crate::error::{failed, report};

pub use datum::{Composite, Json, JsonText, argument, composite, json, json_text, jsonb, text};
pub use rights::with_rights;

pub mod background;
pub mod datum;
pub mod decimal;
pub mod lookup;
mod plain;
pub mod plan;
pub mod rights;
pub mod row;
pub mod setting;
pub mod tail;
pub mod transaction;
pub mod write;

/// The kind of our advisory locks.
const OWN_LOCKS: u16 = 76;

/// 2000-01-01T00:00:00Z, from which PostgreSQL counts, in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Microseconds since 1970; the infinities are the first and the last of them.
pub fn micros(instant: TimestampWithTimeZone) -> i64 {
    instant.into_inner().saturating_add(POSTGRES_EPOCH)
}

/// As [`micros`], `None` for the infinities.
pub fn finite_micros(instant: TimestampWithTimeZone) -> Option<i64> {
    (!matches!(instant.into_inner(), i64::MIN | i64::MAX)).then(|| micros(instant))
}

/// The opposite of [`micros`].
pub fn instant(micros: i64) -> Result<TimestampWithTimeZone, ErrorReport> {
    TimestampWithTimeZone::try_from(micros - POSTGRES_EPOCH).map_err(|_| failed("instant out of range"))
}

/// Days since 1970; the infinities are before and after all of them.
pub fn days(date: Date) -> i64 {
    i64::from(date.into_inner()) + POSTGRES_EPOCH / DAY
}

/// The opposite of [`days`].
pub fn date(days: i64) -> Date {
    let since_2000 = days - POSTGRES_EPOCH / DAY;
    Date::saturating_from_raw(i32::try_from(since_2000).unwrap_or(if since_2000 < 0 {
        i32::MIN
    } else {
        i32::MAX
    }))
}

/// An exact decimal as `numeric`.
pub fn numeric(decimal: &BigDecimal) -> Result<AnyNumeric, ErrorReport> {
    AnyNumeric::try_from(decimal.to_plain_string().as_str()).map_err(failed)
}

/// The elements of an argument, in microseconds since 2000 as [`TimestampWithTimeZone::into_inner`] gives them; not copied.
pub fn instants<'a>(
    name: &'static str,
    array: Array<'a, TimestampWithTimeZone>,
) -> Result<&'a [i64], ErrorReport> {
    if array.contains_nulls() {
        return Err(report(&Error::NullArgument { name }));
    }
    // SAFETY: without NULLs the elements lie side by side, as signed 64 bits; the array is the function's own to read.
    let elements = unsafe { RawArray::from_array(array).map(|mut array| array.data::<i64>().as_ref()) };
    Ok(elements.unwrap_or_default())
}

/// The bytes that an aggregate has gathered: a `bytea` in the aggregate's memory, with room up to the next power of two.
pub fn gather(
    gathered: Internal,
    bytes: &[u8],
    fcinfo: pg_sys::FunctionCallInfo,
) -> Result<Internal, ErrorReport> {
    const LEAST_ROOM: usize = 64;
    // SAFETY: SQL cannot make an `internal`, so this one was returned here, for this group; memory is written within its
    // room, which is added to where there is too little.
    unsafe {
        let (mut state, size) = match gathered.unwrap() {
            Some(state) => (state.cast_mut_ptr(), varsize_4b(state.cast_mut_ptr())),
            None => {
                let mut memory = std::ptr::null_mut();
                if pg_sys::AggCheckCallContext(fcinfo, &mut memory) == 0 {
                    return Err(failed("not called by an aggregate"));
                }
                (pg_sys::MemoryContextAlloc(memory, LEAST_ROOM).cast::<pg_sys::varlena>(), pg_sys::VARHDRSZ)
            }
        };
        let new_size = size + bytes.len();
        if new_size > LEAST_ROOM.max(size.next_power_of_two()) {
            state = pg_sys::repalloc(state.cast(), new_size.next_power_of_two()).cast();
        }
        state.cast::<u8>().add(size).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        set_varsize_4b(state, i32::try_from(new_size).map_err(failed)?);
        Ok(Internal::from(Some(pg_sys::Datum::from(state))))
    }
}

/// What [`gather`] has gathered, nothing for NULL.
pub fn gathered(state: Internal) -> Vec<u8> {
    // SAFETY: as above.
    let bytes = state.unwrap().map(|state| unsafe { varlena_to_byte_slice(state.cast_mut_ptr()) });
    bytes.unwrap_or_default().to_vec()
}

pub fn is_read_committed() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::XactIsoLevel == pg_sys::XACT_READ_COMMITTED as i32 }
}

/// Whether the transaction may not write, as on a standby: then it can take no transaction id either.
pub fn is_read_only() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::XactReadOnly }
}

/// Whether the transaction has an id: nothing is written without one.
pub fn may_have_written() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// The present instant, in microseconds since 1970.
pub fn now() -> i64 {
    // SAFETY: asks the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }.saturating_add(POSTGRES_EPOCH)
}

/// Runs the body in a snapshot taken now, which has all that an earlier one of this session has had; the body is told so. In
/// another isolation level, or in a transaction that may have written, it is told not to count on that.
pub fn with_latest_snapshot<T>(body: impl FnOnce(bool) -> Result<T, ErrorReport>) -> Result<T, ErrorReport> {
    if !is_read_committed() {
        return body(false);
    }
    // SAFETY: popped below, or with the transaction that an error ends.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    let result = body(!may_have_written());
    // SAFETY: the one pushed above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Runs the body in a snapshot that has all that this session wrote, as a statement of its own would.
pub fn with_own_snapshot<T>(body: impl FnOnce() -> Result<T, ErrorReport>) -> Result<T, ErrorReport> {
    // SAFETY: as above.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    let result = body();
    // SAFETY: the one pushed above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// The isolation level, as it is written.
pub fn isolation_level() -> &'static str {
    // SAFETY: a plain variable of this process.
    match unsafe { pg_sys::XactIsoLevel } as u32 {
        pg_sys::XACT_READ_UNCOMMITTED => "READ UNCOMMITTED",
        pg_sys::XACT_READ_COMMITTED => "READ COMMITTED",
        pg_sys::XACT_REPEATABLE_READ => "REPEATABLE READ",
        _ => "SERIALIZABLE",
    }
}

/// The next number of a sequence, whoever asks for it.
pub fn next_number(sequence: &CStr) -> Option<i64> {
    let sequence = relation(sequence);
    // SAFETY: the argument is what the function takes.
    with_rights(|| unsafe { pgrx::direct_function_call(pg_sys::nextval_oid, &[sequence.into_datum()]) })
}

unsafe extern "C-unwind" {
    /// The setting `max_prepared_transactions`.
    static max_prepared_xacts: std::ffi::c_int;
}

/// How many transactions there can be at once, prepared ones and those of workers included.
pub fn most_transactions() -> i64 {
    // SAFETY: plain variables of this process.
    let most = unsafe { [pg_sys::MaxBackends, max_prepared_xacts] };
    most.into_iter().map(i64::from).sum()
}

/// As `pg_advisory_xact_lock(class, key)`, or `pg_advisory_xact_lock_shared`, but a lock of ours: those of SQL are everybody's to take.
pub fn lock_until_end(class: i32, key: i32, is_alone: bool) {
    // SAFETY: the tag is an advisory lock, which the end of the transaction releases.
    unsafe { pg_sys::LockAcquire(&advisory_lock(class, key), lock_mode(is_alone), false, false) };
}

/// The same alone, if nobody else holds it.
pub fn try_lock_until_end(class: i32, key: i32) -> bool {
    // SAFETY: as above.
    let result = unsafe { pg_sys::LockAcquire(&advisory_lock(class, key), lock_mode(true), false, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// The opposite of [`lock_until_end`].
pub fn release_lock(class: i32, key: i32, is_alone: bool) {
    // SAFETY: the tag is an advisory lock; one that is not held makes a warning.
    unsafe { pg_sys::LockRelease(&advisory_lock(class, key), lock_mode(is_alone), false) };
}

fn lock_mode(is_alone: bool) -> std::ffi::c_int {
    (if is_alone { pg_sys::ExclusiveLock } else { pg_sys::ShareLock }) as std::ffi::c_int
}

fn advisory_lock(class: i32, key: i32) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: a plain variable of this process.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: class.cast_unsigned(),
        locktag_field3: key.cast_unsigned(),
        // The server's own are 1, a key, and 2, two keys; `pg_locks` shows it as `objsubid`.
        locktag_field4: OWN_LOCKS,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// The state of an aggregate, made when its first value comes. It lives in the aggregate's memory context and is dropped
/// with it, after an error too. All functions of an aggregate must agree on `T`.
pub fn state_mut<T: Default>(
    state: &mut Option<Internal>,
    call: pg_sys::FunctionCallInfo,
) -> Result<&mut T, ErrorReport> {
    let internal = match state {
        Some(internal) => internal,
        None => {
            let mut context = std::ptr::null_mut();
            // SAFETY: the call is the running one.
            if unsafe { pg_sys::AggCheckCallContext(call, &mut context) } == 0 {
                return Err(failed("not called by an aggregate"));
            }
            let made = PgMemoryContexts::For(context).leak_and_drop_on_delete(T::default());
            state.insert(Some(pg_sys::Datum::from(made)).into())
        }
    };
    // SAFETY: made above, with this type, as all functions of the aggregate agree.
    unsafe { internal.get_mut() }.ok_or_else(|| failed("the aggregate has no state"))
}

/// As [`state_mut`], to be read.
pub fn state<T>(state: &Internal) -> Result<&T, ErrorReport> {
    // SAFETY: made with this type, as all functions of the aggregate agree.
    unsafe { state.get() }.ok_or_else(|| failed("the aggregate has no state"))
}

thread_local! {
    static GENERATION: Cell<u64> = const { Cell::new(0) };
}

/// A number that has grown if any table of the database may have changed its definition, or was announced as changed,
/// since it was read last.
pub fn generation() -> u64 {
    // SAFETY: what taking any lock does as well.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    known_generation()
}

/// As [`generation`], but of what this session has heard of by now: an open table does not change.
pub fn known_generation() -> u64 {
    if GENERATION.get() == 0 {
        GENERATION.set(1);
        // SAFETY: registered once for the life of the process.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0)) };
    }
    GENERATION.get()
}

#[pg_guard]
extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, _relation: pg_sys::Oid) {
    GENERATION.set(GENERATION.get() + 1);
}

/// Grows [`generation`] in this session now, and in all others when this transaction commits.
pub fn announce_change(trigger: &PgTrigger) -> Result<(), ErrorReport> {
    let relation = trigger.relid().map_err(failed)?;
    // SAFETY: the table exists, its trigger is running.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
    Ok(())
}

/// Ids of a ledger's rows that are about to be written: as its INSERT does, first the lock, which the fold waits for, and
/// then the ids.
pub fn draw_ids(ledger: pg_sys::Oid, sequence: pg_sys::Oid, count: usize) -> Vec<i64> {
    // SAFETY: a relation, or the server raises an error.
    unsafe { pg_sys::LockRelationOid(ledger, pg_sys::RowExclusiveLock as i32) };
    with_rights(|| {
        // SAFETY: the argument is what the function takes.
        let next = || unsafe { pgrx::direct_function_call(pg_sys::nextval_oid, &[sequence.into_datum()]) };
        (0..count).map_while(|_| next()).collect()
    })
}

/// Whether this transaction has drawn from a sequence, or asked for the last number: either locks it to the end.
pub fn is_drawn_from(sequence: pg_sys::Oid) -> bool {
    let tag = pg_sys::LOCKTAG {
        // SAFETY: a plain variable of this process.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: sequence.to_u32(),
        locktag_field3: 0,
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_RELATION as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    // SAFETY: looks into the locks of this process.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        let is_locked = pg_sys::LockHeldByMe(&tag, pg_sys::RowExclusiveLock as i32);
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        let is_locked = pg_sys::LockHeldByMe(&tag, pg_sys::RowExclusiveLock as i32, false);
        is_locked
    }
}

/// The number that this session has drawn last from a sequence, of which it has drawn one.
pub fn last_drawn(sequence: pg_sys::Oid) -> i64 {
    let _rights = rights::Rights::of_superuser();
    let sequence = pg_sys::Datum::from(sequence);
    // SAFETY: the argument is what the function takes.
    unsafe { pg_sys::DirectFunctionCall1Coll(Some(currval_oid), pg_sys::InvalidOid, sequence).value() as i64 }
}

/// A table or a sequence of the extension.
pub fn relation(name: &CStr) -> pg_sys::Oid {
    // SAFETY: looks a name up.
    unsafe {
        pg_sys::get_relname_relid(name.as_ptr(), pg_sys::get_namespace_oid(c"llm_usage".as_ptr(), false))
    }
}

/// When the transaction began, in microseconds since 2000.
pub fn transaction_start() -> i64 {
    // SAFETY: reads a variable of this process.
    unsafe { GetCurrentTransactionStartTimestamp() }
}

/// Whether row security is enabled for a table.
pub fn has_row_security(table: pg_sys::Oid) -> bool {
    // SAFETY: the server's own entry of a table, held while it is read.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(table);
        if relation.is_null() {
            return false;
        }
        let enabled = (*(*relation).rd_rel).relrowsecurity;
        pg_sys::RelationClose(relation);
        enabled
    }
}

// What every event asks of the server: `pg_sys` has the same, with a guard that takes longer than they do. The first raises no error;
// the other is called by what has the guard.
unsafe extern "C-unwind" {
    fn GetCurrentTransactionStartTimestamp() -> pg_sys::TimestampTz;
    fn currval_oid(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum;
}
