//! Work on rows, compiled for the instruction set and the number of objectives at hand.

use pulp::{Arch, Simd, WithSimd};

/// Work whose loops over objectives are unrolled.
pub(crate) trait ForObjectives {
    type Output;

    /// How many objectives the rows have.
    fn objectives(&self) -> usize;

    /// Does it for rows of `M` objectives, or of any number if `M` is 0. To be inlined always, for
    /// the instructions are those of the caller.
    fn with_objectives<S: Simd, const M: usize>(self, simd: S) -> Self::Output;
}

/// Does the work.
pub(crate) fn dispatch<T: ForObjectives>(work: T) -> T::Output {
    Arch::new().dispatch(Dispatched(work))
}

struct Dispatched<T>(T);

impl<T: ForObjectives> WithSimd for Dispatched<T> {
    type Output = T::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> T::Output {
        match self.0.objectives() {
            1 => self.0.with_objectives::<S, 1>(simd),
            2 => self.0.with_objectives::<S, 2>(simd),
            3 => self.0.with_objectives::<S, 3>(simd),
            4 => self.0.with_objectives::<S, 4>(simd),
            5 => self.0.with_objectives::<S, 5>(simd),
            _ => self.0.with_objectives::<S, 0>(simd),
        }
    }
}
