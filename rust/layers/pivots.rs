//! Rows that a few good rows dominate: not in the front, and most of all rows are.
//!
//! Pivots are chosen greedily from a sample: each dominates most of what those before it leave.
//! One pass holds all rows against them, and a row that dominates a pivot takes its place, so that
//! pivots get better along the way (the filter of Godfrey, Shipley, Gryz 2007, whose rows are
//! ranked by a volume; counting dominated rows needs no scale). What is dropped is dominated by a
//! row that was seen, so nothing depends on the choice but time.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use crate::points::Points;
use crate::threads;

/// Rows that are compared at once, a bit of a word each.
const BLOCK_ROWS: usize = 64;

/// Blocks of the sample that pivots are chosen from.
const SAMPLED_BLOCKS: usize = 2;

/// Blocks between two of those on which pivots get better before the pass.
const MIN_REFINED_STRIDE: usize = 16;

/// More pivots cost every row that is left more than they take away.
const MAX_PIVOTS: usize = 8;

/// Rows of a part: parts are shared among threads, and each begins with the same pivots.
const PART_ROWS: usize = 1 << 14;

/// The rows, in order, that no pivot dominates; `None` if a sample says that these are more than
/// half of all.
pub(super) fn undominated(points: &Points<'_>) -> Option<Vec<u32>> {
    let rows = points.rows();
    let arch = Arch::new();
    let mut pivots = arch.dispatch(Choice { points })?;
    // Better pivots first: some blocks from all over, whose second half tells what will be left.
    let blocks = rows / BLOCK_ROWS;
    let stride = MIN_REFINED_STRIDE.max(blocks / 256);
    let (mut seen, mut open) = (0, 0);
    for block in (stride / 2..blocks).step_by(stride) {
        let rows = block * BLOCK_ROWS..(block + 1) * BLOCK_ROWS;
        let (left, better) = arch.dispatch(Pass { points, pivots, rows });
        pivots = better;
        if block >= blocks / 2 {
            (seen, open) = (seen + BLOCK_ROWS, open + left.len());
        }
    }
    if open > seen / 2 {
        return None;
    }
    let parts = threads::map(rows, rows.div_ceil(PART_ROWS), |part| {
        let rows = part * PART_ROWS..rows.min((part + 1) * PART_ROWS);
        arch.dispatch(Pass { points, pivots: pivots.clone(), rows }).0
    });
    Some(parts.concat())
}

/// Rows of each block, objective by objective.
type Block = [[f64; BLOCK_ROWS]];

/// Chooses pivots from a sample; `None` if they dominate next to nothing.
struct Choice<'a, 'b> {
    points: &'a Points<'b>,
}

impl NullaryFnOnce for Choice<'_, '_> {
    type Output = Option<Vec<f64>>;

    #[inline(always)]
    fn call(self) -> Option<Vec<f64>> {
        match self.points.objectives() {
            2 => self.choose::<2>(),
            3 => self.choose::<3>(),
            4 => self.choose::<4>(),
            5 => self.choose::<5>(),
            _ => self.choose::<0>(),
        }
    }
}

impl Choice<'_, '_> {
    /// In `M` objectives, or in any number if `M` is 0.
    #[inline(always)]
    fn choose<const M: usize>(self) -> Option<Vec<f64>> {
        const ROWS: usize = SAMPLED_BLOCKS * BLOCK_ROWS;
        let (m, rows) = (self.points.objectives(), self.points.rows());
        let stretch = rows / ROWS;
        // A row of each stretch, at changing places: a pattern in the rows is not their shape.
        let row = |i: usize| i * stretch + ((i * 0x9e37_79b9) >> 8) % stretch.max(1);
        let mut sample = vec![vec![[0.0; BLOCK_ROWS]; m]; SAMPLED_BLOCKS];
        for i in 0..ROWS.min(rows) {
            for (j, column) in self.points.columns().iter().enumerate() {
                sample[i / BLOCK_ROWS][j][i % BLOCK_ROWS] = column.get(row(i));
            }
        }
        let rows: Vec<Vec<f64>> = (0..ROWS)
            .map(|i| sample[i / BLOCK_ROWS].iter().map(|lanes| lanes[i % BLOCK_ROWS]).collect())
            .collect();
        let below: Vec<[u64; SAMPLED_BLOCKS]> = rows
            .iter()
            .map(|row| std::array::from_fn(|block| dominated::<M>(&sample[block], row)))
            .collect();
        let mut left = [u64::MAX; SAMPLED_BLOCKS];
        let mut pivots = Vec::with_capacity(MAX_PIVOTS * m);
        for _ in 0..MAX_PIVOTS {
            let gain = |i: usize| -> u32 {
                below[i].iter().zip(&left).map(|(below, left)| (below & left).count_ones()).sum()
            };
            let best = (0..ROWS).max_by_key(|&i| (gain(i), ROWS - i))?;
            if gain(best) == 0 {
                break;
            }
            for (left, below) in left.iter_mut().zip(&below[best]) {
                *left &= !below;
            }
            pivots.extend_from_slice(&rows[best]);
        }
        // Pivots get better, so this need not be much yet.
        let kept: u32 = left.iter().map(|left| left.count_ones()).sum();
        (kept as usize <= ROWS / 8 * 7).then_some(pivots)
    }
}

/// Holds the rows of a range against pivots, which get better: the rows left, and the pivots.
struct Pass<'a, 'b> {
    points: &'a Points<'b>,
    pivots: Vec<f64>,
    rows: Range<usize>,
}

impl NullaryFnOnce for Pass<'_, '_> {
    type Output = (Vec<u32>, Vec<f64>);

    #[inline(always)]
    fn call(self) -> (Vec<u32>, Vec<f64>) {
        match self.points.objectives() {
            2 => self.pass::<2>(),
            3 => self.pass::<3>(),
            4 => self.pass::<4>(),
            5 => self.pass::<5>(),
            _ => self.pass::<0>(),
        }
    }
}

impl Pass<'_, '_> {
    /// In `M` objectives, or in any number if `M` is 0.
    #[inline(always)]
    fn pass<const M: usize>(self) -> (Vec<u32>, Vec<f64>) {
        let Self { points, mut pivots, rows } = self;
        let m = if M == 0 { points.objectives() } else { M };
        let table = points.table::<M>();
        let mut values = vec![[0.0; BLOCK_ROWS]; m];
        // What the first pivot leaves is gathered into blocks, which meet the others.
        let mut gathered = vec![[0.0; BLOCK_ROWS]; m];
        let (mut waiting, mut filled) = ([0; BLOCK_ROWS], 0);
        let mut left = Vec::new();
        for start in rows.clone().step_by(BLOCK_ROWS) {
            let count = BLOCK_ROWS.min(rows.end - start);
            let whole = start..start + BLOCK_ROWS;
            if !table.read(whole, |j, lane, value| values[j][lane] = value) {
                for (values, column) in values.iter_mut().zip(points.columns()) {
                    column.copy_to(start, &mut values[..count]);
                }
            }
            let mut open = u64::MAX >> (BLOCK_ROWS - count);
            open &= !dominated::<M>(&values, &pivots[..m]);
            while open != 0 {
                let lane = open.trailing_zeros() as usize;
                open &= open - 1;
                waiting[filled] = (start + lane) as u32;
                for j in 0..m {
                    gathered[j][filled] = values[j][lane];
                }
                filled += 1;
                if filled == BLOCK_ROWS {
                    settle::<M>(&gathered, &waiting, &mut pivots, &mut left);
                    filled = 0;
                }
            }
        }
        settle::<M>(&gathered, &waiting[..filled], &mut pivots, &mut left);
        (left, pivots)
    }
}

/// Appends those of some rows that no pivot dominates; they take the place of pivots that they
/// dominate.
#[inline(always)]
fn settle<const M: usize>(values: &Block, rows: &[u32], pivots: &mut [f64], left: &mut Vec<u32>) {
    let m = if M == 0 { values.len() } else { M };
    let mut open = u64::MAX.checked_shr((BLOCK_ROWS - rows.len()) as u32).unwrap_or(0);
    for pivot in pivots[m..].chunks_exact(m) {
        open &= !dominated::<M>(values, pivot);
    }
    while open != 0 {
        let lane = open.trailing_zeros() as usize;
        open &= open - 1;
        left.push(rows[lane]);
        for pivot in pivots.chunks_exact_mut(m) {
            // Equal rows may change places: that changes nothing.
            if (0..m).all(|j| values[j][lane] >= pivot[j]) {
                for j in 0..m {
                    pivot[j] = values[j][lane];
                }
                break;
            }
        }
    }
}

/// The lanes that `pivot` dominates, as bits.
#[inline(always)]
fn dominated<const M: usize>(values: &Block, pivot: &[f64]) -> u64 {
    let m = if M == 0 { pivot.len() } else { M };
    let (values, pivot) = (&values[..m], &pivot[..m]);
    let (mut below, mut doubtful) = ([0u64; 8], [0u64; 8]);
    for step in (0..BLOCK_ROWS).step_by(8) {
        let mut no_better = [1u64 << step; 8];
        for j in 0..m {
            for lane in 0..8 {
                // Numbers, not bools, are as wide as the values and so stay in their lanes.
                no_better[lane] &= if values[j][step + lane] <= pivot[j] { u64::MAX } else { 0 };
            }
        }
        for lane in 0..8 {
            let same = if values[0][step + lane] == pivot[0] { u64::MAX } else { 0 };
            below[lane] |= no_better[lane] << lane;
            doubtful[lane] |= (no_better[lane] & same) << lane;
        }
    }
    let mut below = below.into_iter().fold(0, |a, b| a | b);
    // Rows that equal the pivot are not dominated.
    let mut doubtful = doubtful.into_iter().fold(0, |a, b| a | b);
    while doubtful != 0 {
        let lane = doubtful.trailing_zeros() as usize;
        doubtful &= doubtful - 1;
        if (0..m).all(|j| values[j][lane] == pivot[j]) {
            below &= !(1 << lane);
        }
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Column;
    use crate::testing::Random;

    #[test]
    fn what_is_dropped_is_dominated() {
        let mut random = Random(29);
        for m in 1..8 {
            for (rows, levels) in [(130, 3), (1000, 8), (5000, 1 << 20)] {
                let columns = random.columns(rows, m, levels);
                let points = Points::new(columns.iter().map(|c| Column::F64(c)).collect()).unwrap();
                let Some(left) = undominated(&points) else { continue };
                assert!(left.is_sorted_by(|a, b| a < b));
                let no_worse = |a: usize, b: usize| columns.iter().all(|c| c[a] >= c[b]);
                for row in (0..rows).filter(|&row| left.binary_search(&(row as u32)).is_err()) {
                    let dominates = |&other: &u32| {
                        no_worse(other as usize, row) && !no_worse(row, other as usize)
                    };
                    assert!(left.iter().any(dominates));
                }
            }
        }
    }
}
