//! The functions behind the bitmap aggregates of `sql/bitmap.sql`.

use llm_usage_core::bitmap::{self, Bitmap, UnionCount};
use pgrx::datum::Internal;
use pgrx::pg_sys::FunctionCallInfo;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{failed, report};
use crate::pg::{state, state_mut};

/// Adds a number.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _bitmap_insert(
    mut bitmap: Option<Internal>,
    number: Option<i64>,
    call: FunctionCallInfo,
) -> Result<Option<Internal>, ErrorReport> {
    if let Some(number) = number {
        state_mut::<Bitmap>(&mut bitmap, call)?.insert(number);
    }
    Ok(bitmap)
}

/// Adds a stored bitmap.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _bitmap_unite(
    mut bitmap: Option<Internal>,
    stored: Option<&[u8]>,
    call: FunctionCallInfo,
) -> Result<Option<Internal>, ErrorReport> {
    if let Some(stored) = stored {
        let bitmap = state_mut::<Bitmap>(&mut bitmap, call)?;
        bitmap.union_with_serialized(stored).map_err(|error| report(&error))?;
    }
    Ok(bitmap)
}

/// Adds what another process has gathered.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _bitmap_combine(
    mut bitmap: Option<Internal>,
    other: Option<Internal>,
    call: FunctionCallInfo,
) -> Result<Option<Internal>, ErrorReport> {
    if let Some(other) = &other {
        state_mut::<Bitmap>(&mut bitmap, call)?.union_with(state(other)?);
    }
    Ok(bitmap)
}

/// The stored bitmap, as the result and on its way from process to process.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _bitmap_serialize(bitmap: Internal) -> Result<Vec<u8>, ErrorReport> {
    Ok(state::<Bitmap>(&bitmap)?.serialize())
}

/// What another process has gathered.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, strict, requires = ["schema"])]
fn _bitmap_deserialize(stored: &[u8], _unused: Internal) -> Result<Internal, ErrorReport> {
    let mut bitmap = Bitmap::default();
    bitmap.union_with_serialized(stored).map_err(|error| report(&error))?;
    // The process that combines reads it at once, in the memory context of this call.
    Ok(Internal::new(bitmap))
}

/// Adds a stored bitmap to those that are only counted.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _bitmap_count_add(
    mut union: Option<Internal>,
    stored: Option<&[u8]>,
    call: FunctionCallInfo,
) -> Result<Option<Internal>, ErrorReport> {
    if let Some(stored) = stored {
        state_mut::<UnionCount>(&mut union, call)?.add(stored).map_err(|error| report(&error))?;
    }
    Ok(union)
}

/// How many numbers those have together.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _bitmap_count_final(union: Option<Internal>) -> Result<i64, ErrorReport> {
    union.map_or(Ok(0), |union| counted(state::<UnionCount>(&union)?.count()))
}

/// The union of two stored bitmaps; NULL is the empty one, of both it is NULL.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _bitmap_or(one: Option<&[u8]>, other: Option<&[u8]>) -> Result<Option<Vec<u8>>, ErrorReport> {
    if one.is_none() && other.is_none() {
        return Ok(None);
    }
    let mut bitmap = Bitmap::default();
    for stored in [one, other].into_iter().flatten() {
        bitmap.union_with_serialized(stored).map_err(|error| report(&error))?;
    }
    Ok(Some(bitmap.serialize()))
}

/// How many numbers a stored bitmap has, 0 for NULL.
#[pg_extern(schema = "llm_usage", immutable, parallel_safe, requires = ["schema"])]
fn _bitmap_count(stored: Option<&[u8]>) -> Result<i64, ErrorReport> {
    counted(stored.map_or(Ok(0), bitmap::count).map_err(|error| report(&error))?)
}

fn counted(count: u64) -> Result<i64, ErrorReport> {
    i64::try_from(count).map_err(failed)
}
