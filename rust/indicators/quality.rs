//! How good a set of points is beside a reference: IGD+, additive epsilon, R2.
//!
//! Each asks, of every reference point or weight vector, for the least loss ([`loss`]) that a point
//! of the set has ([`search`]).
//!
//! [`loss`]: super::loss
//! [`search`]: super::search

use super::loss::{Excess, Shortfall, Tchebycheff};
use super::search::Set;
use crate::error::{Error, Kind};
use crate::points::Points;

/// The modified inverted generational distance: the mean, over the reference points, of the
/// distance to the nearest point, counting only objectives in which the point is worse.
///
/// No point at all is infinitely far away.
///
/// # Errors
/// A value is infinite, the reference has no row, or the numbers of objectives differ.
///
/// ```
/// use paretohqd::{Column, Points, igd_plus};
///
/// let points = Points::new(vec![Column::F64(&[3.0]), Column::F64(&[1.0])])?;
/// let reference = Points::new(vec![Column::F64(&[2.0, 6.0]), Column::F64(&[1.0, 5.0])])?;
/// assert_eq!(igd_plus(&points, &reference)?, 2.5);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn igd_plus(points: &Points<'_>, reference: &Points<'_>) -> Result<f64, Error> {
    let queries = queries(points, reference)?;
    let Some(set) = Set::new(points) else { return Ok(f64::INFINITY) };
    let mut distances = set.least_losses(Shortfall { scale: 1.0 }, &queries);
    // Squares that are not sure to be exact, and those beyond a double, are scaled. Numbers that
    // are not tiny differ by nothing or by so much that its square is exact.
    let (small, large, tiny) = (2f64.powi(-540), 2f64.powi(500), 2f64.powi(-400));
    let tiny = |x: f64| x != 0.0 && x.abs() < tiny;
    let inexact =
        set.values().fold(false, |any, x| any | tiny(x)) || queries.iter().any(|&x| tiny(x));
    let least_square = if inexact { 2f64.powi(-900) } else { 0.0 };
    for (query, square) in queries.chunks_exact(points.objectives()).zip(&mut distances) {
        let scale = match *square {
            square if square == f64::INFINITY => small,
            square if square < least_square => large,
            _ => {
                *square = square.sqrt();
                continue;
            }
        };
        *square = set.least_losses(Shortfall { scale }, query)[0].sqrt() / scale;
    }
    Ok(mean(&distances))
}

/// The additive epsilon indicator: the least number by which the points must all be raised in
/// every objective for each reference point to have one that is at least as good.
///
/// Negative where the points are better than the reference throughout; infinite without a point.
///
/// # Errors
/// As for [`igd_plus`].
///
/// ```
/// use paretohqd::{Column, Points, epsilon_additive};
///
/// let points = Points::new(vec![Column::F64(&[3.0]), Column::F64(&[1.0])])?;
/// let reference = Points::new(vec![Column::F64(&[2.0, 6.0]), Column::F64(&[1.0, 5.0])])?;
/// assert_eq!(epsilon_additive(&points, &reference)?, 4.0);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn epsilon_additive(points: &Points<'_>, reference: &Points<'_>) -> Result<f64, Error> {
    let queries = queries(points, reference)?;
    let Some(set) = Set::new(points) else { return Ok(f64::INFINITY) };
    Ok(set.largest_loss(Excess, &queries))
}

/// The R2 indicator with weighted Tchebycheff utilities: the mean, over the weight vectors (one
/// after another), of the least largest weighted distance to the ideal point.
///
/// Infinite without a point.
///
/// # Errors
/// A value is infinite; the ideal is not one finite value per objective or some point is better in
/// an objective; or weights are not whole vectors, finite, none negative and one positive in each.
///
/// ```
/// use paretohqd::{Column, Points, r2_indicator};
///
/// let points = Points::new(vec![Column::F64(&[3.0, 1.0]), Column::F64(&[1.0, 2.0])])?;
/// assert_eq!(r2_indicator(&points, &[1.0, 0.0, 0.5, 0.5], &[4.0, 4.0])?, 1.25);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn r2_indicator(points: &Points<'_>, weights: &[f64], ideal: &[f64]) -> Result<f64, Error> {
    let m = points.objectives();
    if ideal.len() != m {
        return Err(Kind::WrongLength { name: "ideal", expected: m, actual: ideal.len() }.into());
    }
    if let Some(position) = ideal.iter().position(|x| !x.is_finite()) {
        return Err(Kind::NotFinite { name: "ideal", position }.into());
    }
    if weights.is_empty() || !weights.len().is_multiple_of(m) {
        return Err(Kind::PartialWeights { objectives: m, actual: weights.len() }.into());
    }
    let bad = |weights: &[f64]| {
        weights.iter().any(|&w| !(0.0..f64::INFINITY).contains(&w))
            || weights.iter().all(|&w| w == 0.0)
    };
    if let Some(vector) = weights.chunks_exact(m).position(bad) {
        return Err(Kind::BadWeights { vector }.into());
    }
    points.require_finite()?;
    for (column, (values, &ideal)) in points.columns().iter().zip(ideal).enumerate() {
        if values.range().1 > ideal {
            let beyond = || (0..values.len()).filter(|&row| values.get(row) > ideal);
            let (count, first) = (beyond().count(), beyond().next().unwrap_or(0));
            return Err(Kind::BeyondIdeal { column, count, first }.into());
        }
    }
    let Some(set) = Set::new(points) else { return Ok(f64::INFINITY) };
    Ok(mean(&set.least_losses(Tchebycheff { ideal }, weights)))
}

/// The reference points, one after another.
fn queries(points: &Points<'_>, reference: &Points<'_>) -> Result<Vec<f64>, Error> {
    let (expected, actual) = (points.objectives(), reference.objectives());
    if expected != actual {
        return Err(Kind::OtherObjectives { expected, actual }.into());
    }
    if reference.rows() == 0 {
        return Err(Kind::NoReference.into());
    }
    points.require_finite()?;
    reference.require_finite()?;
    let mut queries = vec![0.0; actual * reference.rows()];
    for (j, column) in reference.columns().iter().enumerate() {
        column.for_blocks(0..reference.rows(), |start, block| {
            let places = queries[start * actual + j..].iter_mut().step_by(actual);
            places.zip(block).for_each(|(place, &value)| *place = value);
        });
    }
    Ok(queries)
}

/// The mean, summed by halves: the rounding error grows as the logarithm of the number of terms.
fn mean(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = sum(values, 1.0) / count;
    if mean.is_infinite() { sum(values, 1.0 / count) } else { mean }
}

fn sum(values: &[f64], factor: f64) -> f64 {
    if values.len() <= 128 {
        return values.iter().fold(0.0, |sum, value| sum + value * factor);
    }
    let (left, right) = values.split_at(values.len() / 2);
    sum(left, factor) + sum(right, factor)
}
