//! The parts that `model_usage_statistics` cuts a range into (seed 004_5d6b33da109cc5b1).

use std::collections::{BTreeMap, BTreeSet};

use crate::Error;
use crate::calendar::{DAY, FIRST, HOUR};

/// The most parts that a range is cut into.
const MOST_CHUNKS: i32 = 10_000;
/// The most days of one answer: what is longer is cut by `chunks`.
const MOST_DAYS: i64 = 100_000;

/// The starts of the parts and the end of the last; microseconds since 1970.
#[derive(Debug)]
pub struct Parts {
    pub starts: Vec<i64>,
    pub end: i64,
}

impl Parts {
    /// `[start, end)` cut into `chunks` parts of equal width, or with none or 0 of them into UTC days. No end: now; no start:
    /// 30 days before the end.
    pub fn new(start: Option<i64>, end: Option<i64>, chunks: Option<i32>, now: i64) -> Result<Self, Error> {
        let end = end.unwrap_or(now);
        let start = start.unwrap_or((end - 30 * DAY).max(FIRST));
        if end <= start {
            return Err(Error::EmptyRange { start, end });
        }
        let chunks = chunks.unwrap_or(0);
        let starts = match u32::try_from(chunks) {
            Ok(0) => match day_count(start, end) {
                days if days > MOST_DAYS => return Err(Error::TooManyDays { days, most: MOST_DAYS }),
                _ => day_starts(start, end),
            },
            Ok(parts) if chunks <= MOST_CHUNKS => chunk_starts(start, end, parts),
            _ => return Err(Error::BadChunks { chunks }),
        };
        Ok(Self { starts, end })
    }

    /// The place of the part that holds all of `[from, to)`; `None` of what a bound cuts, and of what is outside.
    pub fn place_of(&self, from: i64, to: i64) -> Option<usize> {
        let place = self.starts.partition_point(|start| *start <= from).checked_sub(1)?;
        let end = self.starts.get(place + 1).unwrap_or(&self.end);
        (to <= *end).then_some(place)
    }

    /// The UTC days that bounds cut, by their starts.
    pub fn cut_days(&self) -> BTreeMap<i64, CutDay> {
        let mut days = BTreeMap::new();
        for at in self.starts.iter().chain([&self.end]).copied().filter(|at| at.rem_euclid(DAY) != 0) {
            let day = at - at.rem_euclid(DAY);
            let is_only =
                days.get(&day).is_none_or(|cut| matches!(cut, CutDay::Once(bound) if bound.at == at));
            let (before, after) = (self.place_of(at - 1, at), self.place_of(at, at + 1));
            days.insert(day, if is_only { CutDay::Once(Bound { at, before, after }) } else { CutDay::Often });
        }
        days
    }

    /// The hours that bounds cut, by their starts.
    pub fn cut_hours(&self) -> BTreeSet<i64> {
        let bounds = self.starts.iter().chain([&self.end]);
        let hours = bounds.map(|at| (at, at - at.rem_euclid(HOUR)));
        hours.filter(|(at, hour)| *at != hour).map(|(_, hour)| hour).collect()
    }

    /// Starts and end.
    pub fn bounds(&self) -> Vec<i64> {
        self.starts.iter().copied().chain([self.end]).collect()
    }
}

/// A day that bounds cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutDay {
    Once(Bound),
    Often,
}

/// The only bound within a day, and the parts on its sides, if they are any. Of what a unit has as a whole, the shorter side is read,
/// and the rest is the longer one's: so of the day, and so of the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    pub at: i64,
    pub before: Option<usize>,
    pub after: Option<usize>,
}

impl Bound {
    fn day(&self) -> i64 {
        self.at - self.at.rem_euclid(DAY)
    }

    fn nearest_hour(&self) -> i64 {
        let later = self.at + HOUR / 2;
        later - later.rem_euclid(HOUR)
    }

    /// Whether the day is the part's after the bound, but for its first hours.
    pub fn is_early(&self) -> bool {
        self.at - self.day() <= DAY / 2
    }

    /// The hours on the shorter side, to the nearest.
    pub fn hours(&self) -> (i64, i64) {
        match self.is_early() {
            true => (self.day(), self.nearest_hour()),
            false => (self.nearest_hour(), self.day() + DAY),
        }
    }

    /// What lies between the bound and the nearest hour.
    pub fn minutes(&self) -> (i64, i64) {
        (self.at.min(self.nearest_hour()), self.at.max(self.nearest_hour()))
    }

    /// Whether that is before the bound.
    pub fn is_behind_hour(&self) -> bool {
        self.nearest_hour() < self.at
    }
}

/// The starts of `chunks` parts of equal width that tile `[start, end)`: part i starts at
/// `start + floor(i * (end - start) / chunks)`.
fn chunk_starts(start: i64, end: i64, chunks: u32) -> Vec<i64> {
    let width = i128::from(end) - i128::from(start);
    (0..chunks)
        .map(|part| i128::from(start) + i128::from(part) * width / i128::from(chunks))
        .filter_map(|at| i64::try_from(at).ok())
        .collect()
}

/// The starts of the UTC days of `[start, end)`: the first at `start` itself, the others at midnight.
fn day_starts(start: i64, end: i64) -> Vec<i64> {
    let first_midnight = start.div_euclid(DAY).checked_add(1).and_then(|day| day.checked_mul(DAY));
    let midnights = std::iter::successors(first_midnight, |midnight| midnight.checked_add(DAY));
    std::iter::once(start).chain(midnights.take_while(|&at| at < end)).collect()
}

/// How many points [`day_starts`] would give.
fn day_count(start: i64, end: i64) -> i64 {
    (end - 1).div_euclid(DAY) - start.div_euclid(DAY) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::END;
    use proptest::prelude::*;

    const JUNE: i64 = 1_748_736_000_000_000;

    #[test]
    fn days_start_at_the_start_and_then_at_midnight() {
        let days = day_starts(JUNE + 5, JUNE + 2 * DAY + 1);
        assert_eq!(days, [JUNE + 5, JUNE + DAY, JUNE + 2 * DAY]);
        assert_eq!(day_starts(JUNE, JUNE + DAY), [JUNE]);
        assert_eq!(day_starts(-5, 5), [-5, 0]);
        assert_eq!(day_starts(i64::MAX - 1, i64::MAX), [i64::MAX - 1]);
    }

    #[test]
    fn bounds_left_out_are_now_and_30_days_before_the_end() {
        let days = Parts::new(None, None, None, JUNE).expect("a range");
        assert_eq!((days.starts.len(), days.starts[0], days.end), (30, JUNE - 30 * DAY, JUNE));
        assert!(matches!(Parts::new(Some(JUNE), Some(JUNE), None, 0), Err(Error::EmptyRange { .. })));
        for chunks in [-1, 10_001] {
            assert_eq!(Parts::new(None, None, Some(chunks), JUNE).unwrap_err(), Error::BadChunks { chunks });
        }
        assert!(matches!(Parts::new(Some(FIRST), None, Some(0), JUNE), Err(Error::TooManyDays { .. })));
    }

    proptest! {
        #[test]
        fn chunks_tile_the_range(start in FIRST..END, width in 1..1_000_000_000_000_000_i64, chunks in 1..2_000_u32) {
            let end = start + width;
            let starts = chunk_starts(start, end, chunks);
            prop_assert_eq!(starts.len(), chunks as usize);
            prop_assert_eq!(starts[0], start);
            prop_assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]));
            let widths: Vec<i64> = starts.iter().skip(1).chain([&end]).zip(&starts).map(|(b, a)| b - a).collect();
            let (least, most) = (widths.iter().min(), widths.iter().max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1));
        }

        #[test]
        fn days_are_counted_before_they_are_made(start in -10 * DAY..10 * DAY, width in 1..20 * DAY) {
            let days = day_starts(start, start + width);
            prop_assert_eq!(i64::try_from(days.len()), Ok(day_count(start, start + width)));
        }

        #[test]
        fn cut_units_are_those_with_a_bound_within(
            start in JUNE - DAY..JUNE,
            chunks in 1..9_i32,
            // On full hours, and between them.
            width in prop_oneof![1..9 * DAY, (1..200_i64).prop_map(|hours| hours * HOUR), 1..9_i64],
            is_on_hour in any::<bool>(),
            at in -DAY..9 * DAY,
        ) {
            let start = if is_on_hour { start - start.rem_euclid(HOUR) } else { start };
            let parts = Parts::new(Some(start), Some(start + width), Some(chunks), 0).expect("a range");
            let bounds: BTreeSet<i64> = parts.bounds().into_iter().collect();
            let part_of = |at: i64| {
                let of = |(place, start): (usize, &i64)| {
                    let end = parts.starts.get(place + 1).unwrap_or(&parts.end);
                    (*start..*end).contains(&at).then_some(place)
                };
                parts.starts.iter().enumerate().find_map(of)
            };
            let at = start + at;
            prop_assert_eq!(parts.place_of(at, at + 1), part_of(at));
            for unit in [DAY, HOUR] {
                let from = at - at.rem_euclid(unit);
                let within: Vec<&i64> = bounds.range(from + 1..from + unit).collect();
                let whole = part_of(from).filter(|_| within.is_empty());
                prop_assert_eq!(parts.place_of(from, from + unit), whole);
                if unit == HOUR {
                    prop_assert_eq!(parts.cut_hours().contains(&from), !within.is_empty());
                    continue;
                }
                match (parts.cut_days().get(&from), &within[..]) {
                    (None, []) | (Some(CutDay::Often), [_, _, ..]) => {}
                    (Some(CutDay::Once(bound)), [at]) => {
                        prop_assert_eq!(*bound, Bound { at: **at, before: part_of(**at - 1), after: part_of(**at) });
                        // The sides again, as they are put together.
                        let ((hours_from, hours_to), (from_minute, to_minute)) = (bound.hours(), bound.minutes());
                        let is_before = |instant: i64| {
                            let is_in_hours = (hours_from..hours_to).contains(&instant);
                            let is_in_minutes = (from_minute..to_minute).contains(&instant);
                            if is_in_minutes { bound.is_behind_hour() } else { is_in_hours == bound.is_early() }
                        };
                        let instants = [from, **at - 1, **at, from_minute, to_minute, hours_from, hours_to, from + DAY - 1];
                        for instant in instants.into_iter().filter(|at| (from..from + DAY).contains(at)) {
                            prop_assert_eq!(is_before(instant), instant < **at, "{} of {:?}", instant, bound);
                        }
                        prop_assert!(hours_from % HOUR == 0 && hours_to % HOUR == 0 && hours_from >= from);
                        prop_assert!(hours_to - hours_from <= DAY / 2 && to_minute - from_minute <= HOUR / 2);
                    }
                    (cut, within) => prop_assert!(false, "{cut:?} of {within:?}"),
                }
            }
        }
    }
}
