#![no_main]
//! Crowding distance, IGD+, additive epsilon and R2 against their definitions.

use libfuzzer_sys::fuzz_target;
use paretohqd::{
    Column, Points, crowding_distance, crowding_distance_in_groups, epsilon_additive, igd_plus,
    r2_indicator, with_threads,
};
use paretohqd_fuzz::{Bytes, Cloud};

/// The gaps of the neighbours among distinct rows.
fn crowding(rows: &[Vec<f64>]) -> Vec<f64> {
    let mut distances = vec![0.0; rows.len()];
    let mut distinct: Vec<usize> = (0..rows.len()).collect();
    // A stable sort: of equal rows the first stays.
    distinct.sort_by(|&a, &b| rows[b].partial_cmp(&rows[a]).expect("no NaN"));
    distinct.dedup_by(|b, a| rows[*a] == rows[*b]);
    if let [only] = distinct[..] {
        distances[only] = f64::INFINITY;
    }
    let Some(last) = distinct.len().checked_sub(1).filter(|&last| last > 0) else {
        return distances;
    };
    for j in 0..rows[0].len() {
        let mut order = distinct.clone();
        order.sort_by(|&a, &b| rows[b][j].partial_cmp(&rows[a][j]).expect("no NaN"));
        let half = |place: usize| rows[order[place]][j] / 2.0;
        let range = half(0) - half(last);
        if rows[order[0]][j] > rows[order[last]][j] {
            distances[order[0]] = f64::INFINITY;
            distances[order[last]] = f64::INFINITY;
            for place in 1..last {
                distances[order[place]] += (half(place - 1) - half(place + 1)) / range;
            }
        }
    }
    distances
}

fn points_of(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|column| Column::from(&column[..])).collect()).expect("no NaN")
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-12 * b.abs()
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let size = 1 + bytes.below(9);
    let cloud = Cloud::new(&mut bytes, 6, 20_000);
    cloud.with_points(|points| {
        let (m, rows) = (points.objectives(), cloud.rows());
        let all: Vec<Vec<f64>> = (0..rows).map(|row| cloud.row(row)).collect();
        let distances = crowding_distance(points);
        assert_eq!(distances.is_err(), cloud.oddities().1, "infinities are refused, and only they");
        let Ok(distances) = distances else { return };
        let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let again = with_threads(Some(3), || crowding_distance(points)).unwrap().unwrap();
        assert_eq!(bits(&again), bits(&distances));
        // Halves of the smallest numbers are rounded, and the definition with them.
        let tiny = all.iter().flatten().any(|x| *x != 0.0 && x.abs() < 1e-290);
        if !tiny {
            assert!(crowding(&all).iter().zip(&distances).all(|(&a, &b)| near(a, b)));
        }
        let ids: Vec<u32> = (0..rows).map(|row| (row % size) as u32).collect();
        let grouped = crowding_distance_in_groups(points, &ids, size).unwrap();
        for group in 0..size.min(rows) {
            let part: Vec<Vec<f64>> = cloud
                .columns
                .iter()
                .map(|column| column[group..].iter().step_by(size).copied().collect())
                .collect();
            let alone = crowding_distance(&points_of(&part)).unwrap();
            let here: Vec<f64> = grouped[group..].iter().step_by(size).copied().collect();
            assert_eq!(bits(&here), bits(&alone));
        }
        // Near the last rows is the reference: enough points for a tree, or few beside many rows.
        let some = rows.min(if rows < 1500 { 150 } else { 3 });
        if some == 0 {
            return;
        }
        let columns: Vec<Vec<f64>> = (0..m)
            .map(|j| all[rows - some..].iter().map(|row| row[j] / 2.0 + 1.0).collect())
            .collect();
        let reference = points_of(&columns);
        let least = |loss: &dyn Fn(usize, f64) -> f64, start: f64, join: fn(f64, f64) -> f64| {
            let lost = |row: &Vec<f64>| {
                row.iter().enumerate().fold(start, |sum, (j, &x)| join(sum, loss(j, x)))
            };
            all.iter().map(lost).fold(f64::INFINITY, f64::min)
        };
        let epsilon = (0..some)
            .map(|i| least(&|j, x| columns[j][i] - x, f64::NEG_INFINITY, f64::max))
            .fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(epsilon_additive(points, &reference).unwrap(), epsilon);
        let distance = igd_plus(points, &reference).unwrap();
        let lacks = (0..some)
            .map(|i| least(&|j, x| (columns[j][i] - x).max(0.0), 0.0, f64::hypot))
            .sum::<f64>();
        let expected = lacks / some as f64;
        assert!(
            near(distance, expected) || expected > 1e300 || expected < 1e-290,
            "{distance} is not {expected}"
        );
        let ideal: Vec<f64> = (0..m)
            .map(|j| all.iter().map(|row| row[j]).fold(f64::NEG_INFINITY, f64::max))
            .collect();
        let weights: Vec<f64> = (0..5 * m).map(|i| (i * i % 7) as f64 + 0.5).collect();
        let r2 = r2_indicator(points, &weights, &ideal).unwrap();
        let expected = weights
            .chunks_exact(m)
            .map(|w| least(&|j, x| w[j] * (ideal[j] - x), 0.0, f64::max))
            .sum::<f64>()
            / 5.0;
        assert!(near(r2, expected) || expected > 1e300, "{r2} is not {expected}");
        for threads in [1, 3] {
            let run = || (igd_plus(points, &reference), r2_indicator(points, &weights, &ideal));
            let (a, b) = with_threads(Some(threads), run).unwrap();
            assert_eq!(
                (a.unwrap().to_bits(), b.unwrap().to_bits()),
                (distance.to_bits(), r2.to_bits())
            );
        }
    });
});
