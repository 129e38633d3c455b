//! Tyk AI Studio, `GET /api/v1/analytics/budget-usage` (seed 001_6e3cf813a8e94e5a).

mod reading;

use std::collections::HashMap;

use llm_usage_core::amount::Amount;
use llm_usage_core::budget::Kind;
use llm_usage_core::calendar::{DAY, Day, asked_days};
use llm_usage_core::money::Exact;
use pgrx::datum::Date;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::budget::kind;
use crate::error::failed;
use crate::{pg, query};

use reading::{Budget, Entities, read};

/// `models.BudgetUsage`, with all its keys always present.
#[derive(Serialize)]
struct BudgetUsage {
    budget: Option<Exact>,
    budget_start_date: Option<Day>,
    entity_id: i64,
    entity_type: &'static str,
    name: String,
    spent: Exact,
    total_cost: Exact,
    total_tokens: Exact,
    usage: Exact,
    user_email: Option<String>,
    user_id: i64,
}

/// Spending of every LLM and App in its present budget period, and its cost and tokens over the asked days.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn budget_usage(
    start_date: default!(Option<Date>, "NULL"),
    end_date: default!(Option<Date>, "NULL"),
) -> Result<pg::Json, ErrorReport> {
    let today = pg::micros(pgrx::datum::datetime_support::now()).div_euclid(DAY);
    let asked = asked_days(start_date.map(pg::days), end_date.map(pg::days), today);
    let usage = match read(today, asked)? {
        Some(entities) => named(entities)?,
        None => ask(today, asked)?,
    };
    pg::json(&usage)
}

/// An LLM or an App, in the order of the answer.
type Entity = (Kind, i64);

/// What is shown of a budget.
struct Shown {
    amount: Amount,
    start_date: Option<Day>,
}

#[derive(Default)]
struct Spending {
    spent: Amount,
    total_cost: Amount,
    total_tokens: i128,
}

/// What is known of an entity that is registered.
#[derive(Default)]
struct Registered {
    name: Option<String>,
    user_id: i64,
    user_email: Option<String>,
}

impl BudgetUsage {
    fn of(
        (kind, id): Entity,
        budget: Option<Shown>,
        spending: Spending,
        registered: Option<Registered>,
    ) -> Result<Self, ErrorReport> {
        let usage = match &budget {
            Some(budget) => spending.spent.percentage_of(&budget.amount),
            None => Amount::default(),
        };
        let (amount, start_date) = budget.map(|budget| (budget.amount, budget.start_date)).unzip();
        let entity_type = kind.word();
        let Registered { name, user_id, user_email } = registered.unwrap_or_default();
        Ok(Self {
            budget: amount.map(exact).transpose()?,
            budget_start_date: start_date.flatten(),
            entity_id: id,
            entity_type,
            name: name.unwrap_or_else(|| format!("{entity_type} {id}")),
            spent: exact(spending.spent)?,
            total_cost: exact(spending.total_cost)?,
            total_tokens: spending.total_tokens.into(),
            usage: exact(usage)?,
            user_email,
            user_id,
        })
    }
}

fn exact(amount: Amount) -> Result<Exact, ErrorReport> {
    match amount.shortest() {
        Amount::Short { mantissa, scale: 0 } => Ok(mantissa.into()),
        amount => Exact::parse(&amount.to_string()).ok_or_else(|| failed("not a JSON number")),
    }
}

fn ask(today: i64, (from_day, to_day): (i64, i64)) -> Result<Vec<BudgetUsage>, ErrorReport> {
    let args = [today, from_day, to_day].map(|day| pg::date(day).into());
    query::select(include_str!("budget_usage.sql"), &args, |row| {
        let sum = |column| Ok::<_, ErrorReport>(row.amount(column)?.unwrap_or_default());
        let start_date = row.any_day(4)?;
        let budget = row.amount(3)?.map(|amount| Shown { amount, start_date });
        let spending = Spending {
            spent: sum(5)?,
            total_cost: sum(6)?,
            total_tokens: row.text(7)?.parse().map_err(failed)?,
        };
        let registered = Registered { name: row.get(8)?, user_id: row.id(9)?, user_email: row.get(10)? };
        BudgetUsage::of((kind(&row.text(1)?)?, row.id(2)?), budget, spending, Some(registered))
    })
}

/// The answer, with the names by which entities are registered.
fn named(entities: Entities) -> Result<Vec<BudgetUsage>, ErrorReport> {
    let ids =
        |of: Kind| entities.keys().filter(|(kind, _)| *kind == of).map(|(_, id)| *id).collect::<Vec<_>>();
    let args = [ids(Kind::App).into(), ids(Kind::Llm).into()];
    let registered = query::select(include_str!("registered.sql"), &args, |row| {
        let registered = Registered { name: row.get(3)?, user_id: row.id(4)?, user_email: row.get(5)? };
        Ok(((kind(&row.text(1)?)?, row.id(2)?), registered))
    })?;
    let mut registered: HashMap<Entity, Registered> = registered.into_iter().collect();
    let usage = |(entity, (budget, spending)): (Entity, (Option<Budget>, Spending))| {
        BudgetUsage::of(entity, budget.map(|budget| budget.shown), spending, registered.remove(&entity))
    };
    entities.into_iter().map(usage).collect()
}
