//! What rollups have of lines, and their points.

use std::collections::BTreeSet;
use std::ffi::CStr;

use llm_usage_core::calendar::{DAY, HOUR};
use llm_usage_core::cut::Cut;
use llm_usage_core::points;
use llm_usage_core::slots::HOURS;
use pgrx::pg_sys::panic::ErrorReport;

use super::{Range, is_dropped};
use crate::error::{self, failed};
use crate::pg;
use crate::pg::lookup::{self, Is, Key};
use crate::pg::row::{Columns, Names};

/// What apps did, each asked for by its `app_id`, with the hours of each day; and in which hours.
pub const BY_APP_DAY: (&CStr, Names) =
    (c"_by_app_day", &["bucket", "line", "requests", "input_tokens", "completion_tokens", "hours"]);
pub const BY_APP_HOUR: &CStr = c"_by_app_hour";
/// The points of apps' hours for which there was no room beside the sums.
pub const BY_APP_POINTS: &CStr = c"_by_app_points";
/// What was on lines, by 5 minutes.
pub const BY_MODEL_5MIN: (&CStr, Names) =
    (c"_by_model_5min", &["bucket", "points", "chunks", "input_tokens", "completion_tokens"]);
/// The same of lines' 5 minutes.
pub const BY_MODEL_POINTS: &CStr = c"_by_model_points";
pub const MINUTES_5: i64 = HOUR / 12;
/// What can stand on a line of a bill.
pub const LINES: &CStr = c"_lines";
/// The lines that each app has.
pub const APP_LINES: (&CStr, Names) = (c"_app_lines", &["app_id", "line"]);

impl Range {
    /// Hands over what an app's lines have of whole hours: the line, requests, input and completion.
    pub fn hours_of_lines(&self, app: i64, mut add: impl FnMut(i64, [i64; 3])) -> Result<bool, ErrorReport> {
        let Cut { first_hour, first_day, last_day, last_hour, .. } = self.cut;
        if first_hour == last_hour {
            return Ok(true);
        }
        let first = first_hour - first_hour.rem_euclid(DAY);
        let key = [
            (c"app_id", Is::Number(app)),
            (c"bucket", Is::NotBefore(first)),
            (c"bucket", Is::Before(last_hour)),
        ];
        let (table, names) = BY_APP_DAY;
        lookup::rows(pg::relation(table), &[key], names, |row| {
            let (day, line) = (row.instant(0), row.number(1));
            if (first_day..last_day).contains(&day) {
                add(line, [2, 3, 4].map(|column| row.number(column)));
                return Ok(true);
            }
            for hour in HOURS.unpack(row.bytes(5), day) {
                let (hour, sums) = hour.map_err(|error| error::report(&error))?;
                if (first_hour..last_hour).contains(&hour) {
                    add(line, sums);
                }
            }
            Ok(true)
        })
    }

    /// Hands over what an app's lines have of the parts of hours at the ends: the line, requests, input and completion.
    pub fn edges_of_lines(&self, app: i64, mut add: impl FnMut(i64, [i64; 3])) -> Result<bool, ErrorReport> {
        for (from, to) in self.cut.ends() {
            if is_dropped(from, to)? {
                return Ok(false);
            }
            let key = vec![(c"app_id", Is::Number(app)), (c"bucket", Is::At(from - from.rem_euclid(HOUR)))];
            let is_read = app_points(&[key], |row| {
                let found = points::by_part([(row.bytes(1), row.instant(0))], &[from, to]);
                for (_, sums) in found.map_err(|error| error::report(&error))? {
                    add(row.number(2), [sums.requests, sums.input_tokens, sums.completion_tokens]);
                }
                Ok(())
            })?;
            if !is_read {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Hands over the bucket, the points and the line of apps' hours; false if that cannot be answered.
pub fn app_points(
    keys: &[Vec<Key>],
    mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
) -> Result<bool, ErrorReport> {
    const NAMES: Names = &["bucket", "points", "line", "chunks"];
    let mut chunked = BTreeSet::new();
    let is_read = lookup::rows(pg::relation(BY_APP_HOUR), keys, NAMES, |row| {
        if row.number(3) > 0 {
            chunked.insert(row.instant(0));
        }
        add(row).map(|()| true)
    })?;
    let is_chunked =
        |key: &&Vec<Key>| key.iter().any(|(_, is)| matches!(is, Is::At(bucket) if chunked.contains(bucket)));
    let keys: Vec<_> = keys.iter().filter(is_chunked).collect();
    Ok(is_read && chunks(BY_APP_POINTS, &keys, add)?)
}

/// Hands over the bucket, the points and the line of chunks.
pub fn chunks<'k>(
    table: &CStr,
    keys: &[impl AsRef<[Key<'k>]>],
    mut add: impl FnMut(&Columns) -> Result<(), ErrorReport>,
) -> Result<bool, ErrorReport> {
    lookup::rows(pg::relation(table), keys, &["bucket", "points", "line"], |row| add(row).map(|()| true))
}

/// Hands over what is known of lines; false if that is not all of them.
pub fn lines(
    numbers: impl Iterator<Item = i64>,
    names: Names,
    mut add: impl FnMut(&Columns),
) -> Result<bool, ErrorReport> {
    let key = |line| Ok([(c"number", Is::Integer(i32::try_from(line).map_err(failed)?))]);
    let keys: Vec<[Key; 1]> = numbers.map(key).collect::<Result<_, ErrorReport>>()?;
    let mut found = 0;
    lookup::rows(pg::relation(LINES), &keys, names, |row| {
        add(row);
        found += 1;
        Ok(true)
    })?;
    Ok(found == keys.len())
}
