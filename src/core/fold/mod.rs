//! Events on their way to the rollups: one pass over them groups them for each. `verify()` asks SQL for the same sums, in
//! `sql/rollups/`.

mod grain;
pub mod loose;
mod names;
mod points;
mod rows;

use std::hash::Hash;
use std::ops::Range;

use foldhash::{HashMap, HashSet};

use crate::Error;
use crate::amount::Amount;
use crate::bitmap::Bitmap;
use crate::calendar::{HOUR, MINUTE};
use crate::slots::{self, Counts, DAYS, HOURS, MINUTES, Spent};
pub use grain::Grain;
use grain::floor;
use names::{Lines, Texts};
pub use points::{ManyPoints, PackedRows};
use points::{Of, Points};
pub use rows::Rows;
use rows::{grouped, in_order, packed, summed};

/// In microseconds.
const FIVE_MINUTES: i64 = HOUR / 12;

/// What the rollups keep of an event.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// In microseconds since 1970.
    pub occurred_at: i64,
    pub app_id: i64,
    pub user_id: Option<i64>,
    pub line: Line<'a>,
    /// From -1 to 1.
    pub requests: i32,
    pub input_tokens: i64,
    pub completion_tokens: i64,
    /// `None`: it is not priced.
    pub cost: Option<Amount>,
    pub rule: Option<Rule<'a>>,
}

impl Event<'_> {
    /// Who made a request by it.
    fn made_by(&self) -> Option<i64> {
        self.user_id.filter(|_| self.requests > 0)
    }
}

/// By which an event was an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    pub rule_type: &'a str,
    pub task_id: Option<&'a str>,
    pub inference_tokens: i64,
}

/// What can stand on a line of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    pub llm_id: i64,
    pub model: &'a str,
    pub vendor: Option<&'a str>,
    pub currency: &'a str,
}

/// What a row of a rollup sums up. 64 bits hold the tokens of more events than a batch has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    pub requests: i64,
    pub unpriced_requests: i64,
    pub input_tokens: i64,
    pub completion_tokens: i64,
    /// Of evaluations only.
    pub inference_tokens: i64,
    pub cost: Amount,
}

impl Sums {
    fn add_event(&mut self, event: &Event) {
        let requests = i64::from(event.requests);
        self.requests += requests;
        self.input_tokens += event.input_tokens;
        self.completion_tokens += event.completion_tokens;
        self.inference_tokens += event.rule.map_or(0, |rule| rule.inference_tokens);
        match &event.cost {
            Some(cost) => self.cost += cost,
            None => self.unpriced_requests += requests,
        }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.unpriced_requests += other.unpriced_requests;
        self.input_tokens += other.input_tokens;
        self.completion_tokens += other.completion_tokens;
        self.inference_tokens += other.inference_tokens;
        self.cost += &other.cost;
    }
}

/// Whose sums a row of spending has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spender {
    App(i64),
    Llm(i64),
}

/// One on its way, with its place among all of its kind.
type Placed = (u32, Sums);
type Places<K> = HashMap<K, Placed>;

/// Some of the ledger's events, grouped by hour, or five minutes, as finely as any rollup asks.
#[derive(Debug, Default)]
pub struct Batch {
    events: i64,
    lines: Lines,
    /// By app, hour and line.
    apps: Places<(i64, i64, usize)>,
    /// By user, hour and currency.
    users: HashMap<(Option<i64>, i64, usize), Sums>,
    /// By line and five minutes.
    models: Places<(usize, i64)>,
    points: Points,
    /// By app and hour.
    active_users: HashMap<(i64, i64), Bitmap>,
    /// By app, minute, rule type and task.
    rules: HashMap<(i64, i64, usize, Option<usize>), Sums>,
    rule_texts: Texts,
}

impl Batch {
    pub fn add(&mut self, event: &Event) {
        self.events += 1;
        let line = self.lines.place(&event.line);
        let hour = Grain::Hour.start(event.occurred_at);
        let of_app = add_to(&mut self.apps, (event.app_id, hour, line), event);
        let of_model = add_to(&mut self.models, (line, floor(event.occurred_at, FIVE_MINUTES)), event);
        self.points.add(event, of_app, of_model);
        if let Some(rule) = event.rule {
            let rule_type = self.rule_texts.place(rule.rule_type);
            let task = rule.task_id.map(|task| self.rule_texts.place(task));
            let minute = floor(event.occurred_at, MINUTE);
            self.rules.entry((event.app_id, minute, rule_type, task)).or_default().add_event(event);
        }
        let currency = self.lines.currency_of(line);
        self.users.entry((event.user_id, hour, currency)).or_default().add_event(event);
        if let Some(user) = event.made_by() {
            self.active_users.entry((event.app_id, hour)).or_default().insert(user);
        }
    }

    pub fn events(&self) -> i64 {
        self.events
    }

    /// Every line that an event was on, the first of them first: what is numbered below.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.lines.iter()
    }

    /// By app, day, and the number of the line, one for each of [`Self::lines`]; with the hours of each, packed.
    pub fn by_app_day(&self, numbers: &[i32]) -> Rows<(i64, i64, i32), (Sums, Vec<u8>)> {
        let mut days: HashMap<(i64, i64, i32), (Sums, slots::Sums<Counts>)> = HashMap::default();
        for ((app, hour, line), (_, sums)) in &self.apps {
            let begins = Grain::Day.start(*hour);
            let (day, hours) = days.entry((*app, begins, numbers[*line])).or_default();
            day.add(sums);
            let counts = [sums.requests, sums.input_tokens, sums.completion_tokens];
            hours.insert(HOURS.slot_of(*hour, begins), counts);
        }
        packed(days)
    }

    /// By the time, by apps and LLMs, and by currency.
    pub fn by_entity(&self, grain: Grain, within: &Range<i64>) -> Rows<(i64, Spender, &str)> {
        let keys = |(app, hour, line): &(i64, i64, usize)| {
            let line = self.lines.line(*line);
            let bucket = grain.start(*hour);
            [Spender::App(*app), Spender::Llm(line.llm_id)].map(|spender| (bucket, spender, line.currency))
        };
        let rows = self.apps.iter().flat_map(|(by, (_, sums))| keys(by).map(|key| (key, sums)));
        grouped(rows.filter(|((bucket, _, _), _)| within.contains(bucket)))
    }

    /// Of months, with the days of each, packed.
    pub fn by_entity_month(&self) -> Rows<(i64, Spender, &str), (Sums, Vec<u8>)> {
        let mut months: HashMap<(i64, Spender, &str), (Sums, slots::Sums<Spent>)> = HashMap::default();
        for ((day, spender, currency), sums) in self.by_entity(Grain::Day, &(i64::MIN..i64::MAX)) {
            let begins = Grain::Month.start(day);
            let (month, days) = months.entry((begins, spender, currency)).or_default();
            month.add(&sums);
            let tokens = sums.input_tokens + sums.completion_tokens;
            let counts = [sums.requests, sums.unpriced_requests, tokens];
            days.insert(DAYS.slot_of(day, begins), Spent { counts, cost: sums.cost });
        }
        packed(months)
    }

    /// By user, time and currency.
    pub fn by_user(&self, grain: Grain, within: &Range<i64>) -> Rows<(Option<i64>, i64, &str)> {
        let key = |(user, hour, currency): &(Option<i64>, i64, usize)| {
            (*user, grain.start(*hour), self.lines.currency(*currency))
        };
        let rows = self.users.iter().map(|(by, sums)| (key(by), sums));
        summed(grain, rows.filter(|((_, bucket, _), _)| within.contains(bucket)))
    }

    /// By the number of the line, and time.
    pub fn by_model(&self, grain: Grain, numbers: &[i32]) -> Rows<(i32, i64)> {
        let key = |(line, bucket): &(usize, i64)| (numbers[*line], grain.start(*bucket));
        grouped(self.models.iter().map(|(by, (_, sums))| (key(by), sums)))
    }

    /// By app, hour and the number of the line.
    pub fn by_app_hour(
        &self,
        within: &Range<i64>,
        numbers: &[i32],
    ) -> Result<PackedRows<(i64, i64, i32)>, Error> {
        self.points.in_rows(Of::App, self.hours_of_apps(within, numbers), |(_, hour, _)| *hour)
    }

    pub fn by_app_points(
        &self,
        within: &Range<i64>,
        numbers: &[i32],
    ) -> Result<ManyPoints<(i64, i64, i32)>, Error> {
        self.points.many(Of::App, self.hours_of_apps(within, numbers), |(_, hour, _)| *hour)
    }

    fn hours_of_apps(&self, within: &Range<i64>, numbers: &[i32]) -> Vec<((i64, i64, i32), &Placed)> {
        let rows = self.apps.iter().filter(|((_, hour, _), _)| within.contains(hour));
        in_order(rows.map(|((app, hour, line), row)| ((*app, *hour, numbers[*line]), row)))
    }

    /// By the number of the line, and five minutes.
    pub fn by_model_5min(
        &self,
        within: &Range<i64>,
        numbers: &[i32],
    ) -> Result<PackedRows<(i32, i64)>, Error> {
        self.points.in_rows(Of::Model, self.minutes_of_models(within, numbers), |(_, bucket)| *bucket)
    }

    pub fn by_model_points(
        &self,
        within: &Range<i64>,
        numbers: &[i32],
    ) -> Result<ManyPoints<(i32, i64)>, Error> {
        self.points.many(Of::Model, self.minutes_of_models(within, numbers), |(_, bucket)| *bucket)
    }

    fn minutes_of_models(&self, within: &Range<i64>, numbers: &[i32]) -> Vec<((i32, i64), &Placed)> {
        let rows = self.models.iter().filter(|((_, bucket), _)| within.contains(bucket));
        in_order(rows.map(|((line, bucket), row)| ((numbers[*line], *bucket), row)))
    }

    /// Who made a request, by app and time; `None` stands for all apps.
    pub fn active_users(&self, grain: Grain, within: &Range<i64>) -> Vec<((Option<i64>, i64), Bitmap)> {
        let mut united: HashMap<(Option<i64>, i64), Bitmap> = HashMap::default();
        for ((app, hour), users) in &self.active_users {
            let bucket = grain.start(*hour);
            if within.contains(&bucket) {
                for key in [(Some(*app), bucket), (None, bucket)] {
                    united.entry(key).or_default().union_with(users);
                }
            }
        }
        let mut rows: Vec<_> = united.into_iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }

    /// By time, rule type and task.
    pub fn by_rule(&self, grain: Grain) -> Rows<(i64, &str, Option<&str>)> {
        let text = |place: usize| self.rule_texts.text(place);
        let key = |(_, minute, rule_type, task): &(i64, i64, usize, Option<usize>)| {
            (grain.start(*minute), text(*rule_type), task.map(text))
        };
        grouped(self.rules.iter().map(|(by, sums)| (key(by), sums)))
    }

    /// By app, -1 standing for all, day and rule type.
    pub fn by_rule_type_day(&self) -> Rows<(i64, i64, &str)> {
        grouped(
            self.rules.iter().flat_map(|(by, sums)| self.of_rule_type(by, Grain::Day).map(|key| (key, sums))),
        )
    }

    /// The same by hour; with the minutes of each, packed.
    pub fn by_rule_type_hour(&self) -> Rows<(i64, i64, &str), (Sums, Vec<u8>)> {
        let mut hours: HashMap<(i64, i64, &str), (Sums, slots::Sums<Counts>)> = HashMap::default();
        for (by, added) in &self.rules {
            let (_, minute, ..) = *by;
            let counts = [added.inference_tokens, added.input_tokens, added.completion_tokens];
            for key in self.of_rule_type(by, Grain::Hour) {
                let (sums, minutes) = hours.entry(key).or_default();
                sums.add(added);
                let (_, begins, _) = key;
                let sums = minutes.entry(MINUTES.slot_of(minute, begins)).or_default();
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        packed(hours)
    }

    fn of_rule_type(
        &self,
        (app, minute, rule_type, _): &(i64, i64, usize, Option<usize>),
        grain: Grain,
    ) -> [(i64, i64, &str); 2] {
        [*app, ALL_APPS].map(|app| (app, grain.start(*minute), self.rule_texts.text(*rule_type)))
    }

    /// Whom budgets can be of, attributes aside: what events of the batch count for.
    pub fn spenders(&self) -> Spenders {
        Spenders {
            apps: self.apps.keys().map(|(app, _, _)| *app).collect(),
            users: self.users.keys().filter_map(|(user, _, _)| *user).collect(),
            llms: self.lines().map(|line| line.llm_id).collect(),
            models: self.lines().map(|line| line.model.into()).collect(),
            vendors: self.lines().filter_map(|line| line.vendor.map(Into::into)).collect(),
        }
    }
}

/// Returns the place of the row that the event is in.
fn add_to<K: Eq + Hash>(rows: &mut Places<K>, key: K, event: &Event) -> u32 {
    // A batch has no more rows than events, and fewer of those.
    let next = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let (place, sums) = rows.entry(key).or_insert_with(|| (next, Sums::default()));
    sums.add_event(event);
    *place
}

/// The rules of all apps, beside those of each.
const ALL_APPS: i64 = -1;

/// Who has spent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spenders {
    pub apps: HashSet<i64>,
    pub users: HashSet<i64>,
    pub llms: HashSet<i64>,
    pub models: HashSet<Box<str>>,
    pub vendors: HashSet<Box<str>>,
}

impl Spenders {
    pub fn add(&mut self, others: Self) {
        self.apps.extend(others.apps);
        self.users.extend(others.users);
        self.llms.extend(others.llms);
        self.models.extend(others.models);
        self.vendors.extend(others.vendors);
    }
}

#[cfg(test)]
mod tests;
