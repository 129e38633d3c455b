//! The events of a rollup's row one by one, packed. Two packings are one when they are concatenated: there is no header,
//! and the order of the points has no meaning.

use integer_encoding::VarInt;

use crate::Error;

/// What a point takes at most: four numbers of 64 bits, 7 of them to a byte.
pub const MOST_BYTES: usize = 40;
/// The last microsecond of a bucket that leaves room for the requests beside it.
const MOST_AT: u64 = u64::MAX >> 2;
/// How -1 is written in two bits.
const TAKEN_BACK: u64 = 2;

/// What a rollup sums up of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Microseconds since the row's bucket began, from 0.
    pub at: i64,
    /// The app, 0: none. A row is of all apps, and each may be asked about alone.
    pub app_id: i64,
    /// 1, in a correction 0, in what takes a request back -1.
    pub requests: i32,
    pub input_tokens: i64,
    pub completion_tokens: i64,
}

impl Point {
    /// The bytes of the point, in the room that is given: the requests as the last two bits of `at`, the app, then the tokens.
    pub fn pack<'a>(&self, room: &'a mut [u8; MOST_BYTES]) -> Result<&'a [u8], Error> {
        let refused = |name: &str, value: i64, expected| Error::BadValue {
            name: name.into(),
            value: value.to_string(),
            expected,
        };
        let at = u64::try_from(self.at).ok().filter(|at| *at <= MOST_AT);
        let at = at.ok_or_else(|| refused("at", self.at, "microseconds from 0 to 2^62"))?;
        let requests = match self.requests {
            0 => 0,
            1 => 1,
            -1 => TAKEN_BACK,
            other => return Err(refused("requests", other.into(), "a number from -1 to 1")),
        };
        let mut end = (at << 2 | requests).encode_var(room);
        end += self.app_id.encode_var(&mut room[end..]);
        end += self.input_tokens.encode_var(&mut room[end..]);
        end += self.completion_tokens.encode_var(&mut room[end..]);
        Ok(&room[..end])
    }
}

/// The first point of the bytes, if it is of an app that is wanted, and the bytes behind it; `None` if there is no whole one.
#[inline]
fn split_first(bytes: &[u8], is_wanted: impl Fn(i64) -> bool) -> Option<(Option<Point>, &[u8])> {
    let (at, length) = u64::decode_var(bytes)?;
    let bytes = bytes.get(length..)?;
    let (app_id, length) = i64::decode_var(bytes)?;
    let bytes = bytes.get(length..)?;
    if !is_wanted(app_id) {
        return Some((None, behind_number(behind_number(bytes)?)?));
    }
    let (input_tokens, length) = i64::decode_var(bytes)?;
    let bytes = bytes.get(length..)?;
    let (completion_tokens, length) = i64::decode_var(bytes)?;
    let bytes = bytes.get(length..)?;
    let requests = match at & 3 {
        TAKEN_BACK => -1,
        requests => i32::from(requests == 1),
    };
    let point = Point { at: (at >> 2).cast_signed(), app_id, requests, input_tokens, completion_tokens };
    Some((Some(point), bytes))
}

/// The bytes behind a number, whose last byte alone is below 128. What has no end, or is longer than any, is no number.
#[inline]
fn behind_number(bytes: &[u8]) -> Option<&[u8]> {
    const MOST: usize = MOST_BYTES / 4;
    let last = bytes.iter().take(MOST).position(|byte| *byte < 0x80)?;
    bytes.get(last + 1..)
}

/// The points of a packing, up to the first that cannot be read.
pub fn unpack(packing: &[u8]) -> impl Iterator<Item = Result<Point, Error>> {
    unpack_wanted(packing, |_| true)
}

/// Those of the apps that are wanted: most of what others did need not be read.
fn unpack_wanted(
    packing: &[u8],
    is_wanted: impl Fn(i64) -> bool,
) -> impl Iterator<Item = Result<Point, Error>> {
    let mut rest = packing;
    std::iter::from_fn(move || {
        loop {
            let bytes = std::mem::take(&mut rest);
            if bytes.is_empty() {
                return None;
            }
            let Some((point, others)) = split_first(bytes, &is_wanted) else {
                let place = packing.len() - bytes.len();
                return Some(Err(Error::BadPoints { place, length: packing.len() }));
            };
            rest = others;
            if let Some(point) = point {
                return Some(Ok(point));
            }
        }
    })
}

/// The same points in ascending order: of two packings of the same points the same bytes.
pub fn sorted(packing: &[u8]) -> Result<Vec<u8>, Error> {
    let mut points = unpack(packing).collect::<Result<Vec<_>, _>>()?;
    points.sort_unstable();
    let mut sorted = Vec::with_capacity(packing.len());
    for point in points {
        sorted.extend_from_slice(point.pack(&mut [0; MOST_BYTES])?);
    }
    Ok(sorted)
}

/// What the points of a part sum up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub requests: i64,
    pub input_tokens: i64,
    pub completion_tokens: i64,
}

/// Sums on the way: wide enough for every packing, so that no order of its points is refused that another is not.
#[derive(Debug, Clone, Copy, Default)]
struct Running {
    requests: i64,
    input_tokens: i128,
    completion_tokens: i128,
}

impl Running {
    fn add(&mut self, point: &Point) {
        self.requests += i64::from(point.requests);
        self.input_tokens += i128::from(point.input_tokens);
        self.completion_tokens += i128::from(point.completion_tokens);
    }

    fn sums(&self) -> Result<Sums, Error> {
        let narrow = |name, sum| i64::try_from(sum).map_err(|_| Error::SumOfPoints { name });
        Ok(Sums {
            requests: self.requests,
            input_tokens: narrow("input_tokens", self.input_tokens)?,
            completion_tokens: narrow("completion_tokens", self.completion_tokens)?,
        })
    }
}

/// The sums of each part that has a point, ascending, of packings and their buckets. A point's part is the number of `starts`,
/// which ascend, that are not after `bucket + at`; an instant past the last one is infinity, as in PostgreSQL. Of all apps, or of
/// those that are given, which ascend.
pub fn by_part<'a>(
    rows: impl IntoIterator<Item = (&'a [u8], i64)>,
    starts: &[i64],
    apps: Option<&[i64]>,
) -> Result<Vec<(usize, Sums)>, Error> {
    let part_of = |instant: i64| starts.partition_point(|start| *start <= instant);
    let is_wanted = |app: i64| apps.is_none_or(|apps| apps.binary_search(&app).is_ok());
    let mut parts: Vec<Option<Running>> = vec![None; starts.len() + 1];
    for (packing, bucket) in rows {
        // Most buckets have at most one start within.
        let mut part = part_of(bucket);
        for point in unpack_wanted(packing, is_wanted) {
            let point = point?;
            let instant = bucket.saturating_add(point.at);
            let is_before = part > 0 && instant < starts[part - 1];
            if is_before || starts.get(part).is_some_and(|next| *next <= instant) {
                part = part_of(instant);
            }
            parts[part].get_or_insert_default().add(&point);
        }
    }
    let found = parts.iter().enumerate().filter_map(|(part, running)| Some((part, running.as_ref()?)));
    found.map(|(part, running)| Ok((part, running.sums()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn point(at: i64, requests: i32, input_tokens: i64, completion_tokens: i64) -> Point {
        of_app(0, at, requests, input_tokens, completion_tokens)
    }

    fn of_app(app_id: i64, at: i64, requests: i32, input_tokens: i64, completion_tokens: i64) -> Point {
        Point { at, app_id, requests, input_tokens, completion_tokens }
    }

    fn packed(points: &[Point]) -> Vec<u8> {
        let bytes = |point: &Point| point.pack(&mut [0; MOST_BYTES]).expect("at is not negative").to_vec();
        points.iter().flat_map(bytes).collect()
    }

    fn of_one(
        packing: &[u8],
        bucket: i64,
        starts: &[i64],
        apps: Option<&[i64]>,
    ) -> Result<Vec<(usize, Sums)>, Error> {
        by_part([(packing, bucket)], starts, apps)
    }

    fn unpacked(packing: &[u8]) -> Vec<Point> {
        unpack(packing).collect::<Result<_, _>>().expect("points")
    }

    #[test]
    fn a_usual_point_has_nine_to_eleven_bytes() {
        assert_eq!(packed(&[of_app(63, 50_000_000, 1, 2000, 500)]).len(), 9);
        assert_eq!(packed(&[of_app(8191, 299_999_999, 1, 2000, 500)]).len(), 11);
        assert_eq!(packed(&[point(0, 0, 0, 0)]), [0, 0, 0, 0]);
    }

    #[test]
    fn the_most_extreme_points_survive() {
        let last = MOST_AT.cast_signed();
        let points =
            [of_app(i64::MIN, last, -1, i64::MIN, i64::MAX), of_app(i64::MAX, last, 0, i64::MAX, i64::MIN)];
        assert_eq!(packed(&points).len(), 2 * MOST_BYTES);
        assert_eq!(unpacked(&packed(&points)), points);
    }

    #[test]
    fn no_point_is_before_its_bucket() {
        let error = point(-1, 1, 0, 0).pack(&mut [0; MOST_BYTES]).expect_err("negative");
        assert_eq!(error.message(), "invalid at: \"-1\"");
        let error = point(0, 2, 0, 0).pack(&mut [0; MOST_BYTES]).expect_err("more than one");
        assert_eq!(error.message(), "invalid requests: \"2\"");
    }

    #[test]
    fn a_bound_belongs_to_the_part_that_it_starts() {
        let packing = packed(&[9, 10, 11, 19, 20].map(|at| point(at, 1, 1, at)));
        let sums = |requests, completion_tokens| Sums { requests, input_tokens: requests, completion_tokens };
        let expected = vec![(1, sums(1, 9)), (2, sums(3, 40)), (4, sums(1, 20))];
        assert_eq!(of_one(&packing, 1000, &[1000, 1010, 1020, 1020], None), Ok(expected));
        assert_eq!(of_one(&packing, 1000, &[], None), Ok(vec![(0, sums(5, 69))]));
        assert_eq!(of_one(&[], 1000, &[1000], None), Ok(vec![]));
    }

    #[test]
    fn a_part_of_some_apps_has_no_others() {
        let packing = packed(&[of_app(1, 0, 1, 1, 10), of_app(2, 0, 1, 2, 20), of_app(3, 5, 1, 4, 40)]);
        let of = |apps: &[i64]| of_one(&packing, 0, &[5], Some(apps)).expect("parts");
        let sums =
            |requests, input_tokens, completion_tokens| Sums { requests, input_tokens, completion_tokens };
        assert_eq!(of(&[2, 3]), [(0, sums(1, 2, 20)), (1, sums(1, 4, 40))]);
        assert_eq!(of(&[1, 2, 9]), [(0, sums(2, 3, 30))]);
        assert_eq!(of(&[]), []);
    }

    #[test]
    fn rows_are_added_up() {
        let (early, late) =
            (packed(&[point(0, 1, 1, 10), point(9, 1, 2, 20)]), packed(&[point(1, 1, 4, 40)]));
        let sums =
            |requests, input_tokens, completion_tokens| Sums { requests, input_tokens, completion_tokens };
        let parts = by_part([(&early[..], 0), (&late[..], 10), (&early[..], 10)], &[5], None);
        assert_eq!(parts, Ok(vec![(0, sums(1, 1, 10)), (1, sums(4, 9, 90))]));
    }

    #[test]
    fn an_instant_past_the_last_is_infinity() {
        let packing = packed(&[point(10, 1, 1, 1)]);
        let parts = of_one(&packing, i64::MAX - 5, &[0, i64::MAX], None).expect("parts");
        assert_eq!(parts.iter().map(|(part, _)| *part).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_correction_counts_its_tokens_and_what_it_says_of_requests() {
        let taken_back = packed(&[point(5, 1, 10, 20), point(5, -1, -10, -20)]);
        assert_eq!(of_one(&taken_back, 0, &[], None), Ok(vec![(0, Sums::default())]));
        let packing = packed(&[point(5, 1, 10, 20), point(5, 0, -10, -20), point(6, 0, 0, 0)]);
        assert_eq!(
            of_one(&packing, 0, &[0, 6], None),
            Ok(vec![(1, Sums { requests: 1, input_tokens: 0, completion_tokens: 0 }), (2, Sums::default()),])
        );
    }

    #[test]
    fn a_sum_does_not_wrap() {
        let refused =
            |points: &[Point]| of_one(&packed(points), 0, &[], None).expect_err("too much").message();
        let most = [point(0, 1, i64::MAX, 0), point(0, 1, 1, 0)];
        assert_eq!(refused(&most), "the sum of input_tokens is out of range");
        let least = [point(0, 0, 0, i64::MIN), point(0, 0, 0, -1)];
        assert_eq!(refused(&least), "the sum of completion_tokens is out of range");
    }

    #[test]
    fn a_sum_may_come_back_into_its_range() {
        let packing = packed(&[i64::MAX, 1, -1].map(|tokens| point(0, 0, tokens, 0)));
        let sums = Sums { requests: 0, input_tokens: i64::MAX, completion_tokens: 0 };
        assert_eq!(of_one(&packing, 0, &[], None), Ok(vec![(0, sums)]));
    }

    #[test]
    fn half_a_point_is_found() {
        let whole = packed(&[point(50_000_000, 1, 2000, 500), point(0, 1, 1, 64)]);
        for (length, place) in [(1, 0), (8, 0), (10, 9), (13, 9)] {
            let error = Error::BadPoints { place, length };
            assert_eq!(unpack(&whole[..length]).last(), Some(Err(error.clone())));
            assert_eq!(of_one(&whole[..length], 0, &[], None), Err(error.clone()));
            assert_eq!(sorted(&whole[..length]), Err(error));
        }
        assert_eq!(unpack(&[0xFF; 20]).count(), 1);
    }

    prop_compose! {
        fn any_point()(
            at in prop_oneof![9 => 0..300i64, 1 => 0..=MOST_AT.cast_signed()],
            app_id in prop_oneof![9 => 0..5i64, 1 => any::<i64>()],
            requests in -1..=1i32,
            input_tokens in tokens(),
            completion_tokens in tokens(),
        ) -> Point {
            of_app(app_id, at, requests, input_tokens, completion_tokens)
        }
    }

    fn tokens() -> impl Strategy<Value = i64> {
        prop_oneof![9 => -3000..3000i64, 1 => any::<i64>()]
    }

    fn any_points() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec(any_point(), 0..40)
    }

    /// What `by_part` must answer: in 128 bits, and with a look at each start.
    fn naive(
        points: &[Point],
        bucket: i64,
        starts: &[i64],
        apps: Option<&[i64]>,
    ) -> Option<Vec<(usize, Sums)>> {
        let mut parts: BTreeMap<usize, (i64, i128, i128)> = BTreeMap::new();
        for point in points.iter().filter(|point| apps.is_none_or(|apps| apps.contains(&point.app_id))) {
            let part = starts.iter().filter(|start| **start <= bucket.saturating_add(point.at)).count();
            let sums = parts.entry(part).or_default();
            sums.0 += i64::from(point.requests);
            sums.1 += i128::from(point.input_tokens);
            sums.2 += i128::from(point.completion_tokens);
        }
        let narrow = |(part, (requests, input, completion)): (usize, (i64, i128, i128))| {
            let (input_tokens, completion_tokens) = (input.try_into().ok()?, completion.try_into().ok()?);
            Some((part, Sums { requests, input_tokens, completion_tokens }))
        };
        parts.into_iter().map(narrow).collect()
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(points in any_points()) {
            prop_assert_eq!(unpacked(&packed(&points)), points);
        }

        #[test]
        fn to_concatenate_is_to_unite(some in any_points(), others in any_points()) {
            let united = [packed(&some), packed(&others)].concat();
            prop_assert_eq!(unpacked(&united), [some, others].concat());
        }

        #[test]
        fn the_sorted_packing_knows_no_order(
            (points, shuffled) in any_points().prop_flat_map(|points| (Just(points.clone()), Just(points).prop_shuffle())),
        ) {
            let bytes = sorted(&packed(&points)).expect("points");
            prop_assert_eq!(&sorted(&packed(&shuffled)).expect("points"), &bytes);
            prop_assert_eq!(&sorted(&bytes).expect("points"), &bytes);
            let mut ascending = points;
            ascending.sort();
            prop_assert_eq!(unpacked(&bytes), ascending);
        }

        #[test]
        fn parts_are_those_of_the_naive_count(
            points in prop::collection::vec(any_point(), 0..40),
            bucket in prop_oneof![9 => -50..50i64, 1 => any::<i64>()],
            mut starts in prop::collection::vec(prop_oneof![9 => -100..400i64, 1 => any::<i64>()], 0..12),
            apps in prop::option::of(prop::collection::btree_set(0..5i64, 0..4)),
        ) {
            starts.sort_unstable();
            let apps: Option<Vec<i64>> = apps.map(Vec::from_iter);
            let parts = of_one(&packed(&points), bucket, &starts, apps.as_deref());
            prop_assert_eq!(parts.ok(), naive(&points, bucket, &starts, apps.as_deref()));
        }

        #[test]
        fn any_bytes_are_points_or_refused(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xFFu8], 0..80),
            starts in prop::collection::vec(any::<i64>(), 0..5),
        ) {
            let read: Result<Vec<Point>, Error> = unpack(&bytes).collect();
            let is_refused = matches!(read, Err(Error::BadPoints { .. }));
            prop_assert_eq!(is_refused, sorted(&bytes).is_err());
            // Starts that do not ascend give no useful answer, and no panic.
            prop_assert!(!is_refused || of_one(&bytes, 0, &starts, None).is_err());
        }
    }
}
