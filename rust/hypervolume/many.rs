//! Four objectives and more: the volume and the contributions, shared among threads.
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

/// Threads share the work once it has taken this long: its cost is hard to tell from its size.
const SERIAL_TIME: Duration = Duration::from_micros(500);

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate.
pub(super) fn volume(points: &[f64], m: usize) -> f64 {
    let rows = sorted(points, m);
    let chunk = chunk_rows(rows.len() / m) * m;
    let mut volumes = vec![0.0; rows.len().div_ceil(chunk)];
    let arch = Arch::new();
    let mut front = Columns::default();
    front.reset(m - 1, rows.len() / m);
    let mut below = levels(m - 1);
    let begin = Instant::now();
    let mut done = 0;
    for (rows, volume) in rows.chunks(chunk).zip(&mut volumes) {
        if begin.elapsed() > SERIAL_TIME && threads::count() > 1 {
            break;
        }
        *volume = arch.dispatch(Stretch { front: &mut front, rows, below: &mut below });
        done += 1;
    }
    // To share work starts threads, even if none is left.
    if done < volumes.len() {
        // Each thread has several turns, since later chunks take longer.
        let turn = (volumes.len() - done).div_ceil(3 * threads::count());
        let turns = volumes[done..].chunks_mut(turn).enumerate().collect();
        threads::share_out(turns, |(i, volumes): (usize, &mut [f64])| {
            let (before, rest) = rows.split_at((done + i * turn) * chunk);
            let (mut front, mut below) = (front_of(before, m, rows.len() / m), levels(m - 1));
            for (rows, volume) in rest.chunks(chunk).zip(volumes) {
                *volume = arch.dispatch(Stretch { front: &mut front, rows, below: &mut below });
            }
        });
    }
    // Not `sum`, for which nothing at all is -0.0.
    volumes.iter().fold(0.0, |sum, volume| sum + volume)
}

/// Rows per chunk of a set of that many.
fn chunk_rows(rows: usize) -> usize {
    rows.div_ceil(MAX_CHUNKS).max(8)
}

/// Small sets that are measured one after another on one thread, in buffers that they share.
pub(super) struct SmallSets {
    front: Columns,
    below: Vec<Level>,
    arch: Arch,
}

impl SmallSets {
    /// Buffers for `m` >= 4 objectives; for fewer, none.
    pub fn new(m: usize) -> Self {
        Self { front: Columns::default(), below: levels(m.saturating_sub(1)), arch: Arch::new() }
    }

    /// [`volume`] of positive points, by objective.
    pub fn volume(&mut self, columns: &[Vec<f64>]) -> f64 {
        let (rows, m) = (columns[0].len(), columns.len());
        let points: Vec<f64> =
            (0..rows).flat_map(|i| columns.iter().map(move |column| column[i])).collect();
        self.front.reset(m - 1, rows);
        let points = sorted(&points, m);
        let volumes = points.chunks(chunk_rows(rows) * m).map(|rows| {
            let (front, below) = (&mut self.front, &mut self.below[..]);
            self.arch.dispatch(Stretch { front, rows, below })
        });
        volumes.fold(0.0, |sum, volume| sum + volume)
    }
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
fn layers_of(rows: &[f64], m: usize, upto: usize) -> Vec<i32> {
    let column = |j: usize| rows.iter().skip(j).step_by(m).copied().collect();
    let columns: Vec<Vec<f64>> = (0..m).map(column).collect();
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
        for row in rows.chunks_exact(m) {
            let (point, last) = (&row[..m - 1], row[m - 1]);
            volume += last * added(simd, front, point, &mut dominance, below, true);
        }
        volume
    }
}

/// Contributions of positive points (row after row, `m` >= 4 objectives): what each adds to the
/// others.
///
/// Points past the second layer are covered twice over, whichever point is taken away.
pub(super) fn contributions(points: &[f64], m: usize) -> Vec<f64> {
    let row = |i: usize| &points[i * m..][..m];
    let mut contributions = vec![0.0; points.len() / m];
    let layers = layers_of(points, m, 2);
    let mut order: Vec<usize> = (0..layers.len()).filter(|&i| layers[i] >= 0).collect();
    order.sort_unstable_by(|&a, &b| row(b)[m - 1].total_cmp(&row(a)[m - 1]));
    let mut present = Columns::default();
    present.reset(m, order.len());
    for &i in &order {
        present.push(row(i).iter().copied());
    }
    let front: Vec<usize> = (0..order.len()).filter(|&at| layers[order[at]] == 0).collect();
    let arch = Arch::new();
    let buffers = || (present.clone(), levels(m));
    let exclusive = |(present, levels): &mut (Columns, Vec<Level>), at: usize| {
        arch.dispatch(Exclusive { present, at, point: row(order[at]), levels })
    };
    let begin = Instant::now();
    let mut first = buffers();
    let mut volumes = Vec::with_capacity(front.len());
    for &at in &front {
        if begin.elapsed() > SERIAL_TIME && threads::count() > 1 {
            break;
        }
        volumes.push(exclusive(&mut first, at));
    }
    if volumes.len() < front.len() {
        let rest = &front[volumes.len()..];
        let turn = rest.len().div_ceil(8 * threads::count());
        let measure = |turn: &[usize]| {
            let mut buffers = buffers();
            turn.iter().map(|&at| exclusive(&mut buffers, at)).collect::<Vec<f64>>()
        };
        volumes.extend(threads::share_out(rest.chunks(turn).collect(), measure).concat());
    }
    for (&at, exclusive) in front.iter().zip(volumes) {
        contributions[order[at]] = exclusive;
    }
    contributions
}

/// What the point at a place adds to the others that are present.
struct Exclusive<'a> {
    present: &'a mut Columns,
    at: usize,
    point: &'a [f64],
    levels: &'a mut [Level],
}

impl WithSimd for Exclusive<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { present, at, point, levels } = self;
        // Without its first objective a point covers nothing.
        present.set(at, 0.0);
        let exclusive = added(simd, present, point, &mut Dominance::default(), levels, false);
        present.set(at, point[0]);
        // Rounding may take more than there is.
        exclusive.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// Points on the simplex.
    fn front(rows: usize, m: usize) -> Vec<f64> {
        let mut random = Random(1);
        let mut next = || -(random.unit() + 1.0 / (1u64 << 53) as f64).ln();
        (0..rows)
            .flat_map(|_| {
                let row: Vec<f64> = (0..m).map(|_| next()).collect();
                let sum: f64 = row.iter().sum();
                row.into_iter().map(move |x| x / sum)
            })
            .collect()
    }

    #[test]
    fn a_start_in_the_middle_changes_no_byte() {
        for m in 4..=7 {
            // Copies and ties in the last objective must not matter either.
            let mut rows = front(300, m);
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
            let rows = sorted(&front(if m < 7 { 200 } else { 40 }, m), m);
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

    #[test]
    fn contributions_are_what_is_lost() {
        for m in 4..=9 {
            let rows = front(40, m);
            let whole = volume(&rows, m);
            for (i, exclusive) in contributions(&rows, m).into_iter().enumerate() {
                let rest = [&rows[..i * m], &rows[(i + 1) * m..]].concat();
                assert!((whole - volume(&rest, m) - exclusive).abs() < 1e-13 * whole);
            }
        }
    }
}
