//! Rays: where each starts, its unit direction, and the scale in which squares stay in range.

use crate::error::{Error, Kind};
use crate::points::Points;

/// Numbers up to here need no scaling: their squares stay finite.
const MAX_UNSCALED: f64 = 1e140;

/// Numbers from here on need no scaling: their squares stay above the subnormal numbers.
const MIN_UNSCALED: f64 = 1e-100;

/// A ray: where it starts and its unit direction.
pub(super) struct Ray {
    pub origin: Vec<f64>,
    pub direction: Vec<f64>,
}

/// The arguments of a search, checked.
pub(super) struct RayEndpoints<'a> {
    pub origins: &'a [f64],
    pub through: &'a [f64],
    pub m: usize,
}

impl<'a> RayEndpoints<'a> {
    /// Checks lengths and that all numbers are finite.
    pub fn new(origins: &'a [f64], through: &'a [f64], m: usize) -> Result<Self, Error> {
        if !through.len().is_multiple_of(m) {
            let actual = through.len();
            return Err(Kind::WrongLength { name: "through", expected: m, actual }.into());
        }
        if origins.len() != m && origins.len() != through.len() {
            let actual = origins.len();
            return Err(Kind::WrongLength { name: "origin", expected: m, actual }.into());
        }
        for (name, values) in [("origin", origins), ("through", through)] {
            if let Some(position) = values.iter().position(|x| !x.is_finite()) {
                return Err(Kind::NotFinite { name, position }.into());
            }
        }
        Ok(Self { origins, through, m })
    }

    /// The largest absolute value.
    pub fn largest(&self) -> f64 {
        self.through.iter().fold(self.farthest_origin(), |a, x| a.max(x.abs()))
    }

    /// The largest absolute value of an origin.
    pub fn farthest_origin(&self) -> f64 {
        self.origins.iter().fold(0.0f64, |a, x| a.max(x.abs()))
    }

    /// Whether an origin or one of these rows is so large that numbers need no scaling up.
    pub fn are_large(&self, points: &Points<'_>, rows: &[u32]) -> bool {
        let large = |x: f64| x.abs() >= MIN_UNSCALED;
        let is_large = |&row: &u32| points.columns().iter().any(|c| large(c.get(row as usize)));
        large(self.farthest_origin()) || rows.iter().any(is_large)
    }

    /// Whether the origins and the points that rays go through need no scaling. Whether the points
    /// that are searched need it is noticed in the search; without a ray there is none, so `false`.
    pub fn in_range(&self) -> bool {
        !self.through.is_empty() && (MIN_UNSCALED..MAX_UNSCALED / 10.0).contains(&self.largest())
    }

    /// The rays, from their origins times `scale`. Directions are those of the numbers as they are:
    /// beside large points the scale may leave nothing of small ones.
    pub fn rays(&self, scale: f64) -> Result<Vec<Ray>, Error> {
        let m = self.m;
        let ray = |(ray, through): (usize, &[f64])| {
            let origin = &self.origins[if self.origins.len() == m { 0 } else { ray * m }..][..m];
            let direction = unit(origin, through).ok_or(Kind::NoDirection { ray })?;
            Ok(Ray { origin: origin.iter().map(|x| x * scale).collect(), direction })
        };
        self.through.chunks_exact(m).enumerate().map(ray).collect()
    }
}

/// A power of two that brings numbers up to `largest` near one, if their squares need it.
pub(super) fn scale(largest: f64) -> f64 {
    if largest == 0.0 || (MIN_UNSCALED..MAX_UNSCALED).contains(&largest) {
        1.0
    } else {
        (-largest.log2().floor()).clamp(-1000.0, 1000.0).exp2()
    }
}

/// The unit vector from `origin` to `through`, if these are two points; scaled first, so that no
/// square overflows.
pub(super) fn unit(origin: &[f64], through: &[f64]) -> Option<Vec<f64>> {
    let apart = |scale: f64| through.iter().zip(origin).map(move |(t, o)| t * scale - o * scale);
    // Halves only of what lies further apart than the largest double: those of the smallest vanish.
    let scale = if apart(1.0).all(f64::is_finite) { 1.0 } else { 0.5 };
    let mut d: Vec<f64> = apart(scale).collect();
    let largest = d.iter().fold(0.0f64, |a, x| a.max(x.abs()));
    if largest == 0.0 {
        return None;
    }
    d.iter_mut().for_each(|x| *x /= largest);
    let norm = d.iter().map(|x| x * x).sum::<f64>().sqrt();
    d.iter_mut().for_each(|x| *x /= norm);
    Some(d)
}
