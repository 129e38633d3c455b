//! The part of `llm_usage` that knows no PostgreSQL: it is compiled, tested and fuzzed without a server.

pub mod amount;
pub mod bitmap;
pub mod budget;
pub mod calendar;
pub mod call;
pub mod catalog;
pub mod charge;
pub mod cut;
pub mod error;
pub mod event;
pub mod fold;
pub mod http;
pub mod money;
pub mod parts;
pub mod period;
pub mod points;
pub mod pricing;
pub mod slots;
pub mod tail;
pub mod tokens;

pub use error::Error;
