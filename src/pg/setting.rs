//! Settings whose values are checked.

use std::ffi::{CStr, CString, c_char, c_void};

use llm_usage_core::event::Kind;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::prelude::*;

/// Anybody may set it to a currency's code, and to nothing else.
pub fn define_currency(
    name: &'static CStr,
    meaning: &'static CStr,
    values: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
) {
    let (context, flags) = (GucContext::Userset, GucFlags::default());
    // SAFETY: the hook turns a panic into an error of the server.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            meaning,
            values,
            setting,
            context,
            flags,
            Some(is_currency),
            None,
            None,
        );
    }
}

/// Runs what needs other values of settings that anybody may set.
pub fn with_settings<T>(settings: &[(&CStr, &CStr)], run: impl FnOnce() -> T) -> T {
    // SAFETY: as a function with SET does; after an error the end of the transaction puts back what was.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        for (name, value) in settings {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
        let result = run();
        pg_sys::AtEOXact_GUC(true, level);
        result
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn is_currency(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server hands over a string that ends, or none, and takes what is said about it from where it is put.
    unsafe {
        if (*value).is_null() || Kind::Currency.accepts_text(CStr::from_ptr(*value).to_bytes()) {
            return true;
        }
        pg_sys::GUC_check_errhint_string =
            pg_sys::pstrdup(c"Give an ISO 4217 code in capitals, such as USD.".as_ptr());
        false
    }
}
