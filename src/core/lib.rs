//! The part of `llm_usage` that knows no PostgreSQL: it is compiled, tested and fuzzed without a server.

pub mod bitmap;
pub mod calendar;
pub mod catalog;
pub mod cut;
pub mod error;
pub mod event;
pub mod money;
pub mod points;
pub mod pricing;
pub mod tokens;

pub use error::Error;
