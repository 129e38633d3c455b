//! Documents, rows of composite types, and arguments of statements, as the server has them.

use std::ffi::CString;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, DatumWithOid};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use serde::Serialize;

use crate::error::failed;

/// A `json` that goes out letter by letter as it was written here.
pub struct Json(String);

/// A document as `json`, digits and key order as they stand in the struct.
pub fn json(document: &impl Serialize) -> Result<Json, ErrorReport> {
    json_text(document).map(Json)
}

/// As [`json`], for where the type is another.
pub fn json_text(document: &impl Serialize) -> Result<String, ErrorReport> {
    serde_json::to_string(document).map_err(failed)
}

// SAFETY: the type is external and named as PostgreSQL names it.
unsafe impl SqlTranslatable for Json {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Json);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::NotValidAsArgument("Json"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("json")));
}

// SAFETY: a json datum is a text datum that holds JSON.
unsafe impl BoxRet for Json {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        unsafe { self.0.box_into(fcinfo) }
    }
}

/// A `json` that comes in as it was written, not copied.
pub struct JsonText<'a>(pub &'a str);

// SAFETY: the type is external and named as PostgreSQL names it.
unsafe impl SqlTranslatable for JsonText<'_> {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(JsonText);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("json"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("json")));
}

// SAFETY: a json datum is a text datum that holds JSON.
unsafe impl<'fcx> ArgAbi<'fcx> for JsonText<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        Self(unsafe { <&str>::unbox_arg_unchecked(arg) })
    }
}

/// A `jsonb` of a text that is JSON.
pub fn jsonb(text: &str) -> Result<pg_sys::Datum, ErrorReport> {
    let text = CString::new(text).map_err(failed)?;
    // SAFETY: the argument is what the function takes.
    let jsonb =
        unsafe { pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(text.as_ptr().into())]) };
    jsonb.ok_or_else(|| failed("a jsonb that is NULL"))
}

/// A text as ours.
pub fn text(text: pg_sys::Datum) -> Option<String> {
    // SAFETY: the callers have it from columns of type text.
    unsafe { String::from_datum(text, false) }
}

/// An argument of a statement.
pub fn argument<'a>(value: Option<pg_sys::Datum>, of: pg_sys::Oid) -> DatumWithOid<'a> {
    match value {
        // SAFETY: the callers name the type of the value.
        Some(value) => unsafe { DatumWithOid::new(value, of) },
        None => DatumWithOid::null_oid(of),
    }
}

/// A row of a composite type.
pub struct Composite(pg_sys::Datum);

/// A row of the composite type that the called function returns, of the values of its columns.
pub fn composite(
    call: pg_sys::FunctionCallInfo,
    columns: &[Option<pg_sys::Datum>],
) -> Result<Composite, ErrorReport> {
    let mut nulls: Vec<bool> = columns.iter().map(Option::is_none).collect();
    let mut values: Vec<pg_sys::Datum> =
        columns.iter().map(|column| column.unwrap_or(pg_sys::Datum::from(0))).collect();
    let mut descriptor = std::ptr::null_mut();
    // SAFETY: the call is the running one, and its type has so many columns of these types.
    unsafe {
        let class = pg_sys::get_call_result_type(call, std::ptr::null_mut(), &mut descriptor);
        if class != pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE
            || usize::try_from((*descriptor).natts).map_err(failed)? != columns.len()
        {
            return Err(failed("the function returns another type"));
        }
        let row = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
        Ok(Composite(pg_sys::HeapTupleHeaderGetDatum((*row).t_data)))
    }
}

// SAFETY: the type is external; functions that return it are declared in SQL files.
unsafe impl SqlTranslatable for Composite {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Composite);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> =
        Err(ArgumentError::NotValidAsArgument("Composite"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("record")));
}

// SAFETY: the datum is a row of the type that the function returns.
unsafe impl BoxRet for Composite {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}
