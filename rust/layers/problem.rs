//! Rows to be numbered, and what is known of their layers so far.

use std::sync::atomic::{AtomicU32, Ordering};

/// Distinct rows in lexicographic order; their index stands for the first objective.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a> {
    /// The ranks of all rows, objective by objective, from the second on.
    pub columns: &'a [&'a [u32]],
    /// Lower bounds that only rise. Concurrent halves write disjoint rows, and fork and join
    /// order their reads, so relaxed access is enough; atomics keep it safe code.
    pub layers: &'a [AtomicU32],
    /// Layers from this one on only say "past the stop".
    pub cap: u32,
}

impl Problem<'_> {
    /// The layer of a row as far as it is known: at least this.
    #[inline(always)]
    pub fn layer(&self, row: u32) -> u32 {
        self.layers[row as usize].load(Ordering::Relaxed)
    }

    /// Notes that a row has at least this layer.
    #[inline(always)]
    pub fn raise(&self, row: u32, layer: u32) {
        let slot = &self.layers[row as usize];
        if slot.load(Ordering::Relaxed) < layer {
            slot.fetch_max(layer, Ordering::Relaxed);
        }
    }
}
