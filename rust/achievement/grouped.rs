//! The k rows of each group of least achievement, in one call for all groups.
//!
//! Groups up to some thousand rows are ranked row by row: a screen and a sample would cost more
//! than they save. Larger groups go to the search for ungrouped rows. Both compute ranks in the
//! same way, to the last bit.

use pulp::{Arch, NullaryFnOnce};

use super::order::{Candidate, Order};
use super::preference::{Preference, Rank, check_directions, check_finite, larger};
use super::search::{Achievements, Search};
use crate::choice::kept::keep_first;
use crate::choice::room::require_room;
use crate::error::{Error, Kind};
use crate::groups::segments::runs;
use crate::groups::starts::{Part, check_starts, held, split_off, write};
use crate::points::Points;
use crate::threads;

/// Groups of up to this many rows are ranked row by row.
const EXHAUSTIVE_ROWS: usize = 1 << 10;

/// Whole groups are ranked together up to about this many rows, which stay in cache.
const RUN_ROWS: usize = 1 << 12;

/// Preferences of a group after which it is looked whether the call was stopped.
const PREFERENCES_UNTIL_CHECK: usize = 256;

/// The `k` rows of each group of least achievement, or all rows of a smaller group.
///
/// Group g is the rows from `starts[g]` up to `starts[g + 1]`. Its ideal point is `ideals[g]`, and
/// preference p goes down from it by `directions[p] * units[g]`, objective by objective; `ideals`,
/// `units` and `directions` are row after row. An objective in which that is 0 counts before all
/// others, as in [`least_achievement`](crate::least_achievement), and may be any here. Rows and
/// values are those of the group alone.
///
/// Returned are min(k, size) rows of each group, group after group for the first preference, then
/// for the next.
///
/// # Errors
/// `starts` does not ascend from 0 to the number of rows, a length does not fit, a value is not
/// finite, a unit or a direction is negative, `k` is zero, or there is no memory for the answer.
///
/// ```
/// use paretohqd::{Column, Points, least_achievement_in_groups};
///
/// let (x, y) = ([1.0, 0.0, 0.6, 2.0, 0.0], [0.0, 1.0, 0.5, 0.0, 1.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let (best, directions) = ([1.0, 1.0, 2.0, 1.0], [0.5, 0.5, 0.0, 1.0]);
/// let least = least_achievement_in_groups(&points, &[0, 3, 5], &best, &best, &directions, 1)?;
/// assert_eq!(least.rows, [2, 3, 0, 3]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn least_achievement_in_groups(
    points: &Points<'_>,
    starts: &[u32],
    ideals: &[f64],
    units: &[f64],
    directions: &[f64],
    k: usize,
) -> Result<Achievements, Error> {
    if k == 0 {
        return Err(Kind::Zero { name: "k" }.into());
    }
    let m = points.objectives();
    let ends = check_starts(starts, points.rows())?;
    for (name, values) in [("ideals", ideals), ("units", units)] {
        if values.len() != ends.len() * m {
            let (expected, actual) = (ends.len() * m, values.len());
            return Err(Kind::WrongPerGroup { name, expected, actual }.into());
        }
        check_finite(name, values)?;
    }
    check_directions("units", units, m)?;
    check_directions("directions", directions, m)?;
    let largest = directions.iter().copied().fold(0.0, larger);
    if let Some(position) = units.iter().position(|unit| !(unit * largest).is_finite()) {
        return Err(Kind::NotFinite { name: "units", position }.into());
    }
    points.require_finite()?;
    let (all, per_preference) = (directions.len() / m, held(starts, k));
    require_room(per_preference, all, 0)?;
    let (mut rows, mut values) = (vec![0; all * per_preference], vec![0.0; all * per_preference]);
    let parts = values.chunks_mut(per_preference.max(1));
    let mut rest: Vec<_> = rows.chunks_mut(per_preference.max(1)).zip(parts).collect();
    let (mut tasks, mut first) = (Vec::new(), 0);
    for ends in runs(ends, RUN_ROWS) {
        let starts = &starts[first..=first + ends.len()];
        let held = held(starts, k);
        let out = rest.iter_mut().map(|part| split_off(part, held)).collect();
        let (ideals, units) = (&ideals[first * m..], &units[first * m..]);
        tasks.push(Run { points, starts, ideals, units, directions, k, out });
        first += ends.len();
    }
    let search = |run: Run<'_>| Arch::new().dispatch(run);
    let weight = (points.rows() / 16).saturating_mul(all);
    threads::each(weight, tasks, search).into_iter().collect::<Result<(), Error>>()?;
    Ok(Achievements { rows, values })
}

/// Groups that are ranked together.
struct Run<'a> {
    points: &'a Points<'a>,
    /// Where each group starts and the last one ends.
    starts: &'a [u32],
    /// Ideal points of these groups and of those that follow.
    ideals: &'a [f64],
    /// Their units.
    units: &'a [f64],
    directions: &'a [f64],
    k: usize,
    /// What to fill in, preference by preference.
    out: Vec<Part<'a>>,
}

impl NullaryFnOnce for Run<'_> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn call(mut self) -> Self::Output {
        let m = self.points.objectives();
        let mut preferences: Vec<Preference> = Vec::new();
        let mut units: &[f64] = &[];
        let mut group = Group { values: vec![Vec::new(); m], ..Group::default() };
        let mut at = 0;
        let boxes = self.ideals.chunks_exact(m).zip(self.units.chunks_exact(m));
        for (ends, (ideal, own_units)) in self.starts.windows(2).zip(boxes) {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            if start == end {
                continue;
            }
            // Groups in units of their own boxes share directions.
            if units != own_units {
                units = own_units;
                let scaled = |d: &[f64]| d.iter().zip(units).map(|(d, unit)| d * unit).collect();
                preferences =
                    self.directions.chunks_exact(m).map(|d| Preference::new(scaled(d))).collect();
            }
            let held = self.k.min(end - start);
            for (column, values) in self.points.columns().iter().zip(&mut group.values) {
                values.resize(end - start, 0.0);
                column.copy_to(start, values);
            }
            let part = self.points.part(&group.values);
            if end - start <= EXHAUSTIVE_ROWS {
                group.shortfalls.resize(m, Vec::new());
                for ((s, v), ideal) in group.shortfalls.iter_mut().zip(&group.values).zip(ideal) {
                    s.clear();
                    s.extend(v.iter().map(|v| ideal - v));
                }
                for (place, (preference, out)) in preferences.iter().zip(&mut self.out).enumerate()
                {
                    if place % PREFERENCES_UNTIL_CHECK == 0 {
                        threads::check();
                    }
                    let order = Order { points: &part, ideal, preference };
                    let ranked = (&mut group.firm, &mut group.yielding);
                    rank(&group.shortfalls, preference, ranked);
                    let ranks = group.firm.iter().zip(&group.yielding).enumerate();
                    let candidates = ranks.map(|(row, (&firm, &yielding))| Candidate {
                        rank: Rank { firm, yielding },
                        row,
                    });
                    best(order, candidates, held, &mut group.best);
                    let found = group
                        .best
                        .iter()
                        .map(|best| (best.row as u32, preference.value(best.rank)));
                    write(out, start, at, found);
                }
            } else {
                let all = Search::new(&part, ideal, &preferences, held).run()?;
                for ((preference, best), out) in preferences.iter().zip(all).zip(&mut self.out) {
                    let found =
                        best.iter().map(|best| (best.row as u32, preference.value(best.rank)));
                    write(out, start, at, found);
                }
            }
            at += held;
        }
        Ok(())
    }
}

/// The rows of one group.
#[derive(Default)]
struct Group {
    /// By objective.
    values: Vec<Vec<f64>>,
    shortfalls: Vec<Vec<f64>>,
    /// The ranks for one preference.
    firm: Vec<f64>,
    yielding: Vec<f64>,
    best: Vec<Candidate>,
}

/// The ranks of rows with these shortfalls, by objective.
#[inline(always)]
fn rank(shortfalls: &[Vec<f64>], preference: &Preference, ranks: (&mut Vec<f64>, &mut Vec<f64>)) {
    let (firm, yielding) = ranks;
    for ranks in [&mut *firm, &mut *yielding] {
        ranks.clear();
        ranks.resize(shortfalls[0].len(), f64::NEG_INFINITY);
    }
    for (shortfalls, &d) in shortfalls.iter().zip(&preference.direction) {
        if d == 0.0 {
            firm.iter_mut().zip(shortfalls).for_each(|(rank, s)| *rank = larger(*rank, *s));
        } else {
            yielding.iter_mut().zip(shortfalls).for_each(|(rank, s)| *rank = larger(*rank, s / d));
        }
    }
}

/// The k best, the best first.
#[inline(always)]
fn best(
    order: Order<'_>,
    candidates: impl Iterator<Item = Candidate>,
    k: usize,
    best: &mut Vec<Candidate>,
) {
    best.clear();
    if k == 1 {
        // The usual case needs no list.
        best.extend(candidates.reduce(|a, b| if order.compare(&b, &a).is_lt() { b } else { a }));
        return;
    }
    best.extend(candidates);
    keep_first(best, k, |a, b| order.compare(a, b));
}
