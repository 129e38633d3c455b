//! Counting what many stored sets have together, without making sets of them: that would take several times as long.

use std::collections::BTreeMap;

use super::stored::{self, Numbers, Page};
use crate::Error;

/// Numbers of a page, repeated ones included, up to which they are kept one by one.
const MOST_FEW: usize = 1024;
/// Numbers up to which sorting them is faster than 8 KiB of bits.
const MOST_SORTED: usize = 64;

/// A bit for each number of a page.
type Bits = Box<[u64; 1024]>;

/// How many different numbers stored sets have together.
#[derive(Default)]
pub struct UnionCount(BTreeMap<u64, Seen>);

/// What was seen of a page.
enum Seen {
    /// In any order, with repetitions.
    Few(Vec<u16>),
    Many(Bits),
}

impl UnionCount {
    /// Adds a stored set; after an error the count is of no use.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        stored::read(bytes, |page| {
            self.0.entry(page.key).or_insert_with(|| Seen::Few(Vec::new())).add(&page);
        })
    }

    pub fn count(&self) -> u64 {
        self.0.values().map(Seen::count).sum()
    }
}

impl Seen {
    fn add(&mut self, page: &Page) {
        match (&mut *self, &page.numbers) {
            (Self::Few(few), Numbers::Single(singles)) if few.len() + singles.len() <= MOST_FEW => {
                few.extend(singles.iter().map(|single| u16::from_le_bytes(*single)));
            }
            (Self::Few(few), _) => {
                let mut bits = bits(few);
                set(&mut bits, page);
                *self = Self::Many(bits);
            }
            (Self::Many(bits), _) => set(bits, page),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Few(few) if few.len() <= MOST_SORTED => {
                let mut sorted = few.clone();
                sorted.sort_unstable();
                sorted.dedup();
                sorted.len() as u64
            }
            Self::Few(few) => count(&bits(few)),
            Self::Many(bits) => count(bits),
        }
    }
}

fn bits(numbers: &[u16]) -> Bits {
    let mut bits = Box::new([0; 1024]);
    for number in numbers {
        set_one(&mut bits, *number);
    }
    bits
}

fn set(bits: &mut Bits, page: &Page) {
    match page.numbers {
        Numbers::Single(singles) => {
            for single in singles {
                set_one(bits, u16::from_le_bytes(*single));
            }
        }
        Numbers::Bits(words) => {
            for (mine, word) in bits.iter_mut().zip(words) {
                *mine |= u64::from_le_bytes(*word);
            }
        }
    }
}

fn set_one(bits: &mut Bits, number: u16) {
    bits[usize::from(number >> 6)] |= 1 << (number & 63);
}

fn count(bits: &Bits) -> u64 {
    bits.iter().map(|word| u64::from(word.count_ones())).sum()
}
