//! What the hours of a day add up to, packed beside the sums of the whole day: of a day that a bound cuts no row of each hour is read.

use std::collections::BTreeMap;

use integer_encoding::VarInt;

use crate::Error;
use crate::calendar::{DAY, HOUR};
use crate::points::Sums;

/// By the hour of the day, from 0.
pub type Hours = BTreeMap<u8, Sums>;

/// In which hour of its day an instant is.
pub fn hour_of(at: i64) -> u8 {
    u8::try_from(at.rem_euclid(DAY) / HOUR).unwrap_or_default()
}

/// What any number takes at most, 7 bits of it to a byte.
const NUMBER_BYTES: usize = 10;

/// One hour after the other: which it is, its requests, input and completion tokens. Of the same hours the bytes are the same.
pub fn pack(hours: &Hours) -> Vec<u8> {
    let mut packed = Vec::with_capacity(hours.len() * NUMBER_BYTES);
    let mut room = [0; NUMBER_BYTES];
    for (hour, sums) in hours {
        packed.push(*hour);
        for number in [sums.requests, sums.input_tokens, sums.completion_tokens] {
            let length = number.encode_var(&mut room);
            packed.extend_from_slice(&room[..length]);
        }
    }
    packed
}

/// The hours of a packing, ascending.
pub fn unpack(packing: &[u8]) -> impl Iterator<Item = Result<(u8, Sums), Error>> {
    let length = packing.len();
    let (mut rest, mut next) = (packing, 0);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let place = length - rest.len();
        let Some((hour, sums)) = split(&mut rest).filter(|(hour, _)| (next..24).contains(hour)) else {
            rest = &[];
            return Some(Err(Error::BadPoints { place, length }));
        };
        next = hour + 1;
        Some(Ok((hour, sums)))
    })
}

fn split(bytes: &mut &[u8]) -> Option<(u8, Sums)> {
    let (hour, rest) = bytes.split_first()?;
    *bytes = rest;
    let mut number = || {
        let (number, length) = i64::decode_var(bytes)?;
        *bytes = bytes.get(length..)?;
        Some(number)
    };
    let (requests, input_tokens, completion_tokens) = (number()?, number()?, number()?);
    Some((*hour, Sums { requests, input_tokens, completion_tokens }))
}

/// The hours of two packings as one.
pub fn unite(one: &[u8], other: &[u8]) -> Result<Vec<u8>, Error> {
    let mut hours = Hours::new();
    for hour in unpack(one).chain(unpack(other)) {
        let (hour, sums) = hour?;
        hours.entry(hour).or_default().try_add(&sums)?;
    }
    Ok(pack(&hours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours() -> impl Strategy<Value = Hours> {
        let number = || prop_oneof![-300..300_i64, i64::MIN / 2..=i64::MAX / 2];
        let sums = (number(), number(), number()).prop_map(|(requests, input_tokens, completion_tokens)| {
            Sums { requests, input_tokens, completion_tokens }
        });
        proptest::collection::btree_map(0..24_u8, sums, 0..24)
    }

    fn unpacked(packing: &[u8]) -> Result<Hours, Error> {
        unpack(packing).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(hours in hours()) {
            prop_assert_eq!(unpacked(&pack(&hours)).expect("hours"), hours);
        }

        #[test]
        fn united_hours_are_the_sums_of_both(one in hours(), other in hours()) {
            let mut sums = one.clone();
            for (hour, added) in &other {
                let sum = sums.entry(*hour).or_default();
                sum.requests += added.requests;
                sum.input_tokens += added.input_tokens;
                sum.completion_tokens += added.completion_tokens;
            }
            prop_assert_eq!(unite(&pack(&one), &pack(&other)).expect("hours"), pack(&sums));
        }

        #[test]
        fn other_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(hours) = unpacked(&bytes) {
                prop_assert!(hours.len() <= 24);
            }
        }
    }

    #[test]
    fn what_is_no_packing_is_refused() {
        let ten = Sums { requests: 1, input_tokens: 10, completion_tokens: 0 };
        let one = pack(&Hours::from([(3, ten)]));
        assert_eq!(one, [3, 2, 20, 0]);
        let mut twice = one.clone();
        twice.extend_from_slice(&one);
        for (bytes, place) in [(&one[..3], 0), (&[24, 2, 2, 2], 0), (&twice, 4), (&[0xff], 0)] {
            let error = unpacked(bytes).unwrap_err();
            assert!(
                matches!(error, Error::BadPoints { place: at, length } if (at, length) == (place, bytes.len()))
            );
        }
        let most = pack(&Hours::from([(0, Sums { input_tokens: i64::MAX, ..ten })]));
        assert!(matches!(unite(&most, &most), Err(Error::SumOfPoints { name: "input_tokens" })));
    }
}
