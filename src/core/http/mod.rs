//! The vendors' HTTP APIs over the reports: arguments as they come in a URI, checked in the documented order, and the error
//! bodies that each vendor documents. What is found good is handed to the report; nothing is counted here.

mod arguments;
mod arthur;
mod chipp;
mod refusal;
mod scale;
mod tyk;

use serde_json::Value;

pub use arguments::Arguments;
pub use refusal::{Failure, Refusal};

use refusal::Vendor;

/// A documented path and the report that answers it.
pub struct Endpoint {
    /// The report's name, in SQL as in `llm_usage_http`.
    pub name: &'static str,
    vendor: Vendor,
    /// The path, with its argument in braces.
    path: &'static str,
    /// What the vendor's server says of a failure of its own.
    failed: &'static str,
    check: fn(&Arguments, i64) -> Result<Value, Refusal>,
}

/// Every documented path.
pub const ENDPOINTS: [Endpoint; 6] = [
    Endpoint {
        name: "token_usage_for_app",
        vendor: Vendor::Tyk,
        path: "/api/v1/analytics/token-usage-for-app",
        failed: "Failed to get token usage for app",
        check: tyk::token_usage_for_app,
    },
    Endpoint {
        name: "budget_usage",
        vendor: Vendor::Tyk,
        path: "/api/v1/analytics/budget-usage",
        failed: "Failed to retrieve budget usage",
        check: tyk::budget_usage,
    },
    Endpoint {
        name: "token_usage_grouped",
        vendor: Vendor::Arthur,
        path: "/api/v2/usage/tokens",
        failed: "Internal Server Error",
        check: arthur::token_usage_grouped,
    },
    Endpoint {
        name: "app_usage",
        vendor: Vendor::Chipp,
        path: "/api/v1/apps/{app_id}/analytics/usage",
        failed: "Internal server error",
        check: chipp::app_usage,
    },
    Endpoint {
        name: "app_token_usage",
        vendor: Vendor::Chipp,
        path: "/api/v1/apps/{app_id}/analytics/token-usage",
        failed: "Internal server error",
        check: chipp::app_token_usage,
    },
    Endpoint {
        name: "model_usage_statistics",
        vendor: Vendor::Scale,
        path: "/v4/models/{model_name}/usage-statistics",
        failed: "Internal Server Error",
        check: scale::model_usage_statistics,
    },
];

impl Endpoint {
    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ENDPOINTS.iter().find(|endpoint| endpoint.name == name)
    }

    /// The arguments that a request's URI holds.
    pub fn arguments(&self, uri: &str) -> Arguments {
        Arguments::of_uri(uri, self.path)
    }

    /// The report's arguments by name, as SQL reads them, or what is wrong with those that were given. `now` is in microseconds
    /// since 1970.
    pub fn check(&self, arguments: &Arguments, now: i64) -> Result<Value, Refusal> {
        (self.check)(arguments, now)
    }

    /// The answer where there is none.
    pub fn failure(&self, failure: Failure) -> Refusal {
        self.vendor.failure(failure, self.failed)
    }
}

#[cfg(test)]
mod tests;
