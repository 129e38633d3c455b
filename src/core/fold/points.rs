//! The events of a batch one by one, and which rows they are in.

use std::cell::OnceCell;

use crate::Error;
use crate::points::{Point, pack};

/// An event, and the places of the rows that keep it.
#[derive(Debug)]
struct Placed {
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
    all: Vec<Placed>,
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
        self.all.push(Placed {
            occurred_at: event.occurred_at,
            requests: event.requests,
            places: [of_app, of_model],
            input_tokens: event.input_tokens,
            completion_tokens: event.completion_tokens,
        });
    }

    /// How many points a row has.
    pub fn count(&self, of: Of, place: u32) -> usize {
        self.of_row(of, place).len()
    }

    /// Those of a row, packed.
    pub fn packed(&self, of: Of, place: u32, bucket: i64) -> Result<Vec<u8>, Error> {
        let point = |index: &usize| {
            let placed = &self.all[*index];
            Point {
                at: placed.occurred_at - bucket,
                requests: placed.requests,
                input_tokens: placed.input_tokens,
                completion_tokens: placed.completion_tokens,
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
        let place = |placed: &Placed| placed.places[of as usize] as usize;
        let rows = self.all.iter().map(place).max().map_or(0, |last| last + 1);
        let mut ends = vec![0; rows];
        self.all.iter().for_each(|placed| ends[place(placed)] += 1);
        let mut end = 0;
        for count in &mut ends {
            end += *count;
            *count = end - *count;
        }
        let mut order = vec![0; self.all.len()];
        for (index, placed) in self.all.iter().enumerate() {
            let next = &mut ends[place(placed)];
            order[*next] = index;
            *next += 1;
        }
        ByRow { ends, order }
    }
}
