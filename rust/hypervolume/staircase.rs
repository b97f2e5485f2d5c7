//! The outline of a growing union of rectangles, all from one corner.

use super::blocks::{Blocks, Keyed};
use super::measure::Measure;

/// An outer corner of the outline, and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Step<T> {
    pub y: f64,
    pub z: f64,
    pub of: T,
}

impl<T: Copy> Keyed for Step<T> {
    #[inline]
    fn key(&self) -> f64 {
        self.y
    }
}

/// Steps, y rising and z falling along them.
pub(super) type Staircase<T> = Blocks<Step<T>>;

impl Staircase<()> {
    /// Adds the rectangle from (0, 0) up to (y, z) and returns the area that is new.
    #[inline]
    pub fn insert(&mut self, y: f64, z: f64) -> f64 {
        self.insert_above([0.0, 0.0], y, z)
    }

    /// Adds the rectangle from a corner up to (y, z) and returns the area that is new.
    #[inline]
    pub fn insert_above<A: Measure>(&mut self, corner: [f64; 2], y: f64, z: f64) -> A {
        // The first step at or beyond y is the highest of those: it decides dominance.
        let at = self.seek(y);
        let [first_y, mut level] = corner;
        let mut end = at;
        if let Some(beyond) = self.get(at) {
            if beyond.z >= z {
                return A::default();
            }
            level = beyond.z;
            if beyond.y == y {
                end = (at.0, at.1 + 1);
            }
        }
        // Steps under the rectangle fall away.
        let (mut first, mut gained, mut right, mut left) = (at, A::default(), y, first_y);
        while let Some(place) = self.before(first) {
            let Some(&step) = self.get(place) else { break };
            if step.z > z {
                left = step.y;
                break;
            }
            gained = gained + A::span(step.y, right) * A::span(level, z);
            (right, level, first) = (step.y, step.z, place);
        }
        gained = gained + A::span(left, right) * A::span(level, z);
        self.replace(first, end, Step { y, z, of: () });
        gained
    }
}
