//! `llm_usage`: every LLM request recorded in PostgreSQL, priced, and answered in the JSON of four vendors' usage APIs.
//!
//! What must hold in the database lives in `sql/`, what knows no database in `src/core/`; here the two meet.

use pgrx::prelude::*;

mod bitmap;
mod calendar;
mod error;
mod ingest;
mod ledger;
mod pg;
mod points;
mod prices;
mod query;
mod report;
mod settings;
mod worker;

pg_module_magic!(name, version);

/// Where `#[pg_extern(schema = "llm_usage")]` puts its functions; `sql/schema.sql` creates it.
#[pg_schema]
mod llm_usage {}

extension_sql_file!("../sql/schema.sql", name = "schema", bootstrap);
extension_sql_file!(
    "../sql/bitmap.sql",
    name = "bitmap",
    requires = [
        "schema",
        bitmap::_bitmap_insert,
        bitmap::_bitmap_unite,
        bitmap::_bitmap_combine,
        bitmap::_bitmap_serialize,
        bitmap::_bitmap_deserialize,
        bitmap::_bitmap_count_add,
        bitmap::_bitmap_count_final,
        bitmap::_bitmap_or,
        bitmap::_bitmap_count
    ]
);
extension_sql_file!(
    "../sql/points.sql",
    name = "points",
    requires = [
        "bitmap",
        points::_points_add,
        points::_points_packed,
        points::_points_by_part,
        points::_points_sorted
    ]
);
extension_sql_file!("../sql/entities.sql", name = "entities", requires = ["points"]);
extension_sql_file!("../sql/prices.sql", name = "prices", requires = ["entities"]);
extension_sql_file!("../sql/prices_shipped.sql", name = "prices_shipped", requires = ["prices"]);
extension_sql_file!("../sql/ledger.sql", name = "ledger", requires = ["prices_shipped"]);
extension_sql_file!(
    "../sql/pricing.sql",
    name = "pricing",
    requires = ["ledger", ledger::llm_usage::_check_and_price, prices::llm_usage::_prices_changed]
);
extension_sql_file!("../sql/append_only.sql", name = "append_only", requires = ["pricing"]);
extension_sql_file!("../sql/maintain.sql", name = "maintain", requires = ["append_only"]);
extension_sql_file!(
    "../sql/progress.sql",
    name = "progress",
    requires = [
        "maintain",
        calendar::_first_instant,
        calendar::_end_instant,
        calendar::_period_start,
        calendar::_period_end,
        calendar::_first,
        calendar::_first_hour,
        calendar::_first_day,
        calendar::_first_month,
        calendar::_last_month,
        calendar::_last_day,
        calendar::_last_hour,
        calendar::_last
    ]
);
extension_sql_file!("../sql/rollups/lines.sql", name = "lines", requires = ["progress"]);
extension_sql_file!("../sql/rollups/by_app.sql", name = "by_app", requires = ["lines"]);
extension_sql_file!("../sql/rollups/by_entity.sql", name = "by_entity", requires = ["by_app"]);
extension_sql_file!("../sql/rollups/by_model.sql", name = "by_model", requires = ["by_entity"]);
extension_sql_file!("../sql/rollups/by_user.sql", name = "by_user", requires = ["by_model"]);
extension_sql_file!("../sql/rollups/active_users.sql", name = "active_users", requires = ["by_user"]);
extension_sql_file!("../sql/rollups/by_rule.sql", name = "by_rule", requires = ["active_users"]);
extension_sql_file!("../sql/rollups/by_session.sql", name = "by_session", requires = ["by_rule"]);
extension_sql_file!("../sql/fold.sql", name = "fold", requires = ["by_session"]);
extension_sql_file!("../sql/rebuild.sql", name = "rebuild", requires = ["fold"]);
extension_sql_file!("../sql/drop_month.sql", name = "drop_month", requires = ["rebuild"]);
extension_sql_file!("../sql/budgets.sql", name = "budgets", requires = ["drop_month"]);
extension_sql_file!("../sql/views.sql", name = "views", requires = ["budgets"]);
extension_sql_file!(
    "../sql/record.sql",
    name = "record",
    requires = ["views", ingest::_checked_row, ingest::_checked_batch, ingest::_read_response]
);
extension_sql_file!(
    "../sql/import_prices.sql",
    name = "import_prices",
    requires = ["record", ingest::_read_catalog]
);
extension_sql_file!("../sql/reports.sql", name = "reports", finalize);

/// Runs when the library is loaded, by the postmaster or by the first function a session calls.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    worker::register();
}
