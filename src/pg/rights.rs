//! Who may do what with which rows of a table, for what is read and written without a plan; and what is done with other rights.

use std::ffi::CStr;

use pgrx::prelude::*;

/// What who asks may read of a table, the most first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sees {
    AllRows,
    /// What our policies leave to a tenant: the rows of the apps that he sees in `apps`.
    RowsOfApps,
    /// Nothing, or what only SQL can tell.
    NotKnown,
}

/// Whether who asks may ask for all columns of a table.
pub fn may_select(table: pg_sys::Oid) -> bool {
    may(table, pg_sys::ACL_SELECT)
}

/// Whether who asks has a right to a table, and no policy is to be asked about each row.
pub fn may_freely(table: pg_sys::Oid, right: u32) -> bool {
    may(table, right) && !is_bound(table)
}

fn may(table: pg_sys::Oid, right: u32) -> bool {
    // SAFETY: looks up what the server knows of the table and the role.
    let result = unsafe { pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), right as pg_sys::AclMode) };
    result == pg_sys::AclResult::ACLCHECK_OK
}

/// Whether policies bind who asks.
fn is_bound(table: pg_sys::Oid) -> bool {
    // SAFETY: as above.
    let is_bound = unsafe { pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true) };
    is_bound == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
}

/// As a query would be answered that runs with the rights of now.
pub fn seen(table: pg_sys::Oid) -> Sees {
    let mut sees = Sees::AllRows;
    let is_told = may_select(table)
        && narrowed(table, |policy| {
            sees = sees.max(if policy == c"llm_usage_tenants" { Sees::RowsOfApps } else { Sees::NotKnown });
        });
    if is_told { sees } else { Sees::NotKnown }
}

/// Hands over the names of our policies that leave who asks less than all rows; false if anything but policies of ours says which
/// rows are read.
pub fn narrowed(table: pg_sys::Oid, policy: impl FnMut(&CStr)) -> bool {
    match is_bound(table) {
        false => true,
        // SAFETY: the table is there: it was asked for rights.
        true => unsafe { narrowed_by_policies(table, policy) },
    }
}

/// Those are ours that `_set_policies()` makes. By their names: who owns the table could as well change our functions.
unsafe fn narrowed_by_policies(table: pg_sys::Oid, mut narrows: impl FnMut(&CStr)) -> bool {
    // SAFETY: the table is held while its entry is read; a list of policies has nothing else.
    unsafe {
        // With row_security off the server raises an error, and a hook may have policies of its own.
        let hooks =
            [pg_sys::row_security_policy_hook_permissive, pg_sys::row_security_policy_hook_restrictive];
        if !pg_sys::row_security || hooks.iter().any(Option::is_some) {
            return false;
        }
        let relation = pg_sys::RelationIdGetRelation(table);
        if relation.is_null() {
            return false;
        }
        let policies = match (*relation).rd_rsdesc.is_null() {
            true => std::ptr::null_mut(),
            false => (*(*relation).rd_rsdesc).policies,
        };
        let count =
            if policies.is_null() { 0 } else { usize::try_from((*policies).length).unwrap_or_default() };
        let policy =
            |place: usize| &*(*(*policies).elements.add(place)).ptr_value.cast::<pg_sys::RowSecurityPolicy>();
        let mut reading = (0..count).map(policy).filter(|policy| matches!(policy.polcmd as u8, b'*' | b'r'));
        // Without a permissive one nobody would see any row.
        let has_everybody = (0..count).map(policy).any(|policy| policy.permissive);
        let are_ours = reading.all(|policy| {
            let name = CStr::from_ptr(policy.policy_name);
            if policy.permissive {
                return name == c"llm_usage_everybody";
            }
            if binds(policy) {
                narrows(name);
            }
            name.to_bytes().starts_with(b"llm_usage_tenant")
        });
        pg_sys::RelationClose(relation);
        has_everybody && are_ours
    }
}

/// Whether a policy is for who asks, as the server decides it.
unsafe fn binds(policy: &pg_sys::RowSecurityPolicy) -> bool {
    // SAFETY: the roles of a policy are an array of oids without NULLs, kept with the table's entry.
    unsafe {
        let roles = Array::<pg_sys::Oid>::from_datum(pg_sys::Datum::from(policy.roles), false);
        let is_ours = |role: pg_sys::Oid| {
            role == pg_sys::InvalidOid || pg_sys::has_privs_of_role(pg_sys::GetUserId(), role)
        };
        roles.is_none_or(|roles| roles.iter_deny_null().any(is_ours))
    }
}

/// Runs what needs rights that who may insert need not have: at a sequence, or to read prices. Nothing of a caller's is run by it.
pub fn with_rights<T>(run: impl FnOnce() -> T) -> T {
    let _rights = Rights::of_superuser();
    run()
}

/// While it lives, the user is the one to whom the database belongs; then, also after an error, who it was before.
pub(super) struct Rights {
    user: pg_sys::Oid,
    context: std::ffi::c_int,
}

impl Rights {
    pub fn of_superuser() -> Self {
        let mut before = Self { user: pg_sys::InvalidOid, context: 0 };
        // SAFETY: plain variables of this process.
        unsafe {
            GetUserIdAndSecContext(&mut before.user, &mut before.context);
            let owner = pg_sys::Oid::from_u32(pg_sys::BOOTSTRAP_SUPERUSERID);
            SetUserIdAndSecContext(owner, before.context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
        }
        before
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        // SAFETY: what it was before.
        unsafe { SetUserIdAndSecContext(self.user, self.context) }
    }
}

// `pg_sys` has the same, with a guard that takes longer than they do; they raise no error.
unsafe extern "C-unwind" {
    fn GetUserIdAndSecContext(user: *mut pg_sys::Oid, context: *mut std::ffi::c_int);
    fn SetUserIdAndSecContext(user: pg_sys::Oid, context: std::ffi::c_int);
}
