//! Volumes point by point, best last objective first: what each point adds to the front before it,
//! in chunks that threads share.
//!
//! How the work is shared decides no byte of the result: what a point adds depends on the front
//! before it alone, and sums run over chunks of a fixed size, in order.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

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

/// The volume of positive points (row after row) by a front that grows. With `shared`, threads share
/// work that takes long.
pub(super) fn grown<G: Growth>(points: &[f64], m: usize, shared: bool) -> f64 {
    let rows = sorted(points, m);
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
pub(super) fn sorted(points: &[f64], m: usize) -> Vec<f64> {
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
