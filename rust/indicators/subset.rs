//! The k points that keep most of a set's hypervolume.
//!
//! In up to two objectives the best subset is found ([`staircase`]); in more, where that is NP-hard
//! (Bringmann, Cabello, Emmerich 2017), points are chosen one after another ([`greedy`]).
//!
//! [`staircase`]: super::staircase
//! [`greedy`]: super::greedy

use super::{greedy, staircase};
use crate::error::{Error, Kind};
use crate::hypervolume::{check, hypervolume};
use crate::layers::{Stop, layers};
use crate::points::{Column, Points};
use crate::threads;

/// Rows, and what they dominate.
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    /// The rows: from three objectives on in the order of choice, else ascending; last, ascending,
    /// those that were taken only because no row was left that adds volume.
    pub rows: Vec<u32>,
    /// The hypervolume of these rows.
    pub volume: f64,
}

/// `k` rows that keep most of the hypervolume above `reference`.
///
/// In one and two objectives no k rows dominate more, up to rounding. From three on each row is the
/// one that adds most to those chosen before, and the k rows have at least 1 - 1/e, 63 %, of what
/// the best k rows have. Ties go to the earlier row. Where fewer than `k` rows add volume, the
/// first of the others follow.
///
/// # Errors
/// As for [`hypervolume`], or `k` is 0 or more than there are rows.
///
/// ```
/// use paretohqd::{Column, Points, hypervolume_subset};
///
/// let (x, y) = ([1.0, 2.0, 3.0, 0.5], [3.0, 2.5, 1.0, 0.5]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let subset = hypervolume_subset(&points, 2, &[0.0, 0.0])?;
/// assert_eq!((subset.rows, subset.volume), (vec![1, 2], 6.0));
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn hypervolume_subset(
    points: &Points<'_>,
    k: usize,
    reference: &[f64],
) -> Result<Subset, Error> {
    check(points, reference)?;
    let rows = points.rows();
    if k == 0 {
        return Err(Kind::Zero { name: "k" }.into());
    }
    if k > rows {
        return Err(Kind::TooFewRows { k, rows }.into());
    }
    let candidates = Candidates::new(points, reference);
    let chosen = match &candidates.columns[..] {
        [x] => greedy::largest(x),
        [x, y] => staircase::best(x, y, k),
        columns => greedy::choose(columns, k),
    };
    let mut rows: Vec<u32> = chosen.iter().map(|&place| candidates.rows[place as usize]).collect();
    if points.objectives() <= 2 {
        rows.sort_unstable();
    }
    fill(&mut rows, k, points.rows());
    let columns: Vec<Vec<f64>> = points
        .columns()
        .iter()
        .map(|column| column.gather(rows.iter().map(|&row| row as usize), |x| x))
        .collect();
    let volume = hypervolume(&points.part(&columns), reference)?;
    Ok(Subset { rows, volume })
}

/// Appends the first rows that are not there yet, up to `k`.
fn fill(rows: &mut Vec<u32>, k: usize, count: usize) {
    if rows.len() == k {
        return;
    }
    let mut taken = vec![false; count];
    rows.iter().for_each(|&row| taken[row as usize] = true);
    let missing = k - rows.len();
    let others = (0..count as u32).filter(|&row| !taken[row as usize]);
    rows.extend(others.take(missing));
}

/// The points that may be chosen: above the reference and dominated by none.
struct Candidates {
    /// Their objectives, relative to the reference, each in units of a power of two so that the
    /// largest value is about 1: no product is too large for a double.
    columns: Vec<Vec<f64>>,
    /// Their rows, ascending.
    rows: Vec<u32>,
}

impl Candidates {
    fn new(points: &Points<'_>, reference: &[f64]) -> Self {
        let mut above = vec![true; points.rows()];
        for (column, &reference) in points.columns().iter().zip(reference) {
            threads::check();
            column.for_blocks(0..above.len(), |start, block| {
                for (above, &value) in above[start..].iter_mut().zip(block) {
                    *above &= value > reference;
                }
            });
        }
        let gather = |rows: &[u32], column: &Column<'_>| {
            threads::check();
            column.gather(rows.iter().map(|&row| row as usize), |x| x)
        };
        let mut rows: Vec<u32> =
            (0..above.len() as u32).filter(|&row| above[row as usize]).collect();
        let columns: Vec<Vec<f64>> =
            points.columns().iter().map(|column| gather(&rows, column)).collect();
        let numbers = layers(&points.part(&columns), Stop::UpTo(1));
        let mut numbers = numbers.into_iter();
        rows.retain(|_| numbers.next() == Some(0));
        let columns = points.columns().iter().zip(reference);
        let columns = columns.map(|(column, &r)| relative(gather(&rows, column), r)).collect();
        Self { columns, rows }
    }
}

/// Values less the reference, in units of a power of two.
fn relative(mut values: Vec<f64>, reference: f64) -> Vec<f64> {
    let best = values.iter().copied().fold(reference, f64::max);
    // Halves of what lies further apart than the largest double.
    let half = if (best - reference).is_finite() { 1.0 } else { 0.5 };
    let (mut factor, mut largest) = (1.0, best * half - reference * half);
    // In steps, for a power of two that makes the smallest double 1 is none.
    while largest > 0.0 && !(0.5..=1.0).contains(&largest) {
        let step = if largest > 1.0 { 0.5 } else { 2.0 };
        if factor * step > f64::MAX / 4.0 {
            break;
        }
        factor *= step;
        largest *= step;
    }
    for value in &mut values {
        *value = (*value * half - reference * half) * factor;
    }
    values
}
