//! What the slots of a bucket add up to, packed beside the sums of all of it: of a bucket that a bound cuts no other rows are read.

use std::collections::BTreeMap;

use integer_encoding::VarInt;

use crate::Error;
use crate::calendar::{HOUR, MINUTE};

/// The slots of a kind of bucket: how long each is, how many there are, and what three numbers are added up in each.
#[derive(Debug)]
pub struct Slots {
    width: i64,
    count: u8,
    names: [&'static str; 3],
}

/// The hours of a day.
pub const HOURS: Slots =
    Slots { width: HOUR, count: 24, names: ["requests", "input_tokens", "completion_tokens"] };
/// The minutes of an hour.
pub const MINUTES: Slots =
    Slots { width: MINUTE, count: 60, names: ["inference_tokens", "input_tokens", "completion_tokens"] };

/// By the slot of the bucket, from 0.
pub type Sums = BTreeMap<u8, [i64; 3]>;

/// What any number takes at most, 7 bits of it to a byte.
const NUMBER_BYTES: usize = 10;

/// One slot after the other: which it is, and its numbers. Of the same slots the bytes are the same.
pub fn pack(slots: &Sums) -> Vec<u8> {
    let mut packed = Vec::with_capacity(slots.len() * NUMBER_BYTES);
    let mut room = [0; NUMBER_BYTES];
    for (slot, sums) in slots {
        packed.push(*slot);
        for number in sums {
            let length = number.encode_var(&mut room);
            packed.extend_from_slice(&room[..length]);
        }
    }
    packed
}

impl Slots {
    /// In which slot of its bucket an instant is.
    pub fn slot_of(&self, at: i64) -> u8 {
        u8::try_from(at.div_euclid(self.width).rem_euclid(self.count.into())).unwrap_or_default()
    }

    /// The beginning of each slot of a packing, ascending, and its sums, given when the bucket begins.
    pub fn unpack(
        &self,
        packing: &[u8],
        bucket: i64,
    ) -> impl Iterator<Item = Result<(i64, [i64; 3]), Error>> {
        let begins = move |slot: u8| bucket + i64::from(slot) * self.width;
        self.slots(packing).map(move |slot| slot.map(|(slot, sums)| (begins(slot), sums)))
    }

    fn slots(&self, packing: &[u8]) -> impl Iterator<Item = Result<(u8, [i64; 3]), Error>> {
        let length = packing.len();
        let (mut rest, mut next) = (packing, 0);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let place = length - rest.len();
            let Some((slot, sums)) = split(&mut rest).filter(|(slot, _)| (next..self.count).contains(slot))
            else {
                rest = &[];
                return Some(Err(Error::BadPoints { place, length }));
            };
            next = slot + 1;
            Some(Ok((slot, sums)))
        })
    }

    /// The slots of two packings as one.
    pub fn unite(&self, one: &[u8], other: &[u8]) -> Result<Vec<u8>, Error> {
        let mut slots = Sums::new();
        for slot in self.slots(one).chain(self.slots(other)) {
            let (slot, added) = slot?;
            let sums = slots.entry(slot).or_default();
            for ((sum, added), name) in sums.iter_mut().zip(added).zip(self.names) {
                *sum = sum.checked_add(added).ok_or(Error::SumOfPoints { name })?;
            }
        }
        Ok(pack(&slots))
    }
}

fn split(bytes: &mut &[u8]) -> Option<(u8, [i64; 3])> {
    let (slot, rest) = bytes.split_first()?;
    *bytes = rest;
    let mut number = || {
        let (number, length) = i64::decode_var(bytes)?;
        *bytes = bytes.get(length..)?;
        Some(number)
    };
    Some((*slot, [number()?, number()?, number()?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(of: &Slots) -> impl Strategy<Value = Sums> + use<> {
        let number = || prop_oneof![-300..300_i64, i64::MIN / 2..=i64::MAX / 2];
        proptest::collection::btree_map(0..of.count, [number(), number(), number()], 0..of.count.into())
    }

    fn kinds() -> impl Strategy<Value = (&'static Slots, Sums, Sums)> {
        prop_oneof![
            (Just(&HOURS), sums(&HOURS), sums(&HOURS)),
            (Just(&MINUTES), sums(&MINUTES), sums(&MINUTES))
        ]
    }

    fn unpacked(of: &Slots, packing: &[u8]) -> Result<Sums, Error> {
        of.slots(packing).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked((of, sums, _) in kinds(), days in -1000..1000_i64) {
            let bucket = days * of.width * i64::from(of.count);
            let found: Result<Vec<_>, _> = of.unpack(&pack(&sums), bucket).collect();
            let found = found.expect("slots");
            let starts = found.iter().map(|(begins, sums)| (of.slot_of(*begins), *sums));
            prop_assert_eq!(starts.collect::<Sums>(), sums);
            let ends = found.iter().map(|(begins, sums)| (of.slot_of(begins + of.width - 1), *sums));
            prop_assert!(ends.eq(found.iter().map(|(begins, sums)| (of.slot_of(*begins), *sums))));
            prop_assert!(found.iter().all(|(begins, _)| (bucket..bucket + of.width * i64::from(of.count)).contains(begins)));
        }

        #[test]
        fn united_slots_are_the_sums_of_both((of, one, other) in kinds()) {
            let mut sums = one.clone();
            for (slot, added) in &other {
                let sum = sums.entry(*slot).or_default();
                sum.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
            }
            prop_assert_eq!(of.unite(&pack(&one), &pack(&other)).expect("slots"), pack(&sums));
        }

        #[test]
        fn other_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(slots) = unpacked(&HOURS, &bytes) {
                prop_assert!(slots.len() <= 24);
            }
        }
    }

    #[test]
    fn what_is_no_packing_is_refused() {
        let one = pack(&Sums::from([(3, [1, 10, 0])]));
        assert_eq!(one, [3, 2, 20, 0]);
        let mut twice = one.clone();
        twice.extend_from_slice(&one);
        for (bytes, place) in [(&one[..3], 0), (&[24, 2, 2, 2], 0), (&twice, 4), (&[0xff], 0)] {
            let error = unpacked(&HOURS, bytes).unwrap_err();
            assert!(
                matches!(error, Error::BadPoints { place: at, length } if (at, length) == (place, bytes.len()))
            );
        }
        assert_eq!(unpacked(&MINUTES, &[59, 2, 2, 2]), Ok(Sums::from([(59, [1, 1, 1])])));
        assert!(unpacked(&MINUTES, &[60, 2, 2, 2]).is_err());
        let most = pack(&Sums::from([(0, [1, i64::MAX, 0])]));
        assert!(matches!(HOURS.unite(&most, &most), Err(Error::SumOfPoints { name: "input_tokens" })));
    }
}
