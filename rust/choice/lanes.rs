//! Rows by the chunk: one number of each row in a lane, so that loops over them vectorise.

use crate::points::Points;

/// Rows that are screened together.
pub(crate) const CHUNK_ROWS: usize = 64;

/// One number of each row of a chunk, where no vector of them crosses a line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Lanes<T>(pub [T; CHUNK_ROWS]);

/// Reads the rows from `first` on, as many as there are up to the size of a chunk, by objective;
/// how many these are. `M` is the number of objectives, or 0 for any.
#[inline(always)]
pub(crate) fn read<const M: usize>(
    points: &Points<'_>,
    first: usize,
    values: &mut [Lanes<f64>],
) -> usize {
    let rows = CHUNK_ROWS.min(points.rows() - first);
    let whole = first..first + CHUNK_ROWS;
    if !points.table::<M>().read(whole, |j, lane, value| values[j].0[lane] = value) {
        for (column, values) in points.columns().iter().zip(values) {
            column.copy_to(first, &mut values.0[..rows]);
        }
    }
    rows
}
