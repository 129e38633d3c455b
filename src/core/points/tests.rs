use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn point(at: i64, requests: i32, input_tokens: i64, completion_tokens: i64) -> Point {
    Point { at, requests, input_tokens, completion_tokens }
}

fn packed(points: &[Point]) -> Vec<u8> {
    pack(points.to_vec()).expect("points")
}

fn loose(points: &[Point]) -> Vec<u8> {
    let bytes = |point: &Point| point.loosely(&mut [0; LOOSE_BYTES]).expect("a point").to_vec();
    points.iter().flat_map(bytes).collect()
}

fn ascending(mut points: Vec<Point>) -> Vec<Point> {
    points.sort();
    points
}

fn of_one(packing: &[u8], bucket: i64, bounds: &[i64]) -> Result<Vec<(usize, Sums)>, Error> {
    by_part([(packing, bucket)], bounds)
}

fn sums(requests: i64, input_tokens: i64, completion_tokens: i64) -> Sums {
    Sums { requests, input_tokens, completion_tokens }
}

fn unpacked(packing: &[u8]) -> Vec<Point> {
    unpack(packing).expect("points")
}

/// `count` points a second apart.
fn many(count: i64) -> Vec<Point> {
    (0..count).map(|n| point(n * 1_000_000, 1, 2000 + n, 500)).collect()
}

#[test]
fn a_usual_point_has_eight_or_nine_bytes() {
    assert_eq!(packed(&[point(50_000_000, 1, 2000, 500)]).len(), 1 + 8);
    assert_eq!(packed(&[point(3_599_999_999, 1, 2000, 500)]).len(), 1 + 9);
    assert_eq!(packed(&[point(0, 0, 0, 0)]), [1, 0, 0, 0]);
    assert!(packed(&[]).is_empty());
    assert_eq!(packed(&many(32)).len(), 1 + 253);
    // With the sums of ten stretches.
    assert_eq!(packed(&many(300)).len(), 2390 + 137);
}

#[test]
fn the_most_extreme_points_survive() {
    let last = MOST_AT;
    let points = [point(last, -1, i64::MIN, i64::MAX), point(last, 0, i64::MAX, i64::MIN)];
    assert_eq!(loose(&points).len(), 2 * LOOSE_BYTES);
    assert_eq!(unpacked(&packed(&points)), ascending(points.to_vec()));
}

#[test]
fn no_point_is_before_its_bucket() {
    let refused = |point: Point| {
        let error = pack(vec![point]).expect_err("a bad point");
        assert_eq!(point.loosely(&mut [0; LOOSE_BYTES]), Err(error.clone()));
        error.message()
    };
    assert_eq!(refused(point(-1, 1, 0, 0)), "invalid at: \"-1\"");
    assert_eq!(refused(point(MOST_AT + 1, 1, 0, 0)), "invalid at: \"4611686018427387904\"");
    assert_eq!(refused(point(0, 2, 0, 0)), "invalid requests: \"2\"");
}

#[test]
fn a_bound_belongs_to_the_part_that_it_starts() {
    let packing = packed(&[9, 10, 11, 19, 20].map(|at| point(at, 1, 1, at)));
    let expected = vec![(1, sums(1, 1, 9)), (2, sums(3, 3, 40)), (4, sums(1, 1, 20))];
    assert_eq!(of_one(&packing, 1000, &[1000, 1010, 1020, 1020, 1021]), Ok(expected));
    // What is before the first bound or after the last is in no part.
    assert_eq!(of_one(&packing, 1000, &[1010, 1020]), Ok(vec![(1, sums(3, 3, 40))]));
    assert_eq!(of_one(&packing, 1000, &[1010]), Ok(vec![]));
    assert_eq!(of_one(&packing, 1000, &[]), Ok(vec![]));
    assert_eq!(of_one(&[], 1000, &[1000, 2000]), Ok(vec![]));
}

#[test]
fn rows_are_added_up() {
    let (early, late) = (packed(&[point(0, 1, 1, 10), point(9, 1, 2, 20)]), packed(&[point(1, 1, 4, 40)]));
    let parts = by_part([(&early[..], 0), (&late[..], 10), (&early[..], 10)], &[0, 5, 20]);
    assert_eq!(parts, Ok(vec![(1, sums(1, 1, 10)), (2, sums(4, 9, 90))]));
}

#[test]
fn an_instant_past_the_last_is_infinity() {
    let packing = packed(&[point(10, 1, 1, 1)]);
    assert_eq!(of_one(&packing, i64::MAX - 5, &[0, i64::MAX]), Ok(vec![]));
    assert_eq!(of_one(&packing, i64::MAX - 10, &[0, i64::MAX, i64::MAX]), Ok(vec![]));
    assert_eq!(of_one(&packing, i64::MAX - 11, &[0, i64::MAX]), Ok(vec![(1, sums(1, 1, 1))]));
}

#[test]
fn a_correction_counts_its_tokens_and_what_it_says_of_requests() {
    let taken_back = packed(&[point(5, 1, 10, 20), point(5, -1, -10, -20)]);
    assert_eq!(of_one(&taken_back, 0, &[0, 10]), Ok(vec![(1, Sums::default())]));
    let packing = packed(&[point(5, 1, 10, 20), point(5, 0, -10, -20), point(6, 0, 0, 0)]);
    let expected = vec![(1, sums(1, 0, 0)), (2, Sums::default())];
    assert_eq!(of_one(&packing, 0, &[0, 6, 10]), Ok(expected));
}

#[test]
fn a_sum_does_not_wrap() {
    let refused = |points: &[Point]| of_one(&packed(points), 0, &[0, 1]).expect_err("too much").message();
    let most = [point(0, 1, i64::MAX, 0), point(0, 1, 1, 0)];
    assert_eq!(refused(&most), "the sum of input_tokens is out of range");
    let least = [point(0, 0, 0, i64::MIN), point(0, 0, 0, -1)];
    assert_eq!(refused(&least), "the sum of completion_tokens is out of range");
    assert_eq!(pack(vec![most[0]; 33]), Err(Error::SumOfPoints { name: "input_tokens" }));
}

#[test]
fn a_sum_may_come_back_into_its_range() {
    let packing = packed(&[i64::MAX, 1, -1].map(|tokens| point(0, 0, tokens, 0)));
    assert_eq!(of_one(&packing, 0, &[0, 1]), Ok(vec![(1, sums(0, i64::MAX, 0))]));
}

#[test]
fn half_a_point_is_found() {
    let whole = packed(&[point(0, 1, 1, 64), point(50_000_000, 1, 2000, 500)]);
    for (length, place) in [(1, 0), (5, 0), (8, 5), (12, 5)] {
        let error = Error::BadPoints { place, length };
        assert_eq!(unpack(&whole[..length]), Err(error.clone()));
        assert_eq!(unite([&whole[..length]]), Err(error));
    }
    let two_of_three = [&[3][..], &whole[1..]].concat();
    assert_eq!(unpack(&two_of_three), Err(Error::BadPoints { place: 13, length: 13 }));
    assert_eq!(unpack(&[0xFF; 20]), Err(Error::BadPoints { place: 0, length: 20 }));
    let many = packed(&many(100));
    for length in 1..many.len() {
        assert!(
            matches!(unpack(&many[..length]), Err(Error::BadPoints { .. })),
            "{length} of {}",
            many.len()
        );
    }
}

#[test]
fn what_no_bound_cuts_is_not_read_one_by_one() {
    let whole = packed(&many(300));
    // The last stretch is of 12 points: nothing but its own sums tells of them here.
    let mut cut_off = whole.clone();
    let length = cut_off.len();
    cut_off[length - 20..].fill(0xFF);
    assert!(unpack(&cut_off).is_err());
    let both = |bounds: &[i64]| [&whole, &cut_off].map(|packing| of_one(packing, 0, bounds));
    for bounds in [[0, 300_000_000], [100_500_000, 300_000_000], [0, 280_000_000]] {
        let [expected, found] = both(&bounds);
        assert_eq!(found, expected);
        assert!(expected.is_ok_and(|parts| parts.len() == 1));
    }
    assert!(both(&[0, 298_500_000])[1].is_err());
}

prop_compose! {
    fn any_point()(
        at in prop_oneof![9 => 0..300i64, 1 => 0..=MOST_AT],
        requests in -1..=1i32,
        input_tokens in tokens(),
        completion_tokens in tokens(),
    ) -> Point {
        point(at, requests, input_tokens, completion_tokens)
    }
}

fn tokens() -> impl Strategy<Value = i64> {
    prop_oneof![9 => -3000..3000i64, 1 => any::<i64>()]
}

/// Few and many: what is many has sums, of no more than ordinary tokens.
fn any_points() -> impl Strategy<Value = Vec<Point>> {
    let ordinary = (0..300i64, -1..=1i32, -3000..3000i64, -3000..3000i64);
    let ordinary =
        ordinary.prop_map(|(at, requests, input, completion)| point(at, requests, input, completion));
    prop_oneof![prop::collection::vec(any_point(), 0..=32), prop::collection::vec(ordinary, 33..200)]
}

/// What `by_part` must answer: in 128 bits, and with a look at each bound.
fn naive(points: &[Point], bucket: i64, bounds: &[i64]) -> Option<Vec<(usize, Sums)>> {
    let mut parts: BTreeMap<usize, (i64, i128, i128)> = BTreeMap::new();
    for point in points {
        let part = bounds.iter().filter(|bound| **bound <= bucket.saturating_add(point.at)).count();
        if part == 0 || part == bounds.len() {
            continue;
        }
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
        let whole = packed(&points);
        prop_assert_eq!(&pack_loose(&loose(&points)).expect("points"), &whole);
        prop_assert_eq!(unpacked(&whole), ascending(points));
    }

    #[test]
    fn a_packing_knows_no_order_and_no_halves(
        (points, shuffled) in any_points().prop_flat_map(|points| (Just(points.clone()), Just(points).prop_shuffle())),
        half in 0..200usize,
    ) {
        let whole = packed(&points);
        prop_assert_eq!(&packed(&shuffled), &whole);
        let (some, others) = shuffled.split_at(half.min(shuffled.len()));
        prop_assert_eq!(&unite([&packed(some)[..], &packed(others)]).expect("points"), &whole);
    }

    #[test]
    fn parts_are_those_of_the_naive_count(
        points in any_points(),
        bucket in prop_oneof![9 => -50..50i64, 1 => any::<i64>()],
        mut bounds in prop::collection::vec(prop_oneof![9 => -100..400i64, 1 => any::<i64>()], 0..12),
    ) {
        bounds.sort_unstable();
        let parts = of_one(&packed(&points), bucket, &bounds);
        prop_assert_eq!(parts.ok(), naive(&points, bucket, &bounds));
    }

    #[test]
    fn any_bytes_are_points_or_refused(
        bytes in prop_oneof![
            prop::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xFFu8], 0..80),
            // Nearly a packing.
            (33..80i64, 0..1000usize, any::<u8>()).prop_map(|(count, place, byte)| {
                let mut bytes = packed(&many(count));
                let place = place % bytes.len();
                bytes[place] = byte;
                bytes
            }),
        ],
        bounds in prop::collection::vec(any::<i64>(), 0..5),
    ) {
        let is_bad = |error: &Error| matches!(error, Error::BadPoints { .. });
        let is_too_much = |error: &Error| matches!(error, Error::SumOfPoints { .. });
        prop_assert!(unpack(&bytes).err().is_none_or(|error| is_bad(&error)));
        // Bounds that do not ascend give no useful answer, and no panic.
        let error = of_one(&bytes, 0, &bounds).err();
        prop_assert!(error.is_none_or(|error| is_bad(&error) || is_too_much(&error)));
    }
}
