//! Volumes by slicing ([`wfg`]), shared among threads.
//!
//! How the work is shared decides no byte of the result: what a point adds depends on the front
//! before it alone, and sums run over chunks of a fixed size, in order.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};

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
const CHECKED_POINTS: usize = 16;

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate. With `shared`,
/// threads share work that takes long.
pub(super) fn volume(points: &[f64], m: usize, shared: bool) -> f64 {
    let rows = sorted(points, m);
    let chunk = chunk_rows(rows.len() / m) * m;
    let mut volumes = vec![0.0; rows.len().div_ceil(chunk)];
    let arch = Arch::new();
    let mut front = Columns::default();
    front.reset(m - 1, rows.len() / m);
    let mut below = levels(m - 1);
    let begin = Instant::now();
    let mut done = 0;
    let chunks = volumes.len();
    for (rows, volume) in rows.chunks(chunk).zip(&mut volumes) {
        if shared && is_long(begin.elapsed(), done, chunks) && threads::count() > 1 {
            break;
        }
        *volume = arch.dispatch(Stretch { front: &mut front, rows, below: &mut below });
        done += 1;
    }
    // To share work starts threads, even if none is left.
    if done < chunks {
        // Each thread has several turns, since later chunks take longer.
        let turn = (chunks - done).div_ceil(3 * threads::count());
        let turns = threads::share_out((done..chunks).step_by(turn).collect(), |first| {
            let (before, rest) = rows.split_at(first * chunk);
            let mut below = levels(m - 1);
            let mut front = front_of(before, m, rows.len() / m);
            let volume = |rows| {
                let (front, below) = (&mut front, &mut below[..]);
                arch.dispatch(Stretch { front, rows, below })
            };
            rest.chunks(chunk).take(turn).map(volume).collect::<Vec<f64>>()
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

/// The front of some rows in all objectives but the last.
fn front_of(rows: &[f64], m: usize, capacity: usize) -> Columns {
    let others: Vec<f64> = rows.chunks_exact(m).flat_map(|row| &row[..m - 1]).copied().collect();
    let layers = layers_of(&others, m - 1, 1);
    let best = others.chunks_exact(m - 1).zip(layers).filter(|(_, layer)| *layer == 0);
    let best = sorted(&best.flat_map(|(row, _)| row).copied().collect::<Vec<_>>(), m - 1);
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
    /// Buffers for the objectives but the last.
    below: &'a mut [Level],
}

impl WithSimd for Stretch<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { front, rows, below } = self;
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

    #[test]
    fn a_start_in_the_middle_changes_no_byte() {
        for m in 4..=7 {
            // Copies and ties in the last objective must not matter either.
            let mut rows = Random(1).simplex(300, m);
            for last in rows.iter_mut().skip(m - 1).step_by(m) {
                *last = (*last * 8.0).ceil() / 8.0;
            }
            rows.extend_from_within(..20 * m);
            let rows = sorted(&rows, m);
            let (before, rest) = rows.split_at(rows.len() / m / 2 * m);
            let arch = Arch::new();
            let mut grown = Columns::default();
            grown.reset(m - 1, 320);
            arch.dispatch(Stretch { front: &mut grown, rows: before, below: &mut levels(m - 1) });
            let mut started = front_of(before, m, 320);
            let [one, other] = [&mut grown, &mut started].map(|front| {
                arch.dispatch(Stretch { front, rows: rest, below: &mut levels(m - 1) }).to_bits()
            });
            assert_eq!(one, other);
        }
    }

    #[test]
    fn instruction_sets_do_not_matter() {
        for m in 4..=10 {
            let rows = sorted(&Random(1).simplex(if m < 7 { 200 } else { 40 }, m), m);
            let volume = |simd: &dyn Fn(Stretch<'_>) -> f64| {
                let mut front = Columns::default();
                front.reset(m - 1, 200);
                simd(Stretch { front: &mut front, rows: &rows, below: &mut levels(m - 1) })
                    .to_bits()
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
