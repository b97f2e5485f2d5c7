//! A growing front in `k` objectives, one column each, and what a new point adds to it.
//!
//! Most points of a front say nothing about a new point p, or all say the same. A point q that is
//! worse than p in one objective alone covers all of p's box up to q's value there, so the best
//! such value is a *floor*: what p adds lies above it. Only points above every floor cut into the
//! box that is left, and they are few. This is what WFG's limit sets (While, Bradstreet, Barone
//! 2012) come to once their dominated points are dropped, found in two passes over the columns.

use pulp::Simd;

/// Columns are padded to whole vectors of the widest kind; padding is zero, which covers nothing.
const LANES: usize = 8;

/// Points with positive coordinates, column after column.
#[derive(Clone, Default)]
pub(super) struct Columns {
    data: Vec<f64>,
    stride: usize,
    pub len: usize,
    pub objectives: usize,
}

impl Columns {
    /// Empties the set and makes room for `capacity` points.
    pub fn reset(&mut self, objectives: usize, capacity: usize) {
        let stride = capacity.next_power_of_two().max(LANES);
        if self.objectives == objectives && self.stride >= stride {
            // What lies beyond the points is zero already.
            for j in 0..objectives {
                let padded = self.len.next_multiple_of(LANES);
                self.data[j * self.stride..][..padded].fill(0.0);
            }
        } else {
            self.stride = stride;
            self.objectives = objectives;
            self.data.clear();
            self.data.resize(objectives * stride, 0.0);
        }
        self.len = 0;
    }

    #[inline(always)]
    pub fn column(&self, j: usize) -> &[f64] {
        &self.data[j * self.stride..][..self.len]
    }

    #[inline(always)]
    pub fn padded(&self, j: usize) -> &[f64] {
        &self.data[j * self.stride..][..self.len.next_multiple_of(LANES)]
    }

    #[inline(always)]
    pub fn get(&self, point: usize, j: usize) -> f64 {
        self.data[j * self.stride + point]
    }

    /// Writes a coordinate of the point after the last; `len` counts it later.
    #[inline(always)]
    fn put(&mut self, j: usize, value: f64) {
        self.data[j * self.stride + self.len] = value;
    }

    /// Replaces a point's first objective; zero makes it cover nothing.
    pub fn set(&mut self, point: usize, value: f64) {
        self.data[point] = value;
    }

    pub fn push(&mut self, point: impl Iterator<Item = f64>) {
        for (j, value) in point.enumerate() {
            self.put(j, value);
        }
        self.len += 1;
    }

    /// Inserts a point so that the last objective keeps falling.
    #[inline(always)]
    pub fn insert(&mut self, point: &[f64]) {
        let last = point.len() - 1;
        let at = self.column(last).partition_point(|&value| value >= point[last]);
        for (j, &value) in point.iter().enumerate() {
            let column = &mut self.data[j * self.stride..][..self.len + 1];
            column.copy_within(at..self.len, at + 1);
            column[at] = value;
        }
        self.len += 1;
    }

    /// Drops the points that `point` is at least as good as everywhere.
    #[inline(always)]
    pub fn drop_covered(&mut self, point: &[f64]) {
        let mut kept = 0;
        for i in 0..self.len {
            let covered = point.iter().enumerate().all(|(j, &value)| self.get(i, j) <= value);
            if !covered {
                if kept < i {
                    for j in 0..point.len() {
                        self.data[j * self.stride + kept] = self.data[j * self.stride + i];
                    }
                }
                kept += 1;
            }
        }
        for j in 0..point.len() {
            self.data[j * self.stride..][kept..self.len].fill(0.0);
        }
        self.len = kept;
    }
}

/// How a front stands to a new point.
pub(super) struct Standing {
    /// Some point of the front is at least as good everywhere.
    pub covered: bool,
    /// The new point is at least as good as some point of the front everywhere.
    pub covers: bool,
}

/// Compares `point` with the front and writes its floors.
#[inline(always)]
pub(super) fn compare<S: Simd>(
    simd: S,
    front: &Columns,
    point: &[f64],
    floors: &mut [f64],
) -> Standing {
    match point.len() {
        3 => compare_with(simd, front, point, floors, &mut [simd.splat_f64s(0.0); 3]),
        4 => compare_with(simd, front, point, floors, &mut [simd.splat_f64s(0.0); 4]),
        5 => compare_with(simd, front, point, floors, &mut [simd.splat_f64s(0.0); 5]),
        6 => compare_with(simd, front, point, floors, &mut [simd.splat_f64s(0.0); 6]),
        7 => compare_with(simd, front, point, floors, &mut [simd.splat_f64s(0.0); 7]),
        k => compare_with(simd, front, point, floors, &mut vec![simd.splat_f64s(0.0); k]),
    }
}

#[inline(always)]
fn compare_with<S: Simd>(
    simd: S,
    front: &Columns,
    point: &[f64],
    floors: &mut [f64],
    best: &mut [S::f64s],
) -> Standing {
    let k = best.len();
    let zero = simd.splat_f64s(0.0);
    let never = simd.less_than_f64s(zero, zero);
    let none = |mask| simd.first_true_m64s(mask) == S::F64_LANES;
    let all = |mask| none(simd.xor_m64s(mask, simd.less_than_or_equal_f64s(zero, zero)));
    let blocks = front.len.div_ceil(S::F64_LANES);
    let mut standing = Standing { covered: false, covers: false };
    for block in 0..blocks {
        let lanes = |j: usize| S::as_simd_f64s(front.padded(j)).0[block];
        // Whether a lane is worse than the point somewhere, twice, and better somewhere.
        // Padding is nowhere better, but nothing to drop either.
        let (mut once, mut twice) = (never, never);
        let mut better = simd.less_than_or_equal_f64s(lanes(0), zero);
        for j in 0..k {
            let (q, p) = (lanes(j), simd.splat_f64s(point[j]));
            let worse = simd.less_than_f64s(q, p);
            twice = simd.or_m64s(twice, simd.and_m64s(once, worse));
            once = simd.or_m64s(once, worse);
            better = simd.or_m64s(better, simd.less_than_f64s(p, q));
        }
        if !all(once) {
            standing.covered = true;
            return standing;
        }
        standing.covers |= !all(better);
        if !all(twice) {
            for j in 0..k {
                let (q, p) = (lanes(j), simd.splat_f64s(point[j]));
                let worse = simd.less_than_f64s(q, p);
                // Worse here and not twice: worse here alone.
                let alone = simd.and_m64s(worse, simd.xor_m64s(twice, once));
                best[j] = simd.max_f64s(best[j], simd.select_f64s(alone, q, zero));
            }
        }
    }
    for (floor, best) in floors.iter_mut().zip(best) {
        *floor = simd.reduce_max_f64s(*best);
    }
    standing
}

/// Appends to `limited` the part of each point of the front inside the box from `floors` to
/// `point`, in the front's order, relative to the floors.
#[inline(always)]
pub(super) fn limit<S: Simd>(
    simd: S,
    front: &Columns,
    point: &[f64],
    floors: &[f64],
    limited: &mut Columns,
) {
    match *point {
        [_, _, _] => limit_with::<S, 3>(simd, front, point, floors, limited),
        [_, _, _, _] => limit_with::<S, 4>(simd, front, point, floors, limited),
        [_, _, _, _, _] => limit_with::<S, 5>(simd, front, point, floors, limited),
        [_, _, _, _, _, _] => limit_with::<S, 6>(simd, front, point, floors, limited),
        _ => limit_with::<S, 0>(simd, front, point, floors, limited),
    }
}

/// [`limit`] in `K` objectives, or in any number if `K` is 0.
#[inline(always)]
fn limit_with<S: Simd, const K: usize>(
    simd: S,
    front: &Columns,
    point: &[f64],
    floors: &[f64],
    limited: &mut Columns,
) {
    let k = if K == 0 { point.len() } else { K };
    let zero = simd.splat_f64s(0.0);
    let blocks = front.len.div_ceil(S::F64_LANES);
    for block in 0..blocks {
        let mut above = simd.less_than_or_equal_f64s(zero, zero);
        for j in 0..k {
            let q = S::as_simd_f64s(front.padded(j)).0[block];
            above = simd.and_m64s(above, simd.less_than_f64s(simd.splat_f64s(floors[j]), q));
        }
        // (Only whether, not which: pulp 0.22 counts the lanes of AVX-512 from the wrong end.)
        if simd.first_true_m64s(above) == S::F64_LANES {
            continue;
        }
        let start = block * S::F64_LANES;
        for i in start..start + S::F64_LANES {
            let mut inside = true;
            for j in 0..k {
                let q = front.data[j * front.stride + i];
                inside &= q > floors[j];
                limited.put(j, q.min(point[j]) - floors[j]);
            }
            // A point that is not inside is written over.
            limited.len += usize::from(inside);
        }
    }
    // The last that was written may not count.
    if limited.len < limited.stride {
        for j in 0..k {
            limited.put(j, 0.0);
        }
    }
}
