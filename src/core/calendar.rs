//! Instants in UTC as microseconds since 1970, their ISO 8601 text, and the cutting of a range into parts.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime};
use serde::{Serialize, Serializer};

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;
/// Of an hour.
pub const HOUR: i64 = DAY / 24;
/// Of a minute.
pub const MINUTE: i64 = HOUR / 60;
/// 0001-01-01T00:00:00Z: the first instant an event can have.
pub const FIRST: i64 = -62_135_596_800_000_000;
/// 10000-01-01T00:00:00Z: the first instant after the last one an event can have.
pub const END: i64 = 253_402_300_800_000_000;

/// An instant as the documented answers write it: `Z`, no fraction, or six digits where the microseconds are not 0.
pub fn format_instant(instant: i64) -> Option<String> {
    if !(FIRST..END).contains(&instant) {
        return None;
    }
    let pattern = match instant.rem_euclid(1_000_000) {
        0 => "%Y-%m-%dT%H:%M:%SZ",
        _ => "%Y-%m-%dT%H:%M:%S%.6fZ",
    };
    let time = DateTime::from_timestamp_micros(instant)?;
    Some(time.format(pattern).to_string())
}

/// A day as `YYYY-MM-DD`. A report has one of each day of years: to make a text of each takes longer than to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day([u8; 10]);

impl Day {
    /// Counted from 1970; `None` if no event can have it.
    pub fn of(day: i64) -> Option<Self> {
        const SINCE_YEAR_1: i64 = 1 - FIRST / DAY;
        let day = Some(day).filter(|day| (FIRST / DAY..END / DAY).contains(day))?;
        let date = NaiveDate::from_num_days_from_ce_opt(i32::try_from(day + SINCE_YEAR_1).ok()?)?;
        let mut letters = *b"0000-00-00";
        for (end, number) in [(4, date.year().unsigned_abs()), (7, date.month()), (10, date.day())] {
            let mut rest = number;
            for digit in letters[..end].iter_mut().rev().take_while(|letter| **letter != b'-') {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        Some(Self(letters))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An ISO 8601 instant: a date alone, `T` or a blank before the time, seconds and up to six digits of fraction or not,
/// `Z`, `+02:00`, `+0200`, `+02` or no offset (then UTC). Anything else is `None`.
pub fn parse_instant(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.as_bytes());
    let date = cursor.date()?;
    let instant = if cursor.0.is_empty() {
        date.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
    } else {
        cursor.one_of(b"Tt ")?;
        let time = cursor.time()?;
        let offset = cursor.offset()?;
        NaiveDateTime::new(date, time).and_utc().timestamp_micros() - offset * 1_000_000
    };
    (cursor.0.is_empty() && (FIRST..END).contains(&instant)).then_some(instant)
}

/// Whether this is a date `YYYY-MM-DD` and nothing else.
pub fn is_day(text: &str) -> bool {
    text.len() == "YYYY-MM-DD".len() && parse_instant(text).is_some()
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn one_of(&mut self, set: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        set.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn number(&mut self, digits: usize) -> Option<u32> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        if !head.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        std::str::from_utf8(head).ok()?.parse().ok()
    }

    fn date(&mut self) -> Option<NaiveDate> {
        let year = self.number(4)?;
        self.one_of(b"-")?;
        let month = self.number(2)?;
        self.one_of(b"-")?;
        let day = self.number(2)?;
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
    }

    fn time(&mut self) -> Option<NaiveTime> {
        let hour = self.number(2)?;
        self.one_of(b":")?;
        let minute = self.number(2)?;
        let (mut second, mut micros) = (0, 0);
        if self.one_of(b":").is_some() {
            second = self.number(2)?;
            if self.one_of(b".").is_some() {
                micros = self.fraction()?;
            }
        }
        NaiveTime::from_hms_micro_opt(hour, minute, second, micros)
    }

    fn fraction(&mut self) -> Option<u32> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&digits) {
            return None;
        }
        let value = self.number(digits)?;
        Some(value * 10_u32.pow(6 - u32::try_from(digits).ok()?))
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.number(2)?;
        let colon = self.one_of(b":").is_some();
        let minutes = match self.0.is_empty() && !colon {
            true => 0,
            false => self.number(2)?,
        };
        (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
    }
}

fn first_of_month(at: i64) -> Option<NaiveDate> {
    DateTime::from_timestamp_micros(at)?.date_naive().with_day(1)
}

fn midnight(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}

/// Where the month of an instant starts.
pub fn month(at: i64) -> i64 {
    first_of_month(at).map_or(at, midnight)
}

/// Where the month after that of an instant starts.
pub fn next_month(at: i64) -> i64 {
    first_of_month(at).and_then(|first| first.checked_add_months(Months::new(1))).map_or(at, midnight)
}

/// When each month begins that `[from, to)` has a part of.
pub fn months(from: i64, to: i64) -> impl Iterator<Item = i64> {
    let begins = std::iter::successors(Some(month(from)), |begins| Some(next_month(*begins)));
    begins.take_while(move |begins| *begins < to)
}

/// The instant at which a day since 1970 starts, or the nearest just outside of those that events can have: any day may be
/// asked for, infinite ones included.
pub fn day_start(day: i64) -> i64 {
    day.clamp(FIRST / DAY - 1, END / DAY) * DAY
}

/// The days `[from, to)`, since 1970, that `budget_usage` is asked for by its first and last day. Neither: the month of
/// today. No first: from the start of the last one's month. No last: to the end of today.
pub fn asked_days(first: Option<i64>, last: Option<i64>, today: i64) -> (i64, i64) {
    let from = first.unwrap_or_else(|| month(day_start(last.unwrap_or(today))) / DAY);
    let to = match (first, last) {
        (_, Some(last)) => last.saturating_add(1),
        (Some(_), None) => today + 1,
        (None, None) => next_month(day_start(today)) / DAY,
    };
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JUNE: i64 = 1_748_736_000_000_000;

    #[test]
    fn instants_are_written_with_no_or_six_digits() {
        assert_eq!(format_instant(JUNE).as_deref(), Some("2025-06-01T00:00:00Z"));
        assert_eq!(format_instant(JUNE + 1).as_deref(), Some("2025-06-01T00:00:00.000001Z"));
        assert_eq!(format_instant(JUNE - 100_000).as_deref(), Some("2025-05-31T23:59:59.900000Z"));
        assert_eq!(format_instant(FIRST).as_deref(), Some("0001-01-01T00:00:00Z"));
        assert_eq!(format_instant(END - 1).as_deref(), Some("9999-12-31T23:59:59.999999Z"));
        assert_eq!(format_instant(FIRST - 1), None);
        assert_eq!(format_instant(END), None);
    }

    #[test]
    fn days_are_written_with_four_digits_of_the_year() {
        for (day, text) in
            [(JUNE / DAY, "2025-06-01"), (FIRST / DAY, "0001-01-01"), (END / DAY - 1, "9999-12-31")]
        {
            assert_eq!(Day::of(day).as_ref().map(Day::as_str), Some(text));
        }
        assert_eq!(Day::of(FIRST / DAY - 1), None);
        assert_eq!(Day::of(END / DAY), None);
        assert_eq!(Day::of(i64::MAX), None);
    }

    #[test]
    fn iso_8601_in_all_documented_spellings() {
        let same = [
            "2025-06-01",
            "2025-06-01T00:00:00",
            "2025-06-01 00:00",
            "2025-06-01T00:00:00.000000Z",
            "2025-06-01T02:00:00+02:00",
            "2025-06-01T02:00:00+0200",
            "2025-05-31T20:30:00-03:30",
            "2025-06-01T05:45:00.0+05:45",
        ];
        for text in same {
            assert_eq!(parse_instant(text), Some(JUNE), "{text}");
        }
        assert_eq!(parse_instant("2025-06-01T00:00:00.5"), Some(JUNE + 500_000));
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = [
            "",
            " 2025-06-01",
            "2025-06-01 ",
            "2025-6-1",
            "2025-02-30",
            "2025-13-01",
            "20250601",
            "2025-06-01T",
            "2025-06-01T02",
            "2025-06-01T24:00",
            "2025-06-01T00:60",
            "2025-06-01T00:00:60",
            "2025-06-01T00:00:00.",
            "2025-06-01T00:00:00.1234567",
            "2025-06-01T00:00:00+",
            "2025-06-01T00:00:00+2",
            "2025-06-01T00:00:00+24:00",
            "2025-06-01T00:00:00+02:",
            "2025-06-01T00:00:00 Z",
            "+2025-06-01",
            "0000-01-01",
            "10000-01-01",
            "now",
            "infinity",
            "2025-06-01T00:00:00Z\0",
            "２025-06-01",
            "0001-01-01T00:00:00+01:00",
        ];
        for text in refused {
            assert_eq!(parse_instant(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_what_was_written_gives_it_back(instant in FIRST..END) {
            let text = format_instant(instant).expect("in the calendar");
            prop_assert_eq!(parse_instant(&text), Some(instant));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*", near in "[0-9T:+. Z-]{0,40}") {
            parse_instant(&text);
            parse_instant(&near);
        }
    }
}
