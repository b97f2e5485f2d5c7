//! Four objectives and more: divide and conquer.
//!
//! Jensen (2003), generalised to ties by Fortin, Grenier and Parizeau (2013), with the running
//! time proven by Buzdalov and Shalyto (2014). A set is split near the median of its last
//! objective; the better half is numbered first, then raises the worse half in one objective less,
//! and so on down to two objectives, where a sweep does it. Small sets are compared directly.
//! O(n log^(m-1) n), and objectives that decide nothing fall away on the way.
//!
//! Rows are distinct and in lexicographic order, so their index stands for the first objective.

use std::sync::atomic::AtomicU32;

use pulp::Arch;

use super::cuts::{is_lopsided, middle_cut, sampled_cut};
use super::direct::{Across, Within};
use super::problem::Problem;
use super::scratch::{Scratch, Split, merge};
use super::sweep::Sweep;
use crate::threads;

/// Sets of up to this many rows are compared directly.
const DIRECT_ROWS: usize = 768;

/// Up to this many rows to raise are compared directly, however large the other side is.
const DIRECT_RAISED_ROWS: usize = 12;

/// Pairs of sets of this many rows or more are worth a second thread.
const MIN_FORK_ROWS: usize = 1 << 12;

/// Pairs larger than 1/`MAX_FORK_PART` of all rows are not forked themselves, only their parts
/// are, so that the buffers of all threads together stay small. (With few rows all buffers are
/// small, and pairs of any size are forked.)
const MAX_FORK_PART: usize = 4;

/// Sets of up to this many rows are first copied together: they fit into the second-level cache.
const CACHED_ROWS: usize = 1 << 16;

/// So many rows are swept, or divided, before it is asked whether the call goes on.
const ROWS_BETWEEN_CHECKS: usize = 1 << 12;

/// The layer of each row, given the second and later objectives of distinct rows in
/// lexicographic order. Numbers at or past `cap` only say "past the stop".
pub(super) fn number(columns: &[Vec<u32>], cap: u32) -> Vec<u32> {
    let rows = columns.first().map_or(0, Vec::len);
    let layers: Vec<AtomicU32> = (0..rows).map(|_| AtomicU32::new(0)).collect();
    let divide = Divide {
        problem: Problem {
            columns: &columns.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            layers: &layers,
            cap,
        },
        capped: (cap as usize) < rows,
        fork: if threads::worthwhile(rows) {
            (CACHED_ROWS * 4).max(rows / MAX_FORK_PART)
        } else {
            0
        },
        near: rows <= CACHED_ROWS,
        arch: Arch::new(),
    };
    let mut all: Vec<u32> = (0..rows as u32).collect();
    divide.within(&mut all, columns.len(), &mut Scratch::default());
    layers.into_iter().map(AtomicU32::into_inner).collect()
}

struct Divide<'a> {
    problem: Problem<'a>,
    /// Whether some layers may be past the stop.
    capped: bool,
    /// Pairs of sets up to this size are shared among threads.
    fork: usize,
    /// Whether all rows lie close together in memory.
    near: bool,
    /// The widest instructions of this machine, for the base case.
    arch: Arch,
}

impl Divide<'_> {
    fn below_cap(&self, set: &[u32]) -> Vec<u32> {
        set.iter().copied().filter(|&row| self.problem.layer(row) < self.problem.cap).collect()
    }

    /// Numbers `set` among itself, by its index and its first `k` >= 1 objectives. Leaves the set
    /// in another order.
    fn within(&self, set: &mut [u32], k: usize, scratch: &mut Scratch) {
        if set.len() <= DIRECT_ROWS {
            let rows = &mut scratch.rows;
            return self.arch.dispatch(Within { problem: &self.problem, set, k, rows });
        }
        if !self.near && set.len() <= CACHED_ROWS {
            let mut all: Vec<u32> = (0..set.len() as u32).collect();
            self.nearby(set, k, |near| near.within(&mut all, k, scratch));
            return;
        }
        if k == 1 {
            return self.within_by_sweep(set, &mut scratch.sweep);
        }
        if set.len() >= ROWS_BETWEEN_CHECKS {
            threads::check();
        }
        let column = self.problem.columns[k - 1];
        let cut = sampled_cut(column, [set, &[]]);
        let mut better = scratch.partition(set, column, cut);
        if is_lopsided(better, set.len()) {
            match middle_cut(column, [set, &[]]) {
                None => return self.within(set, k - 1, scratch),
                Some(middle) if middle != cut => {
                    // Two runs in order are merged.
                    set.sort();
                    better = scratch.partition(set, column, middle);
                }
                Some(_) => {}
            }
        }
        let (better, worse) = set.split_at_mut(better);
        let mut copy = scratch.buffer(better.len());
        copy.copy_from_slice(better);
        self.within(&mut copy, k, scratch);
        scratch.recycle(copy);
        self.across(better, worse, k - 1, scratch);
        if self.capped {
            self.within(&mut self.below_cap(worse), k, scratch);
        } else {
            self.within(worse, k, scratch);
        }
    }

    /// Raises `high` by the finished `low`, by index and the first `k` >= 1 objectives.
    fn across(&self, low: &[u32], high: &[u32], k: usize, scratch: &mut Scratch) {
        if low.is_empty() || high.is_empty() {
            return;
        }
        if self.capped {
            let open = |set: &[u32]| {
                set.iter().filter(|&&row| self.problem.layer(row) < self.problem.cap).count()
            };
            // Copying pays only when enough falls away.
            if open(low) * 8 < low.len() * 7 || open(high) * 8 < high.len() * 7 {
                return self.across(&self.below_cap(low), &self.below_cap(high), k, scratch);
            }
        }
        if low.len() <= DIRECT_ROWS || high.len() <= DIRECT_RAISED_ROWS {
            let rows = &mut scratch.rows;
            return self.arch.dispatch(Across { problem: &self.problem, low, high, k, rows });
        }
        if !self.near && low.len() + high.len() <= CACHED_ROWS {
            let [both, near_low, near_high] = merge(low, high);
            self.nearby(&both, k, |near| near.across(&near_low, &near_high, k, scratch));
            return;
        }
        if k == 1 {
            return self.across_by_sweep(low, high, &mut scratch.sweep);
        }
        match self.order(low, high, k - 1) {
            Some(true) => return self.across(low, high, k - 1, scratch),
            Some(false) => return,
            None => {}
        }
        let rows = low.len() + high.len();
        if rows >= ROWS_BETWEEN_CHECKS {
            threads::check();
        }
        let column = self.problem.columns[k - 1];
        let cut = sampled_cut(column, [low, high]);
        let mut splits = [low, high].map(|set| scratch.split(set, column, cut));
        if is_lopsided(splits[0].better + splits[1].better, rows) {
            let middle = middle_cut(column, [low, high]);
            if middle != Some(cut) {
                splits.into_iter().for_each(|split| scratch.recycle(split.rows));
                let Some(cut) = middle else { return self.across(low, high, k - 1, scratch) };
                splits = [low, high].map(|set| scratch.split(set, column, cut));
            }
        }
        let [low, high] = splits.each_ref().map(Split::halves);
        if (MIN_FORK_ROWS..=self.fork).contains(&rows) {
            threads::fork(
                || self.across(low[0], high[1], k - 1, scratch),
                || {
                    threads::fork(
                        || self.across(low[0], high[0], k, &mut Scratch::default()),
                        || self.across(low[1], high[1], k, &mut Scratch::default()),
                    )
                },
            );
        } else {
            self.across(low[0], high[1], k - 1, scratch);
            self.across(low[0], high[0], k, scratch);
            self.across(low[1], high[1], k, scratch);
        }
        splits.into_iter().for_each(|split| scratch.recycle(split.rows));
    }

    /// The least layer that a row of `set` is known to have at least.
    fn first_layer(&self, set: &[u32]) -> u32 {
        set.iter().map(|&row| self.problem.layer(row)).min().unwrap_or(0)
    }

    fn within_by_sweep(&self, set: &[u32], sweep: &mut Sweep) {
        sweep.restart(self.first_layer(set));
        for (at, &row) in set.iter().enumerate() {
            if at % ROWS_BETWEEN_CHECKS == ROWS_BETWEEN_CHECKS - 1 {
                threads::check();
            }
            let value = self.problem.columns[0][row as usize];
            self.problem.raise(row, sweep.least_layer(value));
            let layer = self.problem.layer(row);
            if layer < self.problem.cap {
                sweep.insert(value, layer);
            }
        }
    }

    fn across_by_sweep(&self, low: &[u32], high: &[u32], sweep: &mut Sweep) {
        sweep.restart(self.first_layer(low));
        let values = self.problem.columns[0];
        let mut low = low.iter().copied().peekable();
        for (at, &row) in high.iter().enumerate() {
            if at % ROWS_BETWEEN_CHECKS == ROWS_BETWEEN_CHECKS - 1 {
                threads::check();
            }
            while let Some(l) = low.next_if(|&l| l < row) {
                sweep.insert(values[l as usize], self.problem.layer(l));
            }
            self.problem.raise(row, sweep.least_layer(values[row as usize]));
        }
    }

    /// Works on a copy of the first `k` objectives and the layers of some rows, close together,
    /// and takes the layers over from it.
    fn nearby(&self, set: &[u32], k: usize, work: impl FnOnce(&Divide<'_>)) {
        let gather = |column: &&[u32]| set.iter().map(|&row| column[row as usize]).collect();
        let columns: Vec<Vec<u32>> = self.problem.columns[..k].iter().map(gather).collect();
        let layers: Vec<_> =
            set.iter().map(|&row| AtomicU32::new(self.problem.layer(row))).collect();
        let problem = Problem {
            columns: &columns.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            layers: &layers,
            cap: self.problem.cap,
        };
        work(&Divide { problem, near: true, ..*self });
        for (&row, layer) in set.iter().zip(layers) {
            self.problem.raise(row, layer.into_inner());
        }
    }

    /// Whether all of `low` is no worse than all of `high`, or all of it worse, in one objective.
    fn order(&self, low: &[u32], high: &[u32], j: usize) -> Option<bool> {
        let column = self.problem.columns[j];
        let (first_low, first_high) = (column[low[0] as usize], column[high[0] as usize]);
        let no_worse = first_low <= first_high;
        // A sample usually settles that there is no order; only if not, all rows are read.
        let differs = |low: u32, high: u32| (low <= high) != no_worse;
        let sampled = low.iter().zip(high).step_by(low.len().min(high.len()) / 16 + 1);
        if sampled.into_iter().any(|(&l, &h)| differs(column[l as usize], column[h as usize])) {
            return None;
        }
        let ends = |set: &[u32]| {
            let ranks = set.iter().map(|&row| column[row as usize]);
            ranks.fold((u32::MAX, 0), |(a, b), rank| (a.min(rank), b.max(rank)))
        };
        let ((low_best, low_worst), (high_best, high_worst)) = (ends(low), ends(high));
        let ordered = if no_worse { low_worst <= high_best } else { low_best > high_worst };
        ordered.then_some(no_worse)
    }
}
