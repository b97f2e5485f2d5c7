//! Exact volumes and contributions: which algorithm runs is decided here, by the number of
//! objectives.

use super::above::{Above, SweptPoints, check};
use super::measure::{Measure, Wide};
use super::range::{Scaled, certain, moderate};
use super::sweep::MAX_SWEPT_OBJECTIVES;
use super::{careful, exclusive, far, many, sweep};
use crate::error::Error;
use crate::points::Points;
use crate::threads;

/// The volume that the points dominate above `reference`, exact up to rounding.
///
/// No point above the reference in every objective gives 0.
///
/// # Errors
/// A value is infinite, or the reference is not finite or not one value per objective.
///
/// ```
/// use paretohqd::{Column, Points, hypervolume};
///
/// let (x, y) = ([3.0, 1.0], [1.0, 2.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// assert_eq!(hypervolume(&points, &[0.0, 0.0])?, 4.0);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn hypervolume(points: &Points<'_>, reference: &[f64]) -> Result<f64, Error> {
    check(points, reference)?;
    Ok(threads::share(points.rows(), || volume(points, reference)))
}

/// [`hypervolume`] of points and a reference that were checked before.
pub(super) fn volume(points: &Points<'_>, reference: &[f64]) -> f64 {
    let m = points.objectives();
    if m == 1 {
        return (points.columns()[0].range().1 - reference[0]).max(0.0);
    }
    match Above::prefiltered(points, reference, m <= MAX_SWEPT_OBJECTIVES) {
        Some(above) if above.len() == 0 => 0.0,
        Some(above) if m > MAX_SWEPT_OBJECTIVES => volume_of_many(above, points, reference),
        Some(above) => swept(&above.points(points), &vec![0.0; m])
            .unwrap_or_else(|| wide_swept(points, reference)),
        None => swept(points, reference).unwrap_or_else(|| wide_swept(points, reference)),
    }
}

/// The volume in two or three objectives, unless some of it may be out of the range of doubles.
fn swept(points: &Points<'_>, reference: &[f64]) -> Option<f64> {
    if let [_, _] = reference {
        let volume = sweep::area(&SweptPoints::relative(points, reference));
        return certain(volume, 1.0).then_some(volume);
    }
    let volume = sweep::volume(&SweptPoints::relative(points, reference));
    let deepest = points.columns()[0].range().1 - reference[0];
    certain(volume, deepest).then_some(volume)
}

/// The same for any numbers.
fn wide_swept(points: &Points<'_>, reference: &[f64]) -> f64 {
    let volume: Wide = match reference {
        [_, _] => sweep::area(&SweptPoints::unmoved(points, reference)),
        _ => sweep::volume(&SweptPoints::unmoved(points, reference)),
    };
    volume.value()
}

/// The volume in four objectives and more, of the points `above`.
fn volume_of_many(above: Above, points: &Points<'_>, reference: &[f64]) -> f64 {
    let m = reference.len();
    let volume = Scaled::new(above.columns)
        .and_then(|scaled| scaled.value(many::volume(&scaled.coordinates(), m)));
    volume.unwrap_or_else(|| careful::volume(points, reference).value())
}

/// What the hypervolume loses when one point is taken away, for every point.
///
/// A dominated point loses nothing, nor does a point that has an equal.
///
/// # Errors
/// As for [`hypervolume`].
///
/// ```
/// use paretohqd::{Column, Points, hypervolume_contributions};
///
/// let (x, y) = ([3.0, 1.0, 0.5], [1.0, 2.0, 0.5]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// assert_eq!(hypervolume_contributions(&points, &[0.0, 0.0])?, [2.0, 1.0, 0.0]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn hypervolume_contributions(
    points: &Points<'_>,
    reference: &[f64],
) -> Result<Vec<f64>, Error> {
    check(points, reference)?;
    Ok(threads::share(points.rows(), || contributions(points, reference)))
}

/// [`hypervolume_contributions`] of points and a reference that were checked before.
fn contributions(points: &Points<'_>, reference: &[f64]) -> Vec<f64> {
    let m = points.objectives();
    let few = m <= MAX_SWEPT_OBJECTIVES;
    let Some(above) = Above::all(points, reference, few) else {
        return swept_contributions(points, reference);
    };
    let volumes = if few {
        swept_contributions(&above.points(points), reference)
    } else {
        far::contributions(&above.columns, reference)
    };
    let mut contributions = vec![0.0; points.rows()];
    for (row, contribution) in above.rows.into_iter().zip(volumes) {
        contributions[row as usize] = contribution;
    }
    contributions
}

/// Contributions in up to three objectives.
fn swept_contributions(points: &Points<'_>, reference: &[f64]) -> Vec<f64> {
    if moderate(points, reference) {
        exclusive::volumes::<f64>(points, reference)
    } else {
        Wide::values(exclusive::volumes(points, reference))
    }
}
