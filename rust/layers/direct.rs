//! The base case of divide and conquer: small sets, compared pair by pair.
//!
//! The rows to raise lie in the lanes of a few vectors, a group at a time; each row that may
//! dominate them is broadcast to all lanes. So nothing is added up across lanes, and a pair costs
//! a sixteenth of a comparison per objective on the widest machines.

use pulp::{Simd, WithSimd};

use super::problem::Problem;
use crate::threads;

/// Vectors per group: enough to share each broadcast, few enough for sixteen registers.
const GROUP_VECTORS: usize = 4;

/// The largest group: vectors of sixteen lanes, a row each.
const MAX_GROUP_ROWS: usize = GROUP_VECTORS * 16;

/// So many groups are raised before it is asked whether the call goes on: less than a millisecond.
const GROUPS_BETWEEN_CHECKS: usize = 32;

/// Buffers reused from one base case to the next.
#[derive(Default)]
pub(super) struct Rows {
    /// Ranks of the rows that may dominate, row after row.
    ranks: Vec<i32>,
    /// The layer that follows that of each.
    following: Vec<i32>,
    /// Ranks of the rows to raise, objective after objective, as long as a group each.
    group: Vec<[i32; MAX_GROUP_ROWS]>,
}

/// Numbers `set` among itself, by index and the first `k` objectives.
pub(super) struct Within<'a> {
    pub problem: &'a Problem<'a>,
    pub set: &'a [u32],
    pub k: usize,
    pub rows: &'a mut Rows,
}

/// Raises `high` by the finished `low`, by index and the first `k` objectives.
pub(super) struct Across<'a> {
    pub problem: &'a Problem<'a>,
    pub low: &'a [u32],
    pub high: &'a [u32],
    pub k: usize,
    pub rows: &'a mut Rows,
}

impl WithSimd for Within<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { problem, set, k, rows } = self;
        rows.clear();
        for group in set.chunks(GROUP_VECTORS * S::I32_LANES) {
            let mut layers = rows.load(problem, group, k);
            rows.raise(simd, k, 0..rows.following.len(), false, &mut layers);
            // Inside the group one row after another: its layer is final once all before it are.
            for (lane, &row) in group.iter().enumerate() {
                let layer = layers[lane] as u32;
                problem.raise(row, layer);
                if layer < problem.cap {
                    let place = rows.push(problem, row, k, layer);
                    rows.raise(simd, k, place..place + 1, true, &mut layers);
                }
            }
        }
    }
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { problem, low, high, k, rows } = self;
        rows.clear();
        let (mut before, mut placed) = (0, 0);
        for (at, group) in high.chunks(GROUP_VECTORS * S::I32_LANES).enumerate() {
            if at % GROUPS_BETWEEN_CHECKS == GROUPS_BETWEEN_CHECKS - 1 {
                threads::check();
            }
            let (Some(&first), Some(&last)) = (group.first(), group.last()) else { continue };
            while placed < low.len() && low[placed] < last {
                rows.push(problem, low[placed], k, problem.layer(low[placed]));
                placed += 1;
            }
            while before < placed && low[before] < first {
                before += 1;
            }
            let mut layers = rows.load(problem, group, k);
            rows.raise(simd, k, 0..before, false, &mut layers);
            rows.raise(simd, k, before..placed, true, &mut layers);
            for (&row, &layer) in group.iter().zip(&layers) {
                problem.raise(row, layer as u32);
            }
        }
    }
}

impl Rows {
    fn clear(&mut self) {
        self.ranks.clear();
        self.following.clear();
    }

    /// Adds a row that may dominate and returns its place. Its index goes last: it is looked at
    /// only where the order of the rows does not settle it.
    #[inline(always)]
    fn push(&mut self, problem: &Problem<'_>, row: u32, k: usize, layer: u32) -> usize {
        self.ranks.extend(problem.columns[..k].iter().map(|column| column[row as usize] as i32));
        self.ranks.push(row as i32);
        self.following.push(layer as i32 + 1);
        self.following.len() - 1
    }

    /// Takes up a group of rows to raise and returns their layers so far.
    #[inline(always)]
    fn load(&mut self, problem: &Problem<'_>, group: &[u32], k: usize) -> [i32; MAX_GROUP_ROWS] {
        // Lanes without a row have rank -1: no row is as good, so none raises them.
        self.group.clear();
        self.group.resize(k + 1, [-1; MAX_GROUP_ROWS]);
        for (lanes, column) in self.group.iter_mut().zip(&problem.columns[..k]) {
            for (lane, &row) in lanes.iter_mut().zip(group) {
                *lane = column[row as usize] as i32;
            }
        }
        let mut layers = [0; MAX_GROUP_ROWS];
        for (lane, &row) in group.iter().enumerate() {
            self.group[k][lane] = row as i32;
            layers[lane] = problem.layer(row) as i32;
        }
        layers
    }

    /// Raises the group past the rows at `places` that are no worse in the first `k` objectives,
    /// and, with `by_index`, come no later.
    #[inline(always)]
    fn raise<S: Simd>(
        &self,
        simd: S,
        k: usize,
        places: std::ops::Range<usize>,
        by_index: bool,
        layers: &mut [i32; MAX_GROUP_ROWS],
    ) {
        let (ranks, following) =
            (&self.ranks[places.start * (k + 1)..places.end * (k + 1)], &self.following[places]);
        let group = &self.group[..k + usize::from(by_index)];
        match (k + 1, by_index) {
            (2, false) => raise::<S, 1, 2>(simd, ranks, following, group, layers),
            (2, true) => raise::<S, 2, 2>(simd, ranks, following, group, layers),
            (3, false) => raise::<S, 2, 3>(simd, ranks, following, group, layers),
            (3, true) => raise::<S, 3, 3>(simd, ranks, following, group, layers),
            (4, false) => raise::<S, 3, 4>(simd, ranks, following, group, layers),
            (4, true) => raise::<S, 4, 4>(simd, ranks, following, group, layers),
            (5, false) => raise::<S, 4, 5>(simd, ranks, following, group, layers),
            (5, true) => raise::<S, 5, 5>(simd, ranks, following, group, layers),
            _ => raise_by_many(simd, k + 1, ranks, following, group, layers),
        }
    }
}

/// [`Rows::raise`] by the first `K` of `STRIDE` numbers a row.
#[inline(always)]
fn raise<S: Simd, const K: usize, const STRIDE: usize>(
    simd: S,
    ranks: &[i32],
    following: &[i32],
    group: &[[i32; MAX_GROUP_ROWS]],
    layers: &mut [i32; MAX_GROUP_ROWS],
) {
    let Some(group) = group.first_chunk::<K>() else { return };
    let group: [[S::i32s; GROUP_VECTORS]; K] =
        std::array::from_fn(|j| std::array::from_fn(|v| S::as_simd_i32s(&group[j]).0[v]));
    let mut best: [S::i32s; GROUP_VECTORS] = std::array::from_fn(|v| S::as_simd_i32s(layers).0[v]);
    for (row, &next) in ranks.as_chunks::<STRIDE>().0.iter().zip(following) {
        let row: [S::i32s; K] = std::array::from_fn(|j| simd.splat_i32s(row[j]));
        let next = simd.splat_i32s(next);
        for v in 0..GROUP_VECTORS {
            let mut no_worse = simd.less_than_or_equal_i32s(row[0], group[0][v]);
            for j in 1..K {
                no_worse =
                    simd.and_m32s(no_worse, simd.less_than_or_equal_i32s(row[j], group[j][v]));
            }
            best[v] = simd.select_i32s(no_worse, simd.max_i32s(best[v], next), best[v]);
        }
    }
    S::as_mut_simd_i32s(layers).0[..GROUP_VECTORS].copy_from_slice(&best);
}

/// [`raise`] for any number of objectives.
#[inline(always)]
fn raise_by_many<S: Simd>(
    simd: S,
    stride: usize,
    ranks: &[i32],
    following: &[i32],
    group: &[[i32; MAX_GROUP_ROWS]],
    layers: &mut [i32; MAX_GROUP_ROWS],
) {
    let Some((first, others)) = group.split_first() else { return };
    let mut best: [S::i32s; GROUP_VECTORS] = std::array::from_fn(|v| S::as_simd_i32s(layers).0[v]);
    for (row, &next) in ranks.chunks_exact(stride).zip(following) {
        let limit = simd.splat_i32s(row[0]);
        let mut no_worse: [S::m32s; GROUP_VECTORS] = std::array::from_fn(|v| {
            simd.less_than_or_equal_i32s(limit, S::as_simd_i32s(first).0[v])
        });
        for (&limit, lanes) in row[1..].iter().zip(others) {
            let limit = simd.splat_i32s(limit);
            let lanes = S::as_simd_i32s(lanes).0;
            for v in 0..GROUP_VECTORS {
                let here = simd.less_than_or_equal_i32s(limit, lanes[v]);
                no_worse[v] = simd.and_m32s(no_worse[v], here);
            }
        }
        let next = simd.splat_i32s(next);
        for v in 0..GROUP_VECTORS {
            best[v] = simd.select_i32s(no_worse[v], simd.max_i32s(best[v], next), best[v]);
        }
    }
    S::as_mut_simd_i32s(layers).0[..GROUP_VECTORS].copy_from_slice(&best);
}
