//! The search for the rows of least achievement: bounds from a sample, one pass over all rows,
//! shared among threads.

use std::iter::StepBy;
use std::ops::Range;

use super::best::{Best, Bound};
use super::order::{Candidate, Order};
use super::preference::{Preference, check_directions, check_finite};
use super::scan::{Scan, Scanned};
use crate::choice::dispatch::dispatch;
use crate::choice::kept::keep_first;
use crate::choice::lanes::CHUNK_ROWS;
use crate::choice::room::require_room;
use crate::error::{Error, Kind};
use crate::points::Points;
use crate::threads;

/// The rows of least achievement for each preference, preference by preference, the best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Achievements {
    /// Row numbers.
    pub rows: Vec<u32>,
    /// The achievement of each; where a preference is firm in an objective, the largest shortfall
    /// in such a one, which counts before it.
    pub values: Vec<f64>,
}

/// The `k` rows of least achievement for each preference.
///
/// `ideal` holds a value per objective, in larger-is-better units; `directions` a number per
/// objective of at least 0 for each preference, row after row: how far the preference goes down
/// from the ideal in each objective. The achievement of a row v is the largest
/// (ideal_j - v_j) / d_j; where d_j is 0 the shortfall ideal_j - v_j counts before all that. Rows
/// may surpass the ideal: what they have less than no shortfall counts as such. Equal achievements
/// go to the smaller sum of the terms, equal sums to the earlier row, and no row comes before one
/// that dominates it, whatever is rounded: see the source of this module for the order and a proof.
/// A term beyond the largest f64 is infinite. O(n m P) for P preferences.
///
/// # Errors
/// A value is infinite, a vector has the wrong length, a number of a direction is negative or all
/// are zero, `k` is zero or more than there are rows, or there is no memory for `k` rows of each
/// preference.
///
/// ```
/// use paretohqd::{Column, Points, least_achievement};
///
/// let (x, y) = ([1.0, 0.6, 0.0, 1.0], [0.0, 0.5, 1.0, 0.1]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let least = least_achievement(&points, &[1.0, 1.0], &[0.5, 0.5, 0.0, 1.0], 2)?;
/// // The middle, then what lacks .9 of one objective. The first objective, then the second.
/// assert_eq!(least.rows, [1, 3, 3, 0]);
/// assert_eq!(least.values, [1.0, 1.8, 0.0, 0.0]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn least_achievement(
    points: &Points<'_>,
    ideal: &[f64],
    directions: &[f64],
    k: usize,
) -> Result<Achievements, Error> {
    let m = points.objectives();
    if k == 0 {
        return Err(Kind::Zero { name: "k" }.into());
    }
    if k > points.rows() {
        return Err(Kind::TooFewRows { k, rows: points.rows() }.into());
    }
    if ideal.len() != m {
        return Err(Kind::WrongLength { name: "ideal", expected: m, actual: ideal.len() }.into());
    }
    check_finite("ideal", ideal)?;
    check_directions("directions", directions, m)?;
    let mut each = directions.chunks_exact(m);
    if let Some(preference) = each.position(|d| d.iter().all(|&d| d == 0.0)) {
        return Err(Kind::ZeroDirection { preference }.into());
    }
    require_room(k, directions.len() / m, 2 * size_of::<Candidate>())?;
    let preferences: Vec<_> =
        directions.chunks_exact(m).map(|d| Preference::new(d.to_vec())).collect();
    let best = Search::new(points, ideal, &preferences, k).run()?;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (best, preference) in best.iter().zip(&preferences) {
        rows.extend(best.iter().map(|candidate| candidate.row as u32));
        values.extend(best.iter().map(|candidate| preference.value(candidate.rank)));
    }
    Ok(Achievements { rows, values })
}

/// A search for the rows of least achievement.
pub(super) struct Search<'a> {
    points: &'a Points<'a>,
    ideal: &'a [f64],
    factors: Vec<f64>,
    preferences: Vec<&'a Preference>,
    k: usize,
    threads: usize,
    /// Chunks from one that is sampled to the next.
    stride: usize,
}

impl<'a> Search<'a> {
    /// Of 1 to n rows for each preference.
    pub fn new(
        points: &'a Points<'a>,
        ideal: &'a [f64],
        preferences: &'a [Preference],
        k: usize,
    ) -> Self {
        let rows = points.rows();
        let threads = if threads::worthwhile(rows) { threads::count() } else { 1 };
        let stride = (rows / 1000).isqrt().max(1);
        let factors = factors(points, ideal, CHUNK_ROWS * stride);
        let preferences = preferences.iter().collect();
        Self { points, ideal, factors, preferences, k, threads, stride }
    }

    /// The best rows of each preference, the best first.
    pub fn run(&self) -> Result<Vec<Vec<Candidate>>, Error> {
        let (rows, preferences) = (self.points.rows(), self.preferences.len());
        let work = rows.saturating_mul(preferences) / 16;
        if self.threads > 1 || !threads::worthwhile(work) {
            return self.per_preference();
        }
        // Few rows, but many preferences: these are shared out.
        let size = preferences.div_ceil(threads::count());
        let parts = threads::map(work, preferences.div_ceil(size), |part| {
            let start = part * size;
            self.only(start..preferences.min(start + size)).per_preference()
        });
        Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The same for some of the preferences.
    fn only(&self, preferences: impl IntoIterator<Item = usize>) -> Self {
        let preferences = preferences.into_iter().map(|place| self.preferences[place]).collect();
        Self { preferences, factors: self.factors.clone(), ..*self }
    }

    fn per_preference(&self) -> Result<Vec<Vec<Candidate>>, Error> {
        // As many of the k best rows as are expected in the sample, and a few more: the bound is
        // tight and yet rarely too low.
        let sampled = (self.sample().len() * CHUNK_ROWS) as f64;
        let expected = self.k as f64 * sampled / self.points.rows() as f64;
        let guess = (expected + 4.0 * expected.sqrt() + 4.0) as usize;
        let (mut best, finite) = self.best(&self.bounds(guess.min(self.k)));
        if !finite {
            // Points may come unchecked, so this is where NaN and infinities are refused. Numbers
            // that are too large for single precision pass: they were screened as infinite.
            Points::new(self.points.columns().to_vec())?.require_finite()?;
        }
        let short: Vec<_> = (0..best.len()).filter(|&place| best[place].len() < self.k).collect();
        if !short.is_empty() {
            let again = self.only(short.iter().copied());
            // That k rows of the sample are within a bound is certain.
            let (of_short, _) = again.best(&again.bounds(self.k));
            for (place, of_short) in short.into_iter().zip(of_short) {
                best[place] = of_short;
            }
        }
        Ok(best)
    }

    fn order(&self, place: usize) -> Order<'_> {
        Order { points: self.points, ideal: self.ideal, preference: self.preferences[place] }
    }

    /// The best rows of each preference among those within its bound, the best first; whether all
    /// values are finite in single precision.
    fn best(&self, bounds: &[Bound]) -> (Vec<Vec<Candidate>>, bool) {
        let rows = self.points.rows();
        let size = rows.div_ceil(self.threads).next_multiple_of(CHUNK_ROWS);
        let parts: Vec<Scanned> = threads::map(rows, rows.div_ceil(size), |part| {
            let firsts = (part * size..rows.min((part + 1) * size)).step_by(CHUNK_ROWS);
            self.scan(&self.preferences, firsts, self.k, bounds, true)
        });
        let finite = parts.iter().all(|part| part.finite);
        let merge = |place: usize| {
            let order = self.order(place);
            let mut all = Vec::new();
            for part in &parts {
                all.extend_from_slice(&part.best[place].0);
            }
            keep_first(&mut all, self.k, |a, b| order.compare(a, b));
            all
        };
        let work = self.k.saturating_mul(self.preferences.len());
        (threads::map(work, self.preferences.len(), merge), finite)
    }

    /// First rows of the chunks that are sampled.
    fn sample(&self) -> StepBy<Range<usize>> {
        (0..self.points.rows()).step_by(CHUNK_ROWS * self.stride)
    }

    /// Bounds such that `count` sampled rows are within.
    fn bounds(&self, count: usize) -> Vec<Bound> {
        let (all, m) = (self.preferences.len(), self.points.objectives());
        if self.stride == 1 {
            return vec![Bound::none(m); all];
        }
        let size = all.div_ceil(self.threads).max(1);
        let none = vec![Bound::none(m); size];
        let parts = threads::map(self.points.rows(), all.div_ceil(size), |part| {
            let places = part * size..all.min((part + 1) * size);
            let preferences = &self.preferences[places.clone()];
            let scanned =
                self.scan(preferences, self.sample(), count, &none[..places.len()], false);
            let bound = |(place, (rows, bound))| {
                let mut best = Best::new(self.order(place), count, bound);
                best.rows = rows;
                best.shrink();
                best.bound
            };
            places.zip(scanned.best).map(bound).collect::<Vec<_>>()
        });
        parts.into_iter().flatten().collect()
    }

    /// The `k` best for some preferences in the chunks that start at `firsts`.
    fn scan(
        &self,
        preferences: &[&Preference],
        firsts: StepBy<Range<usize>>,
        k: usize,
        bounds: &[Bound],
        copies: bool,
    ) -> Scanned {
        let &Self { points, ideal, ref factors, .. } = self;
        dispatch(Scan { points, ideal, factors, preferences, k, firsts, bounds, copies })
    }
}

/// By objective, a power of two that brings the shortfalls of every `step`-th row near one.
fn factors(points: &Points<'_>, ideal: &[f64], step: usize) -> Vec<f64> {
    let factor = |(column, ideal): (&crate::Column<'_>, &f64)| {
        let rows = (0..points.rows()).step_by(step);
        let largest = rows.fold(0.0f64, |a, row| a.max((ideal - column.get(row)).abs()));
        let exponent = -largest.log2().floor();
        if exponent.is_finite() { exponent.clamp(-1000.0, 1000.0).exp2() } else { 1.0 }
    };
    points.columns().iter().zip(ideal).map(factor).collect()
}
