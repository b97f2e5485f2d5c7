//! How good a set of points is beside a reference: IGD+, additive epsilon, R2.
//!
//! Each asks, of every reference point or weight vector, for the least loss that a point of the set
//! has ([`loss`]). Points that are worse than a few good ones in every objective lose more than
//! these and are screened out; the rest lie in a tree of bounds ([`tree`]). In the worst case, many
//! objectives in which bounds tell nothing, all pairs are looked at: O(n r m).
//!
//! [`loss`]: super::loss
//! [`tree`]: super::tree

use pulp::{Arch, NullaryFnOnce};

use super::loss::{Excess, Loss, Shortfall, Tchebycheff};
use super::tree::Tree;
use crate::error::{Error, Kind};
use crate::layers::{Stop, layers};
use crate::points::{Column, Points};
use crate::screen::unbeaten;
use crate::threads;

/// Fewer points are not worth a screen.
const MIN_SCREENED_ROWS: usize = 1 << 12;

/// Points in a sample, the best of which screen the others.
const SAMPLE_ROWS: usize = 1 << 11;

/// How many points screen.
const SCREENING: usize = 16;

/// Queries that a thread answers at a time, one after another.
const TURN_QUERIES: usize = 64;

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
    /// Squares below are not sure to be exact: they, and what is beyond a double, are scaled.
    const LEAST_SQUARE: f64 = f64::MIN_POSITIVE * (1u64 << 60) as f64 * (1u64 << 60) as f64;
    let queries = queries(points, reference)?;
    let Some(tree) = tree(points) else { return Ok(f64::INFINITY) };
    let mut distances = losses(&tree, Shortfall { scale: 1.0 }, &queries);
    let (small, large) = (2f64.powi(-540), 2f64.powi(500));
    let mut stack = Vec::new();
    for (query, square) in queries.chunks_exact(points.objectives()).zip(&mut distances) {
        let scale = match *square {
            square if square == f64::INFINITY => small,
            square if square < LEAST_SQUARE => large,
            _ => {
                *square = square.sqrt();
                continue;
            }
        };
        *square = tree.least(Shortfall { scale }, query, 0.0, &mut stack).sqrt() / scale;
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
    let Some(tree) = tree(points) else { return Ok(f64::INFINITY) };
    let largest = turns(&tree, Excess, &queries, true);
    Ok(largest.into_iter().flatten().fold(f64::NEG_INFINITY, f64::max))
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
    let Some(tree) = tree(points) else { return Ok(f64::INFINITY) };
    Ok(mean(&losses(&tree, Tchebycheff { ideal }, weights)))
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

/// The points that matter; `None` if there is no point.
fn tree(points: &Points<'_>) -> Option<Tree> {
    let rows = points.rows();
    if rows == 0 {
        return None;
    }
    if rows < MIN_SCREENED_ROWS {
        let column = |column: &Column<'_>| column.gather(0..rows, |x| x);
        return Some(Tree::new(&points.columns().iter().map(column).collect::<Vec<_>>()));
    }
    // Not one of those that screen is beaten by another, so something is left.
    let left = unbeaten(points, &vec![true; points.objectives()], &screening(points)).ok()?.rows;
    let columns = threads::map(left.len(), points.objectives(), |j| {
        points.columns()[j].gather(left.iter().map(|&row| row as usize), |x| x)
    });
    Some(Tree::new(&columns))
}

/// Points of a sample's front that many others are worse than in every objective, one after another.
fn screening(points: &Points<'_>) -> Vec<f64> {
    let step = points.rows().div_ceil(SAMPLE_ROWS);
    let sample = |column: &Column<'_>| column.gather((0..points.rows()).step_by(step), |x| x);
    let columns: Vec<Vec<f64>> = points.columns().iter().map(sample).collect();
    let numbers = layers(&points.part(&columns), Stop::UpTo(1));
    let mut front: Vec<usize> = (0..numbers.len()).filter(|&row| numbers[row] == 0).collect();
    // A front that is most of the sample screens out next to nothing, whichever points are taken.
    front.truncate(8 * SCREENING);
    let beats = |row: usize| {
        let worse = |other: &usize| columns.iter().all(|column| column[*other] < column[row]);
        (0..numbers.len()).filter(worse).count()
    };
    front.sort_by_cached_key(|&row| (std::cmp::Reverse(beats(row)), row));
    front.truncate(SCREENING);
    front.iter().flat_map(|&row| columns.iter().map(move |column| column[row])).collect()
}

/// The least loss of each query.
fn losses(tree: &Tree, loss: impl Loss, queries: &[f64]) -> Vec<f64> {
    turns(tree, loss, queries, false).concat()
}

/// Least losses, turn after turn of queries; with `largest`, of each turn only the largest.
fn turns(tree: &Tree, loss: impl Loss, queries: &[f64], largest: bool) -> Vec<Vec<f64>> {
    let turn = TURN_QUERIES * tree.objectives();
    let arch = Arch::new();
    // A query looks at some blocks, so that few of them are already worth a thread.
    threads::map(queries.len() * 64, queries.len().div_ceil(turn), |i| {
        let queries = &queries[i * turn..queries.len().min((i + 1) * turn)];
        arch.dispatch(Turn { tree, loss, queries, largest })
    })
}

struct Turn<'a, L> {
    tree: &'a Tree,
    loss: L,
    queries: &'a [f64],
    largest: bool,
}

impl<L: Loss> NullaryFnOnce for Turn<'_, L> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let Self { tree, loss, queries, largest } = self;
        let queries = queries.chunks_exact(tree.objectives());
        let mut stack = Vec::new();
        if largest {
            let mut most = f64::NEG_INFINITY;
            for query in queries {
                // What is no larger than the largest so far need not be known.
                most = most.max(tree.least(loss, query, most, &mut stack));
            }
            return vec![most];
        }
        queries.map(|query| tree.least(loss, query, f64::NEG_INFINITY, &mut stack)).collect()
    }
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
