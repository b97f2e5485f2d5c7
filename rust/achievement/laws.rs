//! The rows of least achievement against their definition, and laws that need no second program.

use proptest::prelude::*;

use super::{Achievements, least_achievement, least_achievement_in_groups};
use crate::testing::Random;
use crate::{Column, Error, Points, Strided, with_threads};

pub(super) fn points(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|c| Column::F64(c)).collect()).unwrap()
}

/// A multiple of 1, 2, .. 60: the definition's sums are whole numbers times its inverse.
fn multiple() -> i128 {
    let divisor = |a: i128, b: i128| (1..=b).rev().find(|d| a % d == 0 && b % d == 0).unwrap_or(1);
    (1..=60).fold(1, |a, b| a / divisor(a, b) * b)
}

/// The definition for one preference: all rows, sorted by the whole key.
pub(super) fn sorted(
    columns: &[Vec<f64>],
    ideal: &[f64],
    direction: &[f64],
    k: usize,
) -> Achievements {
    let (m, multiple) = (columns.len(), multiple());
    let mut keys: Vec<_> = (0..columns[0].len())
        .map(|row| {
            let (mut most, mut sums, mut exact) =
                ([f64::NEG_INFINITY; 2], [0.0, 0.0], [0i128, 0i128]);
            for j in 0..m {
                let (shortfall, d) = (ideal[j] - columns[j][row], direction[j]);
                let (side, term) = if d == 0.0 { (0, shortfall) } else { (1, shortfall / d) };
                most[side] = most[side].max(term);
                sums[side] += term;
                let per = if d == 0.0 { 1 } else { multiple / (d * 16.0) as i128 };
                exact[side] -= (columns[j][row] * 4.0) as i128 * per;
            }
            (most, sums, exact, row)
        })
        .collect();
    keys.sort_by(|a, b| a.partial_cmp(b).unwrap());
    keys.truncate(k);
    let first = usize::from(!direction.contains(&0.0));
    Achievements {
        rows: keys.iter().map(|key| key.3 as u32).collect(),
        values: keys.iter().map(|key| key.0[first] + 0.0).collect(),
    }
}

/// Columns, an ideal point, directions and k.
pub(super) type Problem = (Vec<Vec<f64>>, Vec<f64>, Vec<f64>, usize);

pub(super) fn problem(
    value: impl Strategy<Value = f64> + Clone + 'static,
) -> impl Strategy<Value = Problem> {
    (1usize..7, 1usize..90).prop_flat_map(move |(m, rows)| {
        let direction = (0i32..16).prop_map(|d| f64::from(d) / 8.0);
        (
            prop::collection::vec(prop::collection::vec(value.clone(), rows), m),
            prop::collection::vec(value.clone(), m),
            prop::collection::vec(direction, 0..5 * m),
            1..=rows,
        )
            .prop_map(|(columns, ideal, mut directions, k)| {
                let m = columns.len();
                directions.truncate(directions.len() / m * m);
                let zero = |d: &[f64]| d.iter().all(|&d| d == 0.0);
                directions.chunks_exact_mut(m).filter(|d| zero(d)).for_each(|d| d[0] = 1.0);
                (columns, ideal, directions, k)
            })
    })
}

pub(super) fn quarters() -> impl Strategy<Value = f64> + Clone {
    (-8i32..9).prop_map(|x| f64::from(x) / 4.0)
}

/// Numbers whose differences and sums round, vanish and overflow.
fn odd() -> impl Strategy<Value = f64> + Clone {
    let odd = vec![0.0, -0.0, 1.0, 1.0 + f64::EPSILON, 1e16, -1e16, 5e-324, 1e308, -1e308, 0.1];
    prop_oneof![prop::sample::select(odd), -1.0..1.0f64]
}

proptest! {
    #[test]
    fn rows_are_those_of_the_definition((columns, ideal, directions, k) in problem(quarters())) {
        let actual = least_achievement(&points(&columns), &ideal, &directions, k).unwrap();
        let (rows, values) = (actual.rows.chunks_exact(k), actual.values.chunks_exact(k));
        for ((rows, values), d) in rows.zip(values).zip(directions.chunks_exact(columns.len())) {
            let expected = sorted(&columns, &ideal, d, k);
            prop_assert_eq!(rows, &expected.rows);
            prop_assert_eq!(values, &expected.values);
        }
    }

    #[test]
    fn no_row_comes_before_one_that_dominates_it((columns, ideal, directions, _) in problem(odd())) {
        let n = columns[0].len();
        let actual = least_achievement(&points(&columns), &ideal, &directions, n).unwrap();
        let dominates = |a: usize, b: usize| {
            columns.iter().all(|c| c[a] >= c[b]) && columns.iter().any(|c| c[a] > c[b])
        };
        for (rows, values) in actual.rows.chunks_exact(n).zip(actual.values.chunks_exact(n)) {
            prop_assert!(values.is_sorted());
            for (place, &row) in rows.iter().enumerate() {
                let later = &rows[place + 1..];
                prop_assert!(later.iter().all(|&later| !dominates(later as usize, row as usize)));
                let equal = |a: usize, b: usize| columns.iter().all(|c| c[a] == c[b]);
                prop_assert!(later.iter().all(|&l| l > row || !equal(l as usize, row as usize)));
            }
        }
        for k in [1, n.div_ceil(2)] {
            let some = least_achievement(&points(&columns), &ideal, &directions, k).unwrap();
            for (some, all) in some.rows.chunks_exact(k).zip(actual.rows.chunks_exact(n)) {
                prop_assert_eq!(some, &all[..k]);
            }
        }
    }
}

/// Clouds of rows over many chunks: uniform, few values, one value, correlated, huge and tiny.
fn clouds() -> Vec<Vec<Vec<f64>>> {
    let n = 20_000;
    let mut random = Random(7);
    let mut uniform = |m: usize| -> Vec<Vec<f64>> {
        (0..m).map(|_| (0..n).map(|_| random.unit()).collect()).collect()
    };
    let mut clouds: Vec<_> = [1, 2, 3, 4, 5, 6].map(&mut uniform).into();
    let map = |cloud: &[Vec<f64>], f: &dyn Fn(f64) -> f64| -> Vec<Vec<f64>> {
        cloud.iter().map(|column| column.iter().map(|&x| f(x)).collect()).collect()
    };
    let three = clouds[2].clone();
    clouds.push(map(&three, &|x| (x * 5.0).floor() / 5.0));
    clouds.push(map(&three, &|_| 0.25));
    clouds.push(map(&three, &|x| x + 1e15));
    clouds.push(map(&three, &|x| x * 1e200));
    clouds.push(map(&three, &|x| x * 1e-320));
    clouds.push(map(&three, &|x| if x < 0.001 { -1e60 } else { x }));
    let chain = |row: usize| three[0][row] + three[1][row] * 0.01;
    clouds.push((0..2).map(|_| (0..n).map(chain).collect()).collect());
    clouds
}

#[test]
fn large_clouds_are_those_of_the_definition_on_any_threads() {
    for (cloud, columns) in clouds().into_iter().enumerate() {
        let m = columns.len();
        let ideal: Vec<_> =
            columns.iter().map(|c| c.iter().copied().fold(f64::MIN, f64::max)).collect();
        let mut directions: Vec<f64> = (0..9 * m)
            .map(|i| ((i * 7 + i / m) % 5) as f64 / 4.0 + (i + 1) as f64 / 64.0)
            .collect();
        directions.extend((0..m).map(|j| if j == 0 { 1.0 } else { 0.0 }));
        directions.extend((0..m).map(|j| if j == 0 && m > 1 { 0.0 } else { 1.0 }));
        let run = |threads, k| {
            let run = || least_achievement(&points(&columns), &ideal, &directions, k);
            with_threads(Some(threads), run).unwrap().unwrap()
        };
        let n = columns[0].len();
        let all = run(2, n);
        for k in [1, 70, 3000] {
            let some = run(1, k);
            assert_eq!(some, run(2, k), "cloud {cloud}, k = {k}");
            assert_eq!(some, run(3, k), "cloud {cloud}, k = {k}");
            for (some, all) in some.rows.chunks_exact(k).zip(all.rows.chunks_exact(n)) {
                assert_eq!(some, &all[..k], "cloud {cloud}, k = {k}");
            }
        }
        for (rows, d) in all.rows.chunks_exact(n).zip(directions.chunks_exact(m)) {
            let terms = |row: u32| {
                let term = |j: usize| (ideal[j] - columns[j][row as usize], d[j]);
                let most = |firm: bool| {
                    let terms = (0..m).map(term).filter(|(_, d)| (*d == 0.0) == firm);
                    terms.map(|(s, d)| if firm { s } else { s / d }).fold(f64::MIN, f64::max)
                };
                (most(true), most(false))
            };
            assert!(rows.is_sorted_by(|&a, &b| terms(a) <= terms(b)), "cloud {cloud}");
        }
    }
}

#[test]
fn every_layout_gives_the_same_rows() {
    let mut random = Random(3);
    let (n, m) = (3000, 3);
    let table: Vec<f32> = (0..n * m).map(|_| random.unit() as f32).collect();
    let wide: Vec<f64> = table.iter().copied().map(f64::from).collect();
    let columns: Vec<Vec<f32>> =
        (0..m).map(|j| table.iter().skip(j).step_by(m).copied().collect()).collect();
    let strided = |j| Column::F32Strided(Strided::new(&table, j, m, n).unwrap());
    let strided64 = |j| Column::F64Strided(Strided::new(&wide, j, m, n).unwrap());
    let layouts = [
        columns.iter().map(|c| Column::F32(c)).collect(),
        (0..m).map(strided).collect(),
        (0..m).map(strided64).collect::<Vec<_>>(),
    ];
    let directions = [0.2, 0.3, 0.5, 0.0, 1.0, 1.0];
    let run = |columns: &Vec<Column<'_>>| {
        least_achievement(&Points::new(columns.clone()).unwrap(), &[1.0; 3], &directions, 40)
            .unwrap()
    };
    assert_eq!(run(&layouts[0]), run(&layouts[1]));
    assert_eq!(run(&layouts[0]), run(&layouts[2]));
}

#[test]
fn a_dominated_row_is_not_first_though_all_that_is_computed_is_equal() {
    // 1e16 - 1 and 1e16 - 0.5 round to one number, and so do all terms and sums.
    let columns = [vec![0.0, 0.5, 0.0], vec![0.0, 0.0, 0.25]];
    let least = least_achievement(&points(&columns), &[1e16, 1e16], &[1.0, 1.0], 3).unwrap();
    assert_eq!(least.rows, [1, 2, 0]);
    let least = least_achievement(&points(&columns), &[1e16, 1e16], &[0.0, 1.0], 3).unwrap();
    assert_eq!(least.rows, [1, 2, 0]);
}

#[test]
fn terms_beyond_the_doubles_leave_no_row_out() {
    // All are infinitely far beyond the ideal, for a preference that forgives next to nothing.
    let columns = [(1..=100).map(f64::from).collect(), vec![1.0; 100]];
    let least = least_achievement(&points(&columns), &[0.0; 2], &[5e-324; 2], 3).unwrap();
    assert_eq!(least.rows, [99, 98, 97]);
    assert_eq!(least.values, [f64::NEG_INFINITY; 3]);
}

#[test]
fn refusals_name_the_place() {
    let refused = |result: Result<Achievements, Error>, expected: &str| {
        let actual = result.unwrap_err().to_string();
        assert!(actual.contains(expected), "{actual}");
    };
    let columns = [vec![1.0, 0.0, 2.0], vec![0.0; 3]];
    let points = points(&columns);
    let ungrouped =
        |ideal: &[f64], directions: &[f64], k| least_achievement(&points, ideal, directions, k);
    refused(ungrouped(&[1.0; 2], &[1.0; 2], 0), "k must be at least 1");
    refused(ungrouped(&[1.0; 2], &[1.0; 2], 4), "k = 4 is more than the 3 rows");
    refused(ungrouped(&[1.0; 3], &[1.0; 2], 1), "ideal has length 3");
    refused(ungrouped(&[1.0, f64::NAN], &[1.0; 2], 1), "ideal is not finite at position 1");
    refused(ungrouped(&[1.0; 2], &[1.0; 3], 1), "directions has length 3");
    refused(ungrouped(&[1.0; 2], &[1.0, f64::INFINITY], 1), "directions is not finite at");
    refused(ungrouped(&[1.0; 2], &[1.0, -0.5], 1), "directions is negative at position 1");
    refused(ungrouped(&[1.0; 2], &[1.0, 0.0, 0.0, -0.0], 1), "direction 1 is 0 in all");
    assert!(ungrouped(&[1.0; 2], &[], 1).unwrap().rows.is_empty());
    let groups = |starts: &[u32], ideals: &[f64], units: &[f64], directions: &[f64], k| {
        least_achievement_in_groups(&points, starts, ideals, units, directions, k)
    };
    let one = [1.0; 2];
    refused(groups(&[0, 3], &one, &one, &one, 0), "k must be at least 1");
    refused(groups(&[0, 2], &one, &one, &one, 1), "starts must ascend");
    refused(groups(&[0, 1, 3], &one, &one, &one, 1), "ideals has length 2; pass 4");
    refused(groups(&[0, 3], &one, &[1.0], &one, 1), "units has length 1; pass 2");
    refused(groups(&[0, 3], &one, &[1.0, -1.0], &one, 1), "units is negative at position 1");
    refused(groups(&[0, 3], &one, &[1.0, 1e300], &[1e300, 0.0], 1), "units is not finite at");
    refused(groups(&[0, 3], &one, &one, &[-1.0, 0.0], 1), "directions is negative at position 0");
    assert_eq!(groups(&[0, 3], &one, &[0.0; 2], &one, 1).unwrap().rows, [2]);
    let columns = [vec![1.0, f64::INFINITY], vec![0.0, 0.0]];
    let points = self::points(&columns);
    let infinite = "column 0 holds 1 infinite";
    refused(least_achievement(&points, &one, &one, 1), infinite);
    refused(least_achievement_in_groups(&points, &[0, 2], &one, &one, &one, 1), infinite);
    let nan = [f64::NAN, 1.0];
    let points = Points::unchecked(vec![Column::F64(&nan)]).unwrap();
    refused(least_achievement(&points, &[1.0], &[1.0], 2), "column 0 holds 1 NaN");
}
