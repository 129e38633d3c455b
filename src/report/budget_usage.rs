//! Tyk AI Studio, `GET /api/v1/analytics/budget-usage` (seed 001_6e3cf813a8e94e5a).

use std::collections::{BTreeMap, HashMap};
use std::ffi::CStr;

use llm_usage_core::amount::Amount;
use llm_usage_core::budget::Kind;
use llm_usage_core::calendar::{DAY, Day, asked_days, day_start, month, next_month};
use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use llm_usage_core::money::Exact;
use llm_usage_core::period::Period;
use pgrx::datum::Date;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::budget::kind;
use crate::direct::lines::{self, BY_APP_DAY, BY_APP_HOUR, LINES};
use crate::direct::{self, EVENTS, MOST_SCANS, Range, Rollup};
use crate::error::failed;
use crate::pg::decimal::Decimal;
use crate::pg::lookup::{self, Is, Key};
use crate::pg::row::{Columns, Names};
use crate::{pg, query, settings};

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
    let entities = match read(today, asked)? {
        Some(entities) => entities,
        None => ask(today, asked)?,
    };
    pg::json(&entities)
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

/// A budget, and from when to when if that is not the calendar month.
struct Budget {
    shown: Shown,
    currency: String,
    period: Option<(i64, i64)>,
}

/// What a row of a rollup adds, or an event.
struct Used<'a> {
    currency: &'a str,
    cost: Amount,
    tokens: i64,
}

impl<'a> Used<'a> {
    /// Of a row of [`BY_ENTITY`].
    fn of(row: &'a Columns) -> Result<Self, ErrorReport> {
        Ok(Self { currency: row.text(2).unwrap_or_default(), cost: cost(row, 3)?, tokens: row.number(4) })
    }
}

/// A cost, 0 for NULL.
fn cost(row: &Columns, column: usize) -> Result<Amount, ErrorReport> {
    row.datum(column).map_or(Ok(Amount::default()), |cost| Decimal::new(cost).amount())
}

/// The columns that are read of months and days by entity.
const BY_ENTITY: Names = &["entity_type", "entity_id", "currency", "cost", "total_tokens"];
const MONTHS: &CStr = c"_by_entity_month";
const DAYS: &CStr = c"_by_entity_day";
/// Of a tenant's apps, since others have a part in what an LLM has.
const BY_APP: Rollup = Rollup {
    days: BY_APP_DAY.0,
    hours: BY_APP_HOUR,
    names: &["bucket", "line", "input_tokens", "completion_tokens", "cost"],
};

/// As the rollups of whole months, the days of budgets that begin on another day, and the tail have it; `None` of days that are no
/// whole months, too.
fn read(today: i64, (from_day, to_day): (i64, i64)) -> Result<Option<Vec<BudgetUsage>>, ErrorReport> {
    const TABLES: [&CStr; 5] = [MONTHS, DAYS, BY_APP.days, BY_APP.hours, LINES];
    let this_month = month(day_start(today));
    let present = Cut::of(Some(this_month), Some(next_month(this_month)));
    let asked = Cut::of(Some(day_start(from_day)), Some(day_start(to_day)));
    if (asked.first, asked.last) != (asked.first_month, asked.last_month) {
        return Ok(None);
    }
    let Some(range) = Range::of_apps(&EVENTS, Cut::of(None, None), &TABLES)? else { return Ok(None) };
    let mut reading =
        Reading { entities: budgets(today)?, currency: settings::default_currency(), present, asked };
    let is_read = reading.months(&range)? && reading.periods()? && reading.tail(&range)?;
    is_read.then(|| named(reading.entities)).transpose()
}

type Entities = BTreeMap<Entity, (Option<Budget>, Spending)>;

/// Those that have a budget.
fn budgets(today: i64) -> Result<Entities, ErrorReport> {
    let rows = query::select(include_str!("budgets.sql"), &[], |row| {
        let start_date = row.any_day(5)?;
        let anchor = row.get(5)?.map(|date| Period::Months(1).around(Some(pg::days(date)), today));
        let budget = Budget {
            shown: Shown { amount: row.amount(3)?.unwrap_or_default(), start_date },
            currency: row.text(4)?,
            period: anchor.map(|(from, to)| (day_start(from), day_start(to))),
        };
        Ok(((kind(&row.text(1)?)?, row.id(2)?), (Some(budget), Spending::default())))
    })?;
    Ok(rows.into_iter().collect())
}

struct Reading {
    entities: Entities,
    /// Of entities without a budget.
    currency: String,
    present: Cut,
    asked: Cut,
}

impl Reading {
    /// The period of an entity whose budget does not begin with the month.
    fn period(&self, entity: Entity) -> Option<(i64, i64)> {
        self.entities.get(&entity)?.0.as_ref()?.period
    }

    /// Adds what an entity used in its period, on the asked days, or both.
    fn add(&mut self, entity: Entity, used: &Used, is_in_period: bool, is_asked: bool) {
        let (_, id) = entity;
        if id == 0 || !(is_in_period || is_asked) {
            return;
        }
        let (budget, spending) = self.entities.entry(entity).or_default();
        let is_paid_in = used.currency == budget.as_ref().map_or(&self.currency, |budget| &budget.currency);
        if is_in_period && is_paid_in {
            spending.spent += &used.cost;
        }
        if is_asked && is_paid_in {
            spending.total_cost += &used.cost;
        }
        if is_asked {
            spending.total_tokens += i128::from(used.tokens);
        }
    }

    /// What is of whole months.
    fn months(&mut self, range: &Range) -> Result<bool, ErrorReport> {
        match self.present == self.asked {
            true => self.read_months(range, self.present, true, true),
            false => Ok(self.read_months(range, self.present, true, false)?
                && self.read_months(range, self.asked, false, true)?),
        }
    }

    fn read_months(
        &mut self,
        range: &Range,
        months: Cut,
        is_present: bool,
        is_asked: bool,
    ) -> Result<bool, ErrorReport> {
        let Some(keys) = keys_of_months(months, range.apps.as_deref()) else { return Ok(false) };
        let is_read = lookup::rows(pg::relation(MONTHS), &keys, BY_ENTITY, |row| {
            let entity = (kind(row.text(0).unwrap_or_default())?, row.number(1));
            let is_in_period = is_present && self.period(entity).is_none();
            self.add(entity, &Used::of(row)?, is_in_period, is_asked);
            Ok(true)
        })?;
        if !is_read || range.apps.is_none() {
            return Ok(is_read);
        }
        let Some(llms) = llms_of_apps(&range.narrowed(months))? else { return Ok(false) };
        for ((llm, currency), (cost, tokens)) in llms {
            let is_in_period = is_present && self.period((Kind::Llm, llm)).is_none();
            self.add((Kind::Llm, llm), &Used { currency: &currency, cost, tokens }, is_in_period, is_asked);
        }
        Ok(true)
    }

    /// What is of other periods.
    fn periods(&mut self) -> Result<bool, ErrorReport> {
        let key = |((kind, id), (budget, _)): (&Entity, &(Option<Budget>, Spending))| {
            let (from, to) = budget.as_ref()?.period?;
            Some([
                (c"entity_type", Is::Named(kind.word())),
                (c"entity_id", Is::Number(*id)),
                (c"bucket", Is::NotBefore(from)),
                (c"bucket", Is::Before(to)),
            ])
        };
        let keys: Vec<[Key; 4]> = self.entities.iter().filter_map(key).collect();
        lookup::rows(pg::relation(DAYS), &keys, BY_ENTITY, |row| {
            self.add((kind(row.text(0).unwrap_or_default())?, row.number(1)), &Used::of(row)?, true, false);
            Ok(true)
        })
    }

    fn tail(&mut self, range: &Range) -> Result<bool, ErrorReport> {
        const APP: usize = event_column("app_id");
        const LLM: usize = event_column("llm_id");
        const TIME: usize = event_column("occurred_at");
        const COST: usize = event_column("cost");
        const CURRENCY: usize = event_column("currency");
        let [present, asked] = [self.present, self.asked].map(|cut| (cut.first, cut.last));
        range.tail(None, |event| {
            let at = event.instant(TIME);
            let is_within = |(from, to): (i64, i64)| (from..to).contains(&at);
            let (input, completion) = direct::tokens(event);
            let used = Used {
                currency: event.text(CURRENCY).unwrap_or_default(),
                cost: cost(event, COST)?,
                tokens: input + completion,
            };
            for entity in [(Kind::App, event.number(APP)), (Kind::Llm, event.number(LLM))] {
                let period = self.period(entity).unwrap_or(present);
                self.add(entity, &used, is_within(period), is_within(asked));
            }
            Ok(())
        })
    }
}

/// Of a tenant's apps one by one; `None` of more than are worth it.
fn keys_of_months(months: Cut, apps: Option<&[i64]>) -> Option<Vec<Vec<Key<'static>>>> {
    let Some(apps) = apps else {
        return Some(vec![vec![
            (c"bucket", Is::NotBefore(months.first)),
            (c"bucket", Is::Before(months.last)),
        ]]);
    };
    let starts = std::iter::successors(Some(months.first), |month| Some(next_month(*month)));
    let starts: Vec<i64> = starts.take_while(|month| *month < months.last).take(MOST_SCANS).collect();
    let key = |app: i64, month: i64| {
        vec![(c"bucket", Is::At(month)), (c"entity_type", Is::Named("App")), (c"entity_id", Is::Number(app))]
    };
    (starts.len().saturating_mul(apps.len()) < MOST_SCANS)
        .then(|| apps.iter().flat_map(|app| starts.iter().map(|month| key(*app, *month))).collect())
}

/// What each LLM has in a currency: cost and tokens.
type Llms = HashMap<(i64, String), (Amount, i64)>;

/// Of a tenant's apps; `None` if that cannot be told.
fn llms_of_apps(range: &Range) -> Result<Option<Llms>, ErrorReport> {
    let mut lines = HashMap::<i64, (Amount, i64)>::new();
    for app in range.apps.iter().flatten() {
        let is_read = range.kept(&BY_APP, &[(c"app_id", Is::Number(*app))], |row| {
            let (sum, tokens) = lines.entry(row.number(1)).or_default();
            *sum += &cost(row, 4)?;
            *tokens += row.number(2) + row.number(3);
            Ok(())
        })?;
        if !is_read {
            return Ok(None);
        }
    }
    let mut llms = Llms::new();
    let are_known = lines::lines(lines.keys().copied(), &["number", "llm_id", "currency"], |row| {
        if let Some((cost, tokens)) = lines.get(&row.number(0)) {
            let paid_in = row.text(2).unwrap_or_default().to_owned();
            let (sum, tokens_of_llm) = llms.entry((row.number(1), paid_in)).or_default();
            *sum += cost;
            *tokens_of_llm += tokens;
        }
    })?;
    Ok(are_known.then_some(llms))
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
