//! Settings, `llm_usage.*`. SQL reads them by name, since it may run before the library is loaded.

use std::ffi::CString;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

static DEFAULT_CURRENCY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"USD"));

/// Defines every setting; nothing here needs `shared_preload_libraries`.
pub fn define() {
    GucRegistry::define_string_guc(
        c"llm_usage.default_currency",
        c"Currency of a cost that is given without one, and of entities without a budget.",
        c"An ISO 4217 code in capitals.",
        &DEFAULT_CURRENCY,
        GucContext::Userset,
        GucFlags::default(),
    );
}
