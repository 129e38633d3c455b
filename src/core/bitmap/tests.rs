//! Against ordered sets, and against the readers and writers of the `roaring` crate.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use roaring::RoaringTreemap;

use super::{Bitmap, UnionCount, check, count};
use crate::Error;

/// Numbers that are far apart, close together, around a page's change of form, and whole pages.
fn sets() -> impl Strategy<Value = BTreeSet<i64>> {
    let anywhere = vec(any::<i64>(), 0..200).boxed();
    let near = (any::<i64>(), vec(-70_000..70_000_i64, 0..600))
        .prop_map(|(middle, steps)| steps.into_iter().map(|step| middle.wrapping_add(step)).collect())
        .boxed();
    let dense = (-3..3_i64, 4000..4200_i64, 1..16_i64)
        .prop_map(|(page, many, step)| (0..many).map(|number| (page << 16) + number * step).collect())
        .boxed();
    let full = prop_oneof![Just(-65_536_i64), Just(0), Just(i64::MAX - 65_535), Just(i64::MIN)]
        .prop_map(|first| (0..65_536).map(|number| first + number).collect())
        .boxed();
    let part = prop_oneof![4 => anywhere, 4 => near, 3 => dense, 1 => full];
    vec(part, 0..3).prop_map(|parts: Vec<Vec<i64>>| parts.into_iter().flatten().collect())
}

fn bitmap<'a>(numbers: impl IntoIterator<Item = &'a i64>) -> Bitmap {
    let mut bitmap = Bitmap::default();
    numbers.into_iter().for_each(|number| bitmap.insert(*number));
    bitmap
}

fn is_refused(bytes: &[u8]) -> bool {
    let before = bitmap(&[1, 2]);
    let mut after = before.clone();
    let mut union = UnionCount::default();
    let refusals =
        [check(bytes), count(bytes).map(|_| ()), after.union_with_serialized(bytes), union.add(bytes)];
    let refused = refusals.iter().filter(|refusal| matches!(refusal, Err(Error::BadBitmap { .. }))).count();
    assert!(refused == 0 || (refused == refusals.len() && after == before), "{refusals:?}");
    refused > 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_gives_the_same_bytes(numbers in sets(), seed in any::<i64>()) {
        let mut shuffled: Vec<i64> = numbers.iter().copied().collect();
        shuffled.sort_by_key(|number| number.wrapping_mul(0x5851_F42D_4C95_7F2D).rotate_left(29) ^ seed);
        let twice = bitmap(shuffled.iter().chain(&shuffled[shuffled.len() / 2..]));
        prop_assert_eq!(twice.count(), numbers.len() as u64);
        prop_assert_eq!(count(&twice.serialize()), Ok(numbers.len() as u64));
        prop_assert_eq!(twice.serialize(), bitmap(&numbers).serialize());
        prop_assert_eq!(twice.serialize(), bitmap(numbers.iter().rev()).serialize());
    }

    #[test]
    fn any_partition_gives_the_same_bytes_and_count(
        sets in vec(sets(), 0..4),
        parts in 1..9_usize,
        seed in any::<i64>(),
    ) {
        let all: BTreeSet<i64> = sets.iter().flatten().copied().collect();
        let mut pieces = vec![Bitmap::default(); parts];
        for (place, number) in sets.iter().flatten().enumerate() {
            // Some numbers get into several pieces.
            let hash = number.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ seed;
            pieces[hash.rem_euclid(parts as i64) as usize].insert(*number);
            pieces[place % parts].insert(*number);
        }
        let (mut bytewise, mut direct, mut union) = (Bitmap::default(), Bitmap::default(), UnionCount::default());
        for piece in &pieces {
            direct.union_with(piece);
            bytewise.union_with_serialized(&piece.serialize()).expect("a bitmap");
            union.add(&piece.serialize()).expect("a bitmap");
        }
        prop_assert_eq!(union.count(), all.len() as u64);
        prop_assert_eq!(direct.serialize(), bitmap(&all).serialize());
        prop_assert_eq!(bytewise.serialize(), bitmap(&all).serialize());
    }

    #[test]
    fn the_format_is_that_of_roaring(numbers in sets()) {
        let bytes = bitmap(&numbers).serialize();
        let read = RoaringTreemap::deserialize_from(&bytes[..]).expect("a bitmap");
        let read: BTreeSet<i64> = read.iter().map(u64::cast_signed).collect();
        prop_assert_eq!(read, numbers);
    }

    /// What is accepted is stored just so.
    #[test]
    fn damage_is_refused_or_another_set(
        numbers in sets(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        in_head in any::<bool>(),
    ) {
        let mut bytes = bitmap(&numbers).serialize();
        let reach = if in_head { bytes.len().min(64) } else { bytes.len() };
        damage.iter().for_each(|(place, byte)| bytes[place.index(reach)] = *byte);
        if !is_refused(&bytes) {
            let mut read = Bitmap::default();
            read.union_with_serialized(&bytes).expect("accepted");
            prop_assert_eq!(count(&bytes), Ok(read.count()));
            prop_assert_eq!(read.serialize(), bytes);
        }
    }

    #[test]
    fn a_cut_is_refused(numbers in sets(), cut in any::<Index>()) {
        let mut bytes = bitmap(&numbers).serialize();
        bytes.push(0);
        prop_assert!(is_refused(&bytes));
        bytes.pop();
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(is_refused(&bytes));
    }

    #[test]
    fn noise_is_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(is_refused(&bytes) || bytes == [0; 8]);
    }
}

#[test]
fn what_roaring_accepts_besides_is_refused() {
    let mut runs = RoaringTreemap::new();
    runs.insert_range(0..1000);
    let mut bytes = Vec::new();
    runs.serialize_into(&mut bytes).expect("written");
    assert!(is_refused(&bytes));
    // A group without pages, a group twice, another place of a page.
    let group = |key: u8| [key, 0, 0, 0, 0x3A, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 7, 0];
    let stored = |groups: u8, body: &[u8]| [&[groups, 0, 0, 0, 0, 0, 0, 0], body].concat();
    assert!(is_refused(&stored(1, &[0, 0, 0, 0, 0x3A, 0x30, 0, 0, 0, 0, 0, 0])));
    assert!(is_refused(&stored(2, &[group(1), group(1)].concat())));
    assert!(is_refused(&stored(2, &[group(2), group(1)].concat())));
    assert!(!is_refused(&stored(2, &[group(1), group(2)].concat())));
    let mut misplaced = group(1);
    misplaced[16] = 17;
    assert!(is_refused(&stored(1, &misplaced)));
}

#[test]
fn a_page_seen_often_stays_small_and_exact() {
    let mut union = UnionCount::default();
    for day in 0..3000 {
        union.add(&bitmap(&[day % 7, day % 7 + 100_000]).serialize()).expect("a bitmap");
    }
    assert_eq!(union.count(), 14);
}
