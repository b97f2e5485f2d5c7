//! What each point alone dominates.
//!
//! Up to three objectives this is one sweep after Emmerich and Fonseca (2011): from the best to
//! the worst first objective, with the area that each point alone covers in the other two kept as
//! a list of boxes. Above that, a point's volume less that of the others limited to it.

use rayon::prelude::*;

use super::wfg::{self, Levels};

/// Contributions of positive points in three objectives.
pub(super) fn of_triples(points: &[[f64; 3]]) -> Vec<f64> {
    let mut rows: Vec<f64> = points.iter().flatten().copied().collect();
    of_many(&std::mem::take(&mut rows), 3)
}

/// Contributions of positive points, row after row, in three objectives or more.
pub(super) fn of_many(points: &[f64], m: usize) -> Vec<f64> {
    let rows = points.len() / m;
    let exclusive = |row: usize, levels: &mut Levels| {
        let point = &points[row * m..(row + 1) * m];
        let mut limited = Vec::new();
        for others in [&points[..row * m], &points[(row + 1) * m..]] {
            let mut part = Vec::new();
            wfg::limit(others, m, point, &mut part);
            limited.append(&mut part);
        }
        if limited.chunks_exact(m).any(|other| other == point) {
            return 0.0;
        }
        let covered = wfg::covered(&mut limited, m, levels);
        (point.iter().product::<f64>() - covered).max(0.0)
    };
    if rows >= 64 && rayon::current_num_threads() > 1 {
        (0..rows)
            .into_par_iter()
            .map_init(Levels::default, |levels, row| exclusive(row, levels))
            .collect()
    } else {
        let mut levels = Levels::default();
        (0..rows).map(|row| exclusive(row, &mut levels)).collect()
    }
}
