//! Exact volumes and contributions: which algorithm runs is decided here, by the number of
//! objectives.

use super::above::{Above, Relative, check};
use super::{exclusive, many, sweep};
use crate::error::Error;
use crate::points::Points;
use crate::threads;

/// In up to this many objectives points are swept, and a sweep can read them in place.
pub(super) const MAX_SWEPT_OBJECTIVES: usize = 3;

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
    let swept = |points: &Points<'_>, origin: &[f64]| match origin.len() {
        1 => (points.columns()[0].range().1 - origin[0]).max(0.0),
        2 => sweep::area(&Relative::new(points, origin)),
        _ => sweep::volume(&Relative::new(points, origin)),
    };
    let m = points.objectives();
    match Above::prefiltered(points, reference, m <= MAX_SWEPT_OBJECTIVES) {
        Some(above) if m > MAX_SWEPT_OBJECTIVES => many::volume(&above.coordinates(), m),
        Some(above) => swept(&above.points(points), &vec![0.0; m]),
        None => swept(points, reference),
    }
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
    let exclusive_volumes = |points: &Points<'_>, origin: &[f64]| match origin.len() {
        1 => sweep::exclusive_lengths(&Relative::new(points, origin)),
        2 => sweep::exclusive_areas(&Relative::new(points, origin)),
        _ => exclusive::contributions(&Relative::new(points, origin)),
    };
    let m = points.objectives();
    let Some(above) = Above::all(points, reference, m <= MAX_SWEPT_OBJECTIVES) else {
        return Ok(exclusive_volumes(points, reference));
    };
    let volumes = if m <= MAX_SWEPT_OBJECTIVES {
        exclusive_volumes(&above.points(points), &vec![0.0; m])
    } else {
        many::contributions(&above.coordinates(), m)
    };
    let mut contributions = vec![0.0; points.rows()];
    for (row, contribution) in above.rows.into_iter().zip(volumes) {
        contributions[row as usize] = contribution;
    }
    Ok(contributions)
}
