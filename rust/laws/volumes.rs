//! Volumes of up to thousands of points: exact on whole coordinates, and laws on others.

use proptest::prelude::*;

use super::definitions::{grid, rows};
use crate::testing::{Layout, Random, points};
use crate::{
    hypervolume, hypervolume_contributions, hypervolume_estimate, hypervolume_in_groups,
    with_threads,
};

/// Points with whole coordinates from 0 to a side, few enough cells to count.
#[derive(Clone, Debug)]
struct Counted {
    columns: Vec<Vec<f64>>,
    side: usize,
    layout: Layout,
    single: bool,
}

fn counted() -> impl Strategy<Value = Counted> {
    let layout = prop::sample::select(Layout::ALL.to_vec());
    (any::<u64>(), 1usize..7, 0usize..3000, layout, any::<bool>(), any::<bool>()).prop_map(
        |(seed, m, rows, layout, single, front)| {
            let side = [4000, 300, 40, 12, 6, 4][m - 1];
            let rows = rows % [3000, 3000, 3000, 800, 300, 120][m - 1];
            let mut columns = Random(seed).columns(rows, m, side as u64 + 1);
            if front && m > 1 {
                // The last coordinate falls as the first rises: few points are dominated.
                let first = columns[0].clone();
                for (last, first) in columns[m - 1].iter_mut().zip(first) {
                    *last = side as f64 - first;
                }
            }
            Counted { columns, side, layout, single }
        },
    )
}

/// Points in the unit cube, or on the simplex, with digits that single precision holds.
fn cloud() -> impl Strategy<Value = Vec<Vec<f64>>> {
    (any::<u64>(), 1usize..7, 0usize..2000, any::<bool>()).prop_map(|(seed, m, rows, front)| {
        let rows = rows % [2000, 2000, 2000, 300, 100, 60][m - 1];
        let mut random = Random(seed);
        let mut columns = vec![Vec::with_capacity(rows); m];
        for _ in 0..rows {
            let shares: Vec<f64> = (0..m).map(|_| -random.unit().max(1e-9).ln()).collect();
            let sum: f64 = shares.iter().sum();
            for (column, share) in columns.iter_mut().zip(shares) {
                let x = if front { share / sum } else { random.unit() };
                column.push(f64::from(x as f32));
            }
        }
        columns
    })
}

fn near(a: f64, b: f64, whole: f64) -> bool {
    (a - b).abs() <= 1e-12 * whole
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn volumes_of_many_points_are_numbers_of_cells(counted in counted(), threads in 1usize..4) {
        let m = counted.columns.len();
        let (volume, contributions) = grid(&rows(&counted.columns), m, counted.side);
        let reference = vec![0.0; m];
        counted.layout.hold(&counted.columns, counted.single, |points| {
            with_threads(Some(threads), || {
                prop_assert_eq!(hypervolume(points, &reference).unwrap(), volume);
                let actual = hypervolume_contributions(points, &reference).unwrap();
                prop_assert_eq!(actual, contributions);
                Ok(())
            })
            .unwrap()
        })?;
    }

    #[test]
    fn volumes_scale_to_the_bit_and_their_order_is_rounding(columns in cloud(), power in -40i32..40) {
        let (m, n) = (columns.len(), columns[0].len());
        let reference = vec![0.125; m];
        let volume = hypervolume(&points(&columns), &reference).unwrap();
        let contributions = hypervolume_contributions(&points(&columns), &reference).unwrap();
        // All by one power of two: no digit changes.
        let factor = 2f64.powi(power);
        let scaled: Vec<Vec<f64>> =
            columns.iter().map(|column| column.iter().map(|x| x * factor).collect()).collect();
        let (scaled, origin) = (points(&scaled), vec![0.125 * factor; m]);
        let by = factor.powi(m as i32);
        prop_assert_eq!(hypervolume(&scaled, &origin).unwrap(), volume * by);
        let expected: Vec<f64> = contributions.iter().map(|x| x * by).collect();
        prop_assert_eq!(hypervolume_contributions(&scaled, &origin).unwrap(), expected);
        // Each by a power of its own, objectives and rows in another order.
        let order = Random(power as u64).shuffled(n);
        let mut turned: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| order.iter().map(|&row| column[row]).collect())
            .collect();
        turned.rotate_left(power.unsigned_abs() as usize % m);
        let factors: Vec<f64> = (0..m).map(|j| 2f64.powi((j as i32 - 2) * power / 2)).collect();
        for (column, factor) in turned.iter_mut().zip(&factors) {
            column.iter_mut().for_each(|x| *x *= factor);
        }
        let origin: Vec<f64> = factors.iter().map(|factor| 0.125 * factor).collect();
        let by: f64 = factors.iter().product();
        let again = hypervolume(&points(&turned), &origin).unwrap() / by;
        prop_assert!(near(again, volume, volume), "{again} is not {volume}");
        let again = hypervolume_contributions(&points(&turned), &origin).unwrap();
        for (&row, again) in order.iter().zip(again) {
            let expected = contributions[row];
            prop_assert!(near(again / by, expected, volume), "row {row}: {again}, {expected}");
        }
    }

    #[test]
    fn dominated_and_equal_points_add_nothing(columns in cloud(), some in 1usize..40) {
        let (m, n) = (columns.len(), columns[0].len());
        let reference = vec![-0.5; m];
        let volume = hypervolume(&points(&columns), &reference).unwrap();
        let contributions = hypervolume_contributions(&points(&columns), &reference).unwrap();
        prop_assert!(contributions.iter().all(|&x| (0.0..=volume).contains(&x)));
        prop_assert!(contributions.iter().sum::<f64>() <= volume * (1.0 + 1e-12));
        // Copies below some points and below the reference: they add nothing. What two points of
        // these cover no longer is one's alone, so that contributions may shrink, but never grow.
        let mut more = columns.clone();
        for column in &mut more {
            for row in (0..n).step_by(some) {
                column.push(column[row] - 0.25);
                column.push(column[row] - 9.0);
            }
        }
        let actual = hypervolume(&points(&more), &reference).unwrap();
        prop_assert!(near(actual, volume, volume), "{actual} is not {volume}");
        let actual = hypervolume_contributions(&points(&more), &reference).unwrap();
        prop_assert!(actual[n..].iter().all(|&x| x <= 1e-12 * volume));
        for (row, (&actual, &expected)) in actual.iter().zip(&contributions).enumerate() {
            prop_assert!(actual <= expected + 1e-12 * volume, "row {row}: {actual}, {expected}");
        }
        // Points below the reference change nothing at all.
        let mut outside = columns.clone();
        for column in &mut outside {
            column.extend((0..n.div_ceil(some)).map(|i| i as f64 - 1e6));
        }
        let actual = hypervolume(&points(&outside), &reference).unwrap();
        prop_assert!(near(actual, volume, volume), "{actual} is not {volume}");
        // Equals share what they cover, so that neither adds anything.
        let mut twice = columns;
        for column in &mut twice {
            column.extend_from_within(..);
        }
        let actual = hypervolume(&points(&twice), &reference).unwrap();
        prop_assert!(near(actual, volume, volume), "{actual} is not {volume}");
        let actual = hypervolume_contributions(&points(&twice), &reference).unwrap();
        prop_assert!(actual.iter().all(|&x| x <= 1e-12 * volume));
    }

    #[test]
    fn the_volume_of_a_group_is_that_of_its_points_alone(
        columns in cloud(),
        size in prop::sample::select(vec![1usize, 8, 65, 256, 700]),
        layout in prop::sample::select(Layout::ALL.to_vec()),
        single: bool,
    ) {
        let (m, n) = (columns.len(), columns[0].len());
        let (groups, reference) = (n / size + 1, vec![0.25; m]);
        let ids: Vec<u32> = (0..n).map(|row| (row % groups) as u32).collect();
        let actual = layout.hold(&columns, single, |points| {
            hypervolume_in_groups(points, &ids, groups, &reference).unwrap()
        });
        for (group, actual) in actual.into_iter().enumerate() {
            let alone: Vec<Vec<f64>> = columns
                .iter()
                .map(|column| column.iter().copied().skip(group).step_by(groups).collect())
                .collect();
            let alone = hypervolume(&points(&alone), &reference).unwrap();
            prop_assert_eq!(actual.to_bits(), alone.to_bits());
        }
    }

    #[test]
    fn an_estimate_lies_within_its_error_and_scales_to_the_bit(
        columns in cloud(),
        seed: u64,
        power in -40i32..40,
        layout in prop::sample::select(Layout::ALL.to_vec()),
        single: bool,
    ) {
        let reference = vec![-0.125; columns.len()];
        let exact = hypervolume(&points(&columns), &reference).unwrap();
        let actual = layout.hold(&columns, single, |points| {
            hypervolume_estimate(points, &reference, 4096, seed).unwrap()
        });
        let allowance = 10.0 * actual.standard_error + 1e-3 * exact;
        prop_assert!((actual.value - exact).abs() <= allowance, "{actual:?} of {exact}");
        let factor = 2f64.powi(power);
        let scaled: Vec<Vec<f64>> =
            columns.iter().map(|column| column.iter().map(|x| x * factor).collect()).collect();
        let origin = vec![-0.125 * factor; columns.len()];
        let again = hypervolume_estimate(&points(&scaled), &origin, 4096, seed).unwrap();
        prop_assert_eq!(again.value, actual.value * factor.powi(columns.len() as i32));
    }
}

#[test]
fn one_point_above_a_front_adds_what_the_front_does_not() {
    // One region over all others, cut by each of them in turn.
    let n = 20_000;
    let at = |i: usize| 0.1 + 0.8 * i as f64 / n as f64;
    let (mut x, mut y, mut z) = (vec![1.0], vec![1.0], vec![1.0]);
    for i in 0..n {
        x.push(at(i));
        y.push(at(i));
        z.push(1.0 - at(i));
    }
    let front: Vec<Vec<f64>> = [&x, &y, &z].map(|column| column[1..].to_vec()).to_vec();
    let columns = [x, y, z];
    let actual = hypervolume_contributions(&points(&columns), &[0.0; 3]).unwrap();
    let below = hypervolume(&points(&front), &[0.0; 3]).unwrap();
    assert!((actual[0] - (1.0 - below)).abs() < 1e-12, "{} and {below}", actual[0]);
    assert!(actual[1..].iter().all(|&x| x == 0.0));
}
