//! Rows group by group, for kernels that work on many groups in one call.

use crate::error::{Error, Kind};
use crate::points::{Column, Points};
use crate::threads;

/// The rows of each group together: segment after segment, in row order within each.
pub(crate) struct Segments {
    /// Where each segment ends; none is empty.
    ends: Vec<u32>,
    /// How rows must move for that; nowhere if equal ids are adjacent in ascending order.
    moved: Option<Moved>,
}

/// A permutation that brings the rows of each group together.
struct Moved {
    /// The row at each place.
    order: Vec<u32>,
    /// The place of each row.
    places: Vec<u32>,
}

impl Segments {
    /// Segments of `rows` rows in groups: `ids[i]`, below `groups`, is the group of row i.
    ///
    /// Rows that are not yet group by group are sorted by counting.
    pub fn new(ids: &[u32], groups: usize, rows: usize) -> Result<Self, Error> {
        if ids.len() != rows {
            return Err(Kind::WrongGroups { expected: rows, actual: ids.len() }.into());
        }
        let largest = ids.iter().fold(0, |a, &id| a.max(id));
        if largest as usize >= groups && rows > 0 {
            let row = ids.iter().position(|&id| id as usize >= groups).unwrap_or(0);
            return Err(Kind::BadGroup { row, id: ids[row], groups }.into());
        }
        Ok(Self::of_ids(ids, largest))
    }

    /// Segments of rows whose ids are up to `largest`.
    fn of_ids(ids: &[u32], largest: u32) -> Self {
        if ids.is_sorted() {
            let ends = ids.chunk_by(|a, b| a == b).scan(0, |end, group| {
                *end += group.len() as u32;
                Some(*end)
            });
            return Self { ends: ends.collect(), moved: None };
        }
        let mut next = vec![0u32; largest as usize + 1];
        for &id in ids {
            next[id as usize] += 1;
        }
        let (mut ends, mut sum) = (Vec::new(), 0);
        for next in &mut next {
            let size = *next;
            (*next, sum) = (sum, sum + size);
            if size > 0 {
                ends.push(sum);
            }
        }
        let (mut order, mut places) = (vec![0; ids.len()], Vec::with_capacity(ids.len()));
        for (row, &id) in (0..).zip(ids) {
            let next = &mut next[id as usize];
            order[*next as usize] = row;
            places.push(*next);
            *next += 1;
        }
        Self { ends, moved: Some(Moved { order, places }) }
    }

    /// Where each segment ends.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The row at a place.
    pub fn row(&self, place: usize) -> usize {
        self.moved.as_ref().map_or(place, |moved| moved.order[place] as usize)
    }

    /// The points at `rows` places from `start` on, by objective, and `spare` more values each
    /// that mean nothing.
    pub fn columns(
        &self,
        points: &Points<'_>,
        start: usize,
        rows: usize,
        spare: usize,
    ) -> Vec<Vec<f64>> {
        let gather = |column: &Column<'_>| {
            let mut values = vec![0.0; rows + spare];
            match &self.moved {
                None => column.copy_to(start, &mut values[..rows]),
                Some(Moved { order, .. }) => {
                    for (value, &row) in values.iter_mut().zip(&order[start..][..rows]) {
                        *value = column.get(row as usize);
                    }
                }
            }
            values
        };
        threads::each(rows, points.columns().iter().collect(), gather)
    }

    /// Numbers by place as numbers by row.
    pub fn by_row(self, numbers: Vec<i32>) -> Vec<i32> {
        match self.moved {
            None => numbers,
            Some(Moved { places, .. }) => {
                const CHUNK_ROWS: usize = 1 << 15;
                let mut by_row = vec![0; places.len()];
                let tasks = by_row.chunks_mut(CHUNK_ROWS).zip(places.chunks(CHUNK_ROWS)).collect();
                threads::each(places.len(), tasks, |(out, places): (&mut [i32], &[u32])| {
                    for (number, &place) in out.iter_mut().zip(places) {
                        *number = numbers[place as usize];
                    }
                });
                by_row
            }
        }
    }
}

/// The ends of whole segments, up to about `rows` rows at a time.
pub(crate) fn runs(ends: &[u32], rows: usize) -> impl Iterator<Item = &[u32]> {
    let (mut rest, mut start) = (ends, 0);
    std::iter::from_fn(move || {
        let within = rest.partition_point(|&end| end as usize <= start + rows).max(1);
        let (run, after) = rest.split_at_checked(within)?;
        start = run[run.len() - 1] as usize;
        rest = after;
        Some(run)
    })
}
