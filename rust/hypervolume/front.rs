//! A growing front in `k` objectives, one column each, and what a new point adds to it.
//!
//! Most points of a front say nothing about a new point p, or all say the same. A point q that is
//! worse than p in one objective alone covers all of p's box up to q's value there, so the best
//! such value is a *floor*: what p adds lies above it. Only points above every floor cut into the
//! box that is left, and they are few. This is what WFG's limit sets (While, Bradstreet, Barone
//! 2012) come to once their dominated points are dropped, found in two passes over the columns.

use pulp::Simd;

/// Numbers in a vector of the widest kind. Columns are padded to whole vectors with zeros, which
/// cover nothing.
const MAX_LANES: usize = 8;

const BITS: [f64; MAX_LANES] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

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
        let stride = capacity.next_power_of_two().max(MAX_LANES);
        if self.objectives == objectives && self.stride >= stride {
            // What lies beyond the points is zero already.
            for j in 0..objectives {
                let padded = self.len.next_multiple_of(MAX_LANES);
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
    pub fn get(&self, point: usize, j: usize) -> f64 {
        self.data[j * self.stride + point]
    }

    /// Writes an objective of the next point; the caller adds 1 to `len` once all are written.
    #[inline(always)]
    fn write(&mut self, j: usize, value: f64) {
        self.data[j * self.stride + self.len] = value;
    }

    /// Replaces a point's first objective; zero makes it cover nothing.
    pub fn set(&mut self, point: usize, value: f64) {
        self.data[point] = value;
    }

    pub fn push(&mut self, point: impl Iterator<Item = f64>) {
        for (j, value) in point.enumerate() {
            self.write(j, value);
        }
        self.len += 1;
    }

    /// Inserts a point so that the last objective keeps falling, in place of the points at
    /// `dropped`, rising, which come no earlier.
    #[inline(always)]
    pub fn replace(&mut self, dropped: &[usize], point: &[f64]) {
        let last = point.len() - 1;
        let mut at = self.column(last).partition_point(|&value| value > point[last]);
        // Ties by the other objectives: the order depends on the points alone.
        let before = |i: usize| {
            self.get(i, last) == point[last]
                && (0..last).map(|j| self.get(i, j)).gt(point[..last].iter().copied())
        };
        while at < self.len && before(at) {
            at += 1;
        }
        for (j, &value) in point.iter().enumerate() {
            let column = &mut self.data[j * self.stride..][..self.stride];
            let end = dropped.first().copied().unwrap_or(self.len);
            column.copy_within(at..end, at + 1);
            column[at] = value;
            // The first gap is filled; from the second on, what follows moves up.
            let mut kept = dropped.get(1).copied().unwrap_or(self.len);
            for (i, &gap) in dropped.iter().enumerate().skip(1) {
                let next = dropped.get(i + 1).copied().unwrap_or(self.len);
                column.copy_within(gap + 1..next, kept);
                kept += next - gap - 1;
            }
            column[kept..self.len.max(kept)].fill(0.0);
        }
        self.len = self.len + 1 - dropped.len();
    }
}

/// Which points of a front dominate a new point, which ones it dominates, and what of its box the
/// front covers.
#[derive(Default)]
pub(super) struct Dominance {
    /// Whether some point of the front is at least as good everywhere; the rest is then unknown.
    pub covered: bool,
    /// The points of the front that the new point is at least as good as everywhere.
    pub drops: Vec<usize>,
    /// In each objective the value up to which the front covers the whole box.
    pub floors: Vec<f64>,
}

/// Compares `point` with the front and writes its floors.
#[inline(always)]
pub(super) fn compare<S: Simd>(simd: S, front: &Columns, point: &[f64], dominance: &mut Dominance) {
    match point.len() {
        3 => compare_with(simd, front, point, dominance, &mut [simd.splat_f64s(0.0); 3]),
        4 => compare_with(simd, front, point, dominance, &mut [simd.splat_f64s(0.0); 4]),
        5 => compare_with(simd, front, point, dominance, &mut [simd.splat_f64s(0.0); 5]),
        6 => compare_with(simd, front, point, dominance, &mut [simd.splat_f64s(0.0); 6]),
        7 => compare_with(simd, front, point, dominance, &mut [simd.splat_f64s(0.0); 7]),
        k => compare_with(simd, front, point, dominance, &mut vec![simd.splat_f64s(0.0); k]),
    }
}

#[inline(always)]
fn compare_with<S: Simd>(
    simd: S,
    front: &Columns,
    point: &[f64],
    dominance: &mut Dominance,
    best: &mut [S::f64s],
) {
    let last = best.len() - 1;
    dominance.covered = false;
    dominance.drops.clear();
    // The front's order says who is better in the last objective, but for ties.
    let better = front.column(last).partition_point(|&q| q > point[last]);
    let ties = front.column(last)[better..].iter().take_while(|&&q| q == point[last]).count();
    let (zero, lanes) = (simd.splat_f64s(0.0), S::F64_LANES);
    let never = simd.less_than_f64s(zero, zero);
    let always = simd.less_than_or_equal_f64s(zero, zero);
    let all = |mask| simd.first_true_m64s(simd.xor_m64s(mask, always)) == lanes;
    let columns = S::as_simd_f64s(&front.data).0;
    let stride = front.stride / lanes;
    let blocks = front.len.div_ceil(lanes);
    let (tied, worse) = (better / lanes, (better + ties).div_ceil(lanes));
    for block in 0..worse {
        // Whether a lane is worse than the point somewhere, and somewhere else again.
        let (mut once, mut twice) = (never, never);
        for j in 0..=last {
            if j == last && block < tied {
                break;
            }
            let worse = simd.less_than_f64s(columns[j * stride + block], simd.splat_f64s(point[j]));
            twice = simd.or_m64s(twice, simd.and_m64s(once, worse));
            once = simd.or_m64s(once, worse);
        }
        if !all(once) {
            dominance.covered = true;
            return;
        }
        if !all(twice) {
            for j in 0..=last {
                let (q, p) = (columns[j * stride + block], simd.splat_f64s(point[j]));
                // Worse here and not twice: worse here alone.
                let alone = simd.and_m64s(simd.less_than_f64s(q, p), simd.xor_m64s(twice, once));
                best[j] = simd.max_f64s(best[j], simd.select_f64s(alone, q, zero));
            }
        }
    }
    for block in worse..blocks {
        let mut twice = never;
        for j in 0..last {
            let (q, p) = (columns[j * stride + block], simd.splat_f64s(point[j]));
            twice = simd.or_m64s(twice, simd.less_than_f64s(q, p));
        }
        if !all(twice) {
            let alone = simd.xor_m64s(twice, always);
            let q = columns[last * stride + block];
            best[last] = simd.max_f64s(best[last], simd.select_f64s(alone, q, zero));
            // The rest are worse still.
            break;
        }
    }
    for block in tied..blocks {
        // Padding counts as better: there is nothing to drop.
        let mut better = simd.less_than_or_equal_f64s(columns[block], zero);
        for j in 0..=last {
            if j == last && block >= worse {
                break;
            }
            let (q, p) = (columns[j * stride + block], simd.splat_f64s(point[j]));
            better = simd.or_m64s(better, simd.less_than_f64s(p, q));
        }
        if !all(better) {
            for i in block * lanes..front.len.min((block + 1) * lanes) {
                if (0..=last).all(|j| front.get(i, j) <= point[j]) {
                    dominance.drops.push(i);
                }
            }
        }
    }
    dominance.floors.clear();
    for &best in &*best {
        dominance.floors.push(simd.reduce_max_f64s(best));
    }
}

/// Appends to `limited` the part of each point of the front inside the box from `floors` to
/// `point`, in the front's order, relative to `origin`.
#[inline(always)]
pub(super) fn limit<S: Simd>(
    simd: S,
    front: &Columns,
    point: &[f64],
    floors: &[f64],
    origin: &[f64],
    limited: &mut Columns,
) {
    match *point {
        [_, _, _] => limit_with::<S, 3>(simd, front, point, floors, origin, limited),
        [_, _, _, _] => limit_with::<S, 4>(simd, front, point, floors, origin, limited),
        [_, _, _, _, _] => limit_with::<S, 5>(simd, front, point, floors, origin, limited),
        [_, _, _, _, _, _] => limit_with::<S, 6>(simd, front, point, floors, origin, limited),
        _ => limit_with::<S, 0>(simd, front, point, floors, origin, limited),
    }
}

/// [`limit`] in `K` objectives, or in any number if `K` is 0.
#[inline(always)]
fn limit_with<S: Simd, const K: usize>(
    simd: S,
    front: &Columns,
    point: &[f64],
    floors: &[f64],
    origin: &[f64],
    limited: &mut Columns,
) {
    let last = if K == 0 { point.len() } else { K } - 1;
    let lanes = S::F64_LANES;
    let columns = S::as_simd_f64s(&front.data).0;
    let stride = front.stride / lanes;
    // The front's order says who is above the floor of the last objective.
    let above = front.column(last).partition_point(|&q| q > floors[last]);
    // A set of lanes is a number, each lane with a bit of its own.
    let bits = S::as_simd_f64s(&BITS[..lanes]).0[0];
    for block in 0..above.div_ceil(lanes) {
        let zero = simd.splat_f64s(0.0);
        let mut inside = simd.less_than_or_equal_f64s(zero, zero);
        for j in 0..=last {
            let (q, floor) = (columns[j * stride + block], simd.splat_f64s(floors[j]));
            inside = simd.and_m64s(inside, simd.less_than_f64s(floor, q));
        }
        // (pulp 0.22 tells whether a lane is set, but counts them from the wrong end.)
        if simd.first_true_m64s(inside) == lanes {
            continue;
        }
        let mut inside = simd.reduce_sum_f64s(simd.select_f64s(inside, bits, zero)) as u32;
        while inside != 0 {
            let i = block * lanes + inside.trailing_zeros() as usize;
            for j in 0..=last {
                let q = front.data[j * front.stride + i];
                let limit = if q < point[j] { q } else { point[j] };
                limited.write(j, limit - origin[j]);
            }
            limited.len += 1;
            inside &= inside - 1;
        }
    }
}
