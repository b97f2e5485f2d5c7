//! Two and three objectives: a sweep from the best to the worst first objective.

use rayon::prelude::*;

use super::staircase::Staircase;
use crate::layers::keys::ColumnKeys;
use crate::layers::order::{FIRST, Slabs};
use crate::points::Column;
use crate::threads;

/// Points per term of a sum, so that few terms are added to a large one.
const STRETCH: usize = 1 << 10;

/// The area that positive points dominate above the origin.
pub(super) fn area(x: &[f64], y: &[f64]) -> f64 {
    let sorted = best_first(x, |i| y[i]);
    let (mut area, mut height) = (0.0, 0.0);
    for points in sorted.chunks(STRETCH) {
        let mut part = 0.0;
        for &(x, y) in points {
            if y > height {
                part += x * (y - height);
                height = y;
            }
        }
        area += part;
    }
    area
}

/// Contributions of positive points in two objectives: from the best to the worst `x`, what lies
/// between the highest and the second highest point so far belongs to the highest alone.
pub(super) fn own_areas(x: &[f64], y: &[f64]) -> Vec<f64> {
    let mut own = vec![0.0; x.len()];
    let (mut highest, mut second, mut owner, mut since) = (0.0, 0.0, 0, 0.0);
    for (x, (y, point)) in best_first(x, |i| (y[i], i as u32)) {
        if y > second {
            if let Some(own) = own.get_mut(owner as usize) {
                *own += (since - x) * (highest - second);
            }
            since = x;
            second = if y > highest { highest } else { y };
        }
        if y > highest {
            (highest, owner) = (y, point);
        }
    }
    if let Some(own) = own.get_mut(owner as usize) {
        *own += since * (highest - second);
    }
    own
}

/// Contributions in one objective: the largest value, if it is one, adds what it is larger by.
pub(super) fn own_lengths(x: &[f64]) -> Vec<f64> {
    own_areas(x, &vec![1.0; x.len()])
}

/// The volume that positive points dominate above the origin.
///
/// Each point adds its new area in the other two objectives times all of its depth: positive
/// terms only, no cancellation. Each thread sweeps a part, from the outline of the points before.
pub(super) fn volume(x: &[f64], y: &[f64], z: &[f64]) -> f64 {
    let sorted = best_first(x, |i| (y[i], z[i]));
    let mut volumes = vec![0.0; sorted.len().div_ceil(STRETCH)];
    let sweep = |first: usize, volumes: &mut [f64]| {
        let (before, rest) = sorted.split_at(first * STRETCH);
        let mut outline = Staircase::default();
        // The last are the outermost for the most part, so that the rest change little.
        for &(_, (y, z)) in before.iter().rev() {
            outline.insert(y, z);
        }
        for (points, volume) in rest.chunks(STRETCH).zip(volumes) {
            for &(x, (y, z)) in points {
                *volume += x * outline.insert(y, z);
            }
        }
    };
    if threads::worthwhile(sorted.len()) {
        let part = volumes.len().div_ceil(threads::count());
        let parts = volumes.par_chunks_mut(part).enumerate();
        parts.for_each(|(i, volumes)| sweep(i * part, volumes));
    } else {
        sweep(0, &mut volumes);
    }
    volumes.iter().sum()
}

/// The values of `x`, the largest first, each with what goes with its point.
pub(super) fn best_first<T: Copy + Send>(
    x: &[f64],
    with: impl Fn(usize) -> T + Sync,
) -> Vec<(f64, T)> {
    // A batch of slabs at a time: all of them side by side would hold every point twice.
    const BATCH: usize = 32;
    let slabs = Slabs::new(ColumnKeys::new(Column::F64(x)));
    let mut sorted = Vec::with_capacity(x.len());
    for first in (0..slabs.count()).step_by(BATCH) {
        let batch = BATCH.min(slabs.count() - first);
        let parts = threads::map(x.len(), batch, |slab| -> Vec<(f64, T)> {
            let points =
                slabs.sorted(first + slab).into_iter().map(|point| (point & !FIRST) as usize);
            points.map(|point| (x[point], with(point))).collect()
        });
        parts.iter().for_each(|part| sorted.extend_from_slice(part));
    }
    sorted
}
