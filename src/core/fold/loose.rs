//! Events that are in no whole hour of the rollups, summed up by UTC day as reports ask for them.

use foldhash::HashMap;

use super::names::{Lines, Texts};
use super::{Bitmap, Event, Grain, Line, Sums};

/// By day, user and currency.
#[derive(Debug, Default)]
pub struct Users {
    sums: HashMap<(i64, Option<i64>, usize), Sums>,
    currencies: Texts,
}

impl Users {
    pub fn add(&mut self, event: &Event) {
        let day = Grain::Day.start(event.occurred_at);
        let currency = self.currencies.place(event.line.currency);
        self.sums.entry((day, event.user_id, currency)).or_default().add_event(event);
    }

    /// In no order.
    pub fn rows(&self) -> impl Iterator<Item = ((i64, Option<i64>, &str), &Sums)> {
        let row = |(&(day, user, currency), sums)| ((day, user, self.currencies.text(currency)), sums);
        self.sums.iter().map(row)
    }
}

/// By day, app and line.
#[derive(Debug, Default)]
pub struct AppLines {
    sums: HashMap<(i64, i64, usize), Sums>,
    lines: Lines,
}

impl AppLines {
    pub fn add(&mut self, event: &Event) {
        let day = Grain::Day.start(event.occurred_at);
        let line = self.lines.place(&event.line);
        self.sums.entry((day, event.app_id, line)).or_default().add_event(event);
    }

    /// In no order.
    pub fn rows(&self) -> impl Iterator<Item = ((i64, i64, Line<'_>), &Sums)> {
        self.sums.iter().map(|(&(day, app, line), sums)| ((day, app, self.lines.line(line)), sums))
    }
}

/// Who made a request, by day.
#[derive(Debug, Default)]
pub struct ActiveUsers(HashMap<i64, Bitmap>);

impl ActiveUsers {
    pub fn add(&mut self, event: &Event) {
        if let Some(user) = event.made_by() {
            self.0.entry(Grain::Day.start(event.occurred_at)).or_default().insert(user);
        }
    }

    /// In no order.
    pub fn rows(&self) -> impl Iterator<Item = (i64, &Bitmap)> {
        self.0.iter().map(|(day, users)| (*day, users))
    }
}
