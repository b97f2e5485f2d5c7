//! The rows nearest in groups are those of each group alone.

use proptest::prelude::*;

use super::{Neighbours, nearest_in_groups, nearest_to_rays};
use crate::{Column, Points, with_threads};

fn points(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|c| Column::F64(c)).collect()).unwrap()
}

/// The definition for one ray of one group: rows by distance, then by number.
fn apart(part: &Points<'_>, spans: &[f64], weights: &[f64], k: usize) -> Neighbours {
    let through: Vec<f64> = weights.iter().zip(spans).map(|(w, s)| w * s).collect();
    let traded = weights.iter().zip(spans).any(|(w, s)| *w != 0.0 && *s != 0.0);
    if traded && let Ok(actual) = nearest_to_rays(part, spans, &through, k) {
        return actual;
    }
    let far = |row: usize| {
        let q = part.columns().iter().zip(spans).map(|(c, s)| c.get(row) - s);
        q.map(|q| q * q).sum::<f64>().sqrt()
    };
    let mut all: Vec<_> = (0..part.rows()).map(|row| (far(row), row as u32)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    Neighbours {
        rows: all.iter().map(|actual| actual.1).collect(),
        distances: all.iter().map(|actual| actual.0).collect(),
    }
}

/// Compares with each group alone.
fn check(columns: &[Vec<f64>], starts: &[u32], spans: &[f64], weights: &[f64], k: usize) {
    let m = columns.len();
    let actual = nearest_in_groups(&points(columns), starts, spans, weights, k).unwrap();
    let (mut rows, mut distances) = (actual.rows.iter(), actual.distances.iter());
    for weights in weights.chunks_exact(m) {
        for (ends, spans) in starts.windows(2).zip(spans.chunks_exact(m)) {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            if start == end {
                continue;
            }
            let part: Vec<_> = columns.iter().map(|c| c[start..end].to_vec()).collect();
            let part = points(&part);
            let expected = apart(&part, spans, weights, k.min(end - start));
            for (row, distance) in expected.rows.into_iter().zip(expected.distances) {
                assert_eq!(rows.next(), Some(&(start as u32 + row)));
                assert_eq!(distances.next(), Some(&distance));
            }
        }
    }
    assert!(rows.next().is_none() && distances.next().is_none());
}

/// Columns, starts, spans, weights and k.
type Problem = (Vec<Vec<f64>>, Vec<u32>, Vec<f64>, Vec<f64>, usize);

fn problem() -> impl Strategy<Value = Problem> {
    (1usize..7, prop::collection::vec(0u32..20, 0..6), 1usize..5).prop_flat_map(|(m, sizes, k)| {
        let ends = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        });
        let starts: Vec<u32> = std::iter::once(0).chain(ends).collect();
        let rows = starts[sizes.len()] as usize;
        // Quarters, so that distances to a point are exact or far from a tie.
        let value = (-8i32..9).prop_map(|x| f64::from(x) / 4.0);
        let span = prop_oneof![Just(0.0), Just(1.0), 0.5..2.0f64];
        let weight = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64];
        let size = prop::sample::select(vec![1.0, 1.0, 2f64.powi(500), 2f64.powi(-350)]);
        (
            prop::collection::vec(prop::collection::vec(value, rows), m),
            prop::collection::vec(span, sizes.len() * m),
            prop::collection::vec(weight, 0..4 * m),
            size,
        )
            .prop_map(move |(mut columns, mut spans, mut weights, size)| {
                weights.truncate(weights.len() / m * m);
                columns.iter_mut().flatten().chain(&mut spans).for_each(|x| *x *= size);
                (columns, starts.clone(), spans, weights, k)
            })
    })
}

proptest! {
    #[test]
    fn each_group_is_as_alone((columns, starts, spans, weights, k) in problem()) {
        check(&columns, &starts, &spans, &weights, k);
    }
}

#[test]
fn large_groups_are_as_alone_on_any_threads() {
    let noise = |row: u64| (row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / 2e7;
    let columns: Vec<Vec<f64>> =
        (0..3).map(|j| (0..30_000).map(|row| noise(3 * row + j)).collect()).collect();
    let starts = [0, 1, 1000, 2024, 3049, 3049, 20_000, 20_008, 30_000];
    let mut spans = vec![1.0; 3 * 8];
    spans[18..21].fill(0.0);
    spans[7] = 0.0;
    let weights = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.2, 0.3, 0.5];
    check(&columns, &starts, &spans, &weights, 7);
    let run = |threads| {
        let run = || nearest_in_groups(&points(&columns), &starts, &spans, &weights, 2000);
        with_threads(Some(threads), run).unwrap().unwrap()
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(3));
}

#[test]
fn rays_of_small_numbers_have_directions_beside_large_points() {
    for (small, large) in [(5e-324, 1.0), (5e-324, 1e300), (1e-200, 1e300), (1e-310, f64::MAX)] {
        let columns = [vec![0.0, -large, large], vec![-large, -large, 0.0]];
        let points = points(&columns);
        let through = [0.0, -small, -small, -small, small, 0.0];
        let nearest = nearest_to_rays(&points, &[0.0; 2], &through, 1).unwrap();
        assert_eq!(nearest.rows, [0, 1, 2], "{small} {large}");
        assert_eq!(nearest.distances[0], 0.0);
        // Both spans are given up, or the first one: beside the points the ray starts at 0.
        let weights = [0.0, 0.0, 0.0, 1.0];
        let groups = nearest_in_groups(&points, &[0, 3], &[small; 2], &weights, 3).unwrap();
        let alone = nearest_to_rays(&points, &[small; 2], &[0.0, small], 3).unwrap();
        assert_eq!(groups.rows[3..], alone.rows);
        assert_eq!(groups.distances[3..], alone.distances);
        assert_eq!(alone.rows, [0, 1, 2], "{small} {large}");
    }
}

#[test]
fn distances_of_small_points_are_those_of_large_ones_however_far_rays_run() {
    let columns = [vec![3.0, 1.0, 2.0, 5.0], vec![1.0, 1.5, 5.0, 4.0]];
    let expected = nearest_to_rays(&points(&columns), &[0.0; 2], &[1.0; 2], 4).unwrap();
    assert_eq!(expected.rows, [1, 3, 0, 2]);
    for small in [2f64.powi(-664), 2f64.powi(-1000)] {
        let columns: [Vec<f64>; 2] =
            columns.clone().map(|column| column.into_iter().map(|x| x * small).collect());
        for far in [small, 1.0, 1e150, 1e300] {
            let actual = nearest_to_rays(&points(&columns), &[0.0; 2], &[far; 2], 4).unwrap();
            assert_eq!(actual.rows, expected.rows, "{small} {far}");
            let distances: Vec<f64> = expected.distances.iter().map(|x| x * small).collect();
            assert_eq!(actual.distances, distances, "{small} {far}");
        }
        check(&columns, &[0, 4], &[small; 2], &[1e300, 0.0, 0.5, 0.25], 3);
    }
}

#[test]
fn refusals_name_the_place() {
    let columns = [vec![1.0, 0.0, 2.0]];
    let points = points(&columns);
    type Case<'a> = (&'a [u32], &'a [f64], &'a [f64], usize, &'a str);
    let cases: [Case<'_>; 10] = [
        (&[0, 3], &[1.0], &[0.5], 0, "k must be at least 1"),
        (&[], &[], &[], 1, "does not at position 0"),
        (&[1, 3], &[1.0], &[0.5], 1, "does not at position 0"),
        (&[0, 2, 1, 3], &[1.0; 3], &[0.5], 1, "does not at position 2"),
        (&[0, 2], &[1.0], &[0.5], 1, "number of rows, 3, but does not at position 1"),
        (&[0, 4], &[1.0], &[0.5], 1, "does not at position 1"),
        (&[0, 3], &[1.0; 2], &[0.5], 1, "spans has length 2; pass 1"),
        (&[0, 1, 3], &[1.0, f64::NAN], &[0.5], 1, "spans is not finite at position 1"),
        (&[0, 3], &[1e300], &[1e300], 1, "spans is not finite at position 0"),
        (&[0, 3], &[1.0], &[0.5, f64::INFINITY], 1, "weights is not finite at position 1"),
    ];
    for (starts, spans, weights, k, expected) in cases {
        let actual = nearest_in_groups(&points, starts, spans, weights, k).unwrap_err();
        assert!(actual.to_string().contains(expected), "{actual}");
    }
    let columns = [vec![1.0, f64::INFINITY], vec![0.0, 0.0]];
    let points = self::points(&columns);
    let actual = nearest_in_groups(&points, &[0, 2], &[1.0; 2], &[1.0; 3], 1).unwrap_err();
    assert!(actual.to_string().contains("weights has length 3"), "{actual}");
    let actual = nearest_in_groups(&points, &[0, 2], &[1.0; 2], &[1.0; 2], 1).unwrap_err();
    assert!(actual.to_string().contains("column 0 holds 1 infinite"), "{actual}");
}
