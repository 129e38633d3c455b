//! The parts that `model_usage_statistics` cuts a range into (seed 004_5d6b33da109cc5b1).

use crate::Error;
use crate::calendar::{DAY, FIRST};

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
    }
}
