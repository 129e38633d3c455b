//! Whether a call may go ahead by its budgets (`sql/check_budget.sql`, `sql/reserve_budget.sql`).

use std::cell::RefCell;
use std::collections::HashMap;

use bigdecimal::BigDecimal;
use llm_usage_core::budget::{self, Answer, Budget, Call, Standing, Unit, Unpriced};
use llm_usage_core::calendar::{month, next_month};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::failed;
use crate::query::{self, Row};
use crate::{error, pg};

mod tail;

use tail::{Folded, Sums};

/// Sums of rollups that a session remembers at most.
const MOST_SUMS: usize = 10_000;

/// What a budget is of; an attribute has no place here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entity {
    kind: String,
    id: Option<i64>,
    value: Option<String>,
}

/// A budget, and where to look for what is spent.
struct Asked {
    id: i64,
    budget: Budget,
    entity: Entity,
    /// Whether it converts other currencies.
    converts: bool,
    counted: (i64, i64),
    resets_at: Option<TimestampWithTimeZone>,
    held: BigDecimal,
}

/// Gives an advisory lock of this transaction back, held alone or together with others: SQL keeps it until the end.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
fn _release_lock(class: i32, key: i32, is_alone: bool) {
    pg::release_lock(class, key, is_alone);
}

/// The decision on a call by some budgets as they stand now, all seen in one snapshot: what of the budget that decides is gone,
/// which of them are near their limit, and what the call takes of each.
#[pg_extern(schema = "llm_usage", volatile, parallel_unsafe, requires = ["schema"])]
#[expect(clippy::type_complexity, reason = "the columns of a row")]
fn _decide(
    budget_ids: Option<Vec<i64>>,
    cost: Option<AnyNumeric>,
    currency: Option<&str>,
    tokens: Option<i64>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(verdict, String),
            name!(budget_id, Option<i64>),
            name!(spent, Option<AnyNumeric>),
            name!(held, Option<AnyNumeric>),
            name!(remaining, Option<AnyNumeric>),
            name!(resets_at, Option<TimestampWithTimeZone>),
            name!(reason, String),
            name!(near_ids, Vec<i64>),
            name!(counted_ids, Vec<i64>),
            name!(amounts, Vec<AnyNumeric>),
        ),
    >,
    ErrorReport,
> {
    let cost = cost.map(|cost| cost.to_string().parse::<BigDecimal>().map_err(failed)).transpose()?;
    let call = Call { cost, currency: currency.map(str::to_owned), tokens: tokens.unwrap_or_default() };
    let answers = match budget_ids.filter(|ids| !ids.is_empty()) {
        Some(ids) => pg::with_latest_snapshot(|is_remembered| answers(ids, &call, is_remembered))?,
        None => Vec::new(),
    };
    let deciding = answers
        .iter()
        .max_by(|(one, _, a), (other, _, b)| budget::decides((&one.budget, a), (&other.budget, b)));
    let amounts: Result<Vec<_>, _> =
        answers.iter().map(|(_, _, answer)| pg::numeric(&answer.amount)).collect();
    let ids = answers.iter().map(|(asked, ..)| asked.id).collect();
    let near = answers.iter().filter(|(_, _, answer)| !answer.is_far).map(|(asked, ..)| asked.id).collect();
    let Some((asked, standing, answer)) = deciding else {
        let (allowed, reason) = ("allowed".into(), "No budget applies.".into());
        return Ok(TableIterator::once((allowed, None, None, None, None, None, reason, near, ids, amounts?)));
    };
    let shown = |amount: &BigDecimal| pg::numeric(&amount.normalized()).map(Some);
    Ok(TableIterator::once((
        answer.verdict.word().into(),
        Some(asked.id),
        shown(&standing.spent)?,
        shown(&standing.held)?,
        shown(&answer.remaining)?,
        asked.resets_at,
        answer.reason.clone(),
        near,
        ids,
        amounts?,
    )))
}

fn answers(
    ids: Vec<i64>,
    call: &Call,
    is_remembered: bool,
) -> Result<Vec<(Asked, Standing, Answer)>, ErrorReport> {
    let transactions = pg::most_transactions();
    let args = [ids.into(), call.currency.as_deref().into()];
    let asked = query::select(include_str!("budgets.sql"), &args, |row| asked(&row))?;
    let folded = if is_remembered { tail::read()? } else { None };
    let mut answers = Vec::with_capacity(asked.len());
    for asked in asked {
        let standing = match folded {
            Some(folded) if asked.is_simple() => {
                Standing { spent: asked.spent(folded)?, held: asked.held.clone() }
            }
            _ => standing(asked.id)?,
        };
        if let Some(answer) = asked.budget.answer(call, &standing, transactions) {
            answers.push((asked, standing, answer));
        }
    }
    Ok(answers)
}

/// A row of `budgets.sql`.
fn asked(row: &Row) -> Result<Asked, ErrorReport> {
    let converts: bool = row.get(12)?.unwrap_or_default();
    let unit = match row.text(8)?.as_str() {
        "tokens" => Unit::Tokens,
        "requests" => Unit::Requests,
        _ => Unit::Money {
            currency: row.text(9)?,
            unpriced: match row.text(10)?.as_str() {
                "allow" => Unpriced::Allow,
                "fallback" => Unpriced::Fallback(row.decimal(11)?.unwrap_or_default()),
                _ => Unpriced::Deny,
            },
            rate: if converts { Some(row.decimal(13)?) } else { None },
        },
    };
    Ok(Asked {
        id: row.id(1)?,
        budget: Budget {
            entity: row.text(5)?,
            name: row.text(6)?,
            amount: row.decimal(7)?.unwrap_or_default(),
            unit,
            is_hard: row.get(14)?.unwrap_or(true),
            resets_at: row.get(18)?,
        },
        entity: Entity { kind: row.text(2)?, id: row.get(3)?, value: row.get(4)? },
        converts,
        counted: (row.instant(15)?, row.instant(17)?),
        resets_at: row.get(16)?,
        held: row.decimal(19)?.unwrap_or_default(),
    })
}

/// As the view `budget_status` has it.
fn standing(id: i64) -> Result<Standing, ErrorReport> {
    let rows = query::select(include_str!("standing.sql"), &[id.into()], |row| {
        Ok(Standing { spent: row.decimal(1)?.unwrap_or_default(), held: row.decimal(2)?.unwrap_or_default() })
    })?;
    error::required("standing", rows.into_iter().next())
}

/// The entity, its range, and the currency of the costs.
type Key = (Entity, (i64, i64), String);

thread_local! {
    /// What rollups hold, which only a fold changes; and how far they were folded.
    static FOLDED: RefCell<(Folded, HashMap<Key, Sums>)> = RefCell::default();
}

impl Asked {
    /// Whether its spending is a sum of what a session remembers.
    fn is_simple(&self) -> bool {
        !self.converts && self.entity.kind != "Attribute"
    }

    fn spent(&self, folded: Folded) -> Result<BigDecimal, ErrorReport> {
        let currency = match &self.budget.unit {
            Unit::Money { currency, .. } => currency.as_str(),
            _ => "",
        };
        let mut sums = self.folded(currency, folded)?;
        tail::add_up(&self.entity, self.counted, currency, &mut sums);
        Ok(match &self.budget.unit {
            Unit::Tokens => sums.tokens.into(),
            Unit::Requests => sums.requests.into(),
            Unit::Money { unpriced: Unpriced::Fallback(price), .. } => {
                sums.cost + price * sums.unpriced_requests
            }
            Unit::Money { .. } => sums.cost,
        })
    }

    fn folded(&self, currency: &str, folded: Folded) -> Result<Sums, ErrorReport> {
        let key = (self.entity.clone(), self.counted, currency.to_owned());
        let known = FOLDED.with_borrow_mut(|(of, sums)| {
            if *of != folded || sums.len() >= MOST_SUMS {
                (*of, *sums) = (folded, HashMap::new());
            }
            sums.get(&key).cloned()
        });
        if let Some(sums) = known {
            return Ok(sums);
        }
        let rows = self.read_folded(currency)?;
        let sums = error::required("sums", rows.into_iter().next())?;
        FOLDED.with_borrow_mut(|(_, known)| known.insert(key, sums.clone()));
        Ok(sums)
    }

    fn read_folded(&self, currency: &str) -> Result<Vec<Sums>, ErrorReport> {
        let sums = |row: Row| {
            Ok(Sums {
                cost: row.decimal(1)?.unwrap_or_default(),
                requests: row.id(2)?,
                unpriced_requests: row.id(3)?,
                tokens: row.id(4)?,
            })
        };
        let Entity { kind, id, value } = &self.entity;
        let (from, to) = self.counted;
        // What most budgets ask for is one row.
        if matches!(kind.as_str(), "App" | "LLM") && month(from) == from && next_month(from) == to {
            let args = [kind.as_str().into(), (*id).into(), currency.into(), pg::instant(from)?.into()];
            return query::select(include_str!("folded_month.sql"), &args, sums);
        }
        let args = [
            kind.as_str().into(),
            (*id).into(),
            value.as_deref().into(),
            currency.into(),
            pg::instant(from)?.into(),
            pg::instant(to)?.into(),
        ];
        query::select(include_str!("folded.sql"), &args, sums)
    }
}
