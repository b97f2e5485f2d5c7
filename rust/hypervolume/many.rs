//! Four objectives and more: quick hypervolume, but in four and from 17 on point by point.

use super::quick::{self, Quick, quick};
use super::sliced;

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate.
pub(super) fn volume(points: &[f64], m: usize) -> f64 {
    measured(kernel(m).as_deref_mut(), points, m, true)
}

/// What measures sets of `m` objectives; nothing where a point's share is found instead.
fn kernel(m: usize) -> Option<Box<dyn Quick>> {
    if m == 4 { None } else { quick(m) }
}

fn measured(
    quick: Option<&mut (dyn Quick + 'static)>,
    points: &[f64],
    m: usize,
    shared: bool,
) -> f64 {
    match quick {
        Some(quick) => {
            quick.clear();
            points.chunks_exact(m).for_each(|point| quick.push(point));
            quick.covered(&[0.0; quick::MAX_OBJECTIVES][..m], shared)
        }
        None => sliced::volume(points, m, shared),
    }
}

/// Small sets that are measured one after another on one thread, in buffers that they share.
pub(super) struct SmallSets {
    quick: Option<Box<dyn Quick>>,
    points: Vec<f64>,
}

impl SmallSets {
    /// Buffers for `m` objectives.
    pub fn new(m: usize) -> Self {
        Self { quick: kernel(m), points: Vec::new() }
    }

    /// [`volume`] of positive points, by objective.
    pub fn volume(&mut self, columns: &[Vec<f64>]) -> f64 {
        self.points.clear();
        for i in 0..columns[0].len() {
            self.points.extend(columns.iter().map(|column| column[i]));
        }
        measured(self.quick.as_deref_mut(), &self.points, columns.len(), false)
    }
}
