//! The six documented reports, one file each: validate, run the query beside it, shape the answer.

mod app_token_usage;
mod app_usage;
mod budget_usage;
mod model_usage_statistics;
mod token_usage_for_app;
mod token_usage_grouped;
