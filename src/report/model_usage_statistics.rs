//! Scale GenAI Platform, `GET /v4/models/{model_name}/usage-statistics` (seed 004_5d6b33da109cc5b1).

use std::collections::BTreeMap;
use std::ffi::CStr;

use llm_usage_core::calendar::{DAY, END, FIRST, HOUR, format_instant};
use llm_usage_core::cut::Cut;
use llm_usage_core::event::event_column;
use llm_usage_core::money::Exact;
use llm_usage_core::parts::{Bound, CutDay, Parts};
use llm_usage_core::slots::HOURS;
use llm_usage_core::{Error, points};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Serialize;

use crate::direct::lines::{
    self, APP_LINES, BY_APP_DAY, BY_APP_HOUR, BY_APP_POINTS, BY_MODEL_5MIN, BY_MODEL_POINTS, LINES, MINUTES_5,
};
use crate::direct::{self, EVENTS, MOST_SCANS, Range, Rollup};
use crate::pg::lookup::{self, Is, Key};
use crate::pg::micros;
use crate::pg::row::Columns;
use crate::{error, pg, query};

/// `ModelUsageResponse`; its dates are those of the first and the last point.
#[derive(Serialize)]
struct ModelUsage {
    data: Vec<DataPoint>,
    start_date: String,
    end_date: String,
}

/// `DataPoint`: prompt is all input, summary is the total.
#[derive(Clone, Serialize)]
struct DataPoint {
    date: String,
    prompt_tokens: Exact,
    response_tokens: Exact,
    summary_tokens: Exact,
}

/// Tokens of one model in `[start_date, end_date)`, cut into parts of equal width or into UTC days.
#[pg_extern(schema = "llm_usage", stable, parallel_restricted)]
fn model_usage_statistics(
    model_name: Option<&str>,
    start_date: default!(Option<TimestampWithTimeZone>, "NULL"),
    end_date: default!(Option<TimestampWithTimeZone>, "NULL"),
    chunks: default!(Option<i32>, "NULL"),
) -> Result<pg::Json, ErrorReport> {
    let model_name = error::required("model_name", model_name)?;
    let start = start_date.map(|start| finite("start_date", start)).transpose()?;
    let end = end_date.map(|end| finite("end_date", end)).transpose()?;
    let now = micros(pgrx::datum::datetime_support::now());
    let parts = Parts::new(start, end, chunks, now).map_err(|error| error::report(&error))?;
    let mut data = empty_points(&parts.starts).map_err(|error| error::report(&error))?;
    match read(model_name, &parts)? {
        Some(sums) => data.iter_mut().zip(sums).for_each(|(point, sums)| point.set(sums.map(Exact::from))),
        None => ask(model_name, parts, &mut data)?,
    }
    let date = |point: Option<&DataPoint>| point.map(|point| point.date.clone()).unwrap_or_default();
    let (start_date, end_date) = (date(data.first()), date(data.last()));
    pg::json(&ModelUsage { data, start_date, end_date })
}

impl DataPoint {
    fn set(&mut self, [prompt, response, summary]: [Exact; 3]) {
        (self.prompt_tokens, self.response_tokens, self.summary_tokens) = (prompt, response, summary);
    }
}

fn ask(model: &str, parts: Parts, data: &mut [DataPoint]) -> Result<(), ErrorReport> {
    let instants: Vec<_> = parts.starts.into_iter().map(pg::instant).collect::<Result<_, _>>()?;
    let args = [model.into(), instants.into(), pg::instant(parts.end)?.into()];
    query::select(include_str!("model_usage_statistics.sql"), &args, |row| {
        let part: i32 = row.get(1)?.unwrap_or_default();
        if let Some(point) = usize::try_from(part - 1).ok().and_then(|index| data.get_mut(index)) {
            point.set([row.count(2)?, row.count(3)?, row.count(4)?]);
        }
        Ok(())
    })
    .map(|_| ())
}

const BY_MODEL: Rollup = Rollup {
    days: c"_by_model_day",
    hours: c"_by_model_hour",
    names: &["bucket", "input_tokens", "completion_tokens"],
};

/// Input, completion and total of each part.
type Sums = Vec<[i128; 3]>;

/// The sums of all parts as the rollups have them: of days that no bound cuts, of cut days the hours, of cut hours the 5 minutes, of cut
/// 5 minutes the points. To a tenant of his apps, whose days hold their hours, and of cut hours the points.
fn read(model: &str, parts: &Parts) -> Result<Option<Sums>, ErrorReport> {
    const TABLES: [&CStr; 9] = [
        BY_MODEL.days,
        BY_MODEL.hours,
        BY_MODEL_5MIN.0,
        BY_MODEL_POINTS,
        BY_APP_DAY.0,
        BY_APP_HOUR,
        BY_APP_POINTS,
        LINES,
        APP_LINES.0,
    ];
    let cut = Cut::of(parts.starts.first().copied(), Some(parts.end));
    let Some(range) = Range::of_apps(&EVENTS, cut, &TABLES)? else { return Ok(None) };
    let mut reading = Reading { parts, sums: vec![[0; 3]; parts.starts.len()], cut_days: parts.cut_days() };
    let mut lines = Vec::new();
    let is_read =
        lookup::rows(pg::relation(LINES), &[[(c"model", Is::Named(model))]], &["number", "model"], |row| {
            lines.push(i32::try_from(row.number(0)).map_err(error::failed)?);
            Ok(true)
        })?;
    if !is_read {
        return Ok(None);
    }
    let is_read = match &range.apps {
        None => reading.all(&lines)?,
        Some(apps) => reading.of_apps(&lines, apps)?,
    };
    if !is_read {
        return Ok(None);
    }
    let is_read = range.tail(None, |event| {
        const MODEL: usize = event_column("model");
        const TIME: usize = event_column("occurred_at");
        if event.text(MODEL) == Some(model) {
            let at = event.instant(TIME);
            let (input, completion) = direct::tokens(event);
            reading.add(at, at + 1, [input, completion]);
        }
        Ok(())
    })?;
    Ok(is_read.then_some(reading.sums))
}

/// Those of a tenant's apps that have a line, ascending as they do.
fn apps_of(line: i32, apps: &[i64]) -> Result<Option<Vec<i64>>, ErrorReport> {
    let mut found = Vec::new();
    let key = |app: &i64| [(c"app_id", Is::Number(*app)), (c"line", Is::Integer(line))];
    let keys: Vec<[Key; 2]> = apps.iter().map(key).collect();
    let is_read = lookup::rows(pg::relation(APP_LINES.0), &keys, APP_LINES.1, |row| {
        found.push(row.number(0));
        Ok(true)
    })?;
    Ok(is_read.then_some(found))
}

struct Reading<'a> {
    parts: &'a Parts,
    sums: Sums,
    cut_days: BTreeMap<i64, CutDay>,
}

impl Reading<'_> {
    /// What lies in one part; what a bound cuts is read from what is shorter.
    fn add(&mut self, from: i64, to: i64, counts: [i64; 2]) {
        self.add_to(self.parts.place_of(from, to), counts);
    }

    fn add_to(&mut self, place: Option<usize>, counts: [i64; 2]) {
        if let Some(place) = place {
            let [input, completion] = counts.map(i128::from);
            let sums = &mut self.sums[place];
            sums.iter_mut()
                .zip([input, completion, input + completion])
                .for_each(|(sum, added)| *sum += added);
        }
    }

    /// What is before a bound, or after it, and was added to the other side.
    fn move_to(&mut self, bound: Bound, is_before: bool, counts: [i64; 2]) {
        let (to, from) = if is_before { (bound.before, bound.after) } else { (bound.after, bound.before) };
        self.add_to(to, counts);
        self.add_to(from, counts.map(|count| -count));
    }

    fn cut_day(&self, at: i64) -> Option<CutDay> {
        self.cut_days.get(&(at - at.rem_euclid(DAY))).copied()
    }

    fn add_day(&mut self, day: i64, counts: [i64; 2]) {
        match self.cut_day(day) {
            Some(CutDay::Once(bound)) if bound.is_early() => self.add_to(bound.after, counts),
            Some(CutDay::Once(bound)) => self.add_to(bound.before, counts),
            _ => self.add(day, day + DAY, counts),
        }
    }

    /// Of a day that bounds cut.
    fn add_hour(&mut self, hour: i64, cut: CutDay, counts: [i64; 2]) {
        match cut {
            CutDay::Once(bound) => self.move_to(bound, bound.is_early(), counts),
            CutDay::Often => self.add(hour, hour + HOUR, counts),
        }
    }

    fn all_days(&self) -> (i64, i64) {
        let first = self.parts.starts[0];
        (first - first.rem_euclid(DAY), self.parts.end)
    }

    /// All but the tail of lines.
    fn all(&mut self, lines: &[i32]) -> Result<bool, ErrorReport> {
        for line in lines {
            let line = (c"line", Is::Integer(*line));
            if !self.days_and_hours(line)? || !self.minutes(line)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same of a tenant's apps.
    fn of_apps(&mut self, lines: &[i32], apps: &[i64]) -> Result<bool, ErrorReport> {
        for line in lines {
            // What only others use is not looked at: how long that takes would tell of it.
            let Some(apps) = apps_of(*line, apps)? else { return Ok(false) };
            let is_line = (c"line", Is::Integer(*line));
            let keys: Vec<_> = apps.iter().map(|app| vec![(c"app_id", Is::Number(*app)), is_line]).collect();
            if !self.days_of_apps(&keys)? || !self.points(&keys)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn days_and_hours(&mut self, line: Key) -> Result<bool, ErrorReport> {
        let hours = self.cut_days.iter().map(|(day, cut)| hours_of(*day, *cut));
        let hours: Vec<_> =
            hours.filter(|(from, to)| from < to).map(|range| within(&[line], range)).collect();
        let days = [within(&[line], self.all_days())];
        let counts = |row: &Columns| [row.number(1), row.number(2)];
        let is_read = lookup::rows(pg::relation(BY_MODEL.days), &days, BY_MODEL.names, |row| {
            self.add_day(row.instant(0), counts(row));
            Ok(true)
        })?;
        Ok(is_read
            && lookup::rows(pg::relation(BY_MODEL.hours), &hours, BY_MODEL.names, |row| {
                let hour = row.instant(0);
                if let Some(cut) = self.cut_day(hour) {
                    self.add_hour(hour, cut, counts(row));
                }
                Ok(true)
            })?)
    }

    /// Days of apps, and the hours that they hold of cut ones; false as well where so many apps are better joined.
    fn days_of_apps(&mut self, owners: &[Vec<Key>]) -> Result<bool, ErrorReport> {
        if owners.len() > MOST_SCANS {
            return Ok(false);
        }
        let keys: Vec<_> = owners.iter().map(|owner| within(owner, self.all_days())).collect();
        let (table, names) = BY_APP_DAY;
        lookup::rows(pg::relation(table), &keys, names, |row| {
            let day = row.instant(0);
            self.add_day(day, [row.number(3), row.number(4)]);
            let Some(cut) = self.cut_day(day) else { return Ok(true) };
            let (from, to) = hours_of(day, cut);
            for hour in HOURS.unpack(row.bytes(5), day) {
                let (hour, [_, input_tokens, completion_tokens]) =
                    hour.map_err(|error| error::report(&error))?;
                if (from..to).contains(&hour) {
                    self.add_hour(hour, cut, [input_tokens, completion_tokens]);
                }
            }
            Ok(true)
        })
    }

    /// Of hours that bounds cut, the time that is not where the whole hour was added.
    fn cut_hours(&self) -> Vec<(i64, i64)> {
        let time = |hour| match self.cut_day(hour) {
            Some(CutDay::Once(bound)) => bound.minutes(),
            _ => (hour, hour + HOUR),
        };
        self.parts.cut_hours().into_iter().map(time).collect()
    }

    /// What a line has of that.
    fn minutes(&mut self, line: Key) -> Result<bool, ErrorReport> {
        let whole = |(from, to): (i64, i64)| (from - from.rem_euclid(MINUTES_5), to);
        let keys: Vec<_> = self.cut_hours().into_iter().map(|time| within(&[line], whole(time))).collect();
        let (table, names) = BY_MODEL_5MIN;
        let bounds = self.parts.bounds();
        let mut chunked = Vec::new();
        let is_read = lookup::rows(pg::relation(table), &keys, names, |row| {
            let (from, to) = (row.instant(0), row.instant(0) + MINUTES_5);
            let is_cut = bounds.partition_point(|at| *at <= from) != bounds.partition_point(|at| *at < to);
            if is_cut {
                if row.number(2) > 0 {
                    chunked.push([line, (c"bucket", Is::At(from))]);
                }
                self.add_points(row.bytes(1), from, &bounds)?;
                return Ok(true);
            }
            let counts = [row.number(3), row.number(4)];
            match self.cut_day(from) {
                Some(CutDay::Once(bound)) => self.move_to(bound, bound.is_behind_hour(), counts),
                _ => self.add(from, to, counts),
            }
            Ok(true)
        })?;
        let add = |row: &Columns| self.add_points(row.bytes(1), row.instant(0), &bounds);
        Ok(is_read && lines::chunks(BY_MODEL_POINTS, &chunked, add)?)
    }

    /// What apps have of that on a line.
    fn points(&mut self, owners: &[Vec<Key>]) -> Result<bool, ErrorReport> {
        let times = self.cut_hours();
        if owners.len().saturating_mul(times.len()) > MOST_SCANS {
            return Ok(false);
        }
        let hour = |(from, _): &(i64, i64)| (c"bucket", Is::At(from - from.rem_euclid(HOUR)));
        let keys = owners.iter().flat_map(|owner| {
            times.iter().map(move |time| owner.iter().copied().chain([hour(time)]).collect::<Vec<Key>>())
        });
        let bounds = self.parts.bounds();
        lines::app_points(&keys.collect::<Vec<_>>(), |row| {
            self.add_points(row.bytes(1), row.instant(0), &bounds)
        })
    }

    /// What points have of the time that is not where the whole hour was added.
    fn add_points(&mut self, packing: &[u8], bucket: i64, bounds: &[i64]) -> Result<(), ErrorReport> {
        let once = match self.cut_day(bucket) {
            Some(CutDay::Once(bound)) => Some((bound, <[i64; 2]>::from(bound.minutes()))),
            _ => None,
        };
        let bounds = once.as_ref().map_or(bounds, |(_, minutes)| minutes);
        let found = points::by_part([(packing, bucket)], bounds);
        for (part, sums) in found.map_err(|error| error::report(&error))? {
            let counts = [sums.input_tokens, sums.completion_tokens];
            match once {
                Some((bound, _)) => self.move_to(bound, bound.is_behind_hour(), counts),
                None => self.add_to(part.checked_sub(1), counts),
            }
        }
        Ok(())
    }
}

/// The hours of a cut day that are added by themselves.
fn hours_of(day: i64, cut: CutDay) -> (i64, i64) {
    match cut {
        CutDay::Once(bound) => bound.hours(),
        CutDay::Often => (day, day + DAY),
    }
}

fn within<'k>(owner: &[Key<'k>], (from, to): (i64, i64)) -> Vec<Key<'k>> {
    owner.iter().copied().chain([(c"bucket", Is::NotBefore(from)), (c"bucket", Is::Before(to))]).collect()
}

fn finite(name: &'static str, instant: TimestampWithTimeZone) -> Result<i64, ErrorReport> {
    match pg::finite_micros(instant) {
        None => Err(error::report(&Error::Unbounded { name })),
        // The end of the last day is no instant of an event, and still a bound.
        Some(micros) if (FIRST..=END).contains(&micros) => Ok(micros),
        Some(_) => Err(error::report(&Error::OutOfCalendar { name })),
    }
}

fn empty_points(starts: &[i64]) -> Result<Vec<DataPoint>, Error> {
    let zero = Exact::from(0);
    let point = |start: &i64| {
        let date = format_instant(*start).ok_or(Error::OutOfCalendar { name: "start_date" })?;
        Ok(DataPoint {
            date,
            prompt_tokens: zero.clone(),
            response_tokens: zero.clone(),
            summary_tokens: zero.clone(),
        })
    };
    starts.iter().map(point).collect()
}
