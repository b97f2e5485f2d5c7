#![no_main]
//! Subsets of a hypervolume: the best in two objectives, and what greed finds in more.

use libfuzzer_sys::fuzz_target;
use paretohqd::{hypervolume_subset, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, Wide, layers, reference, volume};

/// The largest area of `k` of the rows above the reference, by all pairs of rows.
fn largest(rows: &[Vec<f64>], k: usize, reference: f64) -> Wide {
    let above = |row: &&Vec<f64>| row[0] > reference && row[1] > reference;
    let mut steps: Vec<&Vec<f64>> = rows.iter().filter(above).collect();
    steps.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    let area = |row: &[f64], from: f64| {
        Wide::difference(row[0], from) * Wide::difference(row[1], reference)
    };
    let larger = |a: Wide, b: Wide| if b.exceeds(a) { b } else { a };
    let mut best: Vec<Wide> = steps.iter().map(|step| area(step, reference)).collect();
    for _ in 1..k {
        let last = best.clone();
        for (j, step) in steps.iter().enumerate() {
            // A step that is higher than one before it is not worse without that one.
            let with = (0..j).map(|i| last[i] + area(step, steps[i][0]));
            best[j] = with.fold(best[j], larger);
        }
    }
    best.into_iter().fold(Wide::ZERO, larger)
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let reference = reference(&mut bytes);
    let k = 1 + bytes.below(20);
    let cloud = Cloud::new(&mut bytes, 6, 2000);
    cloud.with_points(|points| {
        let (m, rows) = (points.objectives(), cloud.rows());
        let reference = vec![reference; m];
        let k = k.min(rows.max(1));
        let subset = hypervolume_subset(points, k, &reference);
        assert_eq!(subset.is_err(), cloud.oddities().1 || rows == 0, "infinities are refused");
        let Ok(subset) = subset else { return };
        let again = with_threads(Some(3), || hypervolume_subset(points, k, &reference));
        let again = again.unwrap().unwrap();
        assert_eq!(again.rows, subset.rows);
        assert_eq!(again.volume.to_bits(), subset.volume.to_bits());
        let mut distinct = subset.rows.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), k);
        let all: Vec<Vec<f64>> = (0..rows).map(|row| cloud.row(row)).collect();
        let chosen: Vec<Vec<f64>> =
            subset.rows.iter().map(|&row| all[row as usize].clone()).collect();
        if chosen.len() <= [60, 60, 40, 20, 12, 9][m - 1] {
            let expected = volume(&chosen, &reference);
            let allowance = expected * Wide::new(1e-9, 0);
            assert!(expected.is_near(subset.volume, allowance), "not {expected:?}");
        }
        if rows > [60, 60, 40, 20, 12, 9][m - 1] {
            return;
        }
        // The choice is by gains in doubles, with the best of each objective as 1.
        let best = |column: &Vec<f64>| column.iter().fold(0.0f64, |a, x| a.max(x - reference[0]));
        let tiny = |column: &Vec<f64>| {
            let best = best(column);
            let small = |x: &f64| *x > reference[0] && (x - reference[0]) / best < 1e-40;
            !best.is_finite() || column.iter().any(small)
        };
        if cloud.columns.iter().any(tiny) {
            return;
        }
        let taken = volume(&chosen, &reference);
        if m <= 2 {
            let best =
                if m == 1 { volume(&all, &reference) } else { largest(&all, k, reference[0]) };
            assert!(!best.exceeds(taken * Wide::new(1.0 + 1e-12, 0)), "{taken:?}, not {best:?}");
            return;
        }
        // Each step gains as much as any other row would have.
        let numbers = layers(&all);
        for place in 0..k {
            let with = |row: usize| {
                let some = chosen[..place].iter().chain([&all[row]]).cloned();
                volume(&some.collect::<Vec<_>>(), &reference)
            };
            let had = with(subset.rows[place] as usize) * Wide::new(1.0 + 1e-9, 0);
            for row in (0..rows).filter(|&row| numbers[row] == 0) {
                assert!(!with(row).exceeds(had), "row {row} for place {place}");
            }
        }
    });
});
