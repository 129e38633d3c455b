//! `llm_usage`: every LLM request recorded in PostgreSQL, priced, and answered in the JSON of four vendors' usage APIs.
//!
//! What must hold in the database lives in `sql/`, what knows no database in `src/core/`; here the two meet.

use pgrx::prelude::*;

mod bitmap;
mod budget;
mod calendar;
mod direct;
mod error;
mod fold;
mod given_id;
mod http;
mod ingest;
mod ledger;
mod locks;
mod loose;
mod pg;
mod points;
mod prices;
mod query;
mod record;
mod report;
mod settings;
mod slots;
mod tenant;
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
        points::_points_united,
        slots::_days_packed,
        slots::_days_united,
        slots::_hours_packed,
        slots::_hours_united,
        slots::_minutes_packed,
        slots::_minutes_united
    ]
);
extension_sql_file!("../sql/entities.sql", name = "entities", requires = ["points"]);
extension_sql_file!(
    "../sql/prices.sql",
    name = "prices",
    requires = ["entities", settings::_default_currency]
);
extension_sql_file!("../sql/prices_shipped.sql", name = "prices_shipped", requires = ["prices"]);
extension_sql_file!("../sql/ledger.sql", name = "ledger", requires = ["prices_shipped"]);
extension_sql_file!(
    "../sql/pricing.sql",
    name = "pricing",
    requires = ["ledger", ledger::llm_usage::_check_and_price, prices::llm_usage::_announce_change]
);
extension_sql_file!(
    "../sql/append_only.sql",
    name = "append_only",
    requires = ["pricing", given_id::llm_usage::_check_id]
);
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
        calendar::_last,
        loose::_may_be_loose,
        loose::_loose_lines,
        loose::_loose_users,
        loose::_loose_active_users
    ]
);
extension_sql_file!(
    "../sql/tenants.sql",
    name = "tenants",
    requires = ["progress", ledger::_has_row_security]
);
extension_sql_file!("../sql/rollups/lines.sql", name = "lines", requires = ["tenants"]);
extension_sql_file!(
    "../sql/rollups/batch.sql",
    name = "batch",
    requires = [
        "lines",
        fold::_read_batch,
        fold::_batch_add,
        fold::_batch_hold,
        fold::_batch_lines,
        fold::_number_batch,
        fold::rollups::_batch_by_app_day,
        fold::rollups::_batch_by_entity,
        fold::rollups::_batch_by_user,
        fold::rollups::_batch_by_model,
        fold::rollups::_batch_by_model_5min,
        fold::rollups::_batch_by_model_points,
        fold::rollups::_batch_by_app_hour,
        fold::rollups::_batch_by_app_points,
        fold::rollups::_batch_active_users,
        fold::rules::_batch_by_rule,
        fold::rules::_batch_by_rule_type_hour,
        fold::rules::_batch_by_rule_type_day,
        fold::_batch_spenders
    ]
);
extension_sql_file!("../sql/rollups/by_app.sql", name = "by_app", requires = ["batch"]);
extension_sql_file!("../sql/rollups/of_tenant.sql", name = "of_tenant", requires = ["by_app"]);
extension_sql_file!("../sql/rollups/by_entity.sql", name = "by_entity", requires = ["of_tenant"]);
extension_sql_file!("../sql/rollups/by_model.sql", name = "by_model", requires = ["by_entity"]);
extension_sql_file!("../sql/rollups/by_user.sql", name = "by_user", requires = ["by_model"]);
extension_sql_file!("../sql/rollups/active_users.sql", name = "active_users", requires = ["by_user"]);
extension_sql_file!("../sql/rollups/by_rule.sql", name = "by_rule", requires = ["active_users"]);
extension_sql_file!("../sql/rollups/by_session.sql", name = "by_session", requires = ["by_rule"]);
extension_sql_file!("../sql/rollups/by_attr.sql", name = "by_attr", requires = ["by_session"]);
extension_sql_file!(
    "../sql/fold.sql",
    name = "fold",
    requires = ["by_attr", given_id::_ids_under_way, given_id::_is_drawn_from]
);
extension_sql_file!("../sql/rebuild.sql", name = "rebuild", requires = ["fold"]);
extension_sql_file!("../sql/drop_month.sql", name = "drop_month", requires = ["rebuild"]);
extension_sql_file!("../sql/budgets.sql", name = "budgets", requires = ["drop_month"]);
extension_sql_file!("../sql/exchange_rates.sql", name = "exchange_rates", requires = ["budgets"]);
extension_sql_file!("../sql/budget_periods.sql", name = "budget_periods", requires = ["exchange_rates"]);
extension_sql_file!("../sql/holds.sql", name = "holds", requires = ["budget_periods"]);
extension_sql_file!(
    "../sql/check_budget.sql",
    name = "check_budget",
    requires =
        ["holds", calendar::_cut, prices::_price, budget::call::_spent_of, budget::snapshot::_tail_spending]
);
extension_sql_file!("../sql/alerts.sql", name = "alerts", requires = ["check_budget"]);
extension_sql_file!("../sql/views.sql", name = "views", requires = ["alerts"]);
extension_sql_file!("../sql/corrections.sql", name = "corrections", requires = ["views"]);
extension_sql_file!("../sql/idempotency.sql", name = "idempotency", requires = ["corrections"]);
extension_sql_file!(
    "../sql/record.sql",
    name = "record",
    requires = ["idempotency", ingest::_checked_row, record::batch::_record_usage_batch]
);
extension_sql_file!(
    "../sql/responses.sql",
    name = "responses",
    requires = [
        "record",
        record::batch::_record_response,
        record::batch::_record_response_batch,
        record::batch::_record_spans
    ]
);
extension_sql_file!("../sql/reserve_budget.sql", name = "reserve_budget", requires = ["responses"]);
extension_sql_file!(
    "../sql/import_prices.sql",
    name = "import_prices",
    requires = ["reserve_budget", ingest::_read_catalog]
);
extension_sql_file!("../sql/reprice.sql", name = "reprice", requires = ["import_prices", prices::_price]);
extension_sql_file!("../sql/api_keys.sql", name = "api_keys", requires = ["reprice"]);
extension_sql_file!(
    "../sql/http.sql",
    name = "http",
    requires = ["api_keys", http::_http_arguments, http::_http_failure]
);
extension_sql_file!("../sql/http_writes.sql", name = "http_writes", requires = ["http"]);
extension_sql_file!("../sql/http_views.sql", name = "http_views", requires = ["http_writes", http::_openapi]);
extension_sql_file!(
    "../sql/reports.sql",
    name = "reports",
    requires = [
        "http_views",
        report::app_token_usage::app_token_usage,
        report::app_usage::app_usage,
        report::budget_usage::budget_usage,
        report::model_usage_statistics::model_usage_statistics,
        report::token_usage_for_app::token_usage_for_app,
        report::token_usage_grouped::token_usage_grouped
    ]
);
extension_sql_file!("../sql/row_security.sql", name = "row_security", requires = ["reports"]);
extension_sql_file!("../sql/privileges.sql", name = "privileges", finalize);

/// Runs when the library is loaded, by the postmaster or by the first function a session calls.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    given_id::begin();
    pg::transaction::listen(|end| {
        given_id::forget(end);
        fold::forget();
        budget::snapshot::forget();
    });
    worker::register();
}
