//! Hypervolume: the volume that a set of points dominates above a reference point.
//!
//! Points are shifted so that the reference is the origin; those not above it in every objective
//! count nothing and fall away. What is left goes to
//!
//! | objectives | algorithm | time |
//! |---|---|---|
//! | 1 | the largest value | O(n) |
//! | 2 | sweep | O(n log n) |
//! | 3 | sweep with a staircase (Beume et al. 2009) | O(n log n) |
//! | 4 and more | WFG with limit sets (While, Bradstreet, Barone 2012) | exponential in m at worst |

mod exclusive;
mod front;
mod profile;
mod sweep;
mod wfg;

use crate::error::{Error, Kind};
use crate::points::Points;

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
    let above = Above::new(points, reference)?;
    Ok(match above.objectives {
        1 => above.coordinates.iter().copied().fold(0.0, f64::max),
        2 => sweep::area(&mut above.pairs()),
        3 => sweep::volume(&mut above.triples()),
        _ => wfg::volume(&above.coordinates, above.objectives),
    })
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
    let above = Above::new(points, reference)?;
    let found = match above.objectives {
        1 => {
            // A line is a slab of unit width and height.
            let slab: Vec<_> = above.coordinates.iter().map(|&x| [1.0, 1.0, x]).collect();
            exclusive::contributions(&slab)
        }
        2 => {
            let slab: Vec<_> = above.pairs().iter().map(|&[x, y]| [1.0, x, y]).collect();
            exclusive::contributions(&slab)
        }
        3 => exclusive::contributions(&above.triples()),
        _ => wfg::contributions(&above.coordinates, above.objectives),
    };
    let mut contributions = vec![0.0; points.rows()];
    for (row, contribution) in above.rows.into_iter().zip(found) {
        contributions[row as usize] = contribution;
    }
    Ok(contributions)
}

/// The points above the reference in every objective, relative to it, row after row.
struct Above {
    objectives: usize,
    rows: Vec<u32>,
    coordinates: Vec<f64>,
}

impl Above {
    fn new(points: &Points<'_>, reference: &[f64]) -> Result<Self, Error> {
        let objectives = points.objectives();
        if reference.len() != objectives {
            let found = reference.len();
            return Err(Kind::WrongLength { name: "ref", expected: objectives, found }.into());
        }
        if let Some(position) = reference.iter().position(|x| !x.is_finite()) {
            return Err(Kind::NotFinite { name: "ref", position }.into());
        }
        points.require_finite()?;
        let mut above = Self { objectives, rows: Vec::new(), coordinates: Vec::new() };
        let mut shifted = vec![0.0; objectives];
        for row in 0..points.rows() {
            for ((out, column), origin) in shifted.iter_mut().zip(points.columns()).zip(reference) {
                *out = column.get(row) - origin;
            }
            if shifted.iter().all(|&x| x > 0.0) {
                above.rows.push(row as u32);
                above.coordinates.extend_from_slice(&shifted);
            }
        }
        Ok(above)
    }

    fn pairs(&self) -> Vec<[f64; 2]> {
        self.coordinates.as_chunks().0.to_vec()
    }

    fn triples(&self) -> Vec<[f64; 3]> {
        self.coordinates.as_chunks().0.to_vec()
    }
}
