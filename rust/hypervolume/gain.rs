//! What a point adds to the volume of others.
//!
//! The others are limited to the room of the point: its box above what each of them covers across
//! all of it ([`front`](super::front)). What they take of the room is measured by quick hypervolume:
//! of 20 to 1,000 points in five to ten objectives in a half to an eighth of the time of slices.

use pulp::Simd;

use super::front::{Columns, Dominance, compare, limit};
use super::quick::{Quick, quick};
use super::wfg::{Level, Volume, levels};

/// If less than this share of a point's room is left, taking the rest away from it would be
/// inexact: what is left is measured itself.
const MIN_SHARE: f64 = 1.0 / 1024.0;

/// In four objectives more points than this are sliced.
const MAX_QUICK_POINTS: usize = 1000;

/// Memory for what points add, one after another.
pub(crate) struct Buffers {
    pub(super) dominance: Dominance,
    /// The points within the room of one.
    inside: Columns,
    origin: Vec<f64>,
    row: Vec<f64>,
    /// In three objectives a sweep is faster.
    quick: Option<Box<dyn Quick>>,
    levels: Vec<Level>,
}

impl Buffers {
    /// For three objectives or more.
    pub fn new(objectives: usize) -> Self {
        Self {
            dominance: Dominance::default(),
            inside: Columns::default(),
            origin: vec![0.0; objectives],
            row: Vec::new(),
            quick: if objectives > 3 { quick(objectives) } else { None },
            levels: levels(objectives),
        }
    }

    /// What `point` adds to `others`: nothing if one of them covers it.
    #[inline(always)]
    pub(super) fn gain<S: Simd>(&mut self, simd: S, others: &Columns, point: &[f64]) -> f64 {
        let Self { dominance, inside, origin, row, quick, levels } = self;
        let m = point.len();
        compare(simd, others, point, dominance);
        if dominance.covered {
            return 0.0;
        }
        let floors = &dominance.floors;
        inside.reset(m, others.len + 8);
        limit(simd, others, point, floors, origin, inside);
        let room = point.iter().zip(floors).fold(1.0, |room, (p, floor)| room * (p - floor));
        if let Some(quick) = quick {
            quick.clear();
            for i in 0..inside.len {
                row.clear();
                row.extend((0..m).map(|j| inside.get(i, j)));
                quick.push(row);
            }
            if m > 4 || inside.len <= MAX_QUICK_POINTS {
                let left = room - quick.covered(floors, false);
                return if left < room * MIN_SHARE { quick.free(floors, point) } else { left };
            }
        }
        let Some(Level { points, .. }) = levels.last_mut() else { return 0.0 };
        points.reset(m, inside.len);
        for i in 0..inside.len {
            points.push((0..m).map(|j| inside.get(i, j) - floors[j]));
        }
        let left = room - simd.vectorize(Volume(levels));
        match quick {
            Some(quick) if left < room * MIN_SHARE => quick.free(floors, point),
            // Rounding may take more than there is.
            _ => left.max(0.0),
        }
    }
}
