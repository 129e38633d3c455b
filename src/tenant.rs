//! The apps that a tenant sees, as the policies of `apps` leave them (`sql/row_security.sql`).

use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReport;

use crate::pg::lookup::{self, Is, Key};
use crate::pg::rights::narrowed;
use crate::{pg, query};

/// Their numbers, ascending.
pub fn apps() -> Result<Vec<i64>, ErrorReport> {
    const APPS: &str = "SELECT a.id FROM llm_usage.apps a ORDER BY a.id";
    match read(None)? {
        Some(apps) => Ok(apps),
        None => query::select(APPS, &[], |row| row.id(1)),
    }
}

/// Whether one of them is this.
pub fn owns(app: i64) -> Result<bool, ErrorReport> {
    const APP: &str = "SELECT a.id FROM llm_usage.apps a WHERE a.id = $1";
    let found = match read(Some(app))? {
        Some(found) => found,
        None => query::select(APP, &[app.into()], |row| row.id(1))?,
    };
    Ok(!found.is_empty())
}

/// All of them, or the one if it is there; `None` if only SQL can tell.
fn read(app: Option<i64>) -> Result<Option<Vec<i64>>, ErrorReport> {
    let table = pg::relation(c"apps");
    let Some(owner) = owner(table)? else { return Ok(None) };
    let Some(owner) = owner else { return Ok(Some(Vec::new())) };
    let app = app.map(|app| (c"id", Is::Number(app)));
    let key: Vec<Key> = app.into_iter().chain([(c"owner_id", Is::Number(owner))]).collect();
    let mut apps = Vec::new();
    let is_read = lookup::rows(table, &[key], &["id"], |row| {
        apps.push(row.number(0));
        Ok(true)
    })?;
    apps.sort_unstable();
    Ok(is_read.then_some(apps))
}

/// Whose apps are seen, within it `None` for nobody's; `None` if only SQL can tell.
fn owner(apps: Oid) -> Result<Option<Option<i64>>, ErrorReport> {
    let mut owners: Vec<Option<i64>> = Vec::new();
    let (mut is_named_by_session, mut is_told) = (false, true);
    let are_ours = narrowed(apps, |policy| match policy.to_bytes().strip_prefix(b"llm_usage_tenant_") {
        Some(number) => {
            let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            is_told &= number.is_some();
            owners.push(number);
        }
        None if policy == c"llm_usage_tenants" => is_named_by_session = true,
        None => is_told = false,
    });
    if !are_ours || !is_told {
        return Ok(None);
    }
    if is_named_by_session {
        owners.extend(query::select("SELECT llm_usage._tenant()", &[], |row| row.get(1))?);
    }
    // Who is several tenants' at once sees what all of them do.
    Ok(owners.first().map(|first| first.filter(|_| owners.iter().all(|owner| owner == first))))
}
