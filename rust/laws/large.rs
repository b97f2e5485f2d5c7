//! Layers and screens of up to thousands of rows, in shapes that take each algorithm to its bounds.

use proptest::prelude::*;

use super::definitions::{Rows, cut, cut_at_least, dominates, layers, rows};
use crate::testing::{Layout, Random, points};
use crate::{
    Bounded, Loss, Stop, least_achievement, pareto_layers, pareto_layers_by_group, unbeaten,
    with_threads, within_bounds,
};

/// Points, their layout and whether they are held in single precision.
#[derive(Clone, Debug)]
struct Problem {
    seed: u64,
    m: usize,
    rows: usize,
    shape: usize,
    layout: Layout,
    single: bool,
}

fn problem(most_rows: usize) -> impl Strategy<Value = Problem> {
    let layout = prop::sample::select(Layout::ALL.to_vec());
    let parts = (any::<u64>(), 1usize..7, 0..most_rows, 0usize..8, layout, any::<bool>());
    parts.prop_map(|(seed, m, rows, shape, layout, single)| Problem {
        seed,
        m,
        rows,
        shape,
        layout,
        single,
    })
}

impl Problem {
    /// The columns, of values that single precision holds too.
    fn columns(&self) -> Vec<Vec<f64>> {
        let mut random = Random(self.seed);
        let columns = (0..self.m).map(|j| {
            let mut value = |row: usize| {
                let (along, noise) = (row as f64 / self.rows as f64, random.unit());
                match self.shape {
                    0 => noise,
                    1 => (noise * 5.0).floor(),
                    2 => (noise * 50.0).floor(),
                    // A chain with noise: most layers are of one row.
                    3 => along + noise / 100.0,
                    // Fronts: as the first objectives rise the last one falls.
                    4 if j == 0 => along,
                    4 if j + 1 == self.m => noise / 1000.0 - along,
                    4 => along + noise / 10.0,
                    // One row above all others.
                    5 if row == 0 => 2.0,
                    5 if j % 2 == 0 => along,
                    5 => 1.0 - along,
                    // Columns that are equal, but for a few rows.
                    6 if noise < 0.01 => -noise,
                    6 => (row * 7919 % 1000) as f64,
                    // Extremes among numbers, zeros of both signs.
                    _ if noise < 0.1 => f64::INFINITY,
                    _ if noise < 0.2 => f64::NEG_INFINITY,
                    _ if noise < 0.5 => (noise - 0.4).signum() * 0.0,
                    _ => (noise - 0.7) * 1e30,
                }
            };
            (0..self.rows).map(|row| f64::from(value(row) as f32)).collect()
        });
        columns.collect()
    }

    fn layers(&self, columns: &[Vec<f64>], stop: Stop) -> Vec<i32> {
        self.layout.hold(columns, self.single, |points| pareto_layers(points, stop).unwrap())
    }
}

/// Columns whose row i is row `order[i]` of these.
fn permuted(columns: &[Vec<f64>], order: &[usize]) -> Vec<Vec<f64>> {
    columns.iter().map(|column| order.iter().map(|&row| column[row]).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn layers_of_many_rows_are_as_defined(problem in problem(3000), threads in 1usize..4) {
        let columns = problem.columns();
        let expected = layers(&rows(&columns));
        let run = |stop| with_threads(Some(threads), || problem.layers(&columns, stop)).unwrap();
        prop_assert_eq!(&run(Stop::Never), &expected);
        for upto in [1, 2, 7] {
            prop_assert_eq!(run(Stop::UpTo(upto)), cut(&expected, upto as i32));
        }
        for covered in [1, 100, 1500] {
            prop_assert_eq!(run(Stop::AtLeast(covered)), cut_at_least(&expected, covered));
        }
    }

    #[test]
    fn neither_order_nor_scale_matters(problem in problem(8000), turn in 0usize..6) {
        let mut columns = problem.columns();
        let expected = problem.layers(&columns, Stop::Never);
        let order = Random(problem.seed ^ 1).shuffled(problem.rows);
        columns.rotate_left(turn % problem.m);
        let actual = problem.layers(&permuted(&columns, &order), Stop::Never);
        prop_assert_eq!(actual, order.iter().map(|&row| expected[row]).collect::<Vec<_>>());
        // Any increasing map will do; powers of two lose no digit, nor do they in single precision.
        for (j, column) in columns.iter_mut().enumerate() {
            column.iter_mut().for_each(|x| *x *= 2f64.powi(7 - 3 * j as i32));
        }
        prop_assert_eq!(problem.layers(&columns, Stop::Never), expected);
    }

    #[test]
    fn rows_below_all_and_equal_rows_leave_layers_as_they_are(problem in problem(4000)) {
        let mut columns = problem.columns();
        let expected = problem.layers(&columns, Stop::Never);
        for column in &mut columns {
            let least = column.iter().copied().fold(0.0, f64::min);
            column.extend_from_within(..problem.rows / 3);
            column.extend([least, least - 1e35]);
        }
        let actual = problem.layers(&columns, Stop::Never);
        prop_assert_eq!(&actual[..problem.rows], &expected);
        prop_assert_eq!(&actual[problem.rows..][..problem.rows / 3], &expected[..problem.rows / 3]);
    }

    #[test]
    fn without_the_front_every_layer_is_one_less(problem in problem(6000)) {
        let columns = problem.columns();
        let all = problem.layers(&columns, Stop::Never);
        let front = problem.layers(&columns, Stop::UpTo(1));
        prop_assert_eq!(front, cut(&all, 1));
        let rest: Vec<usize> = (0..problem.rows).filter(|&row| all[row] > 0).collect();
        let actual = problem.layers(&permuted(&columns, &rest), Stop::Never);
        prop_assert_eq!(actual, rest.iter().map(|&row| all[row] - 1).collect::<Vec<_>>());
    }

    #[test]
    fn groups_of_any_size_are_numbered_apart(
        problem in problem(3000),
        size in prop::sample::select(vec![1u32, 3, 8, 63, 64, 65, 200, 256, 257, 900]),
        sorted: bool,
        upto in prop::option::of(1usize..4),
    ) {
        let columns = problem.columns();
        let groups = problem.rows as u32 / size + 1;
        let id = |row: u32| if sorted { row / size } else { row % groups };
        let ids: Vec<u32> = (0..problem.rows as u32).map(id).collect();
        let stop = upto.map_or(Stop::Never, Stop::UpTo);
        let actual = problem.layout.hold(&columns, problem.single, |points| {
            pareto_layers_by_group(points, &ids, groups as usize, stop).unwrap()
        });
        for group in 0..groups {
            let members: Vec<usize> = (0..ids.len()).filter(|&row| ids[row] == group).collect();
            let expected = layers(&rows(&permuted(&columns, &members)));
            let expected = upto.map_or(expected.clone(), |upto| cut(&expected, upto as i32));
            let actual: Vec<i32> = members.iter().map(|&row| actual[row]).collect();
            prop_assert_eq!(actual, expected);
        }
    }

    #[test]
    fn a_screen_drops_what_another_beats_and_keeps_the_first_layers(
        problem in problem(3000),
        directions: u8,
        others in 0usize..12,
    ) {
        let columns = problem.columns();
        let larger: Vec<bool> = (0..problem.m).map(|j| directions >> j & 1 == 0).collect();
        let mut better = columns.clone();
        for (column, &larger) in better.iter_mut().zip(&larger) {
            column.iter_mut().for_each(|x| *x = if larger { *x } else { -*x });
        }
        let all: Rows = rows(&better);
        let layers = pareto_layers(&points(&better), Stop::Never).unwrap();
        // Rows of one layer, as those who stream tables choose them.
        let layer = layers.get(problem.rows / 2).copied().unwrap_or(0);
        let pivots: Vec<&Vec<f64>> =
            (0..all.len()).filter(|&row| layers[row] == layer).map(|row| &all[row]).collect();
        let pivots = &pivots[..others.min(pivots.len())];
        let flat: Vec<f64> = pivots.iter().flat_map(|row| row.iter().copied()).collect();
        let actual = problem.layout.hold(&columns, problem.single, |points| {
            unbeaten(points, &larger, &flat).unwrap()
        });
        let beats = |other: &[f64], row: &[f64]| other.iter().zip(row).all(|(o, x)| o > x);
        let kept = |row: &usize| !pivots.iter().any(|other| beats(other, &all[*row]));
        let expected: Vec<u32> = (0..all.len()).filter(kept).map(|row| row as u32).collect();
        prop_assert_eq!(&actual.rows, &expected);
        let dropped = (0..all.len()).filter(|row| expected.binary_search(&(*row as u32)).is_err());
        for row in dropped {
            prop_assert!(layers[row] > layer);
            prop_assert!(pivots.iter().any(|other| dominates(other, &all[row])));
        }
        for (j, column) in better.iter().enumerate() {
            let (worst, best) = (f64::INFINITY, f64::NEG_INFINITY);
            prop_assert_eq!(actual.worst[j], column.iter().copied().fold(worst, f64::min));
            prop_assert_eq!(actual.best[j], column.iter().copied().fold(best, f64::max));
        }
    }

    #[test]
    fn no_bound_of_the_first_rows_leaves_one_of_them_out(
        problem in problem(3000),
        directions: u8,
        k in 1usize..40,
    ) {
        let (columns, m) = (problem.columns(), problem.m);
        let larger: Vec<bool> = (0..m).map(|j| directions >> j & 1 == 0).collect();
        let mut better = columns.clone();
        for (column, &larger) in better.iter_mut().zip(&larger) {
            column.iter_mut().for_each(|x| *x = if larger { *x } else { -*x });
        }
        let k = k.min(problem.rows);
        if k == 0 || better.iter().flatten().any(|x| !x.is_finite()) {
            return Ok(()); // nothing to rank, or what the ranking refuses
        }
        // Two preferences, of which the second does not let the first objective fall.
        let mut falls: Vec<f64> = (0..2 * m).map(|j| 0.25 + (j % 3) as f64).collect();
        if m > 1 {
            falls[m] = 0.0;
        }
        let (ideal, ones) = (vec![1.5; m], vec![1.0; m]);
        let first = least_achievement(&points(&better), &ideal, &falls, k).unwrap();
        let bounds = [first.values[k - 1], first.values[2 * k - 1]];
        let loss = Loss::Achievement;
        let bounded =
            Bounded { loss, ideal: &ideal, units: &ones, weights: &falls, bounds: &bounds };
        let left = problem.layout.hold(&columns, problem.single, |points| {
            within_bounds(points, &larger, &bounded).unwrap().rows
        });
        let within = |row: usize, preference: usize| {
            let falls = &falls[preference * m..][..m];
            let firm = falls.contains(&0.0);
            let terms = (0..m).filter(|&j| !firm || falls[j] == 0.0).map(|j| {
                (ideal[j] - better[j][row]) / if firm { 1.0 } else { falls[j] }
            });
            terms.fold(f64::NEG_INFINITY, f64::max) <= bounds[preference]
        };
        let expected = (0..problem.rows).filter(|&row| within(row, 0) || within(row, 1));
        prop_assert_eq!(&left, &expected.map(|row| row as u32).collect::<Vec<_>>());
        prop_assert!(first.rows.iter().all(|row| left.binary_search(row).is_ok()));
    }
}
