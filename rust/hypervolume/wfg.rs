//! Slices: WFG (While, Bradstreet, Barone 2012) with slicing.
//!
//! Points are taken from the best to the worst last objective. What a point adds is its last
//! objective times what it adds in the objectives that are left to the front of the points before
//! it: the box above its floors less the volume of the front limited to that box ([`front`]).
//! That volume is found likewise, one objective fewer at each step, down to three, where a sweep
//! takes over. In four objectives this is O(n²) comparisons and sweeps of small sets.
//!
//! [`front`]: super::front

use pulp::{Simd, WithSimd};

use super::front::{Columns, Dominance, compare, limit};
use super::staircase::Staircase;
use crate::threads;

/// Fewer points take little time, in which nobody asks whether the call is to stop.
const MIN_CHECKED_POINTS: usize = 12;

/// Buffers for one number of objectives.
#[derive(Default)]
pub(super) struct Level {
    /// The points to measure, the last objective falling.
    pub points: Columns,
    /// The front of the points seen so far, in all objectives but the last.
    pub front: Columns,
    point: Vec<f64>,
    dominance: Dominance,
    outline: Staircase<()>,
}

/// Buffers for three objectives up to `m`.
pub(super) fn levels(m: usize) -> Vec<Level> {
    (3..=m).map(|_| Level::default()).collect()
}

/// The volume of the points of the last level; their last objective falls.
pub(super) struct Volume<'a>(pub &'a mut [Level]);

impl WithSimd for Volume<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let m = self.0.len() + 2;
        let Some((Level { points, front, point, outline, dominance }, below)) =
            self.0.split_last_mut()
        else {
            return 0.0;
        };
        let product = |i: usize| (0..m).fold(1.0, |product, j| product * points.get(i, j));
        match points.len {
            0 => return 0.0,
            1 => return product(0),
            2 => {
                let both =
                    (0..m).fold(1.0, |product, j| product * points.get(0, j).min(points.get(1, j)));
                return product(0) + (product(1) - both);
            }
            _ => {}
        }
        if m == 3 {
            let (y, z, x) = (points.column(0), points.column(1), points.column(2));
            outline.clear();
            return x
                .iter()
                .zip(y.iter().zip(z))
                .map(|(x, (y, z))| x * outline.insert(*y, *z))
                .sum();
        }
        if points.len >= MIN_CHECKED_POINTS {
            threads::check();
        }
        front.reset(m - 1, points.len);
        let mut volume = 0.0;
        for i in 0..points.len {
            point.clear();
            point.extend((0..m - 1).map(|j| points.get(i, j)));
            let added = added(simd, front, point, dominance, below, true);
            volume += points.get(i, m - 1) * added;
        }
        volume
    }
}

/// What `point` adds to the volume of `front`, in the objectives that `below` is for.
/// `grow` puts the point into the front.
#[inline(always)]
pub(super) fn added<S: Simd>(
    simd: S,
    front: &mut Columns,
    point: &[f64],
    dominance: &mut Dominance,
    below: &mut [Level],
    grow: bool,
) -> f64 {
    let k = point.len();
    compare(simd, front, point, dominance);
    if dominance.covered {
        return 0.0;
    }
    let room = point.iter().zip(&dominance.floors).fold(1.0, |room, (p, floor)| room * (p - floor));
    let Some(level) = below.last_mut() else { return 0.0 };
    level.points.reset(k, front.len + 8);
    let floors = &dominance.floors;
    limit(simd, front, point, floors, floors, &mut level.points);
    let taken = if level.points.len == 0 { 0.0 } else { simd.vectorize(Volume(below)) };
    if grow {
        front.replace(&dominance.drops, point);
    }
    room - taken
}
