//! The points of nested parts of space, as quick hypervolume ([`quick`]) takes them apart.
//!
//! [`quick`]: super::quick

use std::time::Instant;

use pulp::Simd;

use super::chunks::layers_of;
use super::corner::{Corner, misses, volume};

/// Whether points cover each other is found pair by pair if they are fewer, else as layers are.
pub(super) const MIN_LAYERED: usize = 1024;

/// Sets of points, one after another: the points of a part follow those of the whole.
pub(super) struct Sets<const W: usize> {
    pub objectives: usize,
    pub points: Vec<Corner<W>>,
    /// The volume of the box of each point above the lower corner of its part.
    pub volumes: Vec<f64>,
    pub picks: Vec<u32>,
    /// Points of the parts since it was last asked whether the call is to stop.
    pub unchecked: usize,
    /// When the work began, if it may be shared.
    pub begin: Option<Instant>,
}

impl<const W: usize> Sets<W> {
    pub fn new(objectives: usize) -> Self {
        let (points, volumes, picks) = (Vec::new(), Vec::new(), Vec::new());
        Self { objectives, points, volumes, picks, unchecked: 0, begin: None }
    }

    /// A copy of the last points.
    pub fn copied_from(&self, start: usize) -> Self {
        Self {
            points: self.points[start..].to_vec(),
            volumes: self.volumes[start..].to_vec(),
            picks: Vec::new(),
            ..*self
        }
    }

    /// The one of the last points that has the largest box.
    #[inline(always)]
    pub fn largest(&self, start: usize) -> usize {
        let mut largest = start;
        for i in start..self.volumes.len() {
            if self.volumes[i] > self.volumes[largest] {
                largest = i;
            }
        }
        largest
    }

    /// Drops those of the last points that others cover, but for copies.
    pub fn keep_front(&mut self, start: usize) {
        let m = self.objectives;
        let rows: Vec<f64> = self.points[start..].iter().flat_map(|p| &p[..m]).copied().collect();
        let mut kept = start;
        for (i, layer) in (start..).zip(layers_of(&rows, m, 1)) {
            if layer == 0 {
                (self.points[kept], self.volumes[kept]) = (self.points[i], self.volumes[i]);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    pub fn truncate(&mut self, len: usize) {
        self.points.truncate(len);
        self.volumes.truncate(len);
    }

    /// Adds a point unless one of those from `start` on covers it; drops those that it covers.
    #[inline(always)]
    pub fn insert<S: Simd>(&mut self, simd: S, start: usize, point: Corner<W>, low: &Corner<W>) {
        let mut i = start;
        while i < self.points.len() {
            if !misses(&self.points[i], &point) {
                return;
            }
            if misses(&point, &self.points[i]) {
                i += 1;
            } else {
                self.points.swap_remove(i);
                self.volumes.swap_remove(i);
            }
        }
        self.points.push(point);
        self.volumes.push(volume(simd, &point, low));
    }
}
