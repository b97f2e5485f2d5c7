//! Contributions in four objectives and more, of points near or far from the reference.
//!
//! The kernels find what a point adds as its box less what others cover of it, off by some 1e-16
//! of the box. Of close points far from the reference the boxes are huge and what each adds is
//! little. So an objective is cut at the level that all points reach: below it nothing
//! depends on that objective any more, and a point adds there the length of the slab times what it
//! adds to the others in the objectives that are left. Cut in all far objectives, contributions
//! are sums of positive terms, each off by 1e-16 of a box no larger than the points' own range.
//! Objectives in which all points are equal become factors.

use super::chunks::layers_of_columns;
use super::measure::{Measure, Wide};
use super::range::{Scaled, moderate};
use super::sweep::MAX_SWEPT_OBJECTIVES;
use super::{careful, exclusive, lost};
use crate::points::{Column, Points};

/// The box from the reference may be larger than that of the points by this power of two: so many
/// bits of a contribution may be lost to it.
const MAX_LOST_BITS: i64 = 10;

/// Objectives that are cut at most, for each doubles the number of terms.
const MAX_CUT: usize = 10;

/// Contributions of points (columns, all above the reference): what each adds to the others.
pub(super) fn contributions(columns: &[Vec<f64>], reference: &[f64]) -> Vec<f64> {
    let rows = columns[0].len();
    if rows == 0 {
        return Vec::new();
    }
    // Points past the second layer are covered twice over, whichever point is taken away.
    let layers = layers_of_columns(columns, 2);
    let kept: Vec<usize> = (0..layers.len()).filter(|&i| layers[i] >= 0).collect();
    let columns: Vec<Vec<f64>> =
        columns.iter().map(|column| kept.iter().map(|&i| column[i]).collect()).collect();
    let layers: Vec<i32> = kept.iter().map(|&i| layers[i]).collect();
    let mut contributions = vec![0.0; rows];
    for (i, volume) in kept.iter().zip(of_best(&columns, &layers, reference)) {
        contributions[*i] = volume.value();
    }
    contributions
}

/// An objective that is cut.
struct Cut {
    objective: usize,
    /// The level that all points reach, and how far it is from the reference.
    level: f64,
    slab: Wide,
    /// All points are at the level.
    constant: bool,
}

/// Contributions of points in the first two layers.
fn of_best(columns: &[Vec<f64>], layers: &[i32], reference: &[f64]) -> Vec<Wide> {
    let rows = columns[0].len();
    let cuts = cuts(columns, reference);
    let mut sums = vec![Wide::default(); rows];
    for slabs in 0..1usize << cuts.len() {
        let is_slab = |i: usize| slabs >> i & 1 == 1;
        // Above its level an objective in which all are equal holds nothing.
        if (0..cuts.len()).any(|i| cuts[i].constant && !is_slab(i)) {
            continue;
        }
        let (mut corner, mut left, mut factor) =
            (reference.to_vec(), vec![true; reference.len()], Wide::ONE);
        for (i, cut) in cuts.iter().enumerate() {
            corner[cut.objective] = cut.level;
            if is_slab(i) {
                left[cut.objective] = false;
                factor = factor * cut.slab;
            }
        }
        let objectives: Vec<usize> = (0..reference.len()).filter(|&j| left[j]).collect();
        let corner: Vec<f64> = objectives.iter().map(|&j| corner[j]).collect();
        let above: Vec<usize> = (0..rows)
            .filter(|&i| objectives.iter().zip(&corner).all(|(&j, least)| columns[j][i] > *least))
            .collect();
        let part: Vec<Vec<f64>> =
            objectives.iter().map(|&j| above.iter().map(|&i| columns[j][i]).collect()).collect();
        // The layers are others once an objective is left out.
        let known = (above.len() == rows && part.len() == columns.len()).then_some(layers);
        for (&i, volume) in above.iter().zip(within(part, known, above.len(), &corner)) {
            sums[i] = sums[i] + factor * volume;
        }
    }
    sums
}

/// The objectives to cut: those in which the reference is farthest off, for the range of the points.
fn cuts(columns: &[Vec<f64>], reference: &[f64]) -> Vec<Cut> {
    let mut far: Vec<(i64, Cut)> = Vec::new();
    for (objective, (column, &origin)) in columns.iter().zip(reference).enumerate() {
        let level = column.iter().copied().fold(f64::INFINITY, f64::min);
        let most = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (all, own) = (Wide::span(origin, most), Wide::span(level, most));
        let constant = level == most;
        let lost = if constant { i64::from(i32::MAX) } else { all.exponent() - own.exponent() };
        far.push((lost, Cut { objective, level, slab: Wide::span(origin, level), constant }));
    }
    far.sort_by_key(|(lost, cut)| (-lost, cut.objective));
    let mut rest: i64 = far.iter().map(|(lost, _)| lost).sum();
    let (mut cuts, mut varying) = (Vec::new(), 0);
    for (lost, cut) in far {
        if rest <= MAX_LOST_BITS || varying == MAX_CUT || lost == 0 {
            break;
        }
        rest -= lost;
        varying += usize::from(!cut.constant);
        cuts.push(cut);
    }
    cuts
}

/// Contributions of points above the corner, in the objectives of the columns; `layers` if known.
fn within(
    columns: Vec<Vec<f64>>,
    layers: Option<&[i32]>,
    rows: usize,
    corner: &[f64],
) -> Vec<Wide> {
    if columns.is_empty() {
        // A point fills all that there is, alone or with others.
        let own = if rows == 1 { Wide::ONE } else { Wide::default() };
        return vec![own; rows];
    }
    if columns.len() <= MAX_SWEPT_OBJECTIVES {
        let points = Points::new(columns.iter().map(|column| Column::F64(column)).collect());
        let Ok(points) = points else { return Vec::new() };
        if moderate(&points, corner) {
            let volumes = exclusive::volumes(&points, corner);
            return volumes.into_iter().map(Wide::new).collect();
        }
        return exclusive::volumes(&points, corner);
    }
    let relative = columns
        .iter()
        .zip(corner)
        .map(|(column, origin)| column.iter().map(|x| x - origin).collect())
        .collect();
    let scaled = Scaled::new(relative);
    let volumes = match &scaled {
        Some(scaled) => {
            let layers =
                layers.map_or_else(|| layers_of_columns(&scaled.columns, 2), <[i32]>::to_vec);
            lost::contributions(&scaled.coordinates(), columns.len(), &layers)
        }
        None => vec![0.0; rows],
    };
    // Needed for few points or none.
    let mut all: Vec<Vec<f64>> = Vec::new();
    let row = |i: usize| columns.iter().map(|column| column[i]).collect();
    let each = volumes.into_iter().enumerate().map(|(i, volume)| {
        let certain = scaled.as_ref().and_then(|scaled| scaled.contribution(i, volume));
        certain.unwrap_or_else(|| {
            if all.is_empty() {
                all = (0..rows).map(row).collect();
            }
            careful::contribution(&all, i, corner)
        })
    });
    each.collect()
}
