//! The rows of rollups, put in order and together.

use std::hash::Hash;

use foldhash::HashMap;

use super::{Grain, Placed, Sums};
use crate::slots::{self, Summed};

/// The rows of a rollup, in the order of their keys.
pub type Rows<K, S = Sums> = Vec<(K, S)>;

/// Rows in order, with their slots as they are kept.
pub fn packed<K: Copy + Ord, S: Summed>(
    rows: HashMap<K, (Sums, slots::Sums<S>)>,
) -> Rows<K, (Sums, Vec<u8>)> {
    let rows = rows.into_iter().map(|(key, (sums, slots))| (key, (sums, slots::pack(&slots))));
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}

pub fn in_order<'a, K: Copy + Ord>(rows: impl Iterator<Item = (K, &'a Placed)>) -> Vec<(K, &'a Placed)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}

/// What is kept by the hour.
pub fn summed<'a, K: Copy + Eq + Hash + Ord>(
    grain: Grain,
    parts: impl Iterator<Item = (K, &'a Sums)>,
) -> Rows<K> {
    match grain {
        Grain::Hour => sorted(parts),
        Grain::Day | Grain::Month => grouped(parts),
    }
}

/// Rows of many parts each.
pub fn grouped<'a, K: Copy + Eq + Hash + Ord>(parts: impl Iterator<Item = (K, &'a Sums)>) -> Rows<K> {
    let mut sums: HashMap<K, Sums> = HashMap::default();
    for (key, part) in parts {
        sums.entry(key).or_default().add(part);
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}

/// Rows of mostly one part: to put those in order and then make rows of them takes less than to look each up and order the rows.
fn sorted<'a, K: Copy + Ord>(parts: impl Iterator<Item = (K, &'a Sums)>) -> Rows<K> {
    let mut parts: Vec<(K, &Sums)> = parts.collect();
    parts.sort_unstable_by_key(|(key, _)| *key);
    let mut rows: Rows<K> = Vec::new();
    for (key, part) in parts {
        match rows.last_mut() {
            Some((last, sums)) if *last == key => sums.add(part),
            _ => rows.push((key, part.clone())),
        }
    }
    rows
}
