//! What rollups and ledger have of an app, read through their indexes in the active snapshot: to set up a plan over all of them
//! takes longer than that. What cannot be read so is `None`, or false, and asked for by SQL, which says the same.

pub mod lines;

use std::ffi::CStr;

use llm_usage_core::budget::Kind;
use llm_usage_core::calendar::{DAY, HOUR, months, next_month};
use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use llm_usage_core::slots::DAYS;
use pgrx::pg_sys::panic::ErrorReport;

use crate::error::failed;
use crate::ledger;
use crate::pg::lookup::{self, Is, Key};
use crate::pg::rights::{Sees, may_select, seen};
use crate::pg::row::{Columns, Names};
use crate::{error, pg, tenant};

/// The two tables of a rollup, whose keys end with a bucket and what it is divided into.
pub struct Rollup {
    pub days: &'static CStr,
    pub hours: &'static CStr,
    /// The columns that are read.
    pub names: Names,
}

/// What apps and LLMs did, by month, with what each of its days adds up to.
pub const BY_ENTITY_MONTH: &CStr = c"_by_entity_month";
/// The same by day.
pub const BY_ENTITY_DAY: &CStr = c"_by_entity_day";
/// The same by hour, who did nothing having no row.
pub const BY_ENTITY_HOUR: &CStr = c"_by_entity_hour";

/// A ledger, the columns that are read of it, and which of them are the id, the app and the time.
pub struct Ledger {
    pub table: &'static CStr,
    names: Names,
    id: usize,
    app: usize,
    time: (&'static CStr, usize),
}

pub static EVENTS: Ledger = Ledger {
    table: c"usage_events",
    names: ledger::NAMES,
    id: ledger::ID,
    app: event_column("app_id"),
    time: (c"occurred_at", event_column("occurred_at")),
};
pub static SESSIONS: Ledger = Ledger {
    table: c"sessions",
    names: &["id", "started_at", "consumer_id", "app_id"],
    id: 0,
    app: 3,
    time: (c"started_at", 1),
};
pub static MESSAGES: Ledger =
    Ledger { table: c"messages", names: &["id", "sent_at", "app_id"], id: 0, app: 2, time: (c"sent_at", 1) };
/// So many months are looked up one by one; beyond that most of them may be empty.
pub const MOST_MONTHS: usize = 100;
/// So many apps and times are better joined than looked up one by one.
pub const MOST_SCANS: usize = 20_000;

/// A range of instants and the apps that are asked for, ascending, `None` for all; and how far the ledger is folded.
pub struct Range {
    pub apps: Option<Vec<i64>>,
    pub folded_up_to: i64,
    cut: Cut,
    ledger: &'static Ledger,
}

impl Range {
    /// `[from, to)` of one app, if who asks may read all that these tables and the ledger have of it.
    pub fn of_app(
        ledger: &'static Ledger,
        app: i64,
        cut: Cut,
        tables: &[&CStr],
    ) -> Result<Option<Self>, ErrorReport> {
        match seen_of(ledger, tables) {
            Sees::NotKnown => Ok(None),
            Sees::RowsOfApps if !tenant::owns(app)? => Ok(None),
            _ => Self::of(ledger, cut, Some(vec![app])),
        }
    }

    /// `[from, to)` of a tenant's apps, of all for who is none, if who asks may read that.
    pub fn of_apps(ledger: &'static Ledger, cut: Cut, tables: &[&CStr]) -> Result<Option<Self>, ErrorReport> {
        let apps = match seen_of(ledger, tables) {
            Sees::NotKnown => return Ok(None),
            Sees::AllRows => None,
            Sees::RowsOfApps => Some(tenant::apps()?),
        };
        Self::of(ledger, cut, apps)
    }

    fn of(ledger: &'static Ledger, cut: Cut, apps: Option<Vec<i64>>) -> Result<Option<Self>, ErrorReport> {
        Ok(folded_up_to(ledger)?.map(|folded_up_to| Self { apps, cut, ledger, folded_up_to }))
    }

    /// Another one of the same apps.
    pub fn narrowed(&self, cut: Cut) -> Self {
        Self { apps: self.apps.clone(), cut, ..*self }
    }

    /// The same of another ledger, whose table was among those that may be read.
    pub fn of_ledger(&self, ledger: &'static Ledger) -> Result<Option<Self>, ErrorReport> {
        Self::of(ledger, self.cut, self.apps.clone())
    }

    /// Hands over what a rollup has of whole days and hours; false if that cannot be answered.
    pub fn kept(
        &self,
        rollup: &Rollup,
        of: &[Key],
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        let Cut { first_hour, first_day, last_day, last_hour, .. } = self.cut;
        let parts = [
            (rollup.days, first_day, last_day),
            (rollup.hours, first_hour, first_day),
            (rollup.hours, last_day, last_hour),
        ];
        for (table, from, to) in parts.into_iter().filter(|(_, from, to)| from < to) {
            let bounds = [(c"bucket", Is::NotBefore(from)), (c"bucket", Is::Before(to))];
            let key: Vec<Key> = of.iter().copied().chain(bounds).collect();
            if !lookup::rows(pg::relation(table), &[key], rollup.names, |row| add(row).map(|()| true))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands over what the months of an app have of whole days: when each begins, and its tokens. False if that cannot be answered, or
    /// there may be too many months.
    pub fn tokens_of_days(
        &self,
        app: i64,
        mut add: impl FnMut(i64, i64) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        let Cut { first_day, last_day, .. } = self.cut;
        let months = months(first_day, last_day).take(MOST_MONTHS + 1);
        let keys: Vec<[Key; 3]> = months.map(|begins| month_of((Kind::App, app), begins)).collect();
        if keys.len() > MOST_MONTHS {
            return Ok(false);
        }
        lookup::rows(pg::relation(BY_ENTITY_MONTH), &keys, &["bucket", "days"], |row| {
            for day in DAYS.unpack(row.bytes(1), row.instant(0)) {
                let (day, spent) = day.map_err(|error| error::report(&error))?;
                if (first_day..last_day).contains(&day) {
                    add(day, spent.tokens())?;
                }
            }
            Ok(true)
        })
    }

    /// Hands over folded rows of the parts of hours at the ends.
    pub fn edges(
        &self,
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        self.folded_within(self.cut.ends(), None, &mut add)
    }

    /// Hands over, of a rollup whose rows of hours hold their minutes, those of the parts of hours at the ends, each with the whole
    /// minutes of its part.
    pub fn minutes(
        &self,
        hours: &CStr,
        of: &[Key],
        names: Names,
        mut add: impl FnMut(&Columns, (i64, i64)) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        for (from, to) in self.cut.minutes() {
            let hour = (c"bucket", Is::At(from - from.rem_euclid(HOUR)));
            let keys: Vec<[Key; 2]> = of.iter().map(|of| [*of, hour]).collect();
            let mut add = |row: &Columns| add(row, (from, to)).map(|()| true);
            if is_dropped(from, to)? || !lookup::rows(pg::relation(hours), &keys, names, &mut add)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands over folded rows of the parts of minutes beside those, which are like a key; for it the ledger has an index if all apps are
    /// asked for.
    pub fn seconds(
        &self,
        of: Key,
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        self.folded_within(self.cut.seconds(), Some(of), &mut add)
    }

    fn folded_within(
        &self,
        mut times: impl Iterator<Item = (i64, i64)>,
        of: Option<Key>,
        add: &mut impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        times.try_fold(true, |is_read, time| {
            Ok(is_read && self.folded(self.apps.as_deref(), time, of, &mut *add)?)
        })
    }

    /// The same of all events, by the apps that have a row of the hour: for a time alone the ledger has no index.
    pub fn edges_by_app(
        &self,
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        for (from, to) in self.cut.ends() {
            let hour =
                [(c"bucket", Is::At(from - from.rem_euclid(HOUR))), (c"entity_type", Is::Named("App"))];
            let mut apps = Vec::new();
            let is_read = self.apps.is_some()
                || lookup::rows(pg::relation(BY_ENTITY_HOUR), &[hour], &["entity_id"], |row| {
                    apps.push(row.number(0));
                    Ok(true)
                })?;
            // An app has a row for each of its currencies.
            apps.dedup();
            let apps = self.apps.as_ref().unwrap_or(&apps);
            if !is_read || !self.folded(Some(apps), (from, to), None, &mut add)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands over all rows of the range's apps, folded or not.
    pub fn rows(&self, add: impl FnMut(&Columns) -> Result<(), ErrorReport>) -> Result<bool, ErrorReport> {
        self.between(self.apps.as_deref(), (self.cut.first, self.cut.last), None, add)
    }

    fn folded(
        &self,
        apps: Option<&[i64]>,
        time: (i64, i64),
        of: Option<Key>,
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        self.between(apps, time, of, |row| match row.number(self.ledger.id) <= self.folded_up_to {
            true => add(row),
            false => Ok(()),
        })
    }

    fn between(
        &self,
        apps: Option<&[i64]>,
        (from, to): (i64, i64),
        of: Option<Key>,
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        if is_dropped(from, to)? {
            return Ok(false);
        }
        let (time, _) = self.ledger.time;
        let key = |app: Option<i64>| {
            let app = app.map(|app| (c"app_id", Is::Number(app)));
            let key = app.into_iter().chain([(time, Is::NotBefore(from)), (time, Is::Before(to))]);
            key.chain(of).collect()
        };
        let keys: Vec<Vec<Key>> = match apps {
            Some(apps) if apps.len() > MOST_SCANS => return Ok(false),
            Some(apps) => apps.iter().copied().map(Some).map(key).collect(),
            None => vec![key(None)],
        };
        let (table, names) = (pg::relation(self.ledger.table), self.ledger.names);
        pg::tail::rows_between(table, (from, to), &keys, names, |row| add(row).map(|()| true))
    }

    /// Hands over the range's rows of its apps that are not folded yet, all or those that are like a key.
    pub fn tail(
        &self,
        of: Option<Key>,
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        let (_, time) = self.ledger.time;
        let app = match self.apps.as_deref() {
            Some([app]) => Some((c"app_id", Is::Number(*app))),
            _ => None,
        };
        let key: Vec<Key> =
            [(c"id", Is::Above(self.folded_up_to))].into_iter().chain(app).chain(of).collect();
        pg::tail::rows(pg::relation(self.ledger.table), &[key], self.ledger.names, |row| {
            let app = row.number(self.ledger.app);
            let is_seen = self.apps.as_ref().is_none_or(|apps| apps.binary_search(&app).is_ok());
            if is_seen && (self.cut.first..self.cut.last).contains(&row.instant(time)) {
                add(row)?;
            }
            Ok(true)
        })
    }

    /// Hands over the apps' rows that are in no whole hour of the rollups.
    pub fn loose(
        &self,
        mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
    ) -> Result<bool, ErrorReport> {
        Ok(self.edges(&mut add)? && self.tail(None, add)?)
    }
}

/// The key of an app's or LLM's month.
pub fn month_of((kind, id): (Kind, i64), begins: i64) -> [Key<'static>; 3] {
    [(c"bucket", Is::At(begins)), (c"entity_type", Is::Named(kind.word())), (c"entity_id", Is::Number(id))]
}

/// Whether a time is in part of months that were dropped, for which SQL has the error, or that cannot be told.
fn is_dropped(from: i64, to: i64) -> Result<bool, ErrorReport> {
    let mut is_dropped = false;
    let all: [[Key; 0]; 1] = [[]];
    let is_told = lookup::rows(pg::relation(c"_dropped_months"), &all, &["month"], |row| {
        let begins = row.day(0).saturating_mul(DAY);
        is_dropped |= begins < to && from < next_month(begins);
        Ok(!is_dropped)
    })?;
    Ok(is_dropped || !is_told)
}

/// Input and completion tokens of an event.
pub fn tokens(event: &Columns) -> (i64, i64) {
    const INPUT: [usize; 3] = [
        event_column("prompt_tokens"),
        event_column("cache_read_tokens"),
        event_column("cache_write_tokens"),
    ];
    const COMPLETION: usize = event_column("completion_tokens");
    (INPUT.iter().map(|column| event.number(*column)).sum(), event.number(COMPLETION))
}

/// The least that may be said of all these tables and of what is read of every range.
fn seen_of(ledger: &Ledger, tables: &[&CStr]) -> Sees {
    let always = [ledger.table, c"_fold_progress", c"_dropped_months"];
    let seen = always.iter().chain(tables).map(|table| seen(pg::relation(table)));
    match seen.max() {
        Some(Sees::RowsOfApps) if may_select(pg::relation(c"apps")) => Sees::RowsOfApps,
        Some(Sees::AllRows) => Sees::AllRows,
        _ => Sees::NotKnown,
    }
}

/// Up to which id a ledger is folded; `None` if that cannot be told.
pub fn folded_up_to(ledger: &Ledger) -> Result<Option<i64>, ErrorReport> {
    let mut up_to = 0;
    let key = [(c"ledger", Is::Named(ledger.table.to_str().map_err(failed)?))];
    let is_told = lookup::rows(pg::relation(c"_fold_progress"), &[key], &["folded_up_to"], |row| {
        up_to = row.number(0);
        Ok(false)
    })?;
    Ok(is_told.then_some(up_to))
}
