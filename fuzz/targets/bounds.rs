#![no_main]
//! The screen of a ranking against its definition.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Bounded, Loss, with_threads, within_bounds};
use paretohqd_fuzz::{Bytes, Cloud};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let loss = [Loss::Achievement, Loss::Sum, Loss::Distance][bytes.below(3)];
    let (count, directions) = (1 + bytes.below(4), bytes.byte());
    let mut number = || f64::from(bytes.byte()) / 16.0;
    let (ideal, units): (Vec<f64>, Vec<f64>) = (0..6).map(|_| (number(), number() + 0.5)).unzip();
    let weights: Vec<f64> = (0..6 * count).map(|_| number()).collect();
    let bounds: Vec<f64> = (0..count).map(|_| number() - 2.0).collect();
    let cloud = Cloud::new(&mut bytes, 6, 40_000);
    let larger: Vec<bool> = (0..6).map(|j| directions >> j & 1 == 0).collect();
    cloud.with_points(|points| {
        let m = points.objectives();
        let (larger, ideal, units) = (&larger[..m], &ideal[..m], &units[..m]);
        let weights = &weights[..m * count];
        let bounded = Bounded { loss, ideal, units, weights, bounds: &bounds };
        let actual = within_bounds(points, larger, &bounded).unwrap();
        let again = with_threads(Some(3), || within_bounds(points, larger, &bounded));
        assert_eq!(again.unwrap().unwrap(), actual);
        let lost = |row: usize, weights: &[f64]| {
            let row = cloud.row(row);
            let short = |j: usize| ideal[j] - if larger[j] { row[j] } else { -row[j] };
            match loss {
                Loss::Sum => (1..m)
                    .fold(weights[0] * (short(0) / units[0]), |sum, j| {
                        sum + weights[j] * (short(j) / units[j])
                    }),
                Loss::Distance => (0..m)
                    .map(|j| (weights[j] * (short(j) / units[j]).max(0.0)).powi(2))
                    .fold(0.0, |sum, square| sum + square)
                    .sqrt(),
                Loss::Achievement => {
                    let firm = weights.contains(&0.0);
                    (0..m)
                        .filter(|&j| !firm || weights[j] == 0.0)
                        .map(|j| short(j) / if firm { 1.0 } else { weights[j] })
                        .fold(f64::NEG_INFINITY, f64::max)
                }
            }
        };
        let within = |row: usize, more: f64| {
            weights.chunks(m).zip(&bounds).any(|(weights, &bound)| {
                // A root that is a rounding away may be left in. NaN is within no bound.
                lost(row, weights) <= bound + more * bound.abs() + more
            })
        };
        for row in 0..cloud.rows() {
            let left = actual.rows.binary_search(&(row as u32)).is_ok();
            assert!(left || !within(row, 0.0), "row {row} was left out");
            let lost_is_nan = weights.chunks(m).any(|weights| lost(row, weights).is_nan());
            let odd = lost_is_nan || cloud.row(row).iter().any(|x| !x.is_finite());
            assert!(!left || odd || within(row, 1e-9), "row {row} was left in");
        }
    });
});
