//! Points in a k-d tree (Bentley 1975) of small blocks, each node with the best value of each
//! objective: the least loss of a query is found without a look at most points.
//!
//! The least of many numbers does not depend on the order of looking, and bounds are exact, so the
//! answer is that of a look at all points, bit for bit.

use super::loss::Loss;
use crate::threads;

/// Points of a block, side by side in the lanes of vectors.
pub(super) const BLOCK_POINTS: usize = 64;

/// Rows among which the objective that a node is split by is chosen.
const SPREAD_SAMPLE: usize = 64;

/// Blocks of up to [`BLOCK_POINTS`] points, as many as a power of two; at least one point.
pub(super) struct Tree {
    objectives: usize,
    /// Block after block, in each objective after objective. Lanes left over repeat the last point.
    blocks: Vec<[f64; BLOCK_POINTS]>,
    /// The best values of each node: 1 is the root, 2 i and 2 i + 1 are the halves of i.
    corners: Vec<f64>,
}

impl Tree {
    /// Of points by objective, at least one, sorted down to so many levels.
    pub fn new(columns: &[Vec<f64>], levels: u32) -> Self {
        let (m, rows) = (columns.len(), columns[0].len());
        let leaves = rows.div_ceil(BLOCK_POINTS).next_power_of_two();
        let mut items: Vec<u64> = (0..rows as u64).collect();
        let unsplit = leaves >> levels.min(leaves.ilog2());
        split(columns, &mut items, leaves, unsplit);
        let rows_of = |leaf: usize| {
            let (mut start, mut len, mut below) = (0, rows, leaves);
            // The way down from the root, by the halves that [`split`] makes.
            while below > 1 {
                below /= 2;
                let half = len / 2;
                (start, len) =
                    if leaf & below == 0 { (start, half) } else { (start + half, len - half) };
            }
            &items[start..start + len]
        };
        let blocks = threads::map(rows, leaves, |leaf| {
            let rows = rows_of(leaf);
            let block = columns.iter().map(|column| {
                let mut lanes = [0.0; BLOCK_POINTS];
                for (lane, value) in lanes.iter_mut().enumerate() {
                    *value = column[row(rows[lane.min(rows.len() - 1)])];
                }
                lanes
            });
            block.collect::<Vec<_>>()
        });
        let blocks = blocks.concat();
        let mut corners = vec![f64::NEG_INFINITY; 2 * leaves * m];
        for (corner, lanes) in corners[leaves * m..].iter_mut().zip(&blocks) {
            *corner = lanes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        }
        for node in (1..leaves).rev() {
            for j in 0..m {
                let [left, right] = [2 * node, 2 * node + 1].map(|child| corners[child * m + j]);
                corners[node * m + j] = left.max(right);
            }
        }
        Self { objectives: m, blocks, corners }
    }

    pub fn objectives(&self) -> usize {
        self.objectives
    }

    /// The least loss of a query, if it is less than the one known, or any loss up to `enough`.
    /// The stack is only a buffer.
    #[inline(always)]
    pub fn least(
        &self,
        loss: impl Loss,
        query: &[f64],
        known: f64,
        enough: f64,
        stack: &mut Vec<(f64, usize)>,
    ) -> f64 {
        let leaves = self.corners.len() / self.objectives / 2;
        let mut least = known;
        stack.clear();
        stack.push((self.bound(loss, query, 1), 1));
        while let Some((bound, node)) = stack.pop() {
            if bound >= least {
                continue;
            }
            if node >= leaves {
                least = least.min(self.block(loss, query, node - leaves));
                if least <= enough {
                    break;
                }
                continue;
            }
            let mut halves =
                [2 * node, 2 * node + 1].map(|half| (self.bound(loss, query, half), half));
            // The half that promises less is looked into first.
            if halves[0].0 < halves[1].0 {
                halves.swap(0, 1);
            }
            stack.extend(halves.into_iter().filter(|half| half.0 < least));
        }
        least
    }

    /// No point below a node loses less than this.
    #[inline(always)]
    fn bound<L: Loss>(&self, loss: L, query: &[f64], node: usize) -> f64 {
        let corner = &self.corners[node * self.objectives..][..self.objectives];
        let terms = query.iter().zip(corner).enumerate();
        terms.fold(L::START, |sum, (j, (&q, &x))| loss.join(sum, loss.term(j, q, x)))
    }

    /// The least loss of a query with the points of a block.
    #[inline(always)]
    fn block<L: Loss>(&self, loss: L, query: &[f64], block: usize) -> f64 {
        let mut losses = [L::START; BLOCK_POINTS];
        let lanes = &self.blocks[block * self.objectives..][..self.objectives];
        for (j, (&query, lanes)) in query.iter().zip(lanes).enumerate() {
            join_terms(loss, j, query, lanes, &mut losses);
        }
        least_of(&losses)
    }
}

/// Joins the terms of an objective to the losses with the points of a block. No closures here: one
/// that is not inlined would lose the instruction set.
#[inline(always)]
pub(super) fn join_terms(
    loss: impl Loss,
    j: usize,
    query: f64,
    lanes: &[f64; BLOCK_POINTS],
    losses: &mut [f64; BLOCK_POINTS],
) {
    for lane in 0..BLOCK_POINTS {
        losses[lane] = loss.join(losses[lane], loss.term(j, query, lanes[lane]));
    }
}

/// The least of a block's losses.
#[inline(always)]
pub(super) fn least_of(losses: &[f64; BLOCK_POINTS]) -> f64 {
    let mut least = [f64::INFINITY; 8];
    for start in (0..BLOCK_POINTS).step_by(8) {
        for lane in 0..8 {
            let loss = losses[start + lane];
            least[lane] = if loss < least[lane] { loss } else { least[lane] };
        }
    }
    let mut smallest = least[0];
    for least in least {
        smallest = if least < smallest { least } else { smallest };
    }
    smallest
}

/// The row of an item, whose upper half is what a set is halved by.
fn row(item: u64) -> usize {
    item as u32 as usize
}

/// Orders rows so that halves, halves of halves and so on down to `leaves` lie apart; where no
/// more than `unsplit` leaves are left, rows stay as they are.
fn split(columns: &[Vec<f64>], items: &mut [u64], leaves: usize, unsplit: usize) {
    if leaves <= unsplit.max(1) {
        return;
    }
    threads::check();
    let column = widest(columns, items);
    for item in items.iter_mut() {
        // Single precision is enough to tell halves apart.
        let bits = (column[row(*item)] as f32).to_bits();
        let key = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        *item = u64::from(key) << 32 | (*item & u64::from(u32::MAX));
    }
    let half = items.len() / 2;
    items.select_nth_unstable(half);
    let (left, right) = items.split_at_mut(half);
    threads::join(
        left.len() + right.len(),
        || split(columns, left, leaves / 2, unsplit),
        || split(columns, right, leaves / 2, unsplit),
    );
}

/// The objective in which a sample of the rows spreads most.
fn widest<'a>(columns: &'a [Vec<f64>], items: &[u64]) -> &'a [f64] {
    let step = items.len().div_ceil(SPREAD_SAMPLE);
    let spread = |column: &[f64]| {
        let values = items.iter().step_by(step).map(|&item| column[row(item)]);
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (least, most) = values.fold(start, |(a, b), x| (a.min(x), b.max(x)));
        most - least
    };
    let mut best = (&columns[0][..], spread(&columns[0]));
    for column in &columns[1..] {
        let here = spread(column);
        if here > best.1 {
            best = (column, here);
        }
    }
    best.0
}
