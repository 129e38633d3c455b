//! The six documented reports, one file each: validate, run the query beside it, shape the answer.

pub mod app_token_usage;
pub mod app_usage;
pub mod budget_usage;
pub mod model_usage_statistics;
pub mod token_usage_for_app;
pub mod token_usage_grouped;
