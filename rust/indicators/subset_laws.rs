//! Subsets of a hypervolume: the best of all, or what greed chooses, and far from one.

use proptest::prelude::*;

use super::hypervolume_subset;
use super::laws::{Rows, columns, points};
use crate::testing::Random;
use crate::{Stop, hypervolume, pareto_layers};

/// The hypervolume of some of the rows above 0.
fn volume(rows: &Rows, m: usize, some: &[u32]) -> f64 {
    let some: Rows = some.iter().map(|&row| rows[row as usize].clone()).collect();
    hypervolume(&points(&columns(&some, m)), &vec![0.0; m]).unwrap()
}

/// The largest volume of up to `k` rows.
fn largest(rows: &Rows, m: usize, k: usize) -> f64 {
    let sets = (0..1u32 << rows.len()).filter(|set| set.count_ones() as usize <= k);
    sets.map(|set| {
        let some: Vec<u32> = (0..rows.len() as u32).filter(|row| set >> row & 1 == 1).collect();
        volume(rows, m, &some)
    })
    .fold(0.0, f64::max)
}

/// Rows chosen one by one, each of the first front and with the largest gain; then the first others.
fn greedy(rows: &Rows, m: usize, k: usize) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::new();
    let layers: Vec<i32> = pareto_layers(&points(&columns(rows, m)), Stop::UpTo(1)).unwrap();
    while chosen.len() < k {
        let had = volume(rows, m, &chosen);
        let gains = (0..rows.len() as u32).filter(|&row| layers[row as usize] == 0).map(|row| {
            let with = [&chosen[..], &[row]].concat();
            (volume(rows, m, &with) - had, std::cmp::Reverse(row))
        });
        match gains.max_by(|a, b| a.partial_cmp(b).expect("no NaN")) {
            Some((gain, row)) if gain > 0.0 => chosen.push(row.0),
            _ => break,
        }
    }
    let others: Vec<u32> = (0..rows.len() as u32).filter(|row| !chosen.contains(row)).collect();
    chosen.extend(others.into_iter().take(k - chosen.len()));
    chosen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn subsets_are_the_best_or_greedy((m, rows) in (1usize..6).prop_flat_map(|m| {
        let value = (0i32..9).prop_map(f64::from);
        (Just(m), prop::collection::vec(prop::collection::vec(value, m), 1..9))
    }), k in 1usize..9) {
        prop_assume!(k <= rows.len());
        let all = columns(&rows, m);
        let subset = hypervolume_subset(&points(&all), k, &vec![0.0; m]).unwrap();
        prop_assert_eq!(subset.rows.len(), k);
        prop_assert_eq!(subset.volume, volume(&rows, m, &subset.rows));
        if m <= 2 {
            prop_assert_eq!(subset.volume, largest(&rows, m, k));
        } else {
            prop_assert_eq!(subset.rows, greedy(&rows, m, k));
        }
    }
}

#[test]
fn long_staircases_are_walked_back_in_stretches() {
    // On a quarter circle; the definition in one table of choices.
    let n = 60;
    let angle = |i: usize| (i as f64 + 0.5) / n as f64 * std::f64::consts::FRAC_PI_2;
    let columns: Rows =
        vec![(0..n).map(|i| angle(i).sin()).collect(), (0..n).map(|i| angle(i).cos()).collect()];
    let (x, y) = (&columns[0], &columns[1]);
    let mut best: Vec<f64> = (0..n).map(|j| x[j] * y[j]).collect();
    for k in 1..=n {
        let subset = hypervolume_subset(&points(&columns), k, &[0.0; 2]).unwrap();
        let expected = best[k - 1..].iter().copied().fold(0.0, f64::max);
        assert!((subset.volume - expected).abs() < 1e-14, "{k}: {} {expected}", subset.volume);
        assert!(subset.rows.is_sorted() && subset.rows.len() == k);
        let last = best.clone();
        for j in k..n {
            let with = (k - 1..j).map(|i| last[i] + (x[j] - x[i]) * y[j]);
            best[j] = with.fold(0.0, f64::max);
        }
    }
}

#[test]
fn subsets_far_from_one_are_those_near_one() {
    for m in 2..6 {
        let columns = Random(5).columns(60, m, 1 << 30);
        let near = hypervolume_subset(&points(&columns), 9, &vec![-1.0; m]).unwrap();
        for power in [-900, 900] {
            let scale = |j: usize| 2f64.powi(if j == 0 { power } else { power / 9 });
            let far: Rows =
                (0..m).map(|j| columns[j].iter().map(|x| x * scale(j)).collect()).collect();
            let reference: Vec<f64> = (0..m).map(|j| -scale(j)).collect();
            assert_eq!(hypervolume_subset(&points(&far), 9, &reference).unwrap().rows, near.rows);
        }
        let mut wide = columns.clone();
        wide[0].iter_mut().for_each(|x| *x = (*x / f64::from(1 << 29) - 1.0) * 1e308);
        let subset =
            hypervolume_subset(&points(&wide), 5, &[&[-1.2e308], &vec![-1.0; m - 1][..]].concat());
        assert_eq!(subset.unwrap().rows.len(), 5);
    }
}
