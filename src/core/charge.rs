//! What of an event was billed, as a number to compare: two calls under one request key are the same if this is.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::pricing::standard_tier;

/// The token counts that [`Charge::counts`] holds, in its order.
pub const COUNTS: [&str; 15] = [
    "prompt_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "inference_tokens",
    "cache_write_1h_tokens",
    "prompt_audio_tokens",
    "completion_audio_tokens",
    "cache_read_audio_tokens",
    "cache_read_image_tokens",
    "prompt_image_tokens",
    "prompt_video_tokens",
    "completion_image_tokens",
    "completion_video_tokens",
];

/// Those after these came later: where there are none of them, the hash is what it was before.
const FIRST_COUNTS: usize = 9;

/// What was billed: all that decides the cost but the time, which a retry may not know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Charge<'a> {
    pub model: &'a str,
    pub vendor: Option<&'a str>,
    pub service_tier: Option<&'a str>,
    /// 0 where none is given.
    pub counts: [i64; COUNTS.len()],
    /// Plain decimal, as it was given.
    pub cost: Option<&'a str>,
    pub currency: Option<&'a str>,
}

impl Charge<'_> {
    /// The same for equal charges on every machine and in every version: it is kept in tables and dumped.
    pub fn hash(&self) -> u128 {
        let mut hasher = SipHasher13::new();
        let cost = self.cost.map(canonical);
        // A tier and its absence can be the same, and a currency without a cost is not billed.
        let tier = Some(standard_tier(self.service_tier)).filter(|tier| !tier.is_empty());
        let currency = self.currency.filter(|_| cost.is_some());
        for text in [Some(self.model), self.vendor, tier, cost, currency] {
            hasher.write_u8(u8::from(text.is_some()));
            let bytes = text.unwrap_or_default().as_bytes();
            hasher.write(&(bytes.len() as u64).to_le_bytes());
            hasher.write(bytes);
        }
        let (first, later) = self.counts.split_at(FIRST_COUNTS);
        first.iter().for_each(|count| hasher.write(&count.to_le_bytes()));
        for (place, count) in later.iter().enumerate().filter(|(_, count)| **count != 0) {
            hasher.write(&[place as u8]);
            hasher.write(&count.to_le_bytes());
        }
        hasher.finish128().as_u128()
    }
}

/// The digits of a plain decimal that matter.
fn canonical(amount: &str) -> &str {
    let amount = amount.trim_start_matches('0');
    match amount.contains('.') {
        true => amount.trim_end_matches('0').trim_end_matches('.'),
        false => amount,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_is_the_same_however_it_is_written() {
        let hash = |cost| Charge { model: "m", cost: Some(cost), ..Charge::default() }.hash();
        for (one, other) in [("1.50", "1.5"), ("7", "7.000"), ("007", "7"), ("0", "0.00"), (".5", "0.5")] {
            assert_eq!(hash(one), hash(other), "{one} and {other}");
        }
        assert_ne!(hash("10"), hash("1"));
        assert_ne!(hash("0"), Charge { model: "m", ..Charge::default() }.hash());
    }

    #[test]
    fn what_is_not_billed_does_not_matter() {
        let plain = Charge { model: "m", ..Charge::default() };
        assert_eq!(Charge { service_tier: Some("default"), ..plain.clone() }.hash(), plain.hash());
        assert_eq!(Charge { currency: Some("USD"), ..plain.clone() }.hash(), plain.hash());
        assert_ne!(Charge { service_tier: Some("flex"), ..plain.clone() }.hash(), plain.hash());
        let paid = Charge { cost: Some("1"), ..plain };
        assert_ne!(Charge { currency: Some("USD"), ..paid.clone() }.hash(), paid.hash());
    }

    #[test]
    fn a_text_does_not_run_into_the_next() {
        let hash = |model, vendor| Charge { model, vendor, ..Charge::default() }.hash();
        let hashes = [hash("ab", None), hash("a", Some("b")), hash("a", None), hash("a", Some(""))];
        for (place, one) in hashes.iter().enumerate() {
            assert!(!hashes[..place].contains(one), "{place}");
        }
    }

    #[test]
    fn the_same_count_of_another_kind_is_another_charge() {
        let hash = |place: usize| {
            let mut counts = [0; COUNTS.len()];
            counts[place] = 5;
            Charge { model: "m", counts, ..Charge::default() }.hash()
        };
        let hashes: Vec<u128> = (0..COUNTS.len()).map(hash).collect();
        for (place, one) in hashes.iter().enumerate() {
            assert!(!hashes[..place].contains(one), "{place}");
        }
    }

    #[test]
    fn what_is_kept_in_tables_stays_what_it_is() {
        let charge = Charge { model: "gpt-4.1", cost: Some("0.10"), ..Charge::default() };
        assert_eq!(charge.hash(), KEPT);
    }

    const KEPT: u128 = 336228227336008980918032357413281444794;

    proptest! {
        #[test]
        fn every_count_matters(counts in any::<[i64; COUNTS.len()]>(), place in 0..COUNTS.len(), other in any::<i64>()) {
            let mut changed = counts;
            changed[place] = other;
            let hash = |counts| Charge { model: "m", counts, ..Charge::default() }.hash();
            prop_assert_eq!(hash(counts) == hash(changed), counts == changed);
        }
    }
}
