//! Four objectives and more: WFG (While, Bradstreet, Barone 2012) with slicing.
//!
//! Points are taken from the best to the worst last objective. What a point adds is its last
//! objective times what it adds in the objectives that are left to the front of the points before
//! it: the box above its floors less the volume of the front limited to that box ([`front`]).
//! That volume is found likewise, one objective fewer at each step, down to three, where a sweep
//! takes over. In four objectives this is O(n²) comparisons and sweeps of small sets.
//!
//! [`front`]: super::front

use std::cmp::Ordering;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::front::{Columns, Standing, compare, limit};
use super::profile::Profile;
use crate::layers::{self, Stop};
use crate::points::{Column, Points};

/// Buffers for one number of objectives.
#[derive(Default)]
pub(super) struct Level {
    /// The points to measure, the last objective falling.
    pub points: Columns,
    /// Of the points seen so far the front in all objectives but the last.
    pub front: Columns,
    point: Vec<f64>,
    standing: Standing,
    profile: Profile,
}

/// Buffers for three objectives up to `m`.
pub(super) fn levels(m: usize) -> Vec<Level> {
    (3..=m).map(|_| Level::default()).collect()
}

/// The volume of the points of the last level; their last objective falls.
pub(super) struct Volume<'a>(pub &'a mut [Level]);

impl WithSimd for Volume<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let m = self.0.len() + 2;
        let Some((Level { points, front, point, profile, standing }, below)) = self.0.split_last_mut() else {
            return 0.0;
        };
        let product = |i: usize| (0..m).fold(1.0, |product, j| product * points.get(i, j));
        match points.len {
            0 => return 0.0,
            1 => return product(0),
            2 => {
                let both = (0..m).fold(1.0, |product, j| {
                    product * points.get(0, j).min(points.get(1, j))
                });
                return product(0) + (product(1) - both);
            }
            _ => {}
        }
        if m == 3 {
            let (y, z, x) = (points.column(0), points.column(1), points.column(2));
            profile.clear();
            return x.iter().zip(y.iter().zip(z)).map(|(x, (y, z))| x * profile.insert(*y, *z)).sum();
        }
        front.reset(m - 1, points.len);
        let mut volume = 0.0;
        for i in 0..points.len {
            point.clear();
            point.extend((0..m - 1).map(|j| points.get(i, j)));
            let added = added(simd, front, point, standing, below, true);
            volume += points.get(i, m - 1) * added;
        }
        volume
    }
}

/// What `point` adds to the volume of `front`, in the objectives that `below` is for.
/// `grow` puts the point into the front.
#[inline(always)]
pub(super) fn added<S: Simd>(
    simd: S,
    front: &mut Columns,
    point: &[f64],
    standing: &mut Standing,
    below: &mut [Level],
    grow: bool,
) -> f64 {
    let k = point.len();
    compare(simd, front, point, standing);
    if standing.covered {
        return 0.0;
    }
    let room = point.iter().zip(&standing.floors).fold(1.0, |room, (p, floor)| room * (p - floor));
    let Some(level) = below.last_mut() else { return 0.0 };
    level.points.reset(k, front.len + 8);
    limit(simd, front, point, &standing.floors, &mut level.points);
    let taken = if level.points.len == 0 { 0.0 } else { simd.vectorize(Volume(below)) };
    if grow {
        front.replace(&standing.drops, point);
    }
    room - taken
}

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate.
pub(super) fn volume(points: &[f64], m: usize) -> f64 {
    let rows = if points.len() / m < FEW {
        sorted(points, m)
    } else {
        sorted(&undominated(points, m), m)
    };
    let chunk = (rows.len() / m).div_ceil(CHUNKS).max(8) * m;
    let threads = rayon::current_num_threads();
    let mut volumes = vec![0.0; rows.len().div_ceil(chunk)];
    let measure = |first: usize, volumes: &mut [f64]| {
        let (before, rest) = rows.split_at(first * chunk);
        let mut front = front_of(before, m, rows.len() / m);
        for (rows, volume) in rest.chunks(chunk).zip(volumes) {
            *volume = Arch::new().dispatch(Stretch { front: &mut front, rows, m });
        }
    };
    if threads > 1 && rows.len() / m >= fork(m) {
        // Each thread has several turns, since later chunks take longer.
        let turn = volumes.len().div_ceil(4 * threads);
        volumes.par_chunks_mut(turn).enumerate().for_each(|(i, part)| measure(i * turn, part));
    } else {
        measure(0, &mut volumes);
    }
    volumes.iter().sum()
}

/// The front of some rows in all objectives but the last.
fn front_of(rows: &[f64], m: usize, capacity: usize) -> Columns {
    let others: Vec<f64> =
        rows.chunks_exact(m).flat_map(|row| &row[..m - 1]).copied().collect();
    let best = sorted(&undominated(&others, m - 1), m - 1);
    let mut front = Columns::default();
    front.reset(m - 1, capacity);
    let mut last: &[f64] = &[];
    for row in best.chunks_exact(m - 1) {
        if row != last {
            front.push(row.iter().copied());
        }
        last = row;
    }
    front
}

/// The rows that no row dominates.
fn undominated(rows: &[f64], m: usize) -> Vec<f64> {
    let columns: Vec<Vec<f64>> =
        (0..m).map(|j| rows.iter().skip(j).step_by(m).copied().collect()).collect();
    let columns = columns.iter().map(|column| Column::F64(column)).collect();
    let Ok(points) = Points::new(columns) else { return Vec::new() };
    let layers = layers::layers(&points, Stop::UpTo(1));
    rows.chunks_exact(m)
        .zip(layers)
        .filter(|(_, layer)| *layer == 0)
        .flat_map(|(row, _)| row)
        .copied()
        .collect()
}

const FEW: usize = 256;
const CHUNKS: usize = 64;

fn fork(m: usize) -> usize {
    match m { 4 => 256, 5 => 96, _ => 48 }
}

/// The rows with the best last objective first, ties by the others.
fn sorted(points: &[f64], m: usize) -> Vec<f64> {
    let mut rows: Vec<&[f64]> = points.chunks_exact(m).collect();
    rows.sort_unstable_by(|a, b| {
        let by_others = || b.partial_cmp(a).unwrap_or(Ordering::Equal);
        b[m - 1].total_cmp(&a[m - 1]).then_with(by_others)
    });
    rows.concat()
}

/// A stretch of the sorted points: what it adds to the front of those before it.
struct Stretch<'a> {
    front: &'a mut Columns,
    rows: &'a [f64],
    m: usize,
}

impl WithSimd for Stretch<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { front, rows, m } = self;
        let mut below = levels(m - 1);
        let mut standing = Standing::default();
        let mut volume = 0.0;
        for row in rows.chunks_exact(m) {
            volume += row[m - 1] * added(simd, front, &row[..m - 1], &mut standing, &mut below, true);
        }
        volume
    }
}

/// Contributions of positive points (row after row, `m` >= 4 objectives).
pub(super) fn contributions(points: &[f64], m: usize) -> Vec<f64> {
    let rows = points.len() / m;
    let mut order: Vec<usize> = (0..rows).collect();
    let row = |i: usize| &points[i * m..][..m];
    order.sort_unstable_by(|&a, &b| row(b)[m - 1].total_cmp(&row(a)[m - 1]));
    let mut others = Columns::default();
    others.reset(m, rows);
    for &i in &order {
        others.push(row(i).iter().copied());
    }
    let arch = Arch::new();
    let others = &others;
    let own: Vec<f64> = (0..rows).into_par_iter().map_init(|| (others.clone(), levels(m)), |(others, levels), i| {
        let row = row(order[i]);
        arch.dispatch(Own { others, i, row, levels })
    }).collect();
    let mut found = vec![0.0; rows];
    for (i, own) in order.into_iter().zip(own) { found[i] = own; }
    found
}

struct Own<'a> {
    others: &'a mut Columns,
    i: usize,
    row: &'a [f64],
    levels: &'a mut [Level],
}

impl WithSimd for Own<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { others, i, row, levels } = self;
        others.set(i, 0.0);
        let v = added(simd, others, row, &mut Standing::default(), levels, false);
        others.set(i, row[0]);
        v.max(0.0)
    }
}
