//! Sets of numbers for exact counts of what is different: sets that were counted apart are united and counted again.
//!
//! A set is stored in the portable format of Roaring bitmaps (64 bits, without run containers), and each set in one way
//! only: equal sets are equal bytes. Other bytes are refused.

mod stored;
mod union;

use roaring::RoaringTreemap;

use crate::Error;
pub use union::UnionCount;

/// A set of numbers, negative ones by their bit pattern.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bitmap(RoaringTreemap);

impl Bitmap {
    pub fn insert(&mut self, number: i64) {
        self.0.insert(number.cast_unsigned());
    }

    pub fn union_with(&mut self, other: &Self) {
        self.0 |= &other.0;
    }

    /// Unites with a stored set; after an error nothing has changed.
    pub fn union_with_serialized(&mut self, bytes: &[u8]) -> Result<(), Error> {
        check(bytes)?;
        let other = RoaringTreemap::deserialize_unchecked_from(bytes).map_err(|_| stored::END)?;
        self.0 |= other;
        Ok(())
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The stored set.
    pub fn serialize(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        self.0.serialize_into(&mut bytes).expect("a vector takes every byte");
        bytes
    }
}

/// Refuses what is not a stored set.
pub fn check(bytes: &[u8]) -> Result<(), Error> {
    stored::read(bytes, |_| ())
}

/// How many numbers a stored set has.
pub fn count(bytes: &[u8]) -> Result<u64, Error> {
    let mut count = 0;
    stored::read(bytes, |page| count += page.count as u64)?;
    Ok(count)
}

#[cfg(test)]
mod tests;
