//! What the end-to-end tests share: a private server, an oracle for every report, and random ledgers to ask both about.

mod amendment;
mod directory;
mod guard;
mod process;

pub mod arbitrary;
pub mod attempt;
pub mod cluster;
pub mod copy;
pub mod focus;
pub mod gateway;
pub mod hostile;
pub mod ledger;
pub mod look;
pub mod oracle;
pub mod random;
pub mod readme;
pub mod recount;
pub mod scenario;
pub mod tenancy;
pub mod used;
pub mod writer;
