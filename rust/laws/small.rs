//! Few rows of hostile values: shrunk to the fewest that show a fault.

use proptest::prelude::*;

use super::definitions::{Rows, columns, cut, cut_at_least, dominates, grid, layers, peel};
use crate::testing::points;
use crate::{
    Stop, hypervolume, hypervolume_contributions, nearest_to_rays, pareto_layers,
    pareto_layers_by_group,
};

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
        prop_assert_eq!(&layers(&rows), &expected);
        prop_assert_eq!(pareto_layers(&points(&columns), Stop::Never).unwrap(), &expected[..]);
        for upto in [1, 2, 5] {
            let actual = pareto_layers(&points(&columns), Stop::UpTo(upto)).unwrap();
            prop_assert_eq!(actual, cut(&expected, upto as i32));
        }
        for covered in [1, 7, 100] {
            let actual = pareto_layers(&points(&columns), Stop::AtLeast(covered)).unwrap();
            prop_assert_eq!(actual, cut_at_least(&expected, covered));
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
    fn volumes_are_numbers_of_covered_cells((m, rows) in plain(12, 5)) {
        let columns = columns(&rows, m);
        let (points, reference) = (points(&columns), vec![0.0; m]);
        let (volume, contributions) = grid(&rows, m, 3);
        prop_assert_eq!(hypervolume(&points, &reference).unwrap(), volume);
        prop_assert_eq!(hypervolume_contributions(&points, &reference).unwrap(), contributions);
    }

    #[test]
    fn a_contribution_is_what_is_lost((m, rows) in plain(12, 5)) {
        let (whole, alone) = grid(&rows, m, 3);
        for (i, contribution) in alone.into_iter().enumerate() {
            let mut others = rows.clone();
            others.remove(i);
            prop_assert_eq!(contribution, whole - grid(&others, m, 3).0);
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
