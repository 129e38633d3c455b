//! What apps and LLMs have spent, as the rollups and the tail have it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CStr;

use llm_usage_core::amount::Amount;
use llm_usage_core::budget::Kind;
use llm_usage_core::calendar::{day_start, month, months, next_month};
use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use llm_usage_core::period::Period;
use llm_usage_core::slots::DAYS;
use pgrx::pg_sys::panic::ErrorReport;

use super::{Entity, Shown, Spending};
use crate::budget::kind;
use crate::direct::lines::{self, APP_LINES, BY_APP_DAY, BY_APP_HOUR, LINES};
use crate::direct::{self, BY_ENTITY_DAY, BY_ENTITY_MONTH, EVENTS, MOST_SCANS, Range, Rollup, month_of};
use crate::pg::decimal::Decimal;
use crate::pg::lookup::{self, Is, Key};
use crate::pg::row::{Columns, Names};
use crate::{error, pg, query, settings};

/// A budget, and from when to when if that is not the calendar month.
pub struct Budget {
    pub shown: Shown,
    currency: String,
    period: Option<(i64, i64)>,
}

/// What a row of a rollup adds, or an event.
struct Used<'a> {
    currency: &'a str,
    cost: Amount,
    tokens: i128,
}

impl<'a> Used<'a> {
    /// Of a row of [`BY_ENTITY`].
    fn of(row: &'a Columns) -> Result<Self, ErrorReport> {
        Ok(Self {
            currency: row.text(2).unwrap_or_default(),
            cost: cost(row, 3)?,
            tokens: row.number(4).into(),
        })
    }

    /// Of those of its days, if it has any of them.
    fn of_days(row: &'a Columns, (from, to): (i64, i64)) -> Result<Option<Self>, ErrorReport> {
        let mut used = None;
        for day in DAYS.unpack(row.bytes(6), row.instant(5)) {
            let (day, spent) = day.map_err(|error| error::report(&error))?;
            if (from..to).contains(&day) {
                let currency = row.text(2).unwrap_or_default();
                let used = used.get_or_insert(Self { currency, cost: Amount::default(), tokens: 0 });
                used.cost += &spent.cost;
                used.tokens += i128::from(spent.tokens());
            }
        }
        Ok(used)
    }
}

/// Whose such a row is.
fn entity(row: &Columns) -> Result<Entity, ErrorReport> {
    Ok((kind(row.text(0).unwrap_or_default())?, row.number(1)))
}

/// A cost, 0 for NULL.
fn cost(row: &Columns, column: usize) -> Result<Amount, ErrorReport> {
    row.datum(column).map_or(Ok(Amount::default()), |cost| Decimal::new(cost).amount())
}

/// The columns that are read of months by entity.
const BY_ENTITY: Names = &["entity_type", "entity_id", "currency", "cost", "total_tokens", "bucket", "days"];
/// Of a tenant's apps, since others have a part in what an LLM has.
const BY_APP: Rollup = Rollup {
    days: BY_APP_DAY.0,
    hours: BY_APP_HOUR,
    names: &["bucket", "line", "input_tokens", "completion_tokens", "cost"],
};

/// Whole months of the rollups, the days that are asked for beside those, those of budgets that begin on another day, and the tail; `None`
/// of what only SQL can tell.
pub fn read(today: i64, (from_day, to_day): (i64, i64)) -> Result<Option<Entities>, ErrorReport> {
    // Days of months are those of the days' own rows: who may not read these is answered by SQL, which reads them.
    const TABLES: [&CStr; 6] =
        [BY_ENTITY_MONTH, BY_ENTITY_DAY, BY_APP.days, BY_APP.hours, LINES, APP_LINES.0];
    let this_month = month(day_start(today));
    let present = Cut::of(Some(this_month), Some(next_month(this_month)));
    let asked = Cut::of(Some(day_start(from_day)), Some(day_start(to_day)));
    let Some(range) = Range::of_apps(&EVENTS, Cut::of(None, None), &TABLES)? else { return Ok(None) };
    let currency = settings::default_currency();
    let mut reading = Reading { entities: budgets(today)?, currency, present, asked };
    let is_read = reading.months(&range)?
        && reading.days(&range, (asked.first, asked.first_month))?
        && reading.days(&range, (asked.last_month, asked.last))?
        && reading.periods()?
        && reading.tail(&range)?;
    Ok(is_read.then_some(reading.entities))
}

pub type Entities = BTreeMap<Entity, (Option<Budget>, Spending)>;

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
            spending.total_tokens += used.tokens;
        }
    }

    /// What is of whole months.
    fn months(&mut self, range: &Range) -> Result<bool, ErrorReport> {
        let asked = Cut::of(Some(self.asked.first_month), Some(self.asked.last_month));
        match self.present == asked {
            true => self.read_months(range, self.present, true, true),
            false => Ok(self.read_months(range, self.present, true, false)?
                && self.read_months(range, asked, false, true)?),
        }
    }

    /// What is of asked days that are no whole month, all of one.
    fn days(&mut self, range: &Range, asked: (i64, i64)) -> Result<bool, ErrorReport> {
        let (from, to) = asked;
        if from == to {
            return Ok(true);
        }
        let of_month = Cut::of(Some(month(from)), Some(next_month(from)));
        let Some(keys) = keys_of_months(of_month, range.apps.as_deref()) else { return Ok(false) };
        let is_read = lookup::rows(pg::relation(BY_ENTITY_MONTH), &keys, BY_ENTITY, |row| {
            if let Some(used) = Used::of_days(row, asked)? {
                self.add(entity(row)?, &used, false, true);
            }
            Ok(true)
        })?;
        Ok(is_read && self.llms(&range.narrowed(Cut::of(Some(from), Some(to))), false, true)?)
    }

    fn read_months(
        &mut self,
        range: &Range,
        months: Cut,
        is_present: bool,
        is_asked: bool,
    ) -> Result<bool, ErrorReport> {
        let Some(keys) = keys_of_months(months, range.apps.as_deref()) else { return Ok(false) };
        let is_read = lookup::rows(pg::relation(BY_ENTITY_MONTH), &keys, BY_ENTITY, |row| {
            let entity = entity(row)?;
            let is_in_period = is_present && self.period(entity).is_none();
            self.add(entity, &Used::of(row)?, is_in_period, is_asked);
            Ok(true)
        })?;
        Ok(is_read && self.llms(&range.narrowed(months), is_present, is_asked)?)
    }

    /// What LLMs have of a tenant's apps; those of all apps have rows of their own.
    fn llms(&mut self, range: &Range, is_present: bool, is_asked: bool) -> Result<bool, ErrorReport> {
        if range.apps.is_none() {
            return Ok(true);
        }
        let Some(llms) = llms_of_apps(range)? else { return Ok(false) };
        for ((llm, currency), (cost, tokens)) in llms {
            let is_in_period = is_present && self.period((Kind::Llm, llm)).is_none();
            self.add((Kind::Llm, llm), &Used { currency: &currency, cost, tokens }, is_in_period, is_asked);
        }
        Ok(true)
    }

    /// What is of other periods.
    fn periods(&mut self) -> Result<bool, ErrorReport> {
        let keys = |(entity, (budget, _)): (&Entity, &(Option<Budget>, Spending))| {
            let (entity, (from, to)) = (*entity, budget.as_ref()?.period?);
            Some(months(from, to).map(move |begins| month_of(entity, begins)))
        };
        let keys: Vec<[Key; 3]> = self.entities.iter().filter_map(keys).flatten().collect();
        lookup::rows(pg::relation(BY_ENTITY_MONTH), &keys, BY_ENTITY, |row| {
            let entity = entity(row)?;
            if let Some(period) = self.period(entity)
                && let Some(used) = Used::of_days(row, period)?
            {
                self.add(entity, &used, true, false);
            }
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
                tokens: (input + completion).into(),
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
fn keys_of_months(range: Cut, apps: Option<&[i64]>) -> Option<Vec<Vec<Key<'static>>>> {
    let Some(apps) = apps else {
        return Some(vec![vec![
            (c"bucket", Is::NotBefore(range.first)),
            (c"bucket", Is::Before(range.last)),
        ]]);
    };
    let begins: Vec<i64> = months(range.first, range.last).take(MOST_SCANS).collect();
    let key = |app: i64, begins: i64| month_of((Kind::App, app), begins).to_vec();
    (begins.len().saturating_mul(apps.len()) < MOST_SCANS)
        .then(|| apps.iter().flat_map(|app| begins.iter().map(|begins| key(*app, *begins))).collect())
}

/// What each LLM has in a currency: cost and tokens.
type Llms = HashMap<(i64, String), (Amount, i128)>;

/// Of a tenant's apps; `None` if that cannot be told.
fn llms_of_apps(range: &Range) -> Result<Option<Llms>, ErrorReport> {
    let mut lines = HashMap::<i64, (Amount, i128)>::new();
    for app in range.apps.iter().flatten() {
        let is_read = range.kept(&BY_APP, &[(c"app_id", Is::Number(*app))], |row| {
            let (sum, tokens) = lines.entry(row.number(1)).or_default();
            *sum += &cost(row, 4)?;
            *tokens += i128::from(row.number(2) + row.number(3));
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
