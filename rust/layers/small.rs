//! Few rows: efficient non-dominated sort with a binary search (Zhang, Tian, Cheng, Jin 2015).
//!
//! Rows come best first, in lexicographic order, so that no row is dominated by a later one. A row
//! goes to the first front of which no row dominates it; fronts that dominate it come before those
//! that do not, so a binary search finds it. O(m n²) at worst, but nothing is prepared: for few
//! rows that takes less time than the preparations of faster algorithms.

use super::stop::{PAST_STOP, Stop, cut};
use crate::points::Points;
use crate::sort::descending_key;

/// More rows are worth preparations.
const MAX_ROWS: usize = 128;

/// The layer of each row; `None` if there are many rows or objectives, or one objective.
pub(super) fn number(points: &Points<'_>, stop: Stop) -> Option<Vec<i32>> {
    let rows = points.rows();
    if rows > MAX_ROWS {
        return None;
    }
    let cap = match stop {
        Stop::Never => rows,
        // No more layers than rows can be needed, for each holds one.
        Stop::UpTo(count) | Stop::AtLeast(count) => count.min(rows),
    };
    let mut numbers = match points.objectives() {
        2 => insert_all::<2>(points, cap),
        3 => insert_all::<3>(points, cap),
        4 => insert_all::<4>(points, cap),
        5 => insert_all::<5>(points, cap),
        6 => insert_all::<6>(points, cap),
        _ => return None,
    };
    if let Stop::AtLeast(covered) = stop {
        cut(&mut numbers, covered);
    }
    Some(numbers)
}

fn insert_all<const M: usize>(points: &Points<'_>, cap: usize) -> Vec<i32> {
    let rows = points.rows().min(MAX_ROWS);
    let mut values = [[0.0; M]; MAX_ROWS];
    for (j, column) in points.columns().iter().enumerate().take(M) {
        column.for_blocks(0..rows, |start, block| {
            for (row, &value) in values[start..].iter_mut().zip(block) {
                row[j] = value;
            }
        });
    }
    let order = lexicographic(&values[..rows]);
    let mut fronts = Fronts { rows: [[0.0; M]; MAX_ROWS], before: [0; MAX_ROWS], last: Vec::new() };
    let mut numbers = vec![PAST_STOP; rows];
    let mut previous = None;
    for (place, row) in order.into_iter().enumerate() {
        let point = values[row];
        // Equal rows share a front, and one of them is enough to dominate others.
        let front = match previous {
            Some((equal, front)) if equal == point => front,
            _ => fronts.insert(place, point, cap),
        };
        previous = Some((point, front));
        if front < cap {
            numbers[row] = front as i32;
        }
    }
    numbers
}

/// The places of the rows, best first by the first objective that differs.
fn lexicographic<const M: usize>(rows: &[[f64; M]]) -> Vec<usize> {
    // The key of the first objective and the place, in one integer.
    let mut keyed: Vec<u128> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| u128::from(descending_key(row[0])) << 64 | place as u128)
        .collect();
    keyed.sort_unstable();
    let mut order: Vec<usize> = keyed.iter().map(|&key| key as u64 as usize).collect();
    for ties in order.chunk_by_mut(|&a, &b| rows[a][0] == rows[b][0]) {
        if ties.len() > 1 {
            ties.sort_unstable_by_key(|&place| rows[place].map(descending_key));
        }
    }
    order
}

/// Fronts of rows that come best first.
struct Fronts<const M: usize> {
    /// Distinct rows by the place they came at.
    rows: [[f64; M]; MAX_ROWS],
    /// The place of the row before each in its front, plus one; 0 if it is the first.
    before: [u8; MAX_ROWS],
    /// The same for the last row of each front.
    last: Vec<u8>,
}

impl<const M: usize> Fronts<M> {
    /// Puts a row into the first of up to `cap` fronts that does not dominate it, and returns that
    /// front; `cap` if all do.
    fn insert(&mut self, place: usize, point: [f64; M], cap: usize) -> usize {
        let (mut front, mut end) = (0, self.last.len());
        while front < end {
            let middle = (front + end) / 2;
            if self.dominates(middle, &point) { front = middle + 1 } else { end = middle }
        }
        if front < cap {
            if front == self.last.len() {
                self.last.push(0);
            }
            self.rows[place] = point;
            self.before[place] = std::mem::replace(&mut self.last[front], place as u8 + 1);
        }
        front
    }

    /// Whether a row of the front dominates one that comes later and equals none.
    fn dominates(&self, front: usize, point: &[f64; M]) -> bool {
        let mut next = self.last[front];
        while next > 0 {
            let place = usize::from(next) - 1;
            let row = &self.rows[place];
            // It is no worse in the first objective, or it would not have come before.
            if (1..M).fold(true, |no_worse, j| no_worse & (row[j] >= point[j])) {
                return true;
            }
            // In two objectives, the last row of a front is its best in the second.
            next = if M == 2 { 0 } else { self.before[place] };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::ungrouped::layers_of_many;
    use crate::points::Column;
    use crate::testing::Random;

    #[test]
    fn few_rows_are_numbered_like_many() {
        let mut random = Random(5);
        let stops =
            [Stop::Never, Stop::UpTo(1), Stop::UpTo(3), Stop::AtLeast(1), Stop::AtLeast(40)];
        for case in 0..600 {
            let (m, levels) = (2 + case % 5, [2, 4, 9, 1 << 30][case / 5 % 4]);
            let rows = random.below(MAX_ROWS as u64 + 2) as usize;
            let mut columns = random.columns(rows, m, levels);
            for value in columns.iter_mut().flatten() {
                *value = match random.below(99) {
                    0 => f64::INFINITY,
                    1 => f64::NEG_INFINITY,
                    2 => -0.0,
                    _ => *value,
                };
            }
            let points = Points::new(columns.iter().map(|c| Column::F64(c)).collect()).unwrap();
            for stop in stops {
                let few = number(&points, stop);
                assert_eq!(few.is_some(), rows <= MAX_ROWS);
                if let Some(numbers) = few {
                    assert_eq!(numbers, layers_of_many(&points, stop), "{m} {rows} {stop:?}");
                }
            }
        }
        assert!(number(&Points::new(vec![Column::F64(&[1.0])]).unwrap(), Stop::Never).is_none());
    }
}
