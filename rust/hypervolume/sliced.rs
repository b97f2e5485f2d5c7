//! Volumes point by point, best last objective first, shared among threads: what a point adds to the
//! front before it is swept in four objectives ([`four`]) and sliced in more ([`wfg`]).
//!
//! How the work is shared decides no byte of the result: what a point adds depends on the front
//! before it alone, and sums run over chunks of a fixed size, in order.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};

use super::four;
use super::front::{Columns, Dominance};
use super::wfg::{Level, added, levels};
use crate::layers::{Stop, layers};
use crate::points::{Column, Points};
use crate::threads;

/// Chunks of a volume, the units that are shared.
const MAX_CHUNKS: usize = 64;

/// Threads share the work if as much as this is left: each first finds the front before its points.
const MIN_SHARED_TIME: Duration = Duration::from_millis(4);

/// What is left is not foreseen before this.
const MIN_FORESEEN: Duration = Duration::from_micros(300);

/// After so many points it is asked whether the call is to stop.
pub(super) const CHECKED_POINTS: usize = 16;

/// A front that grows point by point, in all objectives but the last.
pub(super) trait Growth: Sized {
    /// The front of some rows; room for so many points.
    fn after(before: &[f64], m: usize, capacity: usize) -> Self;

    /// What further rows add: the volume of each in the front's objectives times its last one. The
    /// rows are sorted, and so were those before them.
    fn grow(&mut self, rows: &[f64]) -> f64;
}

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate. With `shared`,
/// threads share work that takes long.
pub(super) fn volume(points: &[f64], m: usize, shared: bool) -> f64 {
    let rows = sorted(points, m);
    if m == 4 { grown::<four::Front>(&rows, m, shared) } else { grown::<Slices>(&rows, m, shared) }
}

fn grown<G: Growth>(rows: &[f64], m: usize, shared: bool) -> f64 {
    let chunk = chunk_rows(rows.len() / m) * m;
    let mut volumes = vec![0.0; rows.len().div_ceil(chunk)];
    let mut front = G::after(&[], m, rows.len() / m);
    let begin = Instant::now();
    let mut done = 0;
    let chunks = volumes.len();
    for (rows, volume) in rows.chunks(chunk).zip(&mut volumes) {
        if shared && is_long(begin.elapsed(), done, chunks) && threads::count() > 1 {
            break;
        }
        *volume = front.grow(rows);
        done += 1;
    }
    // To share work starts threads, even if none is left.
    if done < chunks {
        // Each thread has several turns, since later chunks take longer.
        let turn = (chunks - done).div_ceil(3 * threads::count());
        let turns = threads::share_out((done..chunks).step_by(turn).collect(), |first| {
            let (before, rest) = rows.split_at(first * chunk);
            let mut front = G::after(before, m, rows.len() / m);
            rest.chunks(chunk).take(turn).map(|rows| front.grow(rows)).collect::<Vec<f64>>()
        });
        volumes.splice(done.., turns.into_iter().flatten());
    }
    // Not `sum`, for which nothing at all is -0.0.
    volumes.iter().fold(0.0, |sum, volume| sum + volume)
}

/// Whether much is left once `done` chunks have taken some time. What a point adds takes time with
/// the front before it: measured, all time grows as the power 1.5 of the points.
fn is_long(taken: Duration, done: usize, chunks: usize) -> bool {
    let share = done as f64 / chunks as f64;
    let left = taken.as_secs_f64() * (share.powf(-1.5) - 1.0);
    taken > MIN_FORESEEN && left > MIN_SHARED_TIME.as_secs_f64()
}

/// Rows per chunk of a set of that many.
fn chunk_rows(rows: usize) -> usize {
    rows.div_ceil(MAX_CHUNKS).max(8)
}

/// The front of some rows in all objectives but the last, row after row and sorted.
pub(super) fn front_of(rows: &[f64], m: usize) -> Vec<f64> {
    let others: Vec<f64> = rows.chunks_exact(m).flat_map(|row| &row[..m - 1]).copied().collect();
    let layers = layers_of(&others, m - 1, 1);
    let best = others.chunks_exact(m - 1).zip(layers).filter(|(_, layer)| *layer == 0);
    let best = sorted(&best.flat_map(|(row, _)| row).copied().collect::<Vec<_>>(), m - 1);
    let mut front: Vec<f64> = Vec::with_capacity(best.len());
    for row in best.chunks_exact(m - 1) {
        // One of each: copies cover no more.
        if !front.ends_with(row) {
            front.extend(row);
        }
    }
    front
}

/// The first `upto` layers of rows.
pub(super) fn layers_of(rows: &[f64], m: usize, upto: usize) -> Vec<i32> {
    let column = |j: usize| rows.iter().skip(j).step_by(m).copied().collect();
    layers_of_columns(&(0..m).map(column).collect::<Vec<_>>(), upto)
}

/// The first `upto` layers of the rows of finite columns.
pub(super) fn layers_of_columns(columns: &[Vec<f64>], upto: usize) -> Vec<i32> {
    Points::new(columns.iter().map(|column| Column::F64(column)).collect())
        .map_or_else(|_| Vec::new(), |points| layers(&points, Stop::UpTo(upto)))
}

/// The rows with the best last objective first, ties by the others.
fn sorted(points: &[f64], m: usize) -> Vec<f64> {
    fn order<R: PartialOrd + AsRef<[f64]>>(a: &R, b: &R) -> Ordering {
        let last = a.as_ref().len() - 1;
        let by_others = || b.partial_cmp(a).unwrap_or(Ordering::Equal);
        b.as_ref()[last].total_cmp(&a.as_ref()[last]).then_with(by_others)
    }
    if m == 4 {
        let mut rows: Vec<[f64; 4]> = points.as_chunks().0.to_vec();
        rows.sort_unstable_by(order);
        return rows.into_flattened();
    }
    let mut rows: Vec<&[f64]> = points.chunks_exact(m).collect();
    rows.sort_unstable_by(order);
    rows.concat()
}

/// A front whose points' volumes are slices ([`wfg`](super::wfg)).
struct Slices {
    front: Columns,
    /// Buffers for the objectives but the last.
    below: Vec<Level>,
}

impl Growth for Slices {
    fn after(before: &[f64], m: usize, capacity: usize) -> Self {
        let mut front = Columns::default();
        front.reset(m - 1, capacity);
        for row in front_of(before, m).chunks_exact(m - 1) {
            front.push(row.iter().copied());
        }
        Self { front, below: levels(m - 1) }
    }

    fn grow(&mut self, rows: &[f64]) -> f64 {
        Arch::new().dispatch(Stretch { slices: self, rows })
    }
}

/// A stretch of the sorted points: what it adds to the front of those before it.
struct Stretch<'a> {
    slices: &'a mut Slices,
    rows: &'a [f64],
}

impl WithSimd for Stretch<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { slices: Slices { front, below }, rows } = self;
        let m = front.objectives + 1;
        let mut dominance = Dominance::default();
        let mut volume = 0.0;
        for (i, row) in rows.chunks_exact(m).enumerate() {
            if i % CHECKED_POINTS == 0 {
                threads::check();
            }
            let (point, last) = (&row[..m - 1], row[m - 1]);
            volume += last * added(simd, front, point, &mut dominance, below, true);
        }
        volume
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// What a front says that rows after others add to it.
    fn both_ways<G: Growth>(rows: &[f64], m: usize) {
        let (before, rest) = rows.split_at(rows.len() / m / 2 * m);
        let mut grown = G::after(&[], m, 320);
        grown.grow(before);
        let mut started = G::after(before, m, 320);
        assert_eq!(grown.grow(rest).to_bits(), started.grow(rest).to_bits());
    }

    #[test]
    fn a_start_in_the_middle_changes_no_byte() {
        for (m, levels) in (4..=7).flat_map(|m| [(m, 8.0), (m, 3.0)]) {
            // Copies and ties in the last objectives must not matter either.
            let mut rows = Random(1).simplex(300, m);
            for row in rows.chunks_exact_mut(m) {
                for value in &mut row[m - 2..] {
                    *value = (*value * levels).ceil() / levels;
                }
            }
            rows.extend_from_within(..20 * m);
            let rows = sorted(&rows, m);
            both_ways::<Slices>(&rows, m);
            if m == 4 {
                both_ways::<four::Front>(&rows, m);
            }
        }
    }

    #[test]
    fn in_four_objectives_a_sweep_measures_what_slices_do() {
        let mut random = Random(7);
        for n in (0..60).chain([200, 700]) {
            let any: Vec<f64> = (0..4 * n).map(|_| 1.0 - random.unit()).collect();
            let tied = |levels: f64| any.iter().map(|x| (x * levels).ceil() / levels).collect();
            for points in [any.clone(), tied(2.0), tied(5.0), random.simplex(n, 4)] {
                let expected = grown::<Slices>(&sorted(&points, 4), 4, false);
                let actual = volume(&points, 4, false);
                assert!((actual - expected).abs() <= 1e-14 * expected, "{n}: {actual} {expected}");
            }
        }
    }

    #[test]
    fn instruction_sets_do_not_matter() {
        for m in 4..=10 {
            let rows = sorted(&Random(1).simplex(if m < 7 { 200 } else { 40 }, m), m);
            let volume = |simd: &dyn Fn(Stretch<'_>) -> f64| {
                let slices = &mut Slices::after(&[], m, 200);
                simd(Stretch { slices, rows: &rows }).to_bits()
            };
            let scalar = volume(&|stretch| Simd::vectorize(pulp::Scalar::new(), stretch));
            assert_eq!(volume(&|stretch| Arch::new().dispatch(stretch)), scalar);
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                assert_eq!(volume(&|stretch| Simd::vectorize(simd, stretch)), scalar);
            }
        }
    }
}
