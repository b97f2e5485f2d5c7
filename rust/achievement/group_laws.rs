//! The rows of least achievement in groups: those of each group alone.

use proptest::prelude::*;

use super::laws::{points, problem, quarters, sorted};
use super::{least_achievement, least_achievement_in_groups};
use crate::testing::Random;
use crate::with_threads;

proptest! {
    #[test]
    fn each_group_is_as_alone(
        (columns, ideal, directions, k) in problem(quarters()),
        cuts in prop::collection::vec(0usize..90, 0..5),
        scale in prop::sample::select(vec![0.0, 1.0, 0.5]),
    ) {
        let (m, n) = (columns.len(), columns[0].len());
        let mut starts: Vec<u32> = cuts.into_iter().map(|cut| cut.min(n) as u32).collect();
        starts.extend([0, n as u32]);
        starts.sort_unstable();
        let groups = starts.len() - 1;
        let ideals: Vec<f64> = (0..groups * m).map(|i| ideal[i % m] + (i / m) as f64).collect();
        let units: Vec<f64> = (0..groups * m).map(|i| if i < m { scale } else { 2.0 }).collect();
        let actual =
            least_achievement_in_groups(&points(&columns), &starts, &ideals, &units, &directions, k);
        let actual = actual.unwrap();
        let mut found = actual.rows.iter().zip(&actual.values);
        for d in directions.chunks_exact(m) {
            for (g, ends) in starts.windows(2).enumerate() {
                let (start, end) = (ends[0] as usize, ends[1] as usize);
                let part: Vec<_> = columns.iter().map(|c| c[start..end].to_vec()).collect();
                let d: Vec<_> = d.iter().zip(&units[g * m..]).map(|(d, unit)| d * unit).collect();
                let expected = sorted(&part, &ideals[g * m..][..m], &d, k);
                for (row, value) in expected.rows.iter().zip(&expected.values) {
                    prop_assert_eq!(found.next(), Some((&(row + start as u32), value)));
                }
            }
        }
        prop_assert!(found.next().is_none());
    }
}

#[test]
fn large_groups_are_as_alone_on_any_threads() {
    let mut random = Random(9);
    let columns: Vec<Vec<f64>> =
        (0..3).map(|_| (0..30_000).map(|_| random.unit()).collect()).collect();
    let starts = [0, 1, 1000, 2024, 3049, 3049, 20_000, 20_008, 30_000];
    let (ideals, units) = (vec![1.0; 24], vec![0.5; 24]);
    let directions = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.2, 0.3, 0.5];
    let run = |threads| {
        let run = || {
            least_achievement_in_groups(
                &points(&columns),
                &starts,
                &ideals,
                &units,
                &directions,
                70,
            )
        };
        with_threads(Some(threads), run).unwrap().unwrap()
    };
    let actual = run(1);
    assert_eq!(actual, run(2));
    assert_eq!(actual, run(3));
    let mut at = 0;
    for d in directions.chunks_exact(3) {
        let d: Vec<f64> = d.iter().map(|d| d * 0.5).collect();
        for ends in starts.windows(2) {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            if start == end {
                continue;
            }
            let part: Vec<_> = columns.iter().map(|c| c[start..end].to_vec()).collect();
            let k = 70.min(end - start);
            let alone = least_achievement(&points(&part), &[1.0; 3], &d, k).unwrap();
            let rows: Vec<u32> = alone.rows.iter().map(|row| row + start as u32).collect();
            assert_eq!(actual.rows[at..at + k], rows);
            assert_eq!(actual.values[at..at + k], alone.values);
            at += k;
        }
    }
    assert_eq!(at, actual.rows.len());
}
