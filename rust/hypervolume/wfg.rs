//! Four objectives and more: WFG (While, Bradstreet, Barone 2012) with slicing.
//!
//! Points are taken from the best to the worst last objective. What a point adds is its last
//! objective times what it adds in the objectives that are left to the front of the points before
//! it: the box above its floors less the volume of the front limited to that box ([`front`]).
//! That volume is found likewise, one objective fewer at each step, down to three, where a sweep
//! takes over. In four objectives this is O(n²) comparisons and sweeps of small sets.
//!
//! [`front`]: super::front

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::front::{Columns, compare, limit};
use super::profile::Profile;

/// Buffers for one number of objectives.
#[derive(Default)]
pub(super) struct Level {
    /// The points to measure, the last objective falling.
    pub points: Columns,
    /// Of the points seen so far the front in all objectives but the last.
    pub front: Columns,
    point: Vec<f64>,
    floors: Vec<f64>,
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
        let Some((Level { points, front, point, profile, floors }, below)) = self.0.split_last_mut() else {
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
            let added = added(simd, front, point, floors, below, true);
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
    floors: &mut Vec<f64>,
    below: &mut [Level],
    grow: bool,
) -> f64 {
    let k = point.len();
    floors.resize(k, 0.0);
    let standing = compare(simd, front, point, floors);
    if standing.covered {
        return 0.0;
    }
    let room = point.iter().zip(&*floors).fold(1.0, |room, (p, floor)| room * (p - floor));
    let Some(level) = below.last_mut() else { return 0.0 };
    level.points.reset(k, front.len + 8);
    limit(simd, front, point, floors, &mut level.points);
    let taken = if level.points.len == 0 { 0.0 } else { simd.vectorize(Volume(below)) };
    if grow {
        if standing.covers {
            front.drop_covered(point);
        }
        front.insert(point);
    }
    room - taken
}

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate.
pub(super) fn volume(points: &[f64], m: usize) -> f64 {
    let sorted = sorted(points, m);
    let rows = sorted.len() / m;
    let chunk = rows.div_ceil(CHUNKS).max(8);
    let mut front = Columns::default();
    front.reset(m - 1, rows);
    let arch = Arch::new();
    let run = |front: &mut Columns, chunk: &[f64], measure: bool| {
        arch.dispatch(Chunk { front, rows: chunk, m, measure })
    };
    if rows < fork(m) || rayon::current_num_threads() == 1 {
        return sorted.chunks(chunk * m).map(|rows| run(&mut front, rows, true)).sum();
    }
    let mut volumes = vec![0.0; rows.div_ceil(chunk)];
    rayon::scope(|scope| {
        for (rows, volume) in sorted.chunks(chunk * m).zip(&mut volumes) {
            let mut start = front.clone();
            scope.spawn(move |_| *volume = run(&mut start, rows, true));
            run(&mut front, rows, false);
        }
    });
    volumes.iter().sum()
}

const CHUNKS: usize = 32;

fn fork(m: usize) -> usize {
    match m { 4 => 256, 5 => 96, _ => 48 }
}

/// The rows with the best last objective first.
fn sorted(points: &[f64], m: usize) -> Vec<f64> {
    let mut rows: Vec<&[f64]> = points.chunks_exact(m).collect();
    // Ties by the other objectives, so that a point comes after those that dominate it.
    rows.sort_unstable_by(|a, b| {
        b.iter().rev().partial_cmp(a.iter().rev()).unwrap_or(std::cmp::Ordering::Equal)
    });
    rows.concat()
}

/// A stretch of the sorted points: what it adds to the front of those before it.
struct Chunk<'a> {
    front: &'a mut Columns,
    rows: &'a [f64],
    m: usize,
    /// Or only grow the front.
    measure: bool,
}

impl WithSimd for Chunk<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { front, rows, m, measure } = self;
        let mut below = levels(m - 1);
        let mut floors = vec![0.0; m - 1];
        let mut volume = 0.0;
        for row in rows.chunks_exact(m) {
            let (point, last) = (&row[..m - 1], row[m - 1]);
            if measure {
                volume += last * added(simd, front, point, &mut floors, &mut below, true);
            } else {
                let standing = compare(simd, front, point, &mut floors);
                if standing.covers {
                    front.drop_covered(point);
                }
                if !standing.covered {
                    front.insert(point);
                }
            }
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
        let v = added(simd, others, row, &mut Vec::new(), levels, false);
        others.set(i, row[0]);
        v.max(0.0)
    }
}
