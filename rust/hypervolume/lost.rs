//! Contributions in four objectives and more: what each point adds to the others.

use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};

use super::front::{Columns, Dominance, compare, limit};
use super::quick::{Quick, quick};
use super::sliced::layers_of;
use super::wfg::{Level, Volume, levels};
use crate::threads;

/// Threads share the work once it has taken this long.
const SERIAL_TIME: Duration = Duration::from_micros(500);

/// After so many points it is asked whether the call is to stop; what takes long asks by itself.
const CHECKED_POINTS: usize = 16;

/// If less than this share of a point's room is left, taking the rest away from it would be
/// inexact: what is left is measured itself.
const MIN_SHARE: f64 = 1.0 / 1024.0;

/// In four objectives more points than this are sliced.
const MAX_QUICK_POINTS: usize = 1000;

/// Contributions of positive points (row after row, `m` >= 4 objectives).
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
    let buffers = || Buffers::new(&present);
    let exclusive = |buffers: &mut Buffers, at: usize| {
        if at.is_multiple_of(CHECKED_POINTS) {
            threads::check();
        }
        arch.dispatch(Exclusive { buffers, at, point: row(order[at]) })
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
        let turn = rest.len().div_ceil(16 * threads::count());
        let measured = threads::share_out(rest.chunks(turn).collect(), |turn: &[usize]| {
            let mut buffers = buffers();
            turn.iter().map(|&at| exclusive(&mut buffers, at)).collect::<Vec<f64>>()
        });
        volumes.extend(measured.into_iter().flatten());
    }
    for (&at, exclusive) in front.iter().zip(volumes) {
        contributions[order[at]] = exclusive;
    }
    contributions
}

/// What one thread needs.
struct Buffers {
    /// The points of the first two layers.
    present: Columns,
    dominance: Dominance,
    /// The points within the room of one.
    inside: Columns,
    origin: Vec<f64>,
    point: Vec<f64>,
    quick: Option<Box<dyn Quick>>,
    levels: Vec<Level>,
}

impl Buffers {
    fn new(present: &Columns) -> Self {
        Self {
            present: present.clone(),
            dominance: Dominance::default(),
            inside: Columns::default(),
            origin: vec![0.0; present.objectives],
            point: Vec::new(),
            quick: quick(present.objectives),
            levels: levels(present.objectives),
        }
    }
}

/// What the point at a place adds to the others that are present.
struct Exclusive<'a> {
    buffers: &'a mut Buffers,
    at: usize,
    point: &'a [f64],
}

impl WithSimd for Exclusive<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { buffers, at, point } = self;
        let Buffers { present, dominance, inside, origin, point: row, quick, levels } = buffers;
        // Without its first objective a point covers nothing.
        present.set(at, 0.0);
        compare(simd, present, point, dominance);
        let floors = &dominance.floors;
        let m = point.len();
        if !dominance.covered {
            inside.reset(m, present.len + 8);
            limit(simd, present, point, floors, origin, inside);
        }
        present.set(at, point[0]);
        if dominance.covered {
            return 0.0;
        }
        let room = point.iter().zip(floors).fold(1.0, |room, (p, floor)| room * (p - floor));
        let slice = m == 4 && inside.len > MAX_QUICK_POINTS;
        if let Some(quick) = quick {
            quick.clear();
            for i in 0..inside.len {
                row.clear();
                row.extend((0..m).map(|j| inside.get(i, j)));
                quick.push(row);
            }
            if !slice {
                let left = room - quick.covered(floors, false);
                return if left < room * MIN_SHARE { quick.free(floors, point) } else { left };
            }
        }
        let Some(Level { points, .. }) = levels.last_mut() else { return 0.0 };
        points.reset(m, inside.len);
        for i in 0..inside.len {
            points.push((0..m).map(|j| inside.get(i, j) - floors[j]));
        }
        let left = room - simd.vectorize(Volume(levels));
        match quick {
            Some(quick) if left < room * MIN_SHARE => quick.free(floors, point),
            // Rounding may take more than there is.
            _ => left.max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervolume::many::volume;
    use crate::testing::Random;

    #[test]
    fn contributions_are_what_is_lost() {
        for m in 4..=9 {
            let rows = Random(1).simplex(40, m);
            let whole = volume(&rows, m);
            for (i, exclusive) in contributions(&rows, m).into_iter().enumerate() {
                let rest = [&rows[..i * m], &rows[(i + 1) * m..]].concat();
                assert!((whole - volume(&rest, m) - exclusive).abs() < 1e-13 * whole);
            }
        }
    }
}
