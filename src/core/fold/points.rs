//! The events of a batch one by one, and which rows they are in.

use std::cell::OnceCell;

use super::{Placed, Rows, Sums};
use crate::Error;
use crate::points::{Point, pack};

/// So many points are kept beside the sums of a row, in less than what the server would put away for its length.
pub const MOST_IN_ROW: usize = 200;

/// Rows with their points, packed; `None`: those are many, and stand elsewhere.
pub type PackedRows<K> = Rows<K, (Sums, Option<Vec<u8>>)>;
/// Those many, packed.
pub type ManyPoints<K> = Rows<K, Vec<u8>>;

/// An event, and the places of the rows that keep it.
#[derive(Debug)]
struct Kept {
    occurred_at: i64,
    requests: i32,
    /// Of its app's hour, and of its model's five minutes.
    places: [u32; 2],
    input_tokens: i64,
    completion_tokens: i64,
}

/// Rows whose points are kept.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    App,
    Model,
}

/// All in one list: most rows of apps have few events, and a list for each would take longer than to put this one in order.
#[derive(Debug, Default)]
pub struct Points {
    all: Vec<Kept>,
    by_row: [OnceCell<ByRow>; 2],
}

/// Which points each row has: in this order those from the end of the row before to its own.
#[derive(Debug)]
struct ByRow {
    ends: Vec<usize>,
    order: Vec<usize>,
}

impl Points {
    pub fn add(&mut self, event: &super::Event, of_app: u32, of_model: u32) {
        // What was put in order before lacks this one.
        self.by_row.iter_mut().for_each(|by_row| drop(by_row.take()));
        self.all.push(Kept {
            occurred_at: event.occurred_at,
            requests: event.requests,
            places: [of_app, of_model],
            input_tokens: event.input_tokens,
            completion_tokens: event.completion_tokens,
        });
    }

    /// Rows with their points, if those are few.
    pub fn in_rows<K>(
        &self,
        of: Of,
        rows: Vec<(K, &Placed)>,
        bucket: impl Fn(&K) -> i64,
    ) -> Result<PackedRows<K>, Error> {
        let row = |(key, (place, sums)): (K, &Placed)| {
            let points = match self.are_many(of, *place) {
                true => None,
                false => Some(self.packed(of, *place, bucket(&key))?),
            };
            Ok((key, (sums.clone(), points)))
        };
        rows.into_iter().map(row).collect()
    }

    /// The points of the others.
    pub fn many<K>(
        &self,
        of: Of,
        rows: Vec<(K, &Placed)>,
        bucket: impl Fn(&K) -> i64,
    ) -> Result<ManyPoints<K>, Error> {
        let many = rows.into_iter().filter(|(_, (place, _))| self.are_many(of, *place));
        many.map(|(key, (place, _))| self.packed(of, *place, bucket(&key)).map(|points| (key, points)))
            .collect()
    }

    fn are_many(&self, of: Of, place: u32) -> bool {
        self.of_row(of, place).len() > MOST_IN_ROW
    }

    fn packed(&self, of: Of, place: u32, bucket: i64) -> Result<Vec<u8>, Error> {
        let point = |index: &usize| {
            let kept = &self.all[*index];
            Point {
                at: kept.occurred_at - bucket,
                requests: kept.requests,
                input_tokens: kept.input_tokens,
                completion_tokens: kept.completion_tokens,
            }
        };
        pack(self.of_row(of, place).iter().map(point).collect())
    }

    fn of_row(&self, of: Of, place: u32) -> &[usize] {
        let ByRow { ends, order } = self.by_row[of as usize].get_or_init(|| self.sorted(of));
        let place = place as usize;
        let start = place.checked_sub(1).map_or(0, |before| ends[before]);
        &order[start..ends[place]]
    }

    fn sorted(&self, of: Of) -> ByRow {
        let place = |kept: &Kept| kept.places[of as usize] as usize;
        let rows = self.all.iter().map(place).max().map_or(0, |last| last + 1);
        let mut ends = vec![0; rows];
        self.all.iter().for_each(|kept| ends[place(kept)] += 1);
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end - *count;
        }
        let mut order = vec![0; self.all.len()];
        for (index, kept) in self.all.iter().enumerate() {
            let next = &mut ends[place(kept)];
            order[*next] = index;
            *next += 1;
        }
        ByRow { ends, order }
    }
}
