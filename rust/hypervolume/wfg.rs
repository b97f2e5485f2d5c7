//! Four objectives and more: WFG (While, Bradstreet, Barone 2012) with slicing.
//!
//! Points are taken from the best to the worst last objective. What a point adds is its last
//! objective times what it adds to the points before it in the objectives that are left: its own
//! volume less the volume of the others *limited* to it (the componentwise minimum). The limited
//! set shrinks strongly once its dominated points are dropped, and loses an objective at each
//! step, down to three, where a sweep takes over.

use rayon::prelude::*;

use super::profile::Profile;
use super::sweep;

/// From this many points on, points are shared among threads.
const FORK: usize = 64;

/// The volume that positive points (row after row, `m` objectives, m >= 3) dominate.
pub(super) fn volume(points: &[f64], m: usize) -> f64 {
    let mut points = points.to_vec();
    sort_by_last(&mut points, m);
    let points = undominated(&points, m);
    let rows = points.len() / m;
    let add = |row: usize| added(&points, row, m, &mut Levels::default());
    if rows >= FORK && rayon::current_num_threads() > 1 {
        // Collected before the sum, so that its order is fixed.
        let parts: Vec<f64> = (0..rows).into_par_iter().map(add).collect();
        parts.iter().sum()
    } else {
        let mut levels = Levels::default();
        (0..rows).map(|row| added(&points, row, m, &mut levels)).sum()
    }
}

/// Contributions of positive points (row after row, `m` objectives, m >= 3): the volume of each
/// less that of the others limited to it.
pub(super) fn contributions(points: &[f64], m: usize) -> Vec<f64> {
    let rows = points.len() / m;
    let exclusive = |levels: &mut Levels, row: usize| {
        let (point, others) =
            (&points[row * m..][..m], [&points[..row * m], &points[(row + 1) * m..]]);
        let mut limited = Vec::with_capacity(points.len());
        for others in others {
            limit(others, m, point, &mut limited);
        }
        // Then another point is at least as good everywhere.
        if limited.chunks_exact(m).any(|other| other == point) {
            return 0.0;
        }
        let covered = covered(&mut limited, m, levels);
        (point.iter().product::<f64>() - covered).max(0.0)
    };
    if rows >= FORK && rayon::current_num_threads() > 1 {
        (0..rows).into_par_iter().map_init(Levels::default, exclusive).collect()
    } else {
        let mut levels = Levels::default();
        (0..rows).map(|row| exclusive(&mut levels, row)).collect()
    }
}

/// Buffers, one for each number of objectives on the way down.
#[derive(Default)]
struct Levels {
    limited: Vec<Vec<f64>>,
    profile: Profile,
    triples: Vec<[f64; 3]>,
}

/// What point `row` adds to the points before it, which are no worse in the last objective.
fn added(points: &[f64], row: usize, m: usize, levels: &mut Levels) -> f64 {
    let point = &points[row * m..(row + 1) * m];
    let (last, others) = (point[m - 1], &point[..m - 1]);
    let mut limited = levels.limited.pop().unwrap_or_default();
    limited.clear();
    limit(&points[..row * m], m, others, &mut limited);
    let covered = covered(&mut limited, m - 1, levels);
    levels.limited.push(limited);
    last * (others.iter().product::<f64>() - covered)
}

/// The volume that `points`, which it reorders, dominate in `m` >= 3 objectives.
fn covered(points: &mut [f64], m: usize, levels: &mut Levels) -> f64 {
    if m == 3 {
        levels.triples.clear();
        levels.triples.extend_from_slice(points.as_chunks().0);
        levels.triples.sort_unstable_by(|a, b| b[0].total_cmp(&a[0]));
        return sweep::volume_of_sorted(levels.triples.iter().copied(), &mut levels.profile);
    }
    sort_by_last(points, m);
    let points = undominated(points, m);
    (0..points.len() / m).map(|row| added(&points, row, m, levels)).sum()
}

/// Appends the points limited to `point`, in as many objectives as it has.
fn limit(points: &[f64], m: usize, point: &[f64], out: &mut Vec<f64>) {
    for other in points.chunks_exact(m) {
        out.extend(other.iter().zip(point).map(|(a, b)| a.min(*b)));
    }
}

fn sort_by_last(points: &mut [f64], m: usize) {
    let mut rows: Vec<&[f64]> = points.chunks_exact(m).collect();
    // Ties by the other objectives, so that a point comes after those that dominate it.
    rows.sort_unstable_by(|a, b| {
        b.iter().rev().partial_cmp(a.iter().rev()).unwrap_or(std::cmp::Ordering::Equal)
    });
    let sorted: Vec<f64> = rows.concat();
    points.copy_from_slice(&sorted);
}

/// The points that none before them covers.
fn undominated(points: &[f64], m: usize) -> Vec<f64> {
    let mut kept: Vec<f64> = Vec::with_capacity(points.len());
    for point in points.chunks_exact(m) {
        let covers = |other: &[f64]| other.iter().zip(point).all(|(a, b)| a >= b);
        if !kept.chunks_exact(m).any(covers) {
            kept.extend_from_slice(point);
        }
    }
    kept
}
