//! What the slots of a bucket add up to, packed beside the sums of all of it: of a bucket that a bound cuts no other rows are read.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use bigdecimal::BigDecimal;
use integer_encoding::VarInt;

use crate::Error;
use crate::amount::Amount;
use crate::calendar::{DAY, HOUR, MINUTE};

/// The slots of a kind of bucket: how long each is, how many there are at most, and what is added up in each.
#[derive(Debug)]
pub struct Slots<S> {
    width: i64,
    count: u8,
    names: &'static [&'static str],
    sums: PhantomData<S>,
}

/// The days of a month.
pub const DAYS: Slots<Spent> = Slots {
    width: DAY,
    count: 31,
    names: &["requests", "unpriced_requests", "total_tokens"],
    sums: PhantomData,
};
/// The hours of a day.
pub const HOURS: Slots<Counts> = Slots {
    width: HOUR,
    count: 24,
    names: &["requests", "input_tokens", "completion_tokens"],
    sums: PhantomData,
};
/// The minutes of an hour.
pub const MINUTES: Slots<Counts> = Slots {
    width: MINUTE,
    count: 60,
    names: &["inference_tokens", "input_tokens", "completion_tokens"],
    sums: PhantomData,
};

/// By the slot of the bucket, from 0.
pub type Sums<S> = BTreeMap<u8, S>;

/// What a slot adds up.
pub trait Summed: Clone + Default {
    /// Of what is equal the bytes are the same.
    fn write(&self, bytes: &mut Vec<u8>);
    fn read(bytes: &mut &[u8]) -> Option<Self>;
    /// The numbers have these names, of which the error has the first that is out of range.
    fn add(&mut self, other: &Self, names: &[&'static str]) -> Result<(), Error>;
}

/// Three numbers, whose names are those of the slots.
pub type Counts = [i64; 3];

impl Summed for Counts {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.iter().for_each(|number| write_number(*number, bytes));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some([read_number(bytes)?, read_number(bytes)?, read_number(bytes)?])
    }

    fn add(&mut self, other: &Self, names: &[&'static str]) -> Result<(), Error> {
        for ((sum, added), name) in self.iter_mut().zip(other).zip(names) {
            *sum = sum.checked_add(*added).ok_or(Error::SumOfPoints { name })?;
        }
        Ok(())
    }
}

/// Requests, those of them that are unpriced, and tokens; and their cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spent {
    pub counts: Counts,
    pub cost: Amount,
}

impl Spent {
    pub fn tokens(&self) -> i64 {
        let [_, _, tokens] = self.counts;
        tokens
    }
}

/// In the place of a scale: the cost stands there as a text, after its length.
const AS_TEXT: u8 = u8::MAX;

impl Summed for Spent {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.counts.write(bytes);
        let cost = self.cost.clone().shortest();
        if let Amount::Short { mantissa, scale } = &cost
            && let (Ok(mantissa), Ok(scale)) = (i64::try_from(*mantissa), u8::try_from(*scale))
            && scale != AS_TEXT
        {
            bytes.push(scale);
            return write_number(mantissa, bytes);
        }
        let text = cost.to_string();
        bytes.push(AS_TEXT);
        bytes.extend(text.len().encode_var_vec());
        bytes.extend_from_slice(text.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let counts = Counts::read(bytes)?;
        let (scale, rest) = bytes.split_first()?;
        *bytes = rest;
        if *scale != AS_TEXT {
            let mantissa = read_number(bytes)?.into();
            return Some(Self { counts, cost: Amount::Short { mantissa, scale: (*scale).into() } });
        }
        let (length, taken) = usize::decode_var(bytes)?;
        let (text, rest) = bytes.get(taken..)?.split_at_checked(length)?;
        *bytes = rest;
        let cost: BigDecimal = std::str::from_utf8(text).ok()?.parse().ok()?;
        Some(Self { counts, cost: cost.into() })
    }

    fn add(&mut self, other: &Self, names: &[&'static str]) -> Result<(), Error> {
        self.cost += &other.cost;
        self.counts.add(&other.counts, names)
    }
}

/// Seven bits of it to a byte.
fn write_number(number: i64, bytes: &mut Vec<u8>) {
    let mut room = [0; 10];
    let length = number.encode_var(&mut room);
    bytes.extend_from_slice(&room[..length]);
}

fn read_number(bytes: &mut &[u8]) -> Option<i64> {
    let (number, length) = i64::decode_var(bytes)?;
    *bytes = bytes.get(length..)?;
    Some(number)
}

/// One slot after the other: which it is, and what it adds up. Of the same slots the bytes are the same.
pub fn pack<S: Summed>(slots: &Sums<S>) -> Vec<u8> {
    let mut packed = Vec::with_capacity(slots.len() * 16);
    for (slot, sums) in slots {
        packed.push(*slot);
        sums.write(&mut packed);
    }
    packed
}

impl<S: Summed> Slots<S> {
    /// In which slot an instant is of its bucket, given when that begins.
    pub fn slot_of(&self, at: i64, bucket: i64) -> u8 {
        u8::try_from((at - bucket).div_euclid(self.width)).unwrap_or_default()
    }

    /// The beginning of each slot of a packing, ascending, and its sums, given when the bucket begins.
    pub fn unpack(&self, packing: &[u8], bucket: i64) -> impl Iterator<Item = Result<(i64, S), Error>> {
        let begins = move |slot: u8| bucket + i64::from(slot) * self.width;
        self.slots(packing).map(move |slot| slot.map(|(slot, sums)| (begins(slot), sums)))
    }

    fn slots(&self, packing: &[u8]) -> impl Iterator<Item = Result<(u8, S), Error>> {
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
        let mut slots = Sums::<S>::new();
        for slot in self.slots(one).chain(self.slots(other)) {
            let (slot, added) = slot?;
            slots.entry(slot).or_default().add(&added, self.names)?;
        }
        Ok(pack(&slots))
    }
}

fn split<S: Summed>(bytes: &mut &[u8]) -> Option<(u8, S)> {
    let (slot, rest) = bytes.split_first()?;
    *bytes = rest;
    Some((*slot, S::read(bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![-300..300_i64, i64::MIN / 2..=i64::MAX / 2]
    }

    fn counts(of: &Slots<Counts>) -> impl Strategy<Value = Sums<Counts>> + use<> {
        btree_map(0..of.count, [number(), number(), number()], 0..of.count.into())
    }

    fn kinds() -> impl Strategy<Value = (&'static Slots<Counts>, Sums<Counts>, Sums<Counts>)> {
        prop_oneof![
            (Just(&HOURS), counts(&HOURS), counts(&HOURS)),
            (Just(&MINUTES), counts(&MINUTES), counts(&MINUTES))
        ]
    }

    fn days() -> impl Strategy<Value = Sums<Spent>> {
        let mantissa = prop_oneof![8 => -1_000_000..1_000_000_i128, 1 => any::<i128>()];
        let cost = (mantissa, prop_oneof![8 => 0..12u32, 1 => 0..400u32]);
        let spent = ([number(), number(), number()], cost).prop_map(|(counts, (mantissa, scale))| Spent {
            counts,
            cost: Amount::Short { mantissa, scale }.shortest(),
        });
        btree_map(0..DAYS.count, spent, 0..DAYS.count.into())
    }

    /// A cost that is read from a text is the same number in another form.
    fn alike(sums: Sums<Spent>) -> Sums<Spent> {
        let shortest = |spent: Spent| Spent { cost: spent.cost.shortest(), ..spent };
        sums.into_iter().map(|(slot, spent)| (slot, shortest(spent))).collect()
    }

    fn unpacked<S: Summed>(of: &Slots<S>, packing: &[u8]) -> Result<Sums<S>, Error> {
        of.slots(packing).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked((of, sums, _) in kinds(), days in -1000..1000_i64) {
            let bucket = days * of.width * i64::from(of.count);
            let found: Result<Vec<_>, _> = of.unpack(&pack(&sums), bucket).collect();
            let found = found.expect("slots");
            let starts = found.iter().map(|(begins, sums)| (of.slot_of(*begins, bucket), *sums));
            prop_assert_eq!(starts.collect::<Sums<Counts>>(), sums);
            let ends = found.iter().map(|(begins, sums)| (of.slot_of(begins + of.width - 1, bucket), *sums));
            prop_assert!(ends.eq(found.iter().map(|(begins, sums)| (of.slot_of(*begins, bucket), *sums))));
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
        fn days_keep_every_digit_of_their_costs(one in days(), other in days()) {
            let packed = pack(&one);
            let found = unpacked(&DAYS, &packed).expect("days");
            prop_assert_eq!(pack(&found), packed.clone());
            prop_assert_eq!(alike(found), one.clone());
            let mut sums: BTreeMap<u8, (Counts, BigDecimal)> = BTreeMap::new();
            for (slot, Spent { counts, cost }) in one.iter().chain(&other) {
                let (sum, costs) = sums.entry(*slot).or_default();
                sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                *costs += BigDecimal::from(cost.clone());
            }
            let sums = sums.into_iter().map(|(slot, (counts, cost))| (slot, Spent { counts, cost: cost.into() }));
            let united = DAYS.unite(&packed, &pack(&other)).expect("days");
            prop_assert_eq!(&united, &pack(&sums.collect()));
            prop_assert_eq!(united, DAYS.unite(&pack(&other), &packed).expect("days"));
        }

        #[test]
        fn other_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(slots) = unpacked(&HOURS, &bytes) {
                prop_assert!(slots.len() <= 24);
            }
            if let Ok(slots) = unpacked(&DAYS, &bytes) {
                prop_assert!(slots.len() <= 31);
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

    #[test]
    fn what_is_no_day_is_refused() {
        let spent = |mantissa| Spent { counts: [2, 1, 3], cost: Amount::Short { mantissa, scale: 2 } };
        let short = pack(&Sums::from([(30, spent(350))]));
        assert_eq!(short, [30, 4, 2, 6, 1, 70]);
        assert!(unpacked(&DAYS, &[31, 4, 2, 6, 1, 70]).is_err());
        let long = pack(&Sums::from([(0, spent(i128::MAX))]));
        assert_eq!(long[..6], [0, 4, 2, 6, AS_TEXT, 40]);
        assert!((1..long.len()).all(|end| unpacked(&DAYS, &long[..end]).is_err()));
        let most = pack(&Sums::from([(0, Spent { counts: [1, 0, i64::MAX], ..Spent::default() })]));
        assert!(matches!(DAYS.unite(&most, &most), Err(Error::SumOfPoints { name: "total_tokens" })));
    }
}
