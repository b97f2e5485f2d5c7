//! Four objectives and more: divide and conquer.
//!
//! Jensen (2003), generalised to ties by Fortin, Grenier and Parizeau (2013), with the running
//! time proven by Buzdalov and Shalyto (2014). A set is split at the median of its last objective
//! into better, equal and worse; the better part is numbered first, then raises the worse part in
//! one objective less, and so on down to two objectives, where a sweep does it. Small sets are
//! compared directly. O(n log^(m-1) n), and dimensions that decide nothing fall away on the way.
//!
//! Rows are distinct and in lexicographic order, so their index stands for the first objective.

use std::sync::atomic::{AtomicU32, Ordering};

use pulp::Arch;

use super::direct::{Across, Within};
use super::scan::Scan;
use super::sweep::Sweep;
use crate::threads;

/// Sets up to this size are compared directly.
const DIRECT: usize = 768;

/// As many rows to raise as are compared directly whatever the size of the other side.
const FEW: usize = 12;

/// Pairs of sets from this size on are worth a second thread.
const FORK: usize = 1 << 14;

/// Problems up to this size are copied together first: they fit into the second-level cache.
const NEAR: usize = 1 << 14;

/// The layer of each row, given the second and later objectives of distinct rows in
/// lexicographic order. Numbers at or past `cap` only say "past the stop".
pub(super) fn number(columns: &[Vec<u32>], cap: u32) -> Vec<u32> {
    let rows = columns.first().map_or(0, Vec::len);
    let divide = Divide {
        ranks: (0..rows)
            .flat_map(|row| columns.iter().map(move |column| column[row] as i32))
            .collect(),
        width: columns.len(),
        layers: (0..rows).map(|_| AtomicU32::new(0)).collect(),
        cap,
        capped: (cap as usize) < rows,
        fork: threads::worthwhile(rows),
        near: rows <= NEAR,
        arch: Arch::new(),
    };
    let all: Vec<u32> = (0..rows as u32).collect();
    divide.within(&all, columns.len(), &mut Scratch::default());
    divide.layers.into_iter().map(AtomicU32::into_inner).collect()
}

pub(super) struct Divide {
    /// Row after row: small sets are scattered over the rows, and a row is one cache line.
    ranks: Vec<i32>,
    /// Ranks per row.
    width: usize,
    /// Lower bounds that only rise. Concurrent halves write disjoint rows, and fork and join
    /// order their reads, so relaxed access is enough; atomics keep it safe code.
    layers: Vec<AtomicU32>,
    pub cap: u32,
    capped: bool,
    fork: bool,
    /// Whether all rows lie close together in memory.
    near: bool,
    /// The widest instructions of this machine, for the base case.
    arch: Arch,
}

/// Buffers reused from one base case to the next.
#[derive(Default)]
pub(super) struct Scratch {
    pub scan: Scan,
    sweep: Sweep,
}

impl Divide {
    #[inline]
    pub fn layer(&self, row: u32) -> u32 {
        self.layers[row as usize].load(Ordering::Relaxed)
    }

    #[inline]
    pub fn raise(&self, row: u32, layer: u32) {
        let slot = &self.layers[row as usize];
        if slot.load(Ordering::Relaxed) < layer {
            slot.store(layer, Ordering::Relaxed);
        }
    }

    fn below_cap(&self, set: &[u32]) -> Vec<u32> {
        set.iter().copied().filter(|&row| self.layer(row) < self.cap).collect()
    }

    /// The first `k` ranks of a row.
    #[inline(always)]
    pub fn row(&self, row: u32, k: usize) -> &[i32] {
        &self.ranks[row as usize * self.width..][..k]
    }

    /// One rank of a row.
    #[inline(always)]
    fn rank(&self, row: u32, j: usize) -> i32 {
        self.ranks[row as usize * self.width + j]
    }

    /// Numbers `set` among itself, by its index and its first `k` >= 1 objectives.
    fn within(&self, set: &[u32], k: usize, scratch: &mut Scratch) {
        if set.len() <= DIRECT {
            return self.arch.dispatch(Within { divide: self, set, k, scratch });
        }
        if !self.near && set.len() <= NEAR {
            let near = self.near(set, k);
            let all: Vec<u32> = (0..set.len() as u32).collect();
            near.within(&all, k, scratch);
            return self.take_over(set, &near);
        }
        if k == 1 {
            return self.within_by_sweep(set, &mut scratch.sweep);
        }
        let [better, equal, worse] = self.split(set, k - 1, self.pivot(&[set], k - 1));
        if better.is_empty() && worse.is_empty() {
            return self.within(set, k - 1, scratch);
        }
        self.within(&better, k, scratch);
        self.across(&better, &equal, k - 1, scratch);
        self.within(&equal, k - 1, scratch);
        let no_worse = merge(&better, &equal);
        self.across(&no_worse, &worse, k - 1, scratch);
        if self.capped {
            self.within(&self.below_cap(&worse), k, scratch);
        } else {
            self.within(&worse, k, scratch);
        }
    }

    /// Raises `high` by the finished `low`, by index and the first `k` >= 1 objectives.
    fn across(&self, low: &[u32], high: &[u32], k: usize, scratch: &mut Scratch) {
        if low.is_empty() || high.is_empty() {
            return;
        }
        if self.capped {
            let (kept_low, kept_high) = (self.below_cap(low), self.below_cap(high));
            // Copying pays only when enough falls away.
            if kept_low.len() * 8 < low.len() * 7 || kept_high.len() * 8 < high.len() * 7 {
                return self.across(&kept_low, &kept_high, k, scratch);
            }
        }
        if low.len() <= DIRECT || high.len() <= FEW {
            return self.arch.dispatch(Across { divide: self, low, high, k, scratch });
        }
        if !self.near && low.len() + high.len() <= NEAR {
            let both = merge(low, high);
            let near = self.near(&both, k);
            let places = |set: &[u32]| -> Vec<u32> {
                let mut rest = set.iter().peekable();
                (0..).zip(&both).filter_map(|(at, row)| rest.next_if_eq(&row).map(|_| at)).collect()
            };
            near.across(&places(low), &places(high), k, scratch);
            return self.take_over(&both, &near);
        }
        if k == 1 {
            return self.across_by_sweep(low, high, &mut scratch.sweep);
        }
        let (low_best, low_worst) = self.range(low, k - 1);
        let (high_best, high_worst) = self.range(high, k - 1);
        if low_worst <= high_best {
            return self.across(low, high, k - 1, scratch);
        }
        if low_best > high_worst {
            return;
        }
        let value = self.pivot(&[low, high], k - 1);
        let [low_better, low_equal, low_worse] = self.split(low, k - 1, value);
        let [high_better, high_equal, high_worse] = self.split(high, k - 1, value);
        if self.fork && low.len() + high.len() >= FORK {
            rayon::join(
                || self.across(&low_better, &high_better, k, &mut Scratch::default()),
                || self.across(&low_worse, &high_worse, k, &mut Scratch::default()),
            );
        } else {
            self.across(&low_better, &high_better, k, scratch);
            self.across(&low_worse, &high_worse, k, scratch);
        }
        let low_upper = merge(&low_better, &low_equal);
        let high_lower = merge(&high_equal, &high_worse);
        self.across(&low_upper, &high_lower, k - 1, scratch);
    }

    fn within_by_sweep(&self, set: &[u32], sweep: &mut Sweep) {
        sweep.clear();
        for &i in set {
            let value = self.rank(i, 0);
            self.raise(i, sweep.least_layer(value));
            let layer = self.layer(i);
            if layer < self.cap {
                sweep.insert(value, layer);
            }
        }
    }

    fn across_by_sweep(&self, low: &[u32], high: &[u32], sweep: &mut Sweep) {
        sweep.clear();
        let mut low = low.iter().copied().peekable();
        for &i in high {
            while let Some(l) = low.next_if(|&l| l < i) {
                sweep.insert(self.rank(l, 0), self.layer(l));
            }
            self.raise(i, sweep.least_layer(self.rank(i, 0)));
        }
    }

    /// A copy of the first `k` ranks and the layers of some rows, close together.
    fn near(&self, set: &[u32], k: usize) -> Self {
        let mut ranks = Vec::with_capacity(set.len() * k);
        for &row in set {
            ranks.extend_from_slice(self.row(row, k));
        }
        let layers = set.iter().map(|&row| AtomicU32::new(self.layer(row))).collect();
        Self { ranks, width: k, layers, fork: false, near: true, ..*self }
    }

    /// Takes the layers over from a copy of some rows.
    fn take_over(&self, set: &[u32], near: &Self) {
        for (&row, layer) in set.iter().zip(&near.layers) {
            self.raise(row, layer.load(Ordering::Relaxed));
        }
    }

    /// The median of a sample at fixed places of the sets taken one after the other.
    fn pivot(&self, sets: &[&[u32]], j: usize) -> i32 {
        const SAMPLE: usize = 63;
        let total: usize = sets.iter().map(|set| set.len()).sum();
        let size = SAMPLE.min(total);
        let mut sample = [0; SAMPLE];
        for (t, slot) in sample[..size].iter_mut().enumerate() {
            let mut at = (2 * t + 1) * total / (2 * size);
            for set in sets {
                if let Some(&row) = set.get(at) {
                    *slot = self.rank(row, j);
                    break;
                }
                at -= set.len();
            }
        }
        sample[..size].sort_unstable();
        sample[size / 2]
    }

    /// The rows better than `value` (smaller rank), equal to it and worse, each in order.
    fn split(&self, set: &[u32], j: usize, value: i32) -> [Vec<u32>; 3] {
        let mut parts = [Vec::with_capacity(set.len()), Vec::new(), Vec::with_capacity(set.len())];
        for &row in set {
            let rank = self.rank(row, j);
            parts[usize::from(rank >= value) + usize::from(rank > value)].push(row);
        }
        parts
    }

    /// The best and the worst rank in a set.
    fn range(&self, set: &[u32], j: usize) -> (i32, i32) {
        set.iter()
            .map(|&row| self.rank(row, j))
            .fold((i32::MAX, 0), |(best, worst), rank| (best.min(rank), worst.max(rank)))
    }
}

/// Two sets in order as one in order.
fn merge(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let mut rest = b;
    for &row in a {
        let before = rest.iter().take_while(|&&other| other < row).count();
        merged.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        merged.push(row);
    }
    merged.extend_from_slice(rest);
    merged
}
