//! Crowding distance: how far the neighbours of each point lie apart (Deb et al. 2002).
//!
//! In each objective the points are sorted; a point gets the gap between the next better and the
//! next worse value, as a share of the range, and the two extreme points get infinity. Equal points
//! are one. Ties in an objective are ordered by the other objectives, from the first on, so that
//! distances depend on the points and not on how they are numbered. O(m n log n).

use super::sorted::sorted;
use crate::error::Error;
use crate::groups::segments::{Segments, runs};
use crate::points::Points;
use crate::sort::descending_key;
use crate::threads;

/// Rows of groups that are gathered at a time; a larger group is a part of its own.
const PART_ROWS: usize = 1 << 13;

/// The crowding distance of every point: the sum over the objectives of the gap between its
/// neighbours' values over the range of all values.
///
/// The first and the last point of an objective in which the points differ get infinity; an
/// objective in which all are equal adds nothing. Of equal points the first gets the distance of
/// all, its copies get 0. One point alone, or with copies only, gets infinity.
///
/// # Errors
/// A value is infinite.
///
/// ```
/// use paretohqd::{Column, Points, crowding_distance};
///
/// let (x, y) = ([0.0, 1.0, 2.0, 4.0], [4.0, 2.0, 1.0, 0.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// assert_eq!(crowding_distance(&points)?, [f64::INFINITY, 1.25, 1.25, f64::INFINITY]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn crowding_distance(points: &Points<'_>) -> Result<Vec<f64>, Error> {
    points.require_finite()?;
    let rows = points.rows();
    let columns = threads::map(rows, points.objectives(), |j| {
        let mut column = vec![0.0; rows];
        points.columns()[j].copy_to(0, &mut column);
        column
    });
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let mut distances = vec![0.0; rows];
    crowding(&columns, &mut distances, &mut Vec::new());
    Ok(distances)
}

/// [`crowding_distance`] within each group, such as a Pareto layer: `ids[i]`, below `groups`, is
/// the group of row i.
///
/// # Errors
/// As for [`crowding_distance`], or an id is missing or out of range.
///
/// ```
/// use paretohqd::{Column, Points, crowding_distance_in_groups};
///
/// let points = Points::new(vec![Column::F64(&[0.0, 1.0, 5.0, 4.0])])?;
/// let distances = crowding_distance_in_groups(&points, &[0, 0, 1, 0], 2)?;
/// assert_eq!(distances, [f64::INFINITY, 1.0, f64::INFINITY, f64::INFINITY]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn crowding_distance_in_groups(
    points: &Points<'_>,
    ids: &[u32],
    groups: usize,
) -> Result<Vec<f64>, Error> {
    let rows = points.rows();
    let segments = Segments::new(ids, groups, rows)?;
    points.require_finite()?;
    let parts: Vec<&[u32]> = runs(segments.ends(), PART_ROWS).collect();
    let starts: Vec<usize> = std::iter::once(0)
        .chain(parts.iter().filter_map(|ends| ends.last().map(|&end| end as usize)))
        .collect();
    let part = |part: usize| {
        let (ends, first, last) = (parts[part], starts[part], starts[part + 1]);
        let columns = segments.columns(points, first, last - first, 0);
        let mut distances = vec![0.0; last - first];
        let (mut start, mut items) = (0, Vec::new());
        for &end in ends {
            let end = end as usize - first;
            let group: Vec<&[f64]> = columns.iter().map(|column| &column[start..end]).collect();
            crowding(&group, &mut distances[start..end], &mut items);
            start = end;
        }
        distances
    };
    let by_part = threads::map(rows, parts.len(), part);
    let mut distances = vec![0.0; rows];
    for (place, distance) in by_part.into_iter().flatten().enumerate() {
        distances[segments.row(place)] = distance;
    }
    Ok(distances)
}

/// Adds the distances of the points of one group, which are 0 before; `items` is only a buffer.
fn crowding(columns: &[&[f64]], distances: &mut [f64], items: &mut Vec<(u64, u32)>) {
    let others = |a: &u32, b: &u32| {
        let value = |column: &&[f64], row: u32| descending_key(column[row as usize]);
        let by_values = columns[1..].iter().map(|column| value(column, *a).cmp(&value(column, *b)));
        by_values.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then(a.cmp(b))
    };
    let mut distinct = sorted(columns[0], |ties| ties.sort_unstable_by(others), items);
    distinct.dedup_by(|b, a| columns.iter().all(|c| c[*a as usize] == c[*b as usize]));
    if let [only] = distinct[..] {
        distances[only as usize] = f64::INFINITY;
        return;
    }
    add_gaps(&distinct, columns[0], distances);
    // Places among the distinct points are numbers by which ties can be ordered.
    let order = |column: &&[f64], items: &mut Vec<(u64, u32)>| {
        let values: Vec<f64> = distinct.iter().map(|&row| column[row as usize]).collect();
        let mut order = sorted(&values, <[u32]>::sort_unstable, items);
        order.iter_mut().for_each(|place| *place = distinct[*place as usize]);
        order
    };
    if threads::worthwhile(distinct.len()) {
        let orders = threads::map(distinct.len(), columns.len() - 1, |j| {
            order(&columns[j + 1], &mut Vec::new())
        });
        for (order, column) in orders.iter().zip(&columns[1..]) {
            add_gaps(order, column, distances);
        }
    } else {
        for column in &columns[1..] {
            add_gaps(&order(column, items), column, distances);
        }
    }
}

/// Adds to each point what its neighbours in an order by `column`, the best first, are apart.
fn add_gaps(order: &[u32], column: &[f64], distances: &mut [f64]) {
    let (Some(&first), Some(&last)) = (order.first(), order.last()) else { return };
    let (best, worst) = (column[first as usize], column[last as usize]);
    if best <= worst {
        return;
    }
    // Halves of what lies further apart than the largest double.
    let scale = if (best - worst).is_finite() { 1.0 } else { 0.5 };
    let range = best * scale - worst * scale;
    distances[first as usize] = f64::INFINITY;
    distances[last as usize] = f64::INFINITY;
    let (mut before, mut here) = (best, order.get(1).map_or(worst, |&row| column[row as usize]));
    for pair in order[1..].windows(2) {
        let after = column[pair[1] as usize];
        distances[pair[0] as usize] += (before * scale - after * scale) / range;
        (before, here) = (here, after);
    }
}
