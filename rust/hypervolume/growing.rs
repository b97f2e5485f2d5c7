//! A set of points that grows, and what a point would add to its volume.

use pulp::{Arch, Simd, WithSimd};

use super::front::{Columns, compare};
use super::gain::Buffers;

/// Points with positive coordinates in three objectives or more, none of which covers another.
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
    pub fn gain(&self, point: &[f64], buffers: &mut Buffers) -> f64 {
        self.arch.dispatch(Gain { set: &self.front, point, buffers })
    }

    /// Adds a point.
    pub fn push(&mut self, point: &[f64], buffers: &mut Buffers) {
        self.arch.dispatch(Push { set: &mut self.front, point, buffers });
    }
}

struct Gain<'a> {
    set: &'a Columns,
    point: &'a [f64],
    buffers: &'a mut Buffers,
}

impl WithSimd for Gain<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        self.buffers.gain(simd, self.set, self.point)
    }
}

struct Push<'a> {
    set: &'a mut Columns,
    point: &'a [f64],
    buffers: &'a mut Buffers,
}

impl WithSimd for Push<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { set, point, buffers: Buffers { dominance, .. } } = self;
        compare(simd, set, point, dominance);
        if !dominance.covered {
            set.replace(&dominance.drops, point);
        }
    }
}
