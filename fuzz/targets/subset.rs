#![no_main]
//! Subsets of a hypervolume: the best in two objectives, and near what greed finds in more.

use libfuzzer_sys::fuzz_target;
use paretohqd::{hypervolume_subset, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, layers, volume};

/// The largest area of `k` of the rows above the origin, by all pairs of rows.
fn largest(rows: &[Vec<f64>], k: usize) -> f64 {
    let mut steps: Vec<&Vec<f64>> = rows.iter().filter(|row| row[0] > 0.0 && row[1] > 0.0).collect();
    steps.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    let mut best: Vec<f64> = steps.iter().map(|step| step[0] * step[1]).collect();
    for _ in 1..k {
        let last = best.clone();
        for (j, step) in steps.iter().enumerate() {
            // A step that is higher than one before it is not worse without that one.
            let with = (0..j).map(|i| last[i] + (step[0] - steps[i][0]) * step[1]);
            best[j] = with.fold(best[j], f64::max);
        }
    }
    best.into_iter().fold(0.0, f64::max)
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let reference = f64::from(bytes.byte() as i8) / 16.0;
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
        let mut distinct = subset.rows.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), k);
        let all: Vec<Vec<f64>> = (0..rows)
            .map(|row| cloud.row(row).iter().zip(&reference).map(|(x, r)| x - r).collect())
            .collect();
        let extreme = all.iter().flatten().any(|x| *x != 0.0 && !(1e-40..1e40).contains(&x.abs()));
        if extreme || rows > 60 {
            return;
        }
        let chosen: Vec<Vec<f64>> =
            subset.rows.iter().map(|&row| all[row as usize].clone()).collect();
        let expected = volume(&chosen, m);
        assert!((subset.volume - expected).abs() <= 1e-9 * expected);
        if m == 2 {
            let best = largest(&all, k);
            assert!((subset.volume - best).abs() <= 1e-12 * best, "{} is not {best}", subset.volume);
        } else if m == 3 {
            // Each step gains as much as any other row would have.
            let numbers = layers(&all);
            let whole = volume(&all, m);
            for place in 0..k {
                let with = |row: usize| {
                    let some: Vec<Vec<f64>> =
                        chosen[..place].iter().cloned().chain([all[row].clone()]).collect();
                    volume(&some, m)
                };
                let had = with(subset.rows[place] as usize);
                for row in (0..rows).filter(|&row| numbers[row] == 0) {
                    assert!(with(row) <= had + 1e-9 * whole, "row {row} for place {place}");
                }
            }
        }
    });
});
