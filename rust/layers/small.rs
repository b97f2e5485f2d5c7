//! Few rows: all pairs are compared, and fronts are sets of bits.
//!
//! Rows come best first, in lexicographic order, so that no row is dominated by a later one. The
//! earlier rows that are no worse, compared lane by lane, are bits of some words; a row goes to the
//! first front of which no row is among them. Fronts that dominate a row come before those that do
//! not, so a binary search finds it: the efficient non-dominated sort (Zhang, Tian, Cheng, Jin
//! 2015), with pairs as bits. O(m n²), but nothing is prepared: for few rows that takes less time
//! than the preparations of faster algorithms.

use pulp::{Arch, NullaryFnOnce};

use super::stop::{PAST_STOP, Stop, cut};
use crate::points::Points;
use crate::sort::descending_key;

/// Rows whose bits fit a word.
const WORD_ROWS: usize = u64::BITS as usize;

const WORDS: usize = 4;

/// More rows are worth preparations.
const MAX_ROWS: usize = WORDS * WORD_ROWS;

/// Rows that are compared at once.
const LANE_ROWS: usize = 8;

/// Some of the rows, by their places in order.
type Set = [u64; WORDS];

/// The layer of each row; `None` if there are many rows, or one objective.
pub(super) fn number(points: &Points<'_>, stop: Stop) -> Option<Vec<i32>> {
    let rows = points.rows();
    if rows > MAX_ROWS || points.objectives() < 2 {
        return None;
    }
    let cap = match stop {
        Stop::Never => rows,
        // No more layers than rows can be needed, for each holds one.
        Stop::UpTo(count) | Stop::AtLeast(count) => count.min(rows),
    };
    let order = lexicographic(points);
    let columns: Vec<Vec<f64>> = points
        .columns()
        .iter()
        .map(|column| {
            let mut values = column.gather(order.iter().copied(), |value| value);
            values.resize(rows.next_multiple_of(LANE_ROWS), 0.0);
            values
        })
        .collect();
    let (first, others) = columns.split_first()?;
    let no_worse = Arch::new().dispatch(NoWorse { columns: others, rows });
    let mut numbers = vec![PAST_STOP; rows];
    let mut fronts: Vec<Set> = Vec::with_capacity(16);
    let mut front = 0;
    for (place, (&row, no_worse)) in order.iter().zip(&no_worse).enumerate() {
        // Equal rows share a front, and one of them is enough to dominate others.
        let equals = |column: &Vec<f64>| column[place] == column[place - 1];
        if place == 0 || !equals(first) || !others.iter().all(equals) {
            front = fronts.partition_point(|set| meet(set, no_worse));
            if front == fronts.len() && front < cap {
                fronts.push([0; WORDS]);
            }
            if let Some(set) = fronts.get_mut(front) {
                set[place / WORD_ROWS] |= 1 << (place % WORD_ROWS);
            }
        }
        if front < cap {
            numbers[row] = front as i32;
        }
    }
    if let Stop::AtLeast(covered) = stop {
        cut(&mut numbers, covered);
    }
    Some(numbers)
}

/// The rows, best first by the first objective that differs.
fn lexicographic(points: &Points<'_>) -> Vec<usize> {
    let (first, others) = (points.columns()[0], &points.columns()[1..]);
    // The key of the first objective and the row, in one integer.
    let key = |value| u128::from(descending_key(value)) << 64;
    let mut keyed = first.gather(0..points.rows(), key);
    keyed.iter_mut().zip(0..).for_each(|(key, row)| *key |= row);
    keyed.sort_unstable();
    let mut order: Vec<usize> = keyed.iter().map(|&key| key as u64 as usize).collect();
    let mut start = 0;
    for ties in keyed.chunk_by(|a, b| a >> 64 == b >> 64) {
        let end = start + ties.len();
        if ties.len() > 1 {
            let keys = |row: usize| others.iter().map(move |c| descending_key(c.get(row)));
            order[start..end].sort_unstable_by(|&a, &b| keys(a).cmp(keys(b)));
        }
        start = end;
    }
    order
}

fn meet(a: &Set, b: &Set) -> bool {
    a.iter().zip(b).fold(0, |both, (a, b)| both | (a & b)) != 0
}

/// For each row those before it that are no worse in all these columns.
struct NoWorse<'a> {
    /// Rows in order, and some more to fill the last lanes.
    columns: &'a [Vec<f64>],
    rows: usize,
}

impl NullaryFnOnce for NoWorse<'_> {
    type Output = Vec<Set>;

    #[inline(always)]
    fn call(self) -> Vec<Set> {
        match self.columns.len() {
            1 => self.sets::<1>(),
            2 => self.sets::<2>(),
            3 => self.sets::<3>(),
            4 => self.sets::<4>(),
            _ => self.sets::<0>(),
        }
    }
}

impl NoWorse<'_> {
    /// The sets; M is the number of columns, or 0 for any.
    #[inline(always)]
    fn sets<const M: usize>(self) -> Vec<Set> {
        let m = if M == 0 { self.columns.len() } else { M };
        let columns = &self.columns[..m];
        let mut sets = vec![[0; WORDS]; self.rows.next_multiple_of(LANE_ROWS)];
        for (step, sets) in sets.as_chunks_mut::<LANE_ROWS>().0.iter_mut().enumerate() {
            let end = (step + 1) * LANE_ROWS;
            #[expect(clippy::needless_range_loop, reason = "words of all lanes, not of one")]
            for word in 0..end.div_ceil(WORD_ROWS) {
                let mut bits = [0u64; LANE_ROWS];
                for other in word * WORD_ROWS..end.min((word + 1) * WORD_ROWS) {
                    let mut no_worse = [true; LANE_ROWS];
                    for column in columns {
                        let (x, lanes) = (column[other], column.as_chunks::<LANE_ROWS>().0[step]);
                        for lane in 0..LANE_ROWS {
                            no_worse[lane] &= x >= lanes[lane];
                        }
                    }
                    for lane in 0..LANE_ROWS {
                        bits[lane] |= u64::from(no_worse[lane]) << (other % WORD_ROWS);
                    }
                }
                for lane in 0..LANE_ROWS {
                    sets[lane][word] = bits[lane];
                }
            }
            // Of the rows in the same lanes only those before.
            for (lane, set) in sets.iter_mut().enumerate() {
                let place = step * LANE_ROWS + lane;
                set[place / WORD_ROWS] &= (1 << (place % WORD_ROWS)) - 1;
            }
        }
        sets
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
            let (m, levels) = (2 + case % 6, [2, 4, 9, 1 << 30][case / 6 % 4]);
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
