//! A call that budgets are asked about.

use bigdecimal::{BigDecimal, Signed};
use llm_usage_core::Error;
use llm_usage_core::budget::Call;
use llm_usage_core::call::{CallError, MOST};
use llm_usage_core::event::Kind;
use llm_usage_core::pricing::Request;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{CallKey, Decision, budgets_of, decide};
use crate::error::failed;
use crate::pg::row::{Columns, with_arguments};
use crate::{error, pg, prices, query, record, settings};

/// The arguments that `check_budget()` and `reserve_budget()` have in common, in their order.
const APP: usize = 0;
const MODEL: usize = 1;
const USER: usize = 2;
const LLM: usize = 3;
const VENDOR: usize = 4;
const ATTRS: usize = 5;
const COST: usize = 6;
const CURRENCY: usize = 7;
const PROMPT: usize = 8;
const COMPLETION: usize = 9;
/// Behind them the one that only `reserve_budget()` has.
pub const HOLD_FOR: usize = 10;

/// Who asks, and for what.
pub struct Asker<'a> {
    arguments: &'a Columns<'a>,
    pub app_id: Option<i64>,
    pub llm_id: Option<i64>,
    pub user_id: Option<i64>,
    pub model: Option<&'a str>,
    pub vendor: Option<&'a str>,
    pub attrs: Option<String>,
}

/// Decides whether a call may go ahead.
#[pg_extern(schema = "llm_usage", sql = false)]
fn check_budget(call: pg_sys::FunctionCallInfo) -> Result<pg::Composite, ErrorReport> {
    let decision = with_arguments(call, |arguments| Asker::of(arguments).decide(false))?;
    pg::composite(call, &decision.row(None)?)
}

impl<'a> Asker<'a> {
    pub fn of(arguments: &'a Columns<'a>) -> Self {
        let id = |column| arguments.value::<i64>(column);
        Self {
            arguments,
            app_id: id(APP),
            llm_id: id(LLM),
            user_id: id(USER),
            model: arguments.text(MODEL),
            vendor: arguments.text(VENDOR),
            attrs: (!arguments.is_null(ATTRS)).then(|| arguments.json(ATTRS)),
        }
    }

    pub fn key(&self) -> CallKey {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        (self.app_id, self.llm_id, self.user_id, owned(self.model), owned(self.vendor), self.attrs.clone())
    }

    pub fn decide(&self, to_reserve: bool) -> Result<Decision, ErrorReport> {
        record::refuse_app(self.app_id.unwrap_or_default())?;
        let call = self.call()?;
        let ids = budgets_of(self)?;
        let shown = shown_budgets(&ids)?;
        decide(ids, &call, to_reserve, shown.as_deref())
    }

    /// What it may take at most: the given cost, else that of its tokens at the present price.
    fn call(&self) -> Result<Call, ErrorReport> {
        let arguments = self.arguments;
        let (prompt, completion) = (arguments.value::<i64>(PROMPT), arguments.value::<i64>(COMPLETION));
        let cost = (!arguments.is_null(COST)).then(|| arguments.decimal(COST));
        let is_count = |tokens: Option<i64>| (0..=MOST).contains(&tokens.unwrap_or_default());
        let amount = cost.as_deref().map(str::parse::<BigDecimal>);
        let amount = match amount.transpose() {
            Ok(amount)
                if is_count(prompt)
                    && is_count(completion)
                    && amount.as_ref().is_none_or(|cost| !cost.is_negative() && cost < MOST) =>
            {
                amount
            }
            _ => {
                let (prompt_tokens, completion_tokens) = (prompt, completion);
                return Err(refusal(CallError::Estimate { cost, prompt_tokens, completion_tokens }));
            }
        };
        let currency = arguments.text(CURRENCY);
        if let Some(currency) = currency.filter(|currency| !Kind::Currency.accepts_text(currency.as_bytes()))
        {
            return Err(refusal(CallError::Currency { currency: currency.to_owned() }));
        }
        let tokens = prompt.unwrap_or_default() + completion.unwrap_or_default();
        Ok(match (amount, self.model) {
            (Some(cost), _) => {
                let currency = currency.map_or_else(settings::default_currency, str::to_owned);
                Call { cost: Some(cost), currency: Some(currency), tokens }
            }
            (None, None) => Call { cost: Some(0.into()), currency: None, tokens },
            (None, Some(model)) => {
                let request = Request {
                    vendor: self.vendor,
                    occurred_at: pg::now(),
                    prompt_tokens: prompt.unwrap_or_default(),
                    completion_tokens: completion.unwrap_or_default(),
                    ..Request::default()
                };
                let (cost, currency) = prices::cost(model, request)?.unzip();
                Call { cost: cost.map(Into::into), currency, tokens }
            }
        })
    }

    /// Refuses what could not be recorded after the call.
    pub fn refuse_unrecordable(&self) -> Result<(), ErrorReport> {
        let texts = [("model", MODEL), ("vendor", VENDOR)];
        for (name, column) in texts {
            if let Some(text) =
                self.arguments.text(column).filter(|text| !Kind::Text.accepts_text(text.as_bytes()))
            {
                return Err(error::report(&Kind::Text.refusal(name, text.to_owned())));
            }
        }
        if !self.arguments.is_null(ATTRS) && !self.arguments.is_json_object(ATTRS) {
            return Err(error::report(&Kind::Attrs.refusal("attrs", self.attrs.clone().unwrap_or_default())));
        }
        for (name, id) in [("app_id", self.app_id), ("llm_id", self.llm_id), ("user_id", self.user_id)] {
            if let Some(id) = id.filter(|id| *id < 0) {
                return Err(error::report(&Kind::Id.refusal(name, id.to_string())));
            }
        }
        Ok(())
    }

    /// App, LLM, user, model, vendor and attributes, with their types.
    pub fn columns(&self) -> [(pg_sys::Oid, Option<pg_sys::Datum>); 6] {
        let datum = |column| self.arguments.datum(column);
        let none = || Some(pg_sys::Datum::from(0));
        [
            (pg_sys::INT8OID, datum(APP).or_else(none)),
            (pg_sys::INT8OID, datum(LLM).or_else(none)),
            (pg_sys::INT8OID, datum(USER)),
            (pg_sys::TEXTOID, datum(MODEL)),
            (pg_sys::TEXTOID, datum(VENDOR)),
            (pg_sys::JSONBOID, datum(ATTRS)),
        ]
    }
}

pub fn refusal(problem: CallError) -> ErrorReport {
    error::report(&Error::from(problem))
}

/// Which of some budgets are the caller's to know; `None`: all.
fn shown_budgets(ids: &[i64]) -> Result<Option<Vec<i64>>, ErrorReport> {
    if !pg::has_row_security(pg::relation(c"budgets")) {
        return Ok(None);
    }
    let shown =
        query::select("SELECT llm_usage._shown_budgets($1)", &[ids.to_vec().into()], |row| row.get(1))?;
    Ok(shown.into_iter().next().flatten())
}

impl Decision {
    /// A row of `budget_decision`.
    pub fn row(&self, hold_id: Option<i64>) -> Result<[Option<pg_sys::Datum>; 8], ErrorReport> {
        let amount = |amount: Option<&BigDecimal>| {
            let amount = amount.map(|amount| pg::numeric(&amount.normalized()));
            Ok::<_, ErrorReport>(amount.transpose()?.into_datum())
        };
        let deciding = self.deciding.as_ref();
        Ok([
            self.verdict.into_datum(),
            hold_id.into_datum(),
            deciding.and_then(|(id, ..)| id.into_datum()),
            amount(deciding.map(|(_, standing, ..)| &standing.spent))?,
            amount(deciding.map(|(_, standing, ..)| &standing.held))?,
            amount(deciding.map(|(_, _, remaining, _)| remaining))?,
            deciding.and_then(|(.., resets_at)| resets_at.into_datum()),
            self.reason.as_str().into_datum(),
        ])
    }
}

/// What is decided by one budget alone, about a call that takes nothing.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _spent_of(budget_id: i64) -> Result<Option<AnyNumeric>, ErrorReport> {
    let call = Call { cost: Some(0.into()), currency: None, tokens: 0 };
    let decision = decide(vec![budget_id], &call, false, None)?;
    decision.deciding.map(|(_, standing, ..)| pg::numeric(&standing.spent).map_err(failed)).transpose()
}
