//! Rows that a sample proves to be past the stop.
//!
//! A row of layer L - 1 of a sample has layer L - 1 or later among all rows, so whatever it
//! dominates is past L layers. On a grid over all objectives but the last, each cell holds the
//! best last objective of those rows that lie in a better cell in every other objective; a row of
//! the cell that is no better in the last is dominated by one of them. One pass over the rows
//! then leaves few of them, unless the front is nearly everything.

use pulp::{Arch, NullaryFnOnce};

use super::stop::PAST_STOP;
use crate::points::{Column, Points};
use crate::threads;

/// If less than this part of a sample is past the stop, it is not worth looking for such rows.
const MIN_PAST_PART: usize = 64;

/// Fewer rows are numbered faster than sampled.
const MIN_SAMPLED_ROWS: usize = 1 << 14;

/// Cells of the grid, which must stay in cache.
const MAX_CELLS: usize = 1 << 15;

/// Rows per block of the pass.
const BLOCK_ROWS: usize = 1024;

/// What a sample says of the rows past the stop.
pub(super) enum Bound {
    /// The rows, in order, that may lie in the first layers: not many.
    Few(Vec<u32>),
    /// Most rows may, so that a copy of them would not pay, but not nearly all need to.
    Many,
    /// Nearly all rows lie in the first layers.
    All,
}

/// Which rows may lie in the first `layers` layers. `number` gives the first layers of the sample,
/// -1 past them.
pub(super) fn bound(
    points: &Points<'_>,
    layers: u32,
    number: impl FnOnce(&Points<'_>) -> Vec<i32>,
) -> Bound {
    let rows = points.rows();
    if rows < MIN_SAMPLED_ROWS || points.objectives() < 2 {
        return Bound::Many;
    }
    let side = (MAX_CELLS as f64).powf(1.0 / (points.objectives() - 1) as f64) as u32;
    if side < 4 {
        return Bound::Many;
    }
    let sample = sample(points);
    let sampled = points.part(&sample);
    let numbers = number(&sampled);
    match few(points, &sampled, &sample, &numbers, layers, side) {
        Some(open) => Bound::Few(open),
        // Among all rows more are past the stop than among those of a sample, in which fewer rows
        // are dominated.
        None => {
            let past = numbers.iter().filter(|&&number| number == PAST_STOP).count();
            if past * MIN_PAST_PART < sampled.rows() { Bound::All } else { Bound::Many }
        }
    }
}

/// The rows that may lie in the first layers, given those of a sample; `None` if they are many.
fn few(
    points: &Points<'_>,
    sampled: &Points<'_>,
    sample: &[Vec<f64>],
    numbers: &[i32],
    layers: u32,
    side: u32,
) -> Option<Vec<u32>> {
    let rows = points.rows();
    let pivots = (0..sampled.rows()).filter(|&row| numbers[row] == layers as i32 - 1).collect();
    let grid = Grid::new(sample, pivots, side)?;
    // The sample tells what share of the rows will be ruled out, before all are looked at.
    let blocks = || {
        (0..sampled.rows()).step_by(8 * BLOCK_ROWS).map(|i| (i, BLOCK_ROWS.min(sampled.rows() - i)))
    };
    let open: usize =
        blocks().map(|(first, rows)| grid.open_rows(sampled, first, rows).len()).sum();
    if open > blocks().map(|(_, rows)| rows).sum::<usize>() / 4 * 3 {
        return None;
    }
    let block = |first: usize| grid.open_rows(points, first, BLOCK_ROWS.min(rows - first));
    let starts: Vec<usize> = (0..rows).step_by(BLOCK_ROWS).collect();
    let open = threads::each(rows, starts, block).concat();
    (open.len() < rows / 4 * 3).then_some(open)
}

/// The columns of about 2 n^(3/4) rows, one from each stretch of equal length.
fn sample(points: &Points<'_>) -> Vec<Vec<f64>> {
    let rows = points.rows();
    let size = ((rows as f64).powf(0.75) as usize * 2).clamp(1, 100_000).min(rows);
    let stretch = rows / size;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let chosen: Vec<usize> = (0..size)
        .map(|i| {
            // Jitter, so that a pattern in the rows is not mistaken for their shape.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            i * stretch + state as usize % stretch
        })
        .collect();
    let column = |column: &Column<'_>| chosen.iter().map(|&row| column.get(row)).collect();
    points.columns().iter().map(column).collect()
}

/// The bound on the last objective, cell by cell of the others.
struct Grid {
    axes: Vec<Axis>,
    side: u32,
    /// Rows of the cell whose last objective is no larger are past the stop.
    bounds: Vec<f64>,
}

/// A monotone map from values to cells.
enum Axis {
    /// Many cells of equal width; the outer two for what lies beyond most of the sample.
    Even {
        low: f64,
        high: f64,
        /// Cells per unit, of halved values: the difference of two doubles may overflow.
        scale: f64,
    },
    /// Few cells, each with about as many pivots; the value where each but the first begins.
    Quantiles(Vec<f64>),
}

/// Up to this many cells are told apart one by one.
const MAX_QUANTILE_CELLS: u32 = 32;

impl Axis {
    /// Cells for the values of a sample's column, of whose rows the pivots bound others.
    fn over(column: &[f64], pivots: &[usize], side: u32) -> Self {
        let few = side <= MAX_QUANTILE_CELLS;
        let mut values: Vec<f64> = if few {
            pivots.iter().map(|&row| column[row]).collect()
        } else {
            // A thousand values tell the range well enough.
            column.iter().step_by(column.len() / 1000 + 1).copied().collect()
        };
        values.sort_unstable_by(f64::total_cmp);
        let at = |part: usize, of: usize| {
            values.get(values.len() * part / of).or(values.last()).copied().unwrap_or(0.0)
        };
        if few {
            let side = side as usize;
            return Self::Quantiles((1..side).map(|cell| at(cell, side)).collect());
        }
        let [low, high] = [at(1, 256), at(255, 256)].map(|x| x.clamp(f64::MIN, f64::MAX));
        let scale = f64::from(side - 3) / (high / 2.0 - low / 2.0);
        Self::Even { low, high, scale: if scale.is_finite() { scale } else { 0.0 } }
    }

    /// Appends the cell of each value, as a digit to base `side`, to its number. Larger values
    /// never get a smaller cell.
    #[inline(always)]
    fn append(&self, values: &[f64], numbers: &mut [u32], side: u32) {
        numbers.iter_mut().for_each(|number| *number *= side);
        match self {
            &Self::Even { low, high, scale } => {
                for (number, &value) in numbers.iter_mut().zip(values) {
                    let (under, over) = (value < low, value > high);
                    let inside = if under { low } else { value };
                    let inside = if over { high } else { inside };
                    let cell = ((inside / 2.0 - low / 2.0) * scale) as u32;
                    *number += cell + 1 + u32::from(over) - u32::from(under);
                }
            }
            Self::Quantiles(starts) => {
                for &start in starts {
                    for (number, &value) in numbers.iter_mut().zip(values) {
                        *number += u32::from(value >= start);
                    }
                }
            }
        }
    }

    fn cell(&self, value: f64, side: u32) -> u32 {
        let mut number = [0];
        self.append(&[value], &mut number, side);
        number[0]
    }
}

impl Grid {
    /// The bound by those rows of the sample that are pivots; `None` if there is none.
    fn new(sample: &[Vec<f64>], pivots: Vec<usize>, side: u32) -> Option<Self> {
        let (last, others) = sample.split_last()?;
        let axes: Vec<Axis> =
            others.iter().map(|column| Axis::over(column, &pivots, side)).collect();
        let mut bounds = vec![f64::NEG_INFINITY; side.pow(others.len() as u32) as usize];
        let mut bounded = false;
        for row in pivots {
            // One cell lower in each objective: strictly worse there than the row itself.
            let cell = axes.iter().zip(others).try_fold(0, |index, (axis, column)| {
                Some(index * side + axis.cell(column[row], side).checked_sub(1)?)
            });
            if let Some(cell) = cell {
                let bound = &mut bounds[cell as usize];
                *bound = bound.max(last[row]);
                bounded = true;
            }
        }
        // Along each axis in turn, what bounds a better cell bounds the worse ones.
        let side_length = side as usize;
        let mut stride = 1;
        for _ in &axes {
            for block in bounds.chunks_exact_mut(stride * side_length) {
                for cell in (0..block.len() - stride).rev() {
                    block[cell] = block[cell].max(block[cell + stride]);
                }
            }
            stride *= side_length;
        }
        bounded.then_some(Self { axes, side, bounds })
    }

    /// The rows of a block that are not ruled out.
    fn open_rows(&self, points: &Points<'_>, first: usize, rows: usize) -> Vec<u32> {
        Arch::new().dispatch(OpenRows { grid: self, points, first, rows })
    }
}

/// [`Grid::open_rows`] as something that can be compiled for several instruction sets.
struct OpenRows<'a> {
    grid: &'a Grid,
    points: &'a Points<'a>,
    first: usize,
    rows: usize,
}

impl NullaryFnOnce for OpenRows<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn call(self) -> Vec<u32> {
        let Self { grid, points, first, rows } = self;
        let Some((last, others)) = points.columns().split_last() else { return Vec::new() };
        let (mut values, mut cells) = ([0.0; BLOCK_ROWS], [0u32; BLOCK_ROWS]);
        for (axis, column) in grid.axes.iter().zip(others) {
            column.copy_to(first, &mut values[..rows]);
            axis.append(&values, &mut cells, grid.side);
        }
        last.copy_to(first, &mut values[..rows]);
        let mut open = Vec::new();
        for (row, (&value, &cell)) in values[..rows].iter().zip(&cells).enumerate() {
            // An untouched bound of -inf rules nothing out, not even -inf.
            let bound = grid.bounds[cell as usize];
            if value > bound || bound == f64::NEG_INFINITY {
                open.push((first + row) as u32);
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Stop, layers};

    #[test]
    fn infinities_beside_a_constant_are_not_ruled_out() {
        // The axis has no width, and the rows beyond it are many.
        let rows = 2 * MIN_SAMPLED_ROWS;
        let first: Vec<f64> =
            (0..rows).map(|row| if row % 3 == 0 { f64::INFINITY } else { 0.0 }).collect();
        let second: Vec<f64> =
            (0..rows).map(|row| (row * 7919 % rows) as f64 / (1 + row % 3) as f64).collect();
        let points = Points::new(vec![Column::F64(&first), Column::F64(&second)]).unwrap();
        let all = layers(&points, Stop::Never);
        let front = layers(&points, Stop::UpTo(1));
        assert!(all.iter().zip(&front).all(|(&all, &front)| (all == 0) == (front == 0)));
    }

    #[test]
    fn cells_rise_with_values() {
        let extremes = [f64::NEG_INFINITY, f64::MIN, -1.0, -0.0, 0.0, 1.0, f64::MAX, f64::INFINITY];
        for values in [&extremes[..], &[0.0; 5], &[f64::MIN, f64::MAX], &[f64::INFINITY], &[]] {
            for side in [4, 8, 100] {
                let axis = Axis::over(values, &(0..values.len()).collect::<Vec<_>>(), side);
                let cells: Vec<u32> = extremes.iter().map(|&x| axis.cell(x, side)).collect();
                assert!(cells.is_sorted() && cells[7] < side, "{cells:?} over {values:?}");
            }
        }
    }
}
