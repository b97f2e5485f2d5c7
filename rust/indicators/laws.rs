//! Every indicator against its definition, and the same bytes for any layout and number of threads.

use proptest::prelude::*;

use super::{
    crowding_distance, crowding_distance_in_groups, epsilon_additive, hypervolume_subset, igd_plus,
    r2_indicator,
};
use crate::testing::Random;
use crate::{Column, Points, Strided, with_threads};

pub(super) type Rows = Vec<Vec<f64>>;

pub(super) fn columns(rows: &Rows, m: usize) -> Rows {
    (0..m).map(|j| rows.iter().map(|row| row[j]).collect()).collect()
}

pub(super) fn points(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|c| Column::F64(c)).collect()).expect("valid points")
}

/// Distances by a stable sort of the distinct rows, as the definition has it.
fn crowding(rows: &Rows, m: usize) -> Vec<f64> {
    let mut distances = vec![0.0; rows.len()];
    let mut distinct: Vec<usize> =
        (0..rows.len()).filter(|&i| !rows[..i].iter().any(|other| other == &rows[i])).collect();
    if distinct.len() < 2 {
        distinct.into_iter().for_each(|only| distances[only] = f64::INFINITY);
        return distances;
    }
    for j in 0..m {
        distinct.sort_by(|&a, &b| {
            let (a, b) = (&rows[a], &rows[b]);
            b[j].total_cmp(&a[j]).then(b.partial_cmp(a).expect("no NaN"))
        });
        let value = |place: usize| rows[distinct[place]][j];
        let last = distinct.len() - 1;
        if value(0) > value(last) {
            distances[distinct[0]] = f64::INFINITY;
            distances[distinct[last]] = f64::INFINITY;
            for place in 1..last {
                distances[distinct[place]] +=
                    (value(place - 1) - value(place + 1)) / (value(0) - value(last));
            }
        }
    }
    distances
}

/// The least over the points of a loss by objective and point, per query.
fn least(rows: &Rows, queries: &Rows, loss: impl Fn(&[f64], &[f64]) -> f64) -> Vec<f64> {
    let least = |query: &Vec<f64>| rows.iter().map(|row| loss(query, row)).fold(f64::MAX, f64::min);
    queries.iter().map(least).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn shortfall(query: &[f64], row: &[f64]) -> f64 {
    query.iter().zip(row).map(|(q, x)| (q - x).max(0.0).powi(2)).sum::<f64>().sqrt()
}

fn excess(query: &[f64], row: &[f64]) -> f64 {
    query.iter().zip(row).map(|(q, x)| q - x).fold(f64::MIN, f64::max)
}

/// Rows of small integers, some rows more than once.
fn rows(m: usize, most: usize) -> impl Strategy<Value = Rows> {
    let value = (-3i32..4).prop_map(f64::from);
    prop::collection::vec(prop::collection::vec(value, m), 1..most)
}

fn sets() -> impl Strategy<Value = (usize, Rows, Rows)> {
    (1usize..6).prop_flat_map(|m| (Just(m), rows(m, 200), rows(m, 12)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn crowding_is_as_defined((m, rows, _) in sets(), groups in 1u32..4) {
        let all = columns(&rows, m);
        prop_assert_eq!(crowding_distance(&points(&all)).unwrap(), crowding(&rows, m));
        let ids: Vec<u32> = (0..rows.len() as u32).map(|row| row * row % groups).collect();
        let actual = crowding_distance_in_groups(&points(&all), &ids, groups as usize).unwrap();
        for group in 0..groups {
            let members: Vec<usize> = (0..rows.len()).filter(|&i| ids[i] == group).collect();
            let expected = crowding(&members.iter().map(|&i| rows[i].clone()).collect(), m);
            let here: Vec<f64> = members.iter().map(|&i| actual[i]).collect();
            prop_assert_eq!(here, expected);
        }
    }

    #[test]
    fn losses_are_as_defined((m, rows, reference) in sets()) {
        let (all, queries) = (columns(&rows, m), columns(&reference, m));
        let (set, other) = (points(&all), points(&queries));
        let expected = least(&rows, &reference, excess).into_iter().fold(f64::MIN, f64::max);
        prop_assert_eq!(epsilon_additive(&set, &other).unwrap(), expected);
        let expected = mean(&least(&rows, &reference, shortfall));
        let actual = igd_plus(&set, &other).unwrap();
        prop_assert!((actual - expected).abs() <= 1e-14 * expected, "{} {}", actual, expected);
        // The same numbers, none negative, as weights; 0.5 keeps one of them positive.
        let weights: Rows =
            reference.iter().map(|row| row.iter().map(|x| x.abs() + 0.5).collect()).collect();
        let tchebycheff = |weights: &[f64], row: &[f64]| {
            weights.iter().zip(row).map(|(w, x)| w * (3.5 - x)).fold(0.0, f64::max)
        };
        let expected = mean(&least(&rows, &weights, tchebycheff));
        let actual = r2_indicator(&set, &weights.concat(), &vec![3.5; m]).unwrap();
        prop_assert!((actual - expected).abs() <= 1e-14 * expected, "{} {}", actual, expected);
    }
}

/// Every indicator, as bytes can be compared.
fn indicators(points: &Points<'_>, reference: &Points<'_>) -> Vec<u64> {
    let m = points.objectives();
    let ids: Vec<u32> = (0..points.rows() as u32).map(|row| row * 7 % 50).collect();
    let mut numbers = crowding_distance(points).unwrap();
    numbers.extend(crowding_distance_in_groups(points, &ids, 50).unwrap());
    numbers.push(igd_plus(points, reference).unwrap());
    numbers.push(epsilon_additive(points, reference).unwrap());
    let weights: Vec<f64> = (0..30 * m).map(|i| (i % 7) as f64 + 0.25).collect();
    numbers.push(r2_indicator(points, &weights, &vec![1.0; m]).unwrap());
    let subset = hypervolume_subset(points, 40, &vec![0.5; m]).unwrap();
    numbers.push(subset.volume);
    numbers.extend(subset.rows.into_iter().map(f64::from));
    numbers.into_iter().map(f64::to_bits).collect()
}

#[test]
fn threads_layouts_and_widths_do_not_matter() {
    for (m, levels) in [(1, 1 << 20), (2, 1 << 20), (3, 9), (3, 1 << 20), (5, 1 << 20)] {
        // Singles hold these numbers exactly.
        let unit = |columns: Rows| -> Rows {
            let unit = |x: f64| f64::from((x / levels as f64) as f32);
            columns.into_iter().map(|column| column.into_iter().map(unit).collect()).collect()
        };
        let rows = 20_000;
        let columns = unit(Random(3).columns(rows, m, levels));
        let queries = unit(Random(4).columns(500, m, levels));
        let expected = indicators(&points(&columns), &points(&queries));
        for threads in [1, 3] {
            let again = || indicators(&points(&columns), &points(&queries));
            assert!(with_threads(Some(threads), again).unwrap() == expected);
        }
        let table: Vec<f32> =
            (0..rows).flat_map(|i| columns.iter().map(move |column| column[i] as f32)).collect();
        let column = |j| Column::F32Strided(Strided::new(&table, j, m, rows).unwrap());
        let narrow = Points::new((0..m).map(column).collect()).unwrap();
        assert!(indicators(&narrow, &points(&queries)) == expected);
        // A screen and a tree leave out only what does not matter.
        let far: Rows =
            columns.iter().map(|column| column.iter().map(|x| x / 2.0).collect()).collect();
        let both: Rows = columns.iter().zip(&far).map(|(a, b)| [&a[..], b].concat()).collect();
        let value = |columns: &Rows| igd_plus(&points(columns), &points(&queries)).unwrap();
        assert_eq!(value(&both).to_bits(), value(&columns).to_bits());
    }
}

#[test]
fn large_sorts_are_as_defined() {
    for levels in [5, 90, 1 << 30] {
        let columns = Random(9).columns(17_000, 3, levels);
        let rows: Rows = (0..17_000).map(|i| columns.iter().map(|c| c[i]).collect()).collect();
        // Copies are looked for among all rows: a sort finds them as well.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| rows[a].partial_cmp(&rows[b]).unwrap().then(a.cmp(&b)));
        order.dedup_by(|b, a| rows[*a] == rows[*b]);
        let expected = crowding(&order.iter().map(|&i| rows[i].clone()).collect(), 3);
        let actual = crowding_distance(&points(&columns)).unwrap();
        for (i, expected) in order.iter().zip(expected) {
            assert_eq!(actual[*i], expected);
        }
        let first: std::collections::BTreeSet<usize> = order.into_iter().collect();
        assert!((0..rows.len()).all(|i| first.contains(&i) || actual[i] == 0.0));
    }
}

#[test]
fn distances_far_from_one_are_exact() {
    for scale in [1e-300, 1e-160, 1.0, 1e160, 1e300] {
        let set = [vec![0.0, 1.0 * scale], vec![4.0 * scale, 0.0]];
        let reference = [vec![3.0 * scale], vec![4.0 * scale]];
        let actual = igd_plus(&points(&set), &points(&reference)).unwrap();
        assert!((actual - 3.0 * scale).abs() <= 1e-15 * actual, "{actual}");
    }
    let wide = [vec![-1e308, 0.0, 1e308]];
    let distances = crowding_distance(&points(&wide)).unwrap();
    assert_eq!(distances, [f64::INFINITY, 1.0, f64::INFINITY]);
    let far = [vec![-1e308; 4]];
    assert_eq!(igd_plus(&points(&far), &points(&[vec![0.0; 4]])).unwrap(), 1e308);
}

#[test]
fn no_row_and_refusals() {
    let (empty, one) = ([Vec::new(), Vec::new()], [vec![1.0], vec![2.0]]);
    let (empty, one) = (points(&empty), points(&one));
    assert!(crowding_distance(&empty).unwrap().is_empty());
    assert!(crowding_distance_in_groups(&empty, &[], 0).unwrap().is_empty());
    assert_eq!(crowding_distance(&one).unwrap(), [f64::INFINITY]);
    assert_eq!(igd_plus(&empty, &one).unwrap(), f64::INFINITY);
    assert_eq!(epsilon_additive(&empty, &one).unwrap(), f64::INFINITY);
    assert_eq!(r2_indicator(&empty, &[1.0, 1.0], &[1.0, 2.0]).unwrap(), f64::INFINITY);
    let single = [vec![f64::INFINITY]];
    let infinite = points(&single);
    let cases = [
        (igd_plus(&one, &empty), "the reference set has no row"),
        (epsilon_additive(&one, &infinite), "has 1 objectives but the points have 2"),
        (igd_plus(&infinite, &infinite), "column 0 holds 1 infinite"),
        (r2_indicator(&one, &[1.0], &[1.0, 2.0]), "weights has length 1; pass vectors of 2"),
        (r2_indicator(&one, &[], &[1.0, 2.0]), "weights has length 0"),
        (r2_indicator(&one, &[0.5, 1.0, 0.0, 0.0], &[1.0, 2.0]), "weight vector 1 is not"),
        (r2_indicator(&one, &[0.5, f64::NAN], &[1.0, 2.0]), "weight vector 0 is not"),
        (r2_indicator(&one, &[0.5, 1.0], &[1.0]), "ideal has length 1"),
        (r2_indicator(&one, &[0.5, 1.0], &[1.0, f64::NAN]), "ideal is not finite"),
        (r2_indicator(&one, &[0.5, 1.0], &[1.0, 1.5]), "column 1 holds 1 values better"),
        (crowding_distance(&infinite).map(|_| 0.0), "column 0 holds 1 infinite"),
        (hypervolume_subset(&one, 0, &[0.0; 2]).map(|_| 0.0), "k must be at least 1"),
        (hypervolume_subset(&one, 2, &[0.0; 2]).map(|_| 0.0), "k = 2 is more than the 1 rows"),
        (hypervolume_subset(&one, 1, &[0.0]).map(|_| 0.0), "ref has length 1"),
        (crowding_distance_in_groups(&one, &[3], 2).map(|_| 0.0), "id 3 at row 0"),
    ];
    for (result, expected) in cases {
        let actual = result.unwrap_err().to_string();
        assert!(actual.contains(expected), "{actual}");
    }
}
