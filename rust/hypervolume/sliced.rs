//! Volumes point by point: what a point adds to the front before it is swept in four objectives
//! ([`four`]) and sliced in more ([`wfg`](super::wfg)).

use pulp::{Arch, Simd, WithSimd};

use super::chunks::{CHECKED_POINTS, Growth, front_of, grown};
use super::four;
use super::front::{Columns, Dominance};
use super::wfg::{Level, added, levels};
use crate::threads;

/// The volume that positive points (row after row, `m` >= 4 objectives) dominate. With `shared`,
/// threads share work that takes long.
pub(super) fn volume(points: &[f64], m: usize, shared: bool) -> f64 {
    if m == 4 {
        grown::<four::Front>(points, m, shared)
    } else {
        grown::<Slices>(points, m, shared)
    }
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
    use super::super::chunks::sorted;
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
                let expected = grown::<Slices>(&points, 4, false);
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
