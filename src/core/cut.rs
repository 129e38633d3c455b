//! A range of instants cut as rollups answer it: whole months, the whole days around them, the whole hours around those,
//! and the edges, which no whole hour covers.

use crate::calendar::{DAY, END, FIRST, HOUR, MINUTE, month, next_month};

/// The bounds, in microseconds since 1970, never descending from `first` to `last`: what lies between two neighbours is
/// empty where there is no whole month, day or hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub first: i64,
    pub first_hour: i64,
    pub first_day: i64,
    pub first_month: i64,
    pub last_month: i64,
    pub last_day: i64,
    pub last_hour: i64,
    pub last: i64,
}

impl Cut {
    /// `[from, to)`, within the instants that events can have; `None` is no bound.
    pub fn of(from: Option<i64>, to: Option<i64>) -> Self {
        let first = from.unwrap_or(FIRST).clamp(FIRST, END);
        let last = to.unwrap_or(END).clamp(first, END);
        let (first_hour, last_hour) = whole(first, last, |at| at - at.rem_euclid(HOUR), |at| at + HOUR);
        let (first_day, last_day) = whole(first_hour, last_hour, |at| at - at.rem_euclid(DAY), |at| at + DAY);
        let (first_month, last_month) = whole(first_day, last_day, month, next_month);
        Self { first, first_hour, first_day, first_month, last_month, last_day, last_hour, last }
    }
}

impl Cut {
    /// The parts of hours at the ends, each of one hour.
    pub fn ends(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let ends = [(self.first, self.first_hour), (self.last_hour, self.last)];
        ends.into_iter().filter(|(from, to)| from < to)
    }

    /// The whole minutes of those.
    pub fn minutes(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        self.ends().map(whole_minutes).filter(|(from, to)| from < to)
    }

    /// The parts of those that are in no whole minute, each of one minute.
    pub fn seconds(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let beside = |(first, last)| {
            let (first_minute, last_minute) = whole_minutes((first, last));
            [(first, first_minute), (last_minute, last)]
        };
        self.ends().flat_map(beside).filter(|(from, to)| from < to)
    }
}

fn whole_minutes((first, last): (i64, i64)) -> (i64, i64) {
    whole(first, last, |at| at - at.rem_euclid(MINUTE), |at| at + MINUTE)
}

/// The whole units within `[first, last)`, given how a unit starts and where the next one does.
fn whole(first: i64, last: i64, start: impl Fn(i64) -> i64, next: impl Fn(i64) -> i64) -> (i64, i64) {
    let floor = start(first);
    let whole_first = if floor == first { first } else { next(floor).min(last) };
    (whole_first, start(last).clamp(whole_first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::parse_instant;
    use proptest::prelude::*;

    fn cut(from: &str, to: &str) -> [i64; 8] {
        parts(Cut::of(parse_instant(from), parse_instant(to)))
    }

    fn parts(cut: Cut) -> [i64; 8] {
        let Cut { first, first_hour, first_day, first_month, last_month, last_day, last_hour, last } = cut;
        [first, first_hour, first_day, first_month, last_month, last_day, last_hour, last]
    }

    fn instants(texts: [&str; 8]) -> [i64; 8] {
        texts.map(|text| parse_instant(text).unwrap())
    }

    #[test]
    fn whole_units_lie_within_each_other() {
        let expected = instants([
            "2024-01-30T22:59:59.999999Z",
            "2024-01-30T23:00Z",
            "2024-01-31",
            "2024-02-01",
            "2024-03-01",
            "2024-03-02",
            "2024-03-02T01:00Z",
            "2024-03-02T01:00:00.000001Z",
        ]);
        assert_eq!(cut("2024-01-30T22:59:59.999999Z", "2024-03-02T01:00:00.000001Z"), expected);
    }

    #[test]
    fn without_whole_units_they_are_empty() {
        let [first, first_hour, .., last] = cut("2024-01-30T22:10Z", "2024-01-30T22:50Z");
        assert_eq!((first_hour, last), (last, parse_instant("2024-01-30T22:50Z").unwrap()));
        assert!(first < first_hour);
        let day = cut("2024-01-30T22:00Z", "2024-01-31T02:00Z");
        assert_eq!(day[2], day[5]);
        assert_eq!(day[2], parse_instant("2024-01-31").unwrap());
    }

    #[test]
    fn what_is_open_or_turned_around_has_bounds() {
        let all = parts(Cut::of(None, None));
        assert_eq!(all, [FIRST, FIRST, FIRST, FIRST, END, END, END, END]);
        assert_eq!(parts(Cut::of(Some(i64::MIN), Some(i64::MAX))), all);
        assert_eq!(parts(Cut::of(Some(DAY + 5), Some(7))), [DAY + 5; 8]);
    }

    proptest! {
        #[test]
        fn ends_are_what_is_in_no_whole_hour(from in 0..5 * HOUR, width in 0..3 * HOUR, is_round in any::<(bool, bool)>()) {
            let round = |at: i64, is_round| if is_round { at - at.rem_euclid(HOUR) } else { at };
            let (from, to) = (round(from, is_round.0), round(from + width, is_round.1));
            let cut = Cut::of(Some(from), Some(to));
            for at in [from - 1, from, from + 1, to - 1, to, to + 1].into_iter().chain((0..80).map(|part| part * HOUR / 10 + 7)) {
                let is_at_end = cut.ends().filter(|(from, to)| (*from..*to).contains(&at)).count();
                let is_whole = (cut.first_hour..cut.last_hour).contains(&at);
                prop_assert_eq!(is_at_end + usize::from(is_whole), usize::from((cut.first..cut.last).contains(&at)));
            }
            prop_assert!(cut.ends().all(|(from, to)| from.div_euclid(HOUR) == (to - 1).div_euclid(HOUR)));
        }

        #[test]
        fn minutes_and_seconds_are_the_ends(from in 0..3 * HOUR, width in prop_oneof![0..3 * HOUR, 0..3 * MINUTE], is_round in any::<(bool, bool)>()) {
            let round = |at: i64, is_round| if is_round { at - at.rem_euclid(MINUTE) } else { at };
            let (from, to) = (round(from, is_round.0), round(from + width, is_round.1));
            let cut = Cut::of(Some(from), Some(to));
            let bounds = [from, to].into_iter().flat_map(|at| [-MINUTE, -1, 0, 1, MINUTE].map(|beside| at + beside));
            for at in bounds.chain((0..400).map(|part| part * MINUTE + part)) {
                let count = |parts: &mut dyn Iterator<Item = (i64, i64)>| parts.filter(|(from, to)| (*from..*to).contains(&at)).count();
                prop_assert_eq!(count(&mut cut.minutes()) + count(&mut cut.seconds()), count(&mut cut.ends()));
            }
            prop_assert!(cut.minutes().all(|(from, to)| from.rem_euclid(MINUTE) == 0 && to.rem_euclid(MINUTE) == 0));
            prop_assert!(cut.minutes().all(|(from, to)| from.div_euclid(HOUR) == (to - 1).div_euclid(HOUR)));
            prop_assert!(cut.seconds().all(|(from, to)| from.div_euclid(MINUTE) == (to - 1).div_euclid(MINUTE)));
        }

        #[test]
        fn bounds_ascend_and_stand_at_the_start_of_their_units(
            from in FIRST..END, width in prop_oneof![0..2 * HOUR, 0..3 * DAY, 0..100 * DAY, 0..(END - FIRST)]
        ) {
            let to = from.saturating_add(width).min(END);
            let cut = Cut::of(Some(from), Some(to));
            let bounds = parts(cut);
            prop_assert!(bounds.is_sorted());
            prop_assert_eq!((cut.first, cut.last), (from, to));
            for (unit, first, last) in [(HOUR, cut.first_hour, cut.last_hour), (DAY, cut.first_day, cut.last_day)] {
                // Empty, or whole units with less than one on either side.
                prop_assert!(first == last || (first.rem_euclid(unit) == 0 && last.rem_euclid(unit) == 0));
                prop_assert!(first == last || (first - from < unit && to - last < unit));
                prop_assert!(first != last || to - from < 2 * unit);
            }
            prop_assert!(cut.first_month == cut.last_month || month(cut.first_month) == cut.first_month);
            prop_assert!(cut.first_month == cut.last_month || month(cut.last_month) == cut.last_month);
            prop_assert!(cut.first_month != cut.last_month || to - from < 63 * DAY);
        }
    }
}
