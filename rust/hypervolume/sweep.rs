//! Two and three objectives: a sweep from the best to the worst first objective.

use super::above::{SweptPoints, is_above};
use super::measure::Measure;
use super::staircase::Staircase;
use crate::points::Column;
use crate::sort::{ColumnKeys, FIRST, Slabs};
use crate::threads;

/// In up to this many objectives points are swept, and a sweep can read them in place.
pub(super) const MAX_SWEPT_OBJECTIVES: usize = 3;

/// Points per term of a sum, so that few terms are added to a large one.
pub(super) const STRETCH_POINTS: usize = 1 << 10;

/// The area that the points dominate above the reference.
pub(super) fn area<A: Measure>(points: &SweptPoints<'_, 2>) -> A {
    let (mut area, mut height) = (A::default(), points.corner[1]);
    let read = |rows: Vec<u32>| points.above(&rows, |point, _| point);
    for_slabs(points.first(), read, |slab| {
        for stretch in slab.chunks(STRETCH_POINTS) {
            area = area + stretch_area(stretch, points.corner[0], &mut height);
        }
    });
    area
}

/// What points add to the area from `left` on, the largest `x` first, beyond what those up to
/// `height` have.
fn stretch_area<A: Measure>(points: &[[f64; 2]], left: f64, height: &mut f64) -> A {
    let mut area = A::default();
    for &[x, y] in points {
        if y > *height {
            area = area + A::span(left, x) * A::span(*height, y);
            *height = y;
        }
    }
    area
}

/// [`area`] of no more than one stretch of points, all above (0, 0); brings them in order.
pub(super) fn small_area(points: &mut [[f64; 2]]) -> f64 {
    points.sort_by(|a, b| b[0].total_cmp(&a[0]));
    stretch_area(points, 0.0, &mut 0.0)
}

/// Contributions in two objectives: from the best to the worst `x`, what lies between the highest
/// and the second highest point so far belongs to the highest alone.
pub(super) fn exclusive_areas<A: Measure>(points: &SweptPoints<'_, 2>) -> Vec<A> {
    let mut exclusive = vec![A::default(); points.rows()];
    let [left, bottom] = points.corner;
    let (mut highest, mut second, mut owner, mut since) = (bottom, bottom, 0, left);
    let mut add = |owner: u32, width: [f64; 2], height: [f64; 2]| {
        let [width, height] = [width, height].map(|[low, high]| A::span(low, high));
        if let Some(exclusive) = exclusive.get_mut(owner as usize) {
            *exclusive = *exclusive + width * height;
        }
    };
    let read = |rows: Vec<u32>| points.above(&rows, |point, row| (point, row));
    for_slabs(points.first(), read, |slab| {
        for ([x, y], row) in slab {
            if y > second {
                if highest > second {
                    add(owner, [x, since], [second, highest]);
                }
                since = x;
                second = if y > highest { highest } else { y };
            }
            if y > highest {
                (highest, owner) = (y, row);
            }
        }
    });
    if highest > second {
        add(owner, [left, since], [second, highest]);
    }
    exclusive
}

/// Contributions in one objective: the largest value, if it is one, adds what it is larger by.
pub(super) fn exclusive_lengths<A: Measure>(points: &SweptPoints<'_, 1>) -> Vec<A> {
    let mut exclusive = vec![A::default(); points.rows()];
    let [bottom] = points.corner;
    let (mut largest, mut second, mut owner) = (bottom, bottom, 0);
    for row in 0..points.rows() {
        let x = points.get(0, row);
        if x > largest {
            (largest, second, owner) = (x, largest, row);
        } else if x > second {
            second = x;
        }
    }
    if let Some(exclusive) = exclusive.get_mut(owner) {
        *exclusive = A::span(second, largest);
    }
    exclusive
}

/// The volume that the points dominate above the reference.
///
/// Each point adds its new area in the other two objectives times all of its depth: positive
/// terms only, no cancellation. Each thread sweeps a part, from the outline of the points before.
pub(super) fn volume<A: Measure>(points: &SweptPoints<'_, 3>) -> A {
    let [depth, corner @ ..] = points.corner;
    let mut sorted = Vec::with_capacity(points.rows());
    for_slabs(points.first(), |rows| rows, |mut rows| sorted.append(&mut rows));
    let stretches = sorted.len().div_ceil(STRETCH_POINTS);
    // The slabs are given up by now. All threads read the sides, but one alone each depth.
    let sides = threads::map(sorted.len(), stretches, |i| {
        let rows = &sorted[i * STRETCH_POINTS..sorted.len().min((i + 1) * STRETCH_POINTS)];
        [points.column(1, rows), points.column(2, rows)]
    });
    let sweep = |first: usize, volumes: &mut [A]| {
        let mut outline = Staircase::default();
        // The last are the outermost for the most part, so that the rest change little.
        for [y, z] in sides[..first].iter().rev() {
            threads::check();
            for (&y, &z) in y.iter().zip(z).rev() {
                if is_above([y, z], corner) {
                    outline.insert_above::<f64>(corner, y, z);
                }
            }
        }
        let rest = sorted.chunks(STRETCH_POINTS).zip(&sides).skip(first);
        for ((rows, [y, z]), volume) in rest.zip(volumes) {
            threads::check();
            for (x, (&y, &z)) in points.column(0, rows).into_iter().zip(y.iter().zip(z)) {
                if is_above([x, y, z], points.corner) {
                    let area: A = outline.insert_above(corner, y, z);
                    *volume = *volume + A::span(depth, x) * area;
                }
            }
        }
    };
    let mut volumes = vec![A::default(); stretches];
    let parts = if threads::worthwhile(sorted.len()) { threads::count() } else { 1 };
    let part = volumes.len().div_ceil(parts).max(1);
    let tasks = volumes.chunks_mut(part).enumerate().collect();
    threads::share_out(tasks, |(i, volumes)| sweep(i * part, volumes));
    // Not `sum`, for which nothing at all is -0.0.
    volumes.into_iter().fold(A::default(), |sum, volume| sum + volume)
}

/// [`volume`] of no more than one stretch of points, all above the reference; brings them in order.
/// The outline is only a buffer.
pub(super) fn small_volume(points: &mut [[f64; 3]], outline: &mut Staircase<()>) -> f64 {
    points.sort_by(|a, b| b[0].total_cmp(&a[0]));
    outline.clear();
    points.iter().fold(0.0, |volume, &[x, y, z]| volume + x * outline.insert(y, z))
}

/// Hands what `read` makes of the rows to `take`, the largest `x` first, slab after slab.
pub(super) fn for_slabs<T: Send>(
    x: Column<'_>,
    read: impl Fn(Vec<u32>) -> T + Sync,
    mut take: impl FnMut(T),
) {
    // A batch of slabs at a time: all of them side by side would hold every point once more.
    const BATCH_SLABS: usize = 32;
    let slabs = Slabs::new(ColumnKeys::new(x));
    let read = |slab: usize| {
        let mut rows = slabs.sorted(slab);
        rows.iter_mut().for_each(|row| *row &= !FIRST);
        read(rows)
    };
    let batches = (0..slabs.count()).step_by(BATCH_SLABS);
    batches
        .flat_map(|first| {
            let batch = BATCH_SLABS.min(slabs.count() - first);
            threads::map(x.len(), batch, |i| read(first + i))
        })
        .for_each(|slab| {
            threads::check();
            take(slab);
        });
}
