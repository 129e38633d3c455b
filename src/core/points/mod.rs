//! The events of a rollup's row one by one, packed, with sums of some that stand together beside them.

mod packing;

use crate::Error;
use packing::Packing;
pub use packing::{LOOSE_BYTES, pack, pack_loose, unpack};

/// The last microsecond of a bucket that leaves room for the requests beside it.
const MOST_AT: i64 = i64::MAX >> 1;

/// What a rollup keeps of one event. Points stand in the order of these fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Microseconds since the row's bucket began, from 0.
    pub at: i64,
    /// 1, in a correction 0, in what takes a request back -1.
    pub requests: i32,
    pub input_tokens: i64,
    pub completion_tokens: i64,
}

/// All points of some packings as one packing.
pub fn unite<'a>(packings: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Error> {
    let mut points = Vec::new();
    for packing in packings {
        points.append(&mut unpack(packing)?);
    }
    pack(points)
}

/// What some points sum up to.
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

    fn add_sums(&mut self, sums: &Sums) {
        // What is no packing of ours may say anything.
        self.requests = self.requests.wrapping_add(sums.requests);
        self.input_tokens += i128::from(sums.input_tokens);
        self.completion_tokens += i128::from(sums.completion_tokens);
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

/// The sums of each part between bounds that has a point, ascending, of packings and their buckets. Part i, from 1, begins with the
/// i-th of the bounds, which ascend, and ends before the next; an instant past the last one is infinity, as in PostgreSQL.
pub fn by_part<'a>(
    rows: impl IntoIterator<Item = (&'a [u8], i64)>,
    bounds: &[i64],
) -> Result<Vec<(usize, Sums)>, Error> {
    let mut parts: Vec<Option<Running>> = vec![None; bounds.len()];
    let part_of = |instant: i64| bounds.partition_point(|bound| *bound <= instant);
    let is_part = |part: usize| part > 0 && part < bounds.len();
    for (packing, bucket) in rows {
        for stretch in Packing::read(packing)?.stretches() {
            let stretch = stretch?;
            let instant = |at: i64| bucket.saturating_add(at);
            let mut part = part_of(instant(stretch.first_at));
            if part == part_of(instant(stretch.last_at)) {
                if !is_part(part) {
                    continue;
                }
                if let Some(sums) = stretch.sums {
                    parts[part].get_or_insert_default().add_sums(&sums);
                    continue;
                }
            }
            let (mut points, mut at) = (stretch.points, stretch.first_at);
            while !points.is_empty() {
                let point = points.point(&mut at)?;
                while bounds.get(part).is_some_and(|next| *next <= instant(point.at)) {
                    part += 1;
                }
                if is_part(part) {
                    parts[part].get_or_insert_default().add(&point);
                }
            }
        }
    }
    let found = parts.iter().enumerate().filter_map(|(part, running)| Some((part, running.as_ref()?)));
    found.map(|(part, running)| Ok((part, running.sums()?))).collect()
}

#[cfg(test)]
mod tests;
