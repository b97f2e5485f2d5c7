//! A set of points that grows, and what a point would add to its volume.

use pulp::{Arch, Simd, WithSimd};

use super::front::{Columns, Dominance};
use super::wfg::{Level, added, levels};

/// Points with positive coordinates in three objectives or more, none of which covers another.
#[derive(Clone)]
pub(crate) struct Growing {
    front: Columns,
    arch: Arch,
}

impl Growing {
    /// No point yet, with room for `capacity` of them.
    pub fn new(objectives: usize, capacity: usize) -> Self {
        let mut front = Columns::default();
        front.reset(objectives, capacity);
        Self { front, arch: Arch::new() }
    }

    /// What the volume would gain with `point`: nothing if it is covered.
    pub fn gain(&mut self, point: &[f64], buffers: &mut Buffers) -> f64 {
        let gain = self.arch.dispatch(Added { set: &mut self.front, point, buffers, grow: false });
        // Rounding may take more than there is.
        gain.max(0.0)
    }

    /// Adds a point.
    pub fn push(&mut self, point: &[f64], buffers: &mut Buffers) {
        self.arch.dispatch(Added { set: &mut self.front, point, buffers, grow: true });
    }
}

/// Memory that calls of one thread share.
pub(crate) struct Buffers {
    dominance: Dominance,
    levels: Vec<Level>,
}

impl Buffers {
    pub fn new(objectives: usize) -> Self {
        Self { dominance: Dominance::default(), levels: levels(objectives) }
    }
}

struct Added<'a> {
    set: &'a mut Columns,
    point: &'a [f64],
    buffers: &'a mut Buffers,
    grow: bool,
}

impl WithSimd for Added<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { set, point, buffers: Buffers { dominance, levels }, grow } = self;
        added(simd, set, point, dominance, levels, grow)
    }
}
