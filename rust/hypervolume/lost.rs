//! Contributions in four objectives and more: what each point adds to the others.

use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};

use super::front::Columns;
use super::gain::Buffers;
use crate::threads;

/// Threads share the work once it has taken this long.
const SERIAL_TIME: Duration = Duration::from_micros(500);

/// After so many points it is asked whether the call is to stop; what takes long asks by itself.
const CHECKED_POINTS: usize = 16;

/// Contributions of positive points (row after row, `m` >= 4 objectives), given the first two of
/// their layers.
///
/// Points past the second layer are covered twice over, whichever point is taken away.
pub(super) fn contributions(points: &[f64], m: usize, layers: &[i32]) -> Vec<f64> {
    let row = |i: usize| &points[i * m..][..m];
    let mut contributions = vec![0.0; points.len() / m];
    let mut order: Vec<usize> = (0..layers.len()).filter(|&i| layers[i] >= 0).collect();
    order.sort_unstable_by(|&a, &b| row(b)[m - 1].total_cmp(&row(a)[m - 1]));
    let mut present = Columns::default();
    present.reset(m, order.len());
    for &i in &order {
        present.push(row(i).iter().copied());
    }
    let front: Vec<usize> = (0..order.len()).filter(|&at| layers[order[at]] == 0).collect();
    let arch = Arch::new();
    let buffers = || (present.clone(), Buffers::new(m));
    let exclusive = |(present, buffers): &mut (Columns, Buffers), at: usize| {
        if at.is_multiple_of(CHECKED_POINTS) {
            threads::check();
        }
        arch.dispatch(Exclusive { present, buffers, at, point: row(order[at]) })
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

/// What the point at a place adds to the others that are present.
struct Exclusive<'a> {
    present: &'a mut Columns,
    buffers: &'a mut Buffers,
    at: usize,
    point: &'a [f64],
}

impl WithSimd for Exclusive<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { present, buffers, at, point } = self;
        // Without its first objective a point covers nothing.
        present.set(at, 0.0);
        let gain = buffers.gain(simd, present, point);
        present.set(at, point[0]);
        gain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervolume::chunks::layers_of;
    use crate::hypervolume::many::volume;
    use crate::testing::Random;

    #[test]
    fn contributions_are_what_is_lost() {
        for m in 4..=9 {
            let rows = Random(1).simplex(40, m);
            let whole = volume(&rows, m);
            let contributions = contributions(&rows, m, &layers_of(&rows, m, 2));
            for (i, exclusive) in contributions.into_iter().enumerate() {
                let rest = [&rows[..i * m], &rows[(i + 1) * m..]].concat();
                assert!((whole - volume(&rest, m) - exclusive).abs() < 1e-13 * whole);
            }
        }
    }
}
