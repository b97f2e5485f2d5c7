//! A chunk of rows relative to an origin: in double precision, and rounded for the screen.

use super::ray::Ray;
use crate::choice::lanes::{CHUNK_ROWS, Lanes, read};
use crate::points::Points;

/// Squares up to here need no scaling, if the origin needs none.
const MAX_UNSCALED_SQUARE: f64 = 1e290;

/// Squares up to here keep the screen's sums far below the largest single.
const MAX_SCREENED_SQUARE: f32 = (1u64 << 60) as f32;

/// What numbers that underflow in single precision may add up to, and more.
const UNDERFLOW_ALLOWANCE: f64 = 1.0 / (1u128 << 100) as f64;

/// What brings the numbers of a search near one, for single precision.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    /// A power of two that brings the ends of the rays into the unit ball.
    factor: f64,
}

impl Unit {
    /// For rays whose ends are at most `largest`.
    pub fn new(largest: f64) -> Self {
        let exponent = largest.log2().ceil();
        Self { factor: if exponent.is_finite() { (-exponent).exp2() } else { 1.0 } }
    }

    /// A row for which the screen is more than this has a squared distance of more than `bound`.
    pub fn limit(&self, bound: f64) -> f32 {
        let squared = self.factor * self.factor;
        (bound * squared * (1.0 + 1.0 / (1 << 22) as f64) + UNDERFLOW_ALLOWANCE) as f32
    }
}

/// Some rows and their differences from an origin; by objective.
pub(super) struct Chunk {
    pub first: usize,
    pub rows: usize,
    pub values: Vec<Lanes<f64>>,
    /// Rows less the origin.
    pub from_origin: Vec<Lanes<f64>>,
    /// The same in single precision, in the search's unit.
    pub rounded: Vec<Lanes<f32>>,
    /// The square of each row of `rounded`, less all error: see [`Chunk::subtract_origin`].
    pub squares: Lanes<f32>,
}

/// Whether single precision can screen a chunk.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Precision {
    /// It tells which rows are far from a ray.
    Sufficient,
    /// It does not: a row is too far from the origin.
    Insufficient,
    /// Nor may double precision: a square is not finite or near the largest double.
    NeedsScaling,
}

impl Chunk {
    pub fn new(m: usize) -> Self {
        Self {
            first: 0,
            rows: 0,
            values: vec![Lanes([0.0; CHUNK_ROWS]); m],
            from_origin: vec![Lanes([0.0; CHUNK_ROWS]); m],
            rounded: vec![Lanes([0.0; CHUNK_ROWS]); m],
            squares: Lanes([0.0; CHUNK_ROWS]),
        }
    }

    /// Reads the rows from `first` on, as many as there are up to the size of a chunk.
    #[inline(always)]
    pub fn read<const M: usize>(&mut self, points: &Points<'_>, first: usize, scale: f64) {
        self.first = first;
        self.rows = read::<M>(points, first, &mut self.values);
        if scale != 1.0 {
            for values in &mut self.values {
                values.0[..self.rows].iter_mut().for_each(|value| *value *= scale);
            }
        }
    }

    /// Takes the rows relative to `origin`, exactly and rounded.
    ///
    /// The screen: with q a row less the origin, u the direction and s = q.u, the square of the
    /// distance is at least |q|² - s² (it is |q|² behind the origin). That cancels, so it never
    /// decides that a row is near, only, with an allowance, that it is not. The allowance is
    /// relative to the row's own |q|², so it is taken off |q|² once for all rays. With
    /// w = 2^-24: rounding q, u, the products and the sums puts s off by up to (m + 2) w |q|
    /// (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), thus s² by
    /// 2 (m + 2) w |q|², and |q|² by (m + 2) w |q|²; rounding |q|² less the allowance, s² and the
    /// difference adds 3 w |q|²; double precision in |u| and the exact distance adds less than
    /// w |q|² each. (4 m + 16) w |q|² covers it and what is of higher order. A fused product and
    /// sum rounds less. Rows are in the search's unit and their squares checked, so nothing
    /// overflows; what underflows is below `UNDERFLOW_ALLOWANCE`.
    #[inline(always)]
    pub fn subtract_origin<const M: usize>(&mut self, origin: &[f64], unit: Unit) -> Precision {
        let m = if M == 0 { self.values.len() } else { M };
        let mut squares = [0.0f32; CHUNK_ROWS];
        for (j, o) in origin[..m].iter().enumerate() {
            let values = &self.values[j].0;
            let (q, rounded) = (&mut self.from_origin[j].0, &mut self.rounded[j].0);
            for lane in 0..CHUNK_ROWS {
                q[lane] = values[lane] - o;
                rounded[lane] = (q[lane] * unit.factor) as f32;
                squares[lane] += rounded[lane] * rounded[lane];
            }
        }
        let mut sufficient = true;
        for square in squares {
            sufficient &= square <= MAX_SCREENED_SQUARE;
        }
        let less = 1.0 - (4 * m + 16) as f32 / (1 << 24) as f32;
        for (low, square) in self.squares.0.iter_mut().zip(squares) {
            *low = square * less;
        }
        if sufficient { Precision::Sufficient } else { self.why_insufficient() }
    }

    /// Takes these rows out of the screen.
    #[inline(always)]
    pub fn leave_out(&mut self, mut rows: u64) {
        while rows != 0 {
            self.squares.0[rows.trailing_zeros() as usize] = f32::INFINITY;
            rows &= rows - 1;
        }
    }

    #[cold]
    fn why_insufficient(&self) -> Precision {
        let in_range = (0..self.rows).all(|row| {
            let square: f64 = self.from_origin.iter().map(|q| q.0[row] * q.0[row]).sum();
            square <= MAX_UNSCALED_SQUARE
        });
        if in_range { Precision::Insufficient } else { Precision::NeedsScaling }
    }
}

/// The rays from one origin, as the screen takes them.
pub(super) struct RayTargets {
    /// The directions rounded, ray after ray.
    pub directions: Vec<f32>,
    /// The limit of each.
    pub limits: Vec<f32>,
}

impl RayTargets {
    pub fn new(rays: &[&Ray]) -> Self {
        let directions = rays.iter().flat_map(|ray| &ray.direction).map(|&u| u as f32).collect();
        Self { directions, limits: vec![f32::INFINITY; rays.len()] }
    }
}
