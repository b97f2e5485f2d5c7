//! Property tests: every kernel against its definition, and laws that need no second program.

use proptest::prelude::*;

use crate::testing::Random;
use crate::{
    Column, Points, Stop, Strided, hypervolume, hypervolume_contributions, hypervolume_estimate,
    hypervolume_in_groups, nearest_in_groups, nearest_to_rays, pareto_layers,
    pareto_layers_by_group, unbeaten, with_threads,
};

type Rows = Vec<Vec<f64>>;

fn columns(rows: &Rows, m: usize) -> Vec<Vec<f64>> {
    (0..m).map(|j| rows.iter().map(|row| row[j]).collect()).collect()
}

fn points(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|c| Column::F64(c)).collect()).expect("valid points")
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(x, y)| x >= y) && a.iter().zip(b).any(|(x, y)| x > y)
}

/// Layers by peeling, as defined.
fn peel(rows: &Rows) -> Vec<i32> {
    let mut layers = vec![-1; rows.len()];
    for layer in 0.. {
        let left: Vec<usize> = (0..rows.len()).filter(|&i| layers[i] < 0).collect();
        if left.is_empty() {
            break;
        }
        for &i in &left {
            if !left.iter().any(|&j| dominates(&rows[j], &rows[i])) {
                layers[i] = layer;
            }
        }
    }
    layers
}

fn cut(layers: &[i32], upto: i32) -> Vec<i32> {
    layers.iter().map(|&layer| if layer < upto { layer } else { -1 }).collect()
}

/// Hypervolume of integer points in 0..=side: count the covered unit cells.
fn count_cells(rows: &Rows, m: usize, side: usize) -> f64 {
    (0..side.pow(m as u32))
        .filter(|cell| {
            let corner: Vec<f64> =
                (0..m).map(|j| (cell / side.pow(j as u32) % side) as f64 + 1.0).collect();
            rows.iter().any(|row| row.iter().zip(&corner).all(|(x, c)| x >= c))
        })
        .count() as f64
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-3i32..4).prop_map(f64::from),
        2 => -1.0..1.0f64,
        1 => prop::sample::select(vec![-0.0, f64::INFINITY, f64::NEG_INFINITY, 1e308, 5e-324]),
    ]
}

fn cloud(
    value: impl Strategy<Value = f64> + Clone + 'static,
    rows: usize,
    most: usize,
) -> impl Strategy<Value = (usize, Rows)> {
    (1..=most).prop_flat_map(move |m| {
        let row = prop::collection::vec(value.clone(), m);
        (Just(m), prop::collection::vec(row, 0..rows))
    })
}

fn plain(rows: usize, most: usize) -> impl Strategy<Value = (usize, Rows)> {
    cloud((-3i32..4).prop_map(f64::from), rows, most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_the_peeled_fronts((m, rows) in cloud(value().boxed(), 60, 7)) {
        let columns = columns(&rows, m);
        let expected = peel(&rows);
        prop_assert_eq!(pareto_layers(&points(&columns), Stop::Never).unwrap(), &expected[..]);
        for upto in [1, 2, 5] {
            let actual = pareto_layers(&points(&columns), Stop::UpTo(upto)).unwrap();
            prop_assert_eq!(actual, cut(&expected, upto as i32));
        }
        for covered in [1, 7, 100] {
            let actual = pareto_layers(&points(&columns), Stop::AtLeast(covered)).unwrap();
            let enough = |layers: i32| {
                expected.iter().filter(|&&layer| layer < layers).count() >= covered.min(rows.len())
            };
            let upto = (0..).find(|&layers| enough(layers)).unwrap();
            prop_assert_eq!(actual, cut(&expected, upto));
        }
    }

    #[test]
    fn groups_are_numbered_apart((m, rows) in plain(60, 4), groups in 1u32..4) {
        let columns = columns(&rows, m);
        let ids: Vec<u32> = (0..rows.len() as u32).map(|row| row * row % groups).collect();
        let actual =
            pareto_layers_by_group(&points(&columns), &ids, groups as usize, Stop::Never).unwrap();
        for group in 0..groups {
            let members: Vec<usize> = (0..rows.len()).filter(|&i| ids[i] == group).collect();
            let expected = peel(&members.iter().map(|&i| rows[i].clone()).collect());
            let here: Vec<i32> = members.iter().map(|&i| actual[i]).collect();
            prop_assert_eq!(here, expected);
        }
    }

    #[test]
    fn volume_is_the_number_of_covered_cells((m, rows) in plain(12, 5)) {
        let columns = columns(&rows, m);
        let volume = hypervolume(&points(&columns), &vec![0.0; m]).unwrap();
        prop_assert_eq!(volume, count_cells(&rows, m, 3));
    }

    #[test]
    fn contributions_are_what_is_lost((m, rows) in plain(12, 5)) {
        let all = columns(&rows, m);
        let actual = hypervolume_contributions(&points(&all), &vec![0.0; m]).unwrap();
        let whole = count_cells(&rows, m, 3);
        for (i, contribution) in actual.into_iter().enumerate() {
            let mut others = rows.clone();
            others.remove(i);
            prop_assert_eq!(contribution, whole - count_cells(&others, m, 3));
        }
    }

    #[test]
    fn nearest_rows_are_the_head_of_all_rows((m, rows) in plain(40, 4), k in 1usize..50) {
        prop_assume!(k <= rows.len());
        let columns = columns(&rows, m);
        let (origin, through) = (vec![3.0; m], vec![-1.5; m]);
        let actual = nearest_to_rays(&points(&columns), &origin, &through, k).unwrap();
        let every = nearest_to_rays(&points(&columns), &origin, &through, rows.len()).unwrap();
        prop_assert_eq!(&actual.rows, &every.rows[..k]);
        prop_assert_eq!(&actual.distances, &every.distances[..k]);
        let pairs: Vec<_> = every.distances.iter().zip(&every.rows).collect();
        prop_assert!(pairs.is_sorted());
        for (distance, row) in pairs {
            // The ray runs along the diagonal: what is left is the spread about the mean.
            let row = &rows[*row as usize];
            let mean = row.iter().sum::<f64>() / m as f64;
            let spread = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
            prop_assert!((distance - spread).abs() < 1e-9, "{} {}", distance, spread);
        }
    }
}

#[test]
fn threads_do_not_matter() {
    for (m, levels) in [(1, 50), (2, 1 << 30), (3, 1 << 30), (3, 9), (4, 1 << 30), (5, 4)] {
        let columns = Random(1).columns(40_000, m, levels);
        let run = |threads, stop| {
            with_threads(Some(threads), || pareto_layers(&points(&columns), stop).unwrap()).unwrap()
        };
        let expected = run(1, Stop::Never);
        assert_eq!(run(3, Stop::Never), expected);
        for threads in [1, 3] {
            assert_eq!(run(threads, Stop::UpTo(4)), cut(&expected, 4));
        }
    }
}

/// Every kernel on `points`, as bytes can be compared.
fn every_kernel(points: &Points<'_>) -> (Vec<Vec<i32>>, Vec<u64>, Vec<Vec<i64>>) {
    let (m, rows) = (points.objectives(), points.rows());
    let ids: Vec<u32> = (0..rows as u32).map(|row| row * 7 % 50).collect();
    let layers = vec![
        pareto_layers(points, Stop::Never).unwrap(),
        pareto_layers(points, Stop::UpTo(3)).unwrap(),
        pareto_layers_by_group(points, &ids, 50, Stop::Never).unwrap(),
    ];
    let reference = vec![0.5; m];
    let estimate = hypervolume_estimate(points, &reference, 1024, 3).unwrap();
    let nearest = nearest_to_rays(points, &vec![2.0; m], &vec![0.1; m], 9).unwrap();
    let starts = [0, 3, rows as u32 / 2, rows as u32];
    let grouped = nearest_in_groups(points, &starts, &vec![2.0; 3 * m], &vec![0.1; m], 4).unwrap();
    let screened = unbeaten(points, &vec![true; m], &vec![0.7; m]).unwrap();
    let mut numbers = vec![estimate.value, estimate.standard_error];
    numbers.extend(nearest.distances.iter().chain(&grouped.distances));
    numbers.extend(screened.worst.iter().chain(&screened.best));
    numbers.extend(hypervolume_in_groups(points, &ids, 50, &reference).unwrap());
    if m <= 4 {
        numbers.push(hypervolume(points, &reference).unwrap());
        numbers.extend(hypervolume_contributions(points, &reference).unwrap());
    }
    let bits = numbers.into_iter().map(f64::to_bits).collect();
    (layers, bits, vec![nearest.rows, grouped.rows, screened.rows])
}

#[test]
fn layouts_and_widths_do_not_matter() {
    for (m, rows) in [(1, 700), (2, 20_000), (3, 20_000), (4, 600), (5, 200), (6, 200)] {
        for levels in [9, 1 << 20] {
            // Singles hold these numbers exactly.
            let mut columns = Random(8).columns(rows, m, levels);
            columns.iter_mut().flatten().for_each(|x| *x = f64::from((*x / levels as f64) as f32));
            let table: Vec<f64> =
                (0..rows).flat_map(|i| columns.iter().map(move |column| column[i])).collect();
            let narrow: Vec<f32> = table.iter().map(|&x| x as f32).collect();
            let narrow_columns: Vec<Vec<f32>> =
                columns.iter().map(|column| column.iter().map(|&x| x as f32).collect()).collect();
            let expected = every_kernel(&points(&columns));
            let strided = |j| Column::F64Strided(Strided::new(&table, j, m, rows).unwrap());
            let narrow_strided = |j| Column::F32Strided(Strided::new(&narrow, j, m, rows).unwrap());
            for layout in [
                (0..m).map(|j| Column::F32(&narrow_columns[j])).collect(),
                (0..m).map(strided).collect(),
                (0..m).map(narrow_strided).collect::<Vec<_>>(),
            ] {
                assert!(every_kernel(&Points::new(layout).unwrap()) == expected);
            }
        }
    }
}

#[test]
fn tall_staircases_split_and_shrink() {
    // One front of many steps, then better and better third objectives that swallow it.
    let n = 3000;
    let mut columns = vec![Vec::new(), Vec::new(), Vec::new()];
    for i in 0..n {
        let (a, b) = (f64::from(i * 7919 % n), f64::from(n - i * 7919 % n));
        for (column, x) in columns.iter_mut().zip([a + b, a, b]) {
            column.push(x);
        }
    }
    for i in 0..50 {
        for (column, x) in columns.iter_mut().zip([-f64::from(i), f64::from(i * 60), 2999.5]) {
            column.push(x);
        }
    }
    let rows: Rows =
        (0..columns[0].len()).map(|i| columns.iter().map(|c| c[i]).collect()).collect();
    let actual = pareto_layers(&points(&columns), Stop::Never).unwrap();
    // Peeling thousands of rows is slow: check the two properties that define layers instead.
    for (i, row) in rows.iter().enumerate() {
        let above = (0..rows.len()).filter(|&j| dominates(&rows[j], row)).map(|j| actual[j]).max();
        assert_eq!(actual[i], above.map_or(0, |layer| layer + 1));
    }
}

#[test]
fn no_row_is_no_error() {
    let empty = [Vec::new(), Vec::new()];
    assert!(pareto_layers(&points(&empty), Stop::UpTo(3)).unwrap().is_empty());
    let grouped = pareto_layers_by_group(&points(&empty), &[], 0, Stop::Never);
    assert!(grouped.unwrap().is_empty());
    assert_eq!(hypervolume(&points(&empty), &[0.0, 0.0]).unwrap(), 0.0);
    assert!(hypervolume_contributions(&points(&empty), &[0.0, 0.0]).unwrap().is_empty());
}

#[test]
fn refusals_say_what_to_do() {
    let columns = [vec![1.0, f64::INFINITY], vec![1.0, 2.0]];
    let points = points(&columns);
    let message = |result: Result<(), crate::Error>| result.unwrap_err().to_string();
    let cases = [
        (pareto_layers(&points, Stop::UpTo(0)).map(drop), "upto must be at least 1"),
        (pareto_layers(&points, Stop::AtLeast(0)).map(drop), "at_least must be at least 1"),
        (pareto_layers_by_group(&points, &[0], 1, Stop::Never).map(drop), "groups has 1 keys"),
        (pareto_layers_by_group(&points, &[0, 5], 2, Stop::Never).map(drop), "id 5 at row 1"),
        (hypervolume(&points, &[0.0, 0.0]).map(drop), "column 0 holds 1 infinite"),
        (hypervolume(&points, &[0.0]).map(drop), "ref has length 1 but there are 2"),
        (hypervolume(&points, &[0.0, f64::NAN]).map(drop), "ref is not finite at position 1"),
        (nearest_to_rays(&points, &[0.0; 2], &[1.0; 2], 1).map(drop), "column 0 holds 1 infinite"),
    ];
    for (result, expected) in cases {
        let actual = message(result);
        assert!(actual.contains(expected), "{actual}");
    }
    let finite = [vec![1.0, 0.0]];
    let points = self::points(&finite);
    let cases = [
        (nearest_to_rays(&points, &[0.0], &[1.0], 3).map(drop), "k = 3 is more than the 2 rows"),
        (nearest_to_rays(&points, &[0.0], &[1.0], 0).map(drop), "k must be at least 1"),
        (nearest_to_rays(&points, &[0.0], &[1.0, 0.0], 1).map(drop), "ray 1 has no direction"),
        (nearest_to_rays(&points, &[0.0; 3], &[1.0], 1).map(drop), "origin has length 3"),
        (with_threads(Some(0), || ()), "n_threads must be at least 1"),
    ];
    for (result, expected) in cases {
        let actual = message(result);
        assert!(actual.contains(expected), "{actual}");
    }
}
