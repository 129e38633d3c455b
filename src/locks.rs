//! The advisory locks of the extension, each of a class and a number, as `pg_locks` shows them in `classid` and `objid`.

use pgrx::prelude::*;

use crate::pg;

/// Of budgets, the letters LLMB; the number is the budget's.
pub const BUDGETS: i32 = 0x4c4c_4d42;
/// Of who changes the rollups, the letters LLMU; the number is 0.
const ROLLUPS: i32 = 0x4c4c_4d55;

/// One session at a time changes the rollups, until its transaction ends. False if another one does, and this is not to wait for it.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _lock_rollups(wait: bool) -> bool {
    if !wait {
        return pg::try_lock_until_end(ROLLUPS, 0);
    }
    pg::lock_until_end(ROLLUPS, 0, true);
    true
}
