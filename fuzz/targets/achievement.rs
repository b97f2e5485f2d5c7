#![no_main]
//! Rows of least achievement against every rank computed in full, and in groups against each alone.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Achievements, least_achievement, least_achievement_in_groups, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, dominates};

/// How far a preference may let an objective fall.
const FALLS: [f64; 12] = [0.0, 0.0, 1.0, 1.0, 0.5, 2.0, 0.3, 1e-3, 1e300, 1e-300, 5e-324, f64::MAX];

/// The largest shortfalls and terms, firm and not, and their sums, as they round.
fn rank(row: &[f64], ideal: &[f64], direction: &[f64]) -> [f64; 4] {
    let mut rank = [f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0, 0.0];
    for ((value, ideal), &d) in row.iter().zip(ideal).zip(direction) {
        let (side, term) = if d == 0.0 { (0, ideal - value) } else { (1, (ideal - value) / d) };
        rank[side] = rank[side].max(term);
        rank[2 + side] += term.clamp(f64::MIN, f64::MAX);
    }
    rank
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (preferences, k) = (bytes.below(9), bytes.below(30));
    let shift = [0.0, 1.0, -3.5, 1e8, 1e16, -1e308][bytes.below(6)];
    let falls: Vec<f64> = (0..preferences * 6).map(|_| FALLS[bytes.below(FALLS.len())]).collect();
    let cuts: Vec<usize> = (0..3).map(|_| usize::from(bytes.byte())).collect();
    let cloud = Cloud::new(&mut bytes, 6, 9000);
    cloud.with_points(|points| {
        let (m, n) = (points.objectives(), cloud.rows());
        let rows: Vec<Vec<f64>> = (0..n).map(|row| cloud.row(row)).collect();
        let (ideal, directions) = (vec![shift; m], &falls[..preferences * m]);
        let find = || least_achievement(points, &ideal, directions, k);
        let still = directions.chunks_exact(m).any(|d| d.iter().all(|&d| d == 0.0));
        let infinite = cloud.oddities().1;
        let found = find();
        assert_eq!(found.is_err(), infinite || k == 0 || k > n || still);
        if infinite || k == 0 || still {
            return;
        }
        if let Ok(found) = found {
            assert_eq!(with_threads(Some(3), find).unwrap().unwrap(), found);
            for (place, d) in directions.chunks_exact(m).enumerate() {
                let places = place * k..(place + 1) * k;
                check(&rows, &ideal, d, &found.rows[places.clone()], &found.values[places]);
            }
        }
        // Each group is as alone.
        let mut starts = vec![0, n as u32];
        starts.extend(cuts.iter().map(|cut| (cut * n / 255) as u32));
        starts.sort_unstable();
        let groups = starts.len() - 1;
        let (ideals, units) = (vec![shift; groups * m], vec![1.0; groups * m]);
        let in_groups =
            || least_achievement_in_groups(points, &starts, &ideals, &units, directions, k);
        let actual = in_groups().unwrap();
        assert_eq!(with_threads(Some(3), in_groups).unwrap().unwrap(), actual);
        let Achievements { rows: all, values } = actual;
        let mut at = 0;
        for d in directions.chunks_exact(m) {
            for ends in starts.windows(2) {
                let (start, end) = (ends[0] as usize, ends[1] as usize);
                let held = k.min(end - start);
                let own: Vec<u32> =
                    all[at..at + held].iter().map(|row| row - start as u32).collect();
                check(&rows[start..end], &ideal, d, &own, &values[at..at + held]);
                at += held;
            }
        }
        assert_eq!(at, all.len());
    });
});

/// Compares the best rows of one preference with all rows.
fn check(all: &[Vec<f64>], ideal: &[f64], direction: &[f64], rows: &[u32], values: &[f64]) {
    let mut sorted: Vec<[f64; 4]> = all.iter().map(|row| rank(row, ideal, direction)).collect();
    let ranks: Vec<[f64; 4]> = rows.iter().map(|&row| sorted[row as usize]).collect();
    let first = usize::from(!direction.contains(&0.0));
    assert!(values.iter().zip(&ranks).all(|(value, rank)| *value == rank[first]));
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    assert_eq!(ranks, sorted[..rows.len()]);
    for (place, &row) in rows.iter().enumerate() {
        for &later in &rows[place + 1..] {
            let (a, b) = (&all[row as usize], &all[later as usize]);
            assert!(row != later && !dominates(b, a) && (a != b || row < later));
        }
    }
}
