//! Rows that a sample proves to be past the stop.
//!
//! A row of layer L - 1 of a sample has layer L - 1 or later among all rows, so whatever it
//! dominates is past L layers. On a grid over all objectives but the last, each cell holds the
//! best last objective of those rows that lie in a better cell in every other objective; a row of
//! the cell that is no better in the last is dominated by one of them. One pass over the rows
//! then leaves few of them, unless the front is nearly everything.

use rayon::prelude::*;

use super::Stop;
use crate::points::{Column, Points};
use crate::threads;

/// Fewer rows are numbered faster than sampled.
const FEW_ROWS: usize = 1 << 14;

/// Cells of the grid, which must stay in cache.
const CELLS: usize = 1 << 17;

/// Rows per block of the pass.
const BLOCK: usize = 1024;

/// The rows, in order, that may lie in the first `layers` layers; `None` if a sample rules out
/// too few to be worth a copy.
pub(super) fn candidates(points: &Points<'_>, layers: u32) -> Option<Vec<u32>> {
    let rows = points.rows();
    if rows < FEW_ROWS || points.objectives() < 2 {
        return None;
    }
    let grid = Grid::new(&sample(points), layers)?;
    let block = |first: usize| grid.open_rows(points, first, BLOCK.min(rows - first));
    let starts: Vec<usize> = (0..rows).step_by(BLOCK).collect();
    let open: Vec<u32> = if threads::worthwhile(rows) {
        let parts: Vec<Vec<u32>> = starts.into_par_iter().with_min_len(16).map(block).collect();
        parts.concat()
    } else {
        starts.into_iter().flat_map(block).collect()
    };
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
    side: usize,
    /// Rows of the cell whose last objective is no larger are past the stop.
    bounds: Vec<f64>,
}

/// A monotone map from values to cells, finer where the sample lies.
struct Axis {
    low: f64,
    scale: f64,
}

impl Axis {
    fn over(values: &[f64], side: usize) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let trim = sorted.len() / 256;
        let (low, high) = match (sorted.get(trim), sorted.iter().nth_back(trim)) {
            (Some(&low), Some(&high)) => (low, high),
            _ => (0.0, 0.0),
        };
        let scale = (side - 2) as f64 / (high - low);
        Self { low, scale: if scale.is_finite() { scale } else { 0.0 } }
    }

    /// Larger values never get a smaller cell; the conversion clamps what is out of range.
    #[inline]
    fn cell(&self, value: f64, side: usize) -> usize {
        (((value - self.low) * self.scale + 1.0) as u32).min(side as u32 - 1) as usize
    }
}

impl Grid {
    fn new(sample: &[Vec<f64>], layers: u32) -> Option<Self> {
        let (last, others) = sample.split_last()?;
        let side = (CELLS as f64).powf(1.0 / others.len() as f64) as usize;
        if side < 4 {
            return None;
        }
        let points = Points::new(sample.iter().map(|column| Column::F64(column)).collect()).ok()?;
        let numbers = super::layers(&points, Stop::UpTo(layers as usize));
        let axes: Vec<Axis> = others.iter().map(|column| Axis::over(column, side)).collect();
        let mut bounds = vec![f64::NEG_INFINITY; side.pow(others.len() as u32)];
        let mut found = false;
        for row in (0..last.len()).filter(|&row| numbers[row] == layers as i32 - 1) {
            // One cell lower in each objective: strictly worse there than the row itself.
            let cell = axes.iter().zip(others).try_fold(0, |index, (axis, column)| {
                Some(index * side + axis.cell(column[row], side).checked_sub(1)?)
            });
            if let Some(cell) = cell {
                bounds[cell] = bounds[cell].max(last[row]);
                found = true;
            }
        }
        // Along each axis in turn, what bounds a better cell bounds the worse ones.
        let mut stride = 1;
        for _ in &axes {
            for cell in (0..bounds.len() - stride).rev() {
                if cell / stride % side < side - 1 {
                    bounds[cell] = bounds[cell].max(bounds[cell + stride]);
                }
            }
            stride *= side;
        }
        found.then_some(Self { axes, side, bounds })
    }

    /// The rows of a block that are not ruled out.
    fn open_rows(&self, points: &Points<'_>, first: usize, rows: usize) -> Vec<u32> {
        let Some((last, others)) = points.columns().split_last() else { return Vec::new() };
        let (mut values, mut cells) = ([0.0; BLOCK], [0usize; BLOCK]);
        for (axis, column) in self.axes.iter().zip(others) {
            column.copy_to(first, &mut values[..rows]);
            for (cell, &value) in cells.iter_mut().zip(&values) {
                *cell = *cell * self.side + axis.cell(value, self.side);
            }
        }
        last.copy_to(first, &mut values[..rows]);
        let mut open = Vec::new();
        for (row, (&value, &cell)) in values[..rows].iter().zip(&cells).enumerate() {
            // An untouched bound of -inf rules nothing out, not even -inf.
            let bound = self.bounds[cell];
            if value > bound || bound == f64::NEG_INFINITY {
                open.push((first + row) as u32);
            }
        }
        open
    }
}
