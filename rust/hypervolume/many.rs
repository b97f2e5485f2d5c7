//! Four objectives and more: quick hypervolume, but many points in four and from 17 objectives on
//! point by point.

use super::quick::{self, Quick, quick};
use super::sliced;

/// Points in four objectives up to which they are cut at pivots: sets of 8 to 64 that are measured
/// one after another take 1.2 to 2 times as long by the sweep. It gains with their number, and on a
/// set that is measured alone sooner: 100 points 1.3 times, 1,000 points 1.6.
const FEW: usize = 80;

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate.
pub(super) fn volume(points: &[f64], m: usize) -> f64 {
    let mut quick = if is_swept(points, m) { None } else { quick(m) };
    measured(quick.as_deref_mut(), points, m, true)
}

/// Whether points are measured by a sweep rather than cut at pivots.
fn is_swept(points: &[f64], m: usize) -> bool {
    m == 4 && points.len() > FEW * m
}

fn measured(
    quick: Option<&mut (dyn Quick + 'static)>,
    points: &[f64],
    m: usize,
    shared: bool,
) -> f64 {
    match quick {
        Some(quick) if !is_swept(points, m) => {
            quick.clear();
            points.chunks_exact(m).for_each(|point| quick.push(point));
            quick.covered(&[0.0; quick::MAX_OBJECTIVES][..m], shared)
        }
        _ => sliced::volume(points, m, shared),
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
        Self { quick: quick(m), points: Vec::new() }
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
