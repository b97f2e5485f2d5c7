//! A block of rows seen from an origin: exact distances to rays, and a screen before them.

use super::ray::Ray;
use crate::points::Points;

/// Rows that are compared at once.
pub(super) const LANES: usize = 64;

/// Rows that are read at once; they stay in cache while all rays look at them. (512 were slower;
/// 4096 were slower for many rays and barely faster for one.)
pub(super) const BLOCK: usize = 32 * LANES;

/// Squares up to here are moderate: if the origin is so too, no number needs a scale.
const MODERATE: f64 = 1e290;

/// Allowance for numbers that underflow in single precision.
const TINY: f64 = 1.0 / (1u128 << 100) as f64;

/// A block of rows, read and seen from an origin.
pub(super) struct Block {
    m: usize,
    pub first: usize,
    pub rows: usize,
    values: Vec<[f64; BLOCK]>,
    /// Rows less the origin: by chunk of lanes, then by objective.
    from_origin: Vec<[f64; LANES]>,
    /// The same in single precision, times `factor`.
    rounded: Vec<[f32; LANES]>,
    /// By chunk: a lower bound on the square of each row of `rounded`, less all error.
    squares: [[f32; LANES]; BLOCK / LANES],
    /// Square of the power of two that brings the rows into the unit ball.
    factor_squared: f64,
}

impl Block {
    pub fn new(m: usize) -> Self {
        Self {
            m,
            first: 0,
            rows: 0,
            values: vec![[0.0; BLOCK]; m],
            from_origin: vec![[0.0; LANES]; m * BLOCK / LANES],
            rounded: vec![[0.0; LANES]; m * BLOCK / LANES],
            squares: [[0.0; LANES]; BLOCK / LANES],
            factor_squared: 1.0,
        }
    }

    /// Reads the rows from `first` on, as many as there are up to the size of a block.
    #[inline(always)]
    pub fn read(&mut self, points: &Points<'_>, first: usize, scale: f64) {
        self.first = first;
        self.rows = BLOCK.min(points.rows() - first);
        for (column, values) in points.columns().iter().zip(&mut self.values) {
            column.copy_to(first, &mut values[..self.rows]);
        }
        if scale != 1.0 {
            self.values.iter_mut().flatten().for_each(|value| *value *= scale);
        }
    }

    /// Looks at the rows from `origin`; false when a number is not finite or not moderate.
    ///
    /// The screen: with q a row less the origin, u the direction and s = q.u, the square of the
    /// distance is at least |q|² - s² (it is |q|² behind the origin). That cancels, so it never
    /// decides that a row is near, only, with an allowance, that it is not. The allowance is
    /// relative to the row's own |q|², so it is taken off |q|² once for all rays. With
    /// w = 2^-24: rounding q, u, the products and the sums puts s off by up to (m + 2) w |q|
    /// (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), thus s² by
    /// 2 (m + 2) w |q|²; rounding |q|², s² and the difference adds 3 w |q|²; double precision in
    /// |q|², |u| and the exact distance adds less than w |q|² each. (4 m + 16) w |q|² covers it
    /// and what is of higher order. Rows are scaled into the unit ball, so nothing overflows; what
    /// underflows is below `TINY`.
    #[inline(always)]
    pub fn look_from<const M: usize>(&mut self, origin: &[f64]) -> bool {
        let m = if M == 0 { self.m } else { M };
        let mut squares = [[0.0f64; LANES]; BLOCK / LANES];
        let chunks = self.from_origin.chunks_exact_mut(m).zip(&mut squares).enumerate();
        for (chunk, (from_origin, squares)) in chunks {
            for ((q, values), o) in from_origin.iter_mut().zip(&self.values).zip(origin) {
                let values = &values[chunk * LANES..][..LANES];
                for lane in 0..LANES {
                    q[lane] = values[lane] - o;
                    squares[lane] += q[lane] * q[lane];
                }
            }
        }
        let mut largest = [0.0f64; LANES];
        let mut moderate = [true; LANES];
        for squares in &squares {
            for lane in 0..LANES {
                largest[lane] =
                    if squares[lane] > largest[lane] { squares[lane] } else { largest[lane] };
                moderate[lane] &= squares[lane] <= MODERATE;
            }
        }
        let largest = largest.into_iter().fold(0.0, f64::max);
        let factor = into_unit_ball(largest);
        self.factor_squared = factor * factor;
        for (rounded, q) in self.rounded.iter_mut().zip(&self.from_origin) {
            for lane in 0..LANES {
                rounded[lane] = (q[lane] * factor) as f32;
            }
        }
        let less = self.factor_squared * (1.0 - (4 * m + 16) as f64 / (1 << 24) as f64);
        for (low, squares) in self.squares.iter_mut().zip(&squares) {
            for lane in 0..LANES {
                low[lane] = (squares[lane] * less) as f32;
            }
        }
        moderate.into_iter().all(|ok| ok)
    }

    /// A row whose [`Block::least`] is more than this has a squared distance of more than `bound`.
    #[inline(always)]
    pub fn limit(&self, bound: f64) -> f32 {
        (bound * self.factor_squared * (1.0 + 1.0 / (1 << 22) as f64) + TINY) as f32
    }

    /// The chunks that may have a row within `bound` of the ray, as bits.
    #[inline(always)]
    pub fn screen<const M: usize>(&self, ray: &Ray, bound: f64) -> u32 {
        let m = if M == 0 { self.m } else { M };
        let u = &ray.rounded[..m];
        let limit = self.limit(bound);
        let mut near = 0;
        for (chunk, (q, squares)) in self.rounded.chunks_exact(m).zip(&self.squares).enumerate() {
            let mut along = [0.0f32; LANES];
            for (q, u) in q.iter().zip(u) {
                for lane in 0..LANES {
                    along[lane] += q[lane] * u;
                }
            }
            let mut any = false;
            for lane in 0..LANES {
                any |= squares[lane] - along[lane] * along[lane] <= limit;
            }
            near |= u32::from(any) << chunk;
        }
        near
    }

    /// The squared distances of a chunk, in the residual form, which does not cancel.
    #[inline(always)]
    pub fn squared_distances<const M: usize>(&self, chunk: usize, ray: &Ray) -> [f64; LANES] {
        let m = if M == 0 { self.m } else { M };
        let from_origin = &self.from_origin[chunk * m..][..m];
        let mut along = [0.0; LANES];
        for (q, u) in from_origin.iter().zip(&ray.direction[..m]) {
            for lane in 0..LANES {
                along[lane] += q[lane] * u;
            }
        }
        let mut squared = [0.0; LANES];
        for (q, u) in from_origin.iter().zip(&ray.direction[..m]) {
            for lane in 0..LANES {
                let residual = q[lane] - along[lane].max(0.0) * u;
                squared[lane] += residual * residual;
            }
        }
        squared
    }
}

/// A power of two whose square times `largest` is at most one.
fn into_unit_ball(largest: f64) -> f64 {
    let half = (largest.log2() / 2.0).ceil() + 1.0;
    if half.is_finite() { (-half).clamp(-600.0, 400.0).exp2() } else { 1.0 }
}
