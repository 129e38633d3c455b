//! What of a budget is spent and held: the rollups, which a session remembers until they are folded anew, the tail, and the holds.

use std::cell::RefCell;

use bigdecimal::BigDecimal;
use llm_usage_core::budget::{Entity, Kind, Standing, Unit, Unpriced};
use llm_usage_core::calendar::{DAY, HOUR, months, next_month};
use llm_usage_core::cut::Cut;
use llm_usage_core::slots::{Counts, DAYS};
use llm_usage_core::tail::Sums;
use pgrx::pg_sys::panic::ErrorReport;

use super::tail::{self, Folded};
use super::{Asked, HELD, Remembered};
use crate::direct::{BY_ENTITY_HOUR, BY_ENTITY_MONTH, MOST_MONTHS, month_of};
use crate::error::failed;
use crate::pg::lookup::{self, Is, Version};
use crate::pg::row::{Columns, Names};
use crate::{error, pg, query};

/// The entity, its range, and the currency of the costs.
type Sought = (Entity, (i64, i64), String);

thread_local! {
    /// What rollups hold, which only a fold changes, or a rebuild, which is announced; and how far they were folded.
    static FOLDED: RefCell<(Folded, Remembered<Sought, Sums>)> = RefCell::default();
    /// What is folded of a part of an hour, which no fold has changed while the rows of the whole hour are still the same.
    static EDGES: RefCell<Remembered<Sought, (Vec<Version>, Sums)>> = RefCell::default();
}

impl Asked {
    /// As the view `budget_status` has it, in the snapshot that is active. Where it is known how far the ledger is folded, from what
    /// the session remembers, at a generation that is not younger than the snapshot.
    pub fn standing(&self, folded: Option<Folded>, generation: u64) -> Result<Standing, ErrorReport> {
        // What is converted is no sum of what a session remembers.
        if let Some(folded) = folded.filter(|_| !self.converts)
            && let Some(held) = held(self.id)?
            && let Some(spent) = self.spent(folded, generation)?
        {
            return Ok(Standing { spent, held });
        }
        standing(self.id)
    }

    fn spent(&self, folded: Folded, generation: u64) -> Result<Option<BigDecimal>, ErrorReport> {
        let currency = match &self.budget.unit {
            Unit::Money { currency, .. } => currency.as_str(),
            _ => "",
        };
        let Some(mut sums) = tail::sums(&self.entity, self.counted, currency) else { return Ok(None) };
        sums += &self.folded(currency, folded, generation)?;
        Ok(Some(match &self.budget.unit {
            Unit::Tokens => sums.tokens.into(),
            Unit::Requests => sums.requests.into(),
            Unit::Money { unpriced: Unpriced::Fallback(price), .. } => {
                sums.cost + price * sums.unpriced_requests
            }
            Unit::Money { .. } => sums.cost,
        }))
    }

    fn folded(&self, currency: &str, folded: Folded, generation: u64) -> Result<Sums, ErrorReport> {
        let key = self.sought(self.counted, currency);
        let known = FOLDED.with_borrow_mut(|(of, sums)| {
            if *of != folded {
                (*of, *sums) = (folded, Remembered::default());
            }
            sums.of(generation).get(&key).cloned()
        });
        if let Some(sums) = known {
            return Ok(sums);
        }
        let sums = self.read_folded(currency, generation)?;
        if pg::generation() == generation {
            FOLDED.with_borrow_mut(|(_, known)| known.of(generation).insert(key, sums.clone()));
        }
        Ok(sums)
    }

    fn sought(&self, range: (i64, i64), currency: &str) -> Sought {
        (self.entity.clone(), range, currency.to_owned())
    }

    fn read_folded(&self, currency: &str, generation: u64) -> Result<Sums, ErrorReport> {
        let Entity { kind, id, .. } = &self.entity;
        let (from, to) = self.counted;
        if let (Kind::App | Kind::Llm, Some(id)) = (kind, id)
            && from.rem_euclid(DAY) == 0
            && to.rem_euclid(DAY) == 0
            && let Some(sums) = of_days(*kind, *id, currency, (from, to))?
        {
            return Ok(sums);
        }
        let cut = Cut::of(Some(from), Some(to));
        let Some(edges) = self.edges(&cut, currency, generation)? else {
            return self.sums(include_str!("folded.sql"), (from, to), currency);
        };
        let mut sums = self.sums(include_str!("folded.sql"), (cut.first_hour, cut.last_hour), currency)?;
        sums += &edges;
        Ok(sums)
    }

    /// What is folded of the parts of hours at the ends, where the period begins in the middle of one; `None` if the rollups say it
    /// themselves.
    fn edges(&self, cut: &Cut, currency: &str, generation: u64) -> Result<Option<Sums>, ErrorReport> {
        let mut sums = Sums::default();
        let mut has_edges = false;
        for (from, to) in cut.ends() {
            has_edges = true;
            let Some(versions) = self.hour(from - from.rem_euclid(HOUR)) else { return Ok(None) };
            if versions.is_empty() {
                continue;
            }
            let key = self.sought((from, to), currency);
            let known = EDGES.with_borrow_mut(|known| known.of(generation).get(&key).cloned());
            if let Some((_, known)) = known.filter(|(of, _)| *of == versions) {
                sums += &known;
                continue;
            }
            let read = self.sums(include_str!("edge.sql"), (from, to), currency)?;
            sums += &read;
            if pg::generation() == generation {
                EDGES.with_borrow_mut(|known| known.of(generation).insert(key, (versions, read)));
            }
        }
        Ok(has_edges.then_some(sums))
    }

    /// The rows that a rollup has of the entity's hour: each event that is folded changes one.
    fn hour(&self, hour: i64) -> Option<Vec<Version>> {
        let Entity { kind, id, key, value } = &self.entity;
        let id = || id.map(Is::Number);
        let hour = (c"bucket", Is::At(hour));
        match kind {
            Kind::App => {
                let key = [hour, (c"entity_type", Is::Named(kind.word())), (c"entity_id", id()?)];
                lookup::versions(pg::relation(BY_ENTITY_HOUR), &key)
            }
            Kind::User => lookup::versions(pg::relation(c"_by_user_hour"), &[(c"user_id", id()?), hour]),
            Kind::Attribute => {
                let (key, value) =
                    ((c"key", Is::Named(key.as_deref()?)), (c"value", Is::Named(value.as_deref()?)));
                lookup::is_any(pg::relation(c"_rolled_up_attrs"), key)
                    .filter(|is_rolled_up| *is_rolled_up)
                    .and_then(|_| lookup::versions(pg::relation(c"_by_attr_hour"), &[key, value, hour]))
            }
            _ => None,
        }
    }

    fn sums(&self, query: &'static str, (from, to): (i64, i64), currency: &str) -> Result<Sums, ErrorReport> {
        let Entity { kind, id, key, value } = &self.entity;
        let args = [
            kind.word().into(),
            (*id).into(),
            key.as_deref().into(),
            value.as_deref().into(),
            currency.into(),
            pg::instant(from)?.into(),
            pg::instant(to)?.into(),
        ];
        let rows = query::select_by_index(query, &args, |row| {
            Ok(Sums {
                cost: row.decimal(1)?.unwrap_or_default(),
                requests: row.id(2)?,
                unpriced_requests: row.id(3)?,
                tokens: row.id(4)?,
            })
        })?;
        error::required("sums", rows.into_iter().next())
    }
}

/// What most budgets ask for, whole UTC days: a row for each month and currency; `None` if that cannot be told.
fn of_days(kind: Kind, id: i64, currency: &str, (from, to): (i64, i64)) -> Result<Option<Sums>, ErrorReport> {
    const NAMES: Names =
        &["currency", "bucket", "cost", "requests", "unpriced_requests", "total_tokens", "days"];
    let months = months(from, to).take(MOST_MONTHS + 1);
    let keys: Vec<_> = months.map(|begins| month_of((kind, id), begins)).collect();
    if keys.len() > MOST_MONTHS {
        return Ok(None);
    }
    let mut sums = Sums::default();
    let mut add = |row: &Columns, cost: BigDecimal, [requests, unpriced_requests, tokens]: Counts| {
        if row.text(0) == Some(currency) {
            sums.cost += cost;
        }
        sums.requests += requests;
        sums.unpriced_requests += unpriced_requests;
        sums.tokens += tokens;
    };
    let is_told = lookup::rows(pg::relation(BY_ENTITY_MONTH), &keys, NAMES, |row| {
        let begins = row.instant(1);
        if from <= begins && next_month(begins) <= to {
            let cost = row.decimal(2).parse().map_err(failed)?;
            add(row, cost, [3, 4, 5].map(|column| row.number(column)));
            return Ok(true);
        }
        for day in DAYS.unpack(row.bytes(6), begins) {
            let (day, spent) = day.map_err(|error| error::report(&error))?;
            if (from..to).contains(&day) {
                add(row, spent.cost.into(), spent.counts);
            }
        }
        Ok(true)
    })?;
    Ok(is_told.then_some(sums))
}

/// What of a budget is held now; `None` if that cannot be told.
fn held(id: i64) -> Result<Option<BigDecimal>, ErrorReport> {
    let keys = [(c"budget_id", Is::Number(id)), (c"expires_at", Is::After(pg::now()))];
    let mut held = BigDecimal::default();
    let is_told = lookup::rows(pg::relation(c"_held"), &[keys], HELD, |row| {
        held += row.decimal(3).parse::<BigDecimal>().map_err(failed)?;
        Ok(true)
    })?;
    Ok(is_told.then_some(held))
}

/// As the view `budget_status` has it.
fn standing(id: i64) -> Result<Standing, ErrorReport> {
    let rows = query::select_by_index(include_str!("standing.sql"), &[id.into()], |row| {
        Ok(Standing { spent: row.decimal(1)?.unwrap_or_default(), held: row.decimal(2)?.unwrap_or_default() })
    })?;
    error::required("standing", rows.into_iter().next())
}
