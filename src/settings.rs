//! Settings, `llm_usage.*`. SQL reads all but the default currency by name, since it may run before the library is loaded.

use std::ffi::CString;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::prelude::*;

use crate::pg::background::is_preloading;
use crate::pg::setting;

static DEFAULT_CURRENCY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"USD"));
static FOLD_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(1000);
static IDEMPOTENCY_WINDOW: GucSetting<i32> = GucSetting::<i32>::new(7 * 24 * 60 * 60);
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"postgres"));

/// Defines every setting, but what only a preloaded library may have.
pub fn define() {
    setting::define_currency(
        c"llm_usage.default_currency",
        c"Currency of a cost that is given without one, and of entities without a budget.",
        c"An ISO 4217 code in capitals.",
        &DEFAULT_CURRENCY,
    );
    GucRegistry::define_int_guc(
        c"llm_usage.fold_interval",
        c"How long the background worker waits after a fold.",
        c"At 0 it does not fold; fold() can be called by hand.",
        &FOLD_INTERVAL,
        0,
        60 * 60 * 1000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"llm_usage.idempotency_window",
        c"How long a request key is known at least.",
        c"Older ones are dropped by maintain().",
        &IDEMPOTENCY_WINDOW,
        60,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    if is_preloading() {
        GucRegistry::define_string_guc(
            c"llm_usage.databases",
            c"Databases that have a background worker.",
            c"Names separated by commas, in double quotes where they have capitals, commas or blanks; empty for none.",
            &DATABASES,
            GucContext::Postmaster,
            GucFlags::default(),
        );
    }
}

/// The currency of a cost that is given without one. Every event may ask; by its name a setting takes three times as long.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _default_currency() -> String {
    default_currency()
}

/// The same, for whoever asks here.
pub fn default_currency() -> String {
    let currency = DEFAULT_CURRENCY.get().and_then(|currency| currency.into_string().ok());
    currency.unwrap_or_else(|| "USD".to_owned())
}

/// `None` if the worker is not to fold.
pub fn fold_interval() -> Option<Duration> {
    let milliseconds = u64::try_from(FOLD_INTERVAL.get()).unwrap_or_default();
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// The list of databases that have a worker, as it was written.
pub fn databases() -> CString {
    DATABASES.get().unwrap_or_default()
}
