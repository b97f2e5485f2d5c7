//! Points in the order in which they came: for few queries, or for queries that end early, a look
//! at all of them is done before they are sorted into a tree.

use super::loss::Loss;
use super::tree::{BLOCK_POINTS, join_terms, least_of};
use crate::threads;

/// Points that all queries of a turn are asked about together: they fit into a core's own cache.
const TILE_POINTS: usize = 64 * BLOCK_POINTS;

/// Columns of equal length, not empty.
#[derive(Clone, Copy)]
pub(super) struct Flat<'a> {
    columns: &'a [Vec<f64>],
}

impl<'a> Flat<'a> {
    pub fn new(columns: &'a [Vec<f64>]) -> Self {
        Self { columns }
    }

    pub fn objectives(self) -> usize {
        self.columns.len()
    }

    pub fn rows(self) -> usize {
        self.columns[0].len()
    }

    /// Lowers the least losses of some queries, one after another, where points lose less.
    #[inline(always)]
    pub fn lower(self, loss: impl Loss, queries: &[&[f64]], least: &mut [f64]) {
        for start in (0..self.rows()).step_by(TILE_POINTS) {
            threads::check();
            let end = self.rows().min(start + TILE_POINTS);
            for (query, least) in queries.iter().zip(least.iter_mut()) {
                for block in (start..end).step_by(BLOCK_POINTS) {
                    *least = least.min(self.block(loss, query, block));
                }
            }
        }
    }

    /// The least loss of a query, if it is less than the one known, or any loss up to `enough`; and
    /// at how many points it looked.
    #[inline(always)]
    pub fn least(self, loss: impl Loss, query: &[f64], known: f64, enough: f64) -> (f64, usize) {
        let mut least = known;
        for block in (0..self.rows()).step_by(BLOCK_POINTS) {
            if block % TILE_POINTS == 0 {
                threads::check();
            }
            least = least.min(self.block(loss, query, block));
            if least <= enough {
                return (least, block + BLOCK_POINTS);
            }
        }
        (least, self.rows())
    }

    /// The least loss of a query with the points of the block that starts at a row.
    #[inline(always)]
    fn block<L: Loss>(self, loss: L, query: &[f64], start: usize) -> f64 {
        let mut losses = [L::START; BLOCK_POINTS];
        for (j, &query) in query.iter().enumerate() {
            let column = &self.columns[j][start..];
            if let Some(lanes) = column.first_chunk() {
                join_terms(loss, j, query, lanes, &mut losses);
            } else {
                // Lanes left over repeat the last point.
                let mut lanes = [column[column.len() - 1]; BLOCK_POINTS];
                lanes[..column.len()].copy_from_slice(column);
                join_terms(loss, j, query, &lanes, &mut losses);
            }
        }
        least_of(&losses)
    }
}
