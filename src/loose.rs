//! Whether anything of a range is in no whole hour of the rollups.

use llm_usage_core::cut::Cut;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::pg;

/// Whether a row of the ledger in `[from_time, to_time)` may be in no whole hour of the rollups: a bound cuts an
/// hour, or rows are not folded yet. What the statement sees is what is answered for.
#[pg_extern(schema = "llm_usage", stable, parallel_safe, requires = ["schema"])]
fn _may_be_loose(
    ledger: pg_sys::Oid,
    folded_up_to: Option<i64>,
    from_time: Option<TimestampWithTimeZone>,
    to_time: Option<TimestampWithTimeZone>,
) -> bool {
    let cut = Cut::of(from_time.map(pg::micros), to_time.map(pg::micros));
    cut.ends().next().is_some() || pg::tail::has_rows_after(ledger, folded_up_to.unwrap_or(0))
}
