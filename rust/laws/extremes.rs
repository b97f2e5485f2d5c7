//! Volumes near and beyond the largest and the smallest doubles, of columns on scales of their own.

use proptest::prelude::*;

use crate::testing::{Random, points};
use crate::{hypervolume, hypervolume_contributions, hypervolume_estimate, hypervolume_in_groups};

type Rows<'a> = &'a [&'a [f64]];

/// Rows as columns.
fn columns(rows: Rows<'_>) -> Vec<Vec<f64>> {
    (0..rows[0].len()).map(|j| rows.iter().map(|row| row[j]).collect()).collect()
}

#[test]
fn what_exceeds_the_doubles_is_infinite_and_what_does_not_is_right() {
    const INFINITE: f64 = f64::INFINITY;
    // Points, the reference, the volume.
    let cases: [(Rows<'_>, &[f64], f64); 12] = [
        (&[&[1e308, 1.0], &[0.5e308, 2.0]], &[-1e308, 0.0], INFINITE),
        (&[&[1e200, 1e199], &[1e199, 1e200]], &[0.0, 0.0], INFINITE),
        (&[&[1.0, 1.0, 1e308], &[0.5, 2.0, 1e308]], &[0.0, 0.0, -1e308], INFINITE),
        (&[&[1.0, 0.5, 1e308], &[0.5, 2.0, 1.1e308]], &[0.0, 0.0, -1e308], INFINITE),
        (&[&[1.0, 0.25, 1e308], &[0.25, 0.5, 1e308]], &[0.0, 0.0, -1e308], 6.25e307),
        (&[&[1e200, 1e200, 1e-300]], &[0.0; 3], 1e100),
        (&[&[1e200, 1e200, 1e-300, 1e-90]], &[0.0; 4], 1e10),
        (&[&[1e-300, 1e-90, 1e200, 1e200]], &[0.0; 4], 1e10),
        (&[&[1e-200, 1e200, 1e-200, 1e200, 7.0]], &[0.0; 5], 7.0),
        (&[&[1e150, 1e150, 1e150, 1.0, 1.0, 1e-200]], &[0.0; 6], 1e250),
        (&[&[1e-150, 1e-150, 1e-150, 1e100]], &[0.0; 4], 0.0),
        (&[&[1e300, 1e300, 1e-300, 1e-300, 1e300, 1e-299, 2.0]], &[0.0; 7], 20.0),
    ];
    for (rows, reference, expected) in cases {
        let columns = columns(rows);
        let near = |actual: f64| actual == expected || (actual / expected - 1.0).abs() < 1e-12;
        let actual = hypervolume(&points(&columns), reference).unwrap();
        assert!(near(actual), "{rows:?}: {actual}, not {expected}");
        let ids = vec![0; rows.len()];
        let grouped = hypervolume_in_groups(&points(&columns), &ids, 1, reference).unwrap();
        assert_eq!(grouped, [actual]);
        let contributions = hypervolume_contributions(&points(&columns), reference).unwrap();
        assert!(contributions.iter().all(|&x| x >= 0.0), "{rows:?}: {contributions:?}");
        if rows.len() == 1 {
            assert!(near(contributions[0]), "{rows:?}: {contributions:?}, not {expected}");
        }
    }
}

#[test]
fn contributions_are_infinite_only_where_they_exceed_the_doubles() {
    let columns = columns(&[&[1.0, 1.0, 1e308], &[0.5, 2.0, 1e308], &[0.25, 0.25, 0.0]]);
    let actual = hypervolume_contributions(&points(&columns), &[0.0, 0.0, -1e308]).unwrap();
    // Half of the base by 2e308, for each of the first two; the third is below both.
    assert!((actual[0] / 1e308 - 1.0).abs() < 1e-12, "{actual:?}");
    assert!((actual[1] / 1e308 - 1.0).abs() < 1e-12, "{actual:?}");
    assert_eq!(actual[2], 0.0);
}

proptest! {
    #[test]
    fn objectives_on_any_scale_give_the_volume_times_their_scales(
        seed: u64,
        rows in 1usize..40,
        m in 1usize..7,
        mut exponents in prop::collection::vec(-900i32..900, 6),
        whole in -800i32..800,
    ) {
        let columns: Vec<Vec<f64>> = {
            let mut random = Random(seed);
            (0..m).map(|_| (0..rows).map(|_| 0.5 + random.unit() / 2.0).collect()).collect()
        };
        // The scales' product is 2^whole, though those of some are out of range.
        exponents.truncate(m);
        exponents[m - 1] = whole - exponents[..m - 1].iter().sum::<i32>();
        prop_assume!((-900..900).contains(&exponents[m - 1]));
        let scaled: Vec<Vec<f64>> = columns
            .iter()
            .zip(&exponents)
            .map(|(column, &power)| column.iter().map(|x| x * 2f64.powi(power)).collect())
            .collect();
        let (origin, factor) = (vec![0.0; m], 2f64.powi(whole));
        let volume = hypervolume(&points(&columns), &origin).unwrap();
        let actual = hypervolume(&points(&scaled), &origin).unwrap() / factor;
        prop_assert!((actual - volume).abs() <= 1e-12 * volume, "{actual}, not {volume}");
        let contributions = hypervolume_contributions(&points(&columns), &origin).unwrap();
        let actual = hypervolume_contributions(&points(&scaled), &origin).unwrap();
        for (actual, expected) in actual.into_iter().zip(contributions) {
            let actual = actual / factor;
            prop_assert!((actual - expected).abs() <= 1e-12 * volume, "{actual}, not {expected}");
        }
        let estimate = hypervolume_estimate(&points(&columns), &origin, 1024, seed).unwrap();
        let actual = hypervolume_estimate(&points(&scaled), &origin, 1024, seed).unwrap();
        let actual = actual.value / factor;
        prop_assert!((actual - estimate.value).abs() <= 1e-9 * volume, "{actual}, {estimate:?}");
    }

    #[test]
    fn no_volume_is_nan_or_negative(
        seed: u64,
        rows in 1usize..30,
        m in 1usize..6,
        reference in prop::sample::select(vec![0.0, -1e308, -f64::MAX, 1e300, 5e-324, -1e-310]),
    ) {
        let extremes =
            [0.0, 1e308, -1e308, f64::MAX, f64::MIN, 5e-324, 1e-308, 1e200, 1e-200, 1.0, 1e154];
        let mut random = Random(seed);
        let columns: Vec<Vec<f64>> = (0..m)
            .map(|_| (0..rows).map(|_| extremes[random.below(11) as usize]).collect())
            .collect();
        let (points, origin) = (points(&columns), vec![reference; m]);
        let volume = hypervolume(&points, &origin).unwrap();
        prop_assert!(volume >= 0.0, "{volume}");
        let contributions = hypervolume_contributions(&points, &origin).unwrap();
        prop_assert!(contributions.iter().all(|&x| x >= 0.0), "{contributions:?}");
        let estimate = hypervolume_estimate(&points, &origin, 256, 0).unwrap();
        prop_assert!(estimate.value >= 0.0 && estimate.standard_error >= 0.0, "{estimate:?}");
    }
}
