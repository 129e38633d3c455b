//! Budget periods as local days: what holds `today`, and where the next one begins.

use chrono::{DateTime, Datelike, NaiveDate};

use crate::calendar::{DAY, day_start};

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Day,
    Week,
    Months(i64),
}

impl Period {
    /// From a word of `budgets.period`, but `rolling`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            _ => return None,
        })
    }

    /// The first days, since 1970, of the period that holds `today` and of the one after it. A week begins on the anchor's
    /// weekday, without an anchor on Monday; months begin on the anchor's day, in a shorter month on the last one, quarters
    /// and years in its month, without an anchor on the first and in January. The anchor may lie ahead.
    pub fn around(self, anchor: Option<i64>, today: i64) -> (i64, i64) {
        let length = match self {
            Self::Day => return (today, today + 1),
            Self::Week => {
                // 1970-01-05 was a Monday.
                let first = today - (today - anchor.unwrap_or(4)).rem_euclid(7);
                return (first, first + 7);
            }
            Self::Months(length) => length,
        };
        let (anchor, day_of_month) =
            anchor.and_then(date).map_or((0, 1), |anchor| (month_number(anchor), i64::from(anchor.day())));
        let this = date(today).map_or(0, month_number);
        let month = this - (this - anchor).rem_euclid(length);
        let start = |month| day_in_month(month, day_of_month);
        match start(month) <= today {
            true => (start(month), start(month + length)),
            false => (start(month - length), start(month)),
        }
    }
}

fn date(day: i64) -> Option<NaiveDate> {
    DateTime::from_timestamp_micros(day_start(day)).map(|start| start.date_naive())
}

/// Months since 1970.
fn month_number(date: NaiveDate) -> i64 {
    (i64::from(date.year()) - 1970) * 12 + i64::from(date.month0())
}

/// That day of a month, or its last one, in days since 1970.
fn day_in_month(month: i64, day: i64) -> i64 {
    let first = |month: i64| {
        let (year, month) = (1970 + month.div_euclid(12), month.rem_euclid(12) + 1);
        let date = NaiveDate::from_ymd_opt(year.try_into().ok()?, month.try_into().ok()?, 1)?;
        Some(date.and_time(Default::default()).and_utc().timestamp_micros() / DAY)
    };
    match (first(month), first(month + 1)) {
        (Some(this), Some(next)) => (this + day - 1).min(next - 1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::parse_instant;
    use proptest::prelude::*;

    fn day(text: &str) -> i64 {
        parse_instant(text).unwrap() / DAY
    }

    #[test]
    fn a_month_starts_on_the_last_day_of_a_shorter_one() {
        let period = |anchor, today| Period::Months(1).around(Some(day(anchor)), day(today));
        assert_eq!(period("2000-01-31", "2025-02-27"), (day("2025-01-31"), day("2025-02-28")));
        assert_eq!(period("2000-01-31", "2025-02-28"), (day("2025-02-28"), day("2025-03-31")));
        assert_eq!(period("2099-12-30", "2024-02-29"), (day("2024-02-29"), day("2024-03-30")));
        assert_eq!(period("2000-01-15", "1969-12-31"), (day("1969-12-15"), day("1970-01-15")));
        let month = Period::Months(1).around(None, day("2025-12-31"));
        assert_eq!(month, (day("2025-12-01"), day("2026-01-01")));
    }

    #[test]
    fn quarters_and_years_start_in_the_month_of_the_anchor() {
        let quarter = |anchor, today| Period::Months(3).around(anchor, day(today));
        assert_eq!(quarter(None, "2025-06-30"), (day("2025-04-01"), day("2025-07-01")));
        let anchor = Some(day("2030-11-30"));
        assert_eq!(quarter(anchor, "2025-03-01"), (day("2025-02-28"), day("2025-05-30")));
        assert_eq!(quarter(anchor, "2025-02-27"), (day("2024-11-30"), day("2025-02-28")));
        let leap = Period::Months(12).around(Some(day("2024-02-29")), day("2025-03-01"));
        assert_eq!(leap, (day("2025-02-28"), day("2026-02-28")));
    }

    #[test]
    fn weeks_start_on_monday_or_on_the_weekday_of_the_anchor() {
        assert_eq!(Period::Week.around(None, day("2025-06-08")), (day("2025-06-02"), day("2025-06-09")));
        let wednesday = Some(day("2031-01-01"));
        assert_eq!(Period::Week.around(wednesday, day("2025-06-03")), (day("2025-05-28"), day("2025-06-04")));
        assert_eq!(Period::Week.around(None, day("1969-12-31")), (day("1969-12-29"), day("1970-01-05")));
    }

    proptest! {
        #[test]
        fn periods_tile_the_days(
            word in prop::sample::select(&["day", "week", "month", "quarter", "year"][..]),
            anchor in prop::option::of(-100_000..100_000_i64), today in -300_000..300_000_i64
        ) {
            let period = Period::parse(word).unwrap();
            let (first, next) = period.around(anchor, today);
            prop_assert!(first <= today && today < next);
            prop_assert_eq!(period.around(anchor, first), (first, next));
            prop_assert_eq!(period.around(anchor, next - 1), (first, next));
            prop_assert_eq!(period.around(anchor, next).0, next);
        }
    }
}
