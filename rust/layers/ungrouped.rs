//! The layers of all rows: which algorithm runs is decided here, by the objectives that matter and
//! the stop.

use super::bound::{Bound, bound};
use super::lexicographic::Distinct;
use super::ranked::Ranked;
use super::stop::{PAST_STOP, Stop, capped, cut};
use super::{divide, patience, ranks, single, small, wavefront};
use crate::error::Error;
use crate::points::{Column, Points};
use crate::threads;

/// So many layers are tried first where a number of rows is asked for.
const FIRST_LAYERS: usize = 8;

/// More are not tried: to number all rows takes hardly longer.
const MAX_TRIED_LAYERS: usize = 512;

/// The Pareto layer of every row: 0 for the front, -1 past the stop.
///
/// Equal rows share a layer; infinities are ordered like numbers; no row gives no layer.
///
/// # Errors
/// The stop asks for zero layers or rows.
///
/// ```
/// use paretohqd::{Column, Points, Stop, pareto_layers};
///
/// let column = [3.0, 1.0, 2.0, 3.0];
/// let points = Points::new(vec![Column::F64(&column)])?;
/// assert_eq!(pareto_layers(&points, Stop::UpTo(2))?, [0, -1, 1, 0]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn pareto_layers(points: &Points<'_>, stop: Stop) -> Result<Vec<i32>, Error> {
    let stop = stop.check()?;
    Ok(threads::share(points.rows(), || layers(points, stop)))
}

/// [`pareto_layers`] with a stop that was checked before.
pub(crate) fn layers(points: &Points<'_>, stop: Stop) -> Vec<i32> {
    // Of a fuzzer's few rows half are for the algorithms that are hard to get right.
    let few = if cfg!(fuzzing) && points.rows().is_multiple_of(2) {
        None
    } else {
        small::number(points, stop)
    };
    few.unwrap_or_else(|| layers_of_many(points, stop))
}

/// [`layers`] as of many rows; right for few as well.
pub(super) fn layers_of_many(points: &Points<'_>, stop: Stop) -> Vec<i32> {
    let rows = points.rows();
    match stop {
        Stop::Never => number(points, rows as u32, false),
        Stop::UpTo(1) | Stop::AtLeast(1) => {
            single::number_front(points, |part| number_first(part, 1))
        }
        Stop::UpTo(layers) => number_first(points, layers.min(rows) as u32),
        Stop::AtLeast(covered) => number_until(points, covered),
    }
}

/// The layers with which `covered` rows are covered.
fn number_until(points: &Points<'_>, covered: usize) -> Vec<i32> {
    // Few rows lie in few layers: try some first, when the rows asked for are few.
    let few = covered < points.rows() / 8;
    let mut layers = FIRST_LAYERS;
    for _ in 0..2 {
        if !few || layers >= covered || layers > MAX_TRIED_LAYERS {
            break;
        }
        let mut numbers = number_first(points, layers as u32);
        let held = numbers.iter().filter(|&&number| number != PAST_STOP).count();
        if held >= covered {
            cut(&mut numbers, covered);
            return numbers;
        }
        // Further layers seldom hold fewer rows than the first.
        layers = (layers * covered).div_ceil(held.max(1));
    }
    // No more than `covered` layers can be needed: each holds a row.
    let mut numbers = number(points, covered.min(points.rows()) as u32, few);
    cut(&mut numbers, covered);
    numbers
}

/// The first `cap` layers; rows that a sample proves to be past them are not looked at again.
fn number_first(points: &Points<'_>, cap: u32) -> Vec<i32> {
    // A constant objective decides nothing, and no row could be strictly worse in it.
    let points = &points.varying();
    let first = |sample: &Points<'_>| layers(sample, Stop::UpTo(cap as usize));
    let open = match bound(points, cap, first) {
        Bound::Few(open) => open,
        Bound::Many => return number(points, cap, true),
        Bound::All => return number(points, cap, false),
    };
    let gather = |column: &Column<'_>| open.iter().map(|&row| column.get(row as usize)).collect();
    let columns: Vec<Vec<f64>> =
        threads::each(open.len(), points.columns().iter().collect(), gather);
    let mut numbers = vec![PAST_STOP; points.rows()];
    let part = points.part(&columns);
    for (&row, number) in open.iter().zip(number(&part, cap, true)) {
        numbers[row as usize] = number;
    }
    numbers
}

/// Layers below `cap`, -1 for the rest, which are many if `prune`.
fn number(points: &Points<'_>, cap: u32, prune: bool) -> Vec<i32> {
    if let &[first, second] = points.columns()
        && let Some(numbers) = patience::number_columns(first, second, cap)
    {
        return numbers;
    }
    // One after the other, each on all threads: less memory than side by side.
    let ranked = decisive(points.columns().iter().map(|&column| ranks::rank(column)));
    match &ranked[..] {
        [] => vec![0; points.rows()],
        [only] => only.ranks.iter().map(|&rank| capped(rank, cap)).collect(),
        [_, _, ..] => {
            let distinct = Distinct::new(ranked);
            let numbers = match &distinct.columns[..] {
                [only] => patience::number(only, cap),
                [second, third] => wavefront::number(second, third, cap),
                // To look again and again for rows past the stop pays only if there are some.
                columns => divide::number(columns, if prune { cap } else { u32::MAX }),
            };
            distinct.spread(&numbers, |layer| capped(layer, cap))
        }
    }
}

/// The objectives that decide dominance: not constant, and no copy of an earlier one.
fn decisive(ranked: impl Iterator<Item = Ranked>) -> Vec<Ranked> {
    let mut kept: Vec<Ranked> = Vec::new();
    for column in ranked {
        let copies = |k: &Ranked| k.distinct == column.distinct && k.ranks == column.ranks;
        if column.distinct > 1 && !kept.iter().any(copies) {
            kept.push(column);
        }
    }
    kept
}
