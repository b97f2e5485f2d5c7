//! One pass over rows: four together in single precision, then one by one, then in double precision,
//! and ranks of what is left.

use std::iter::StepBy;
use std::ops::Range;

use pulp::Simd;

use super::best::{Best, Bound};
use super::chunk::{Chunk, LEAST};
use super::order::{Candidate, Order};
use super::preference::Preference;
use crate::choice::copies::Copies;
use crate::choice::dispatch::ForObjectives;
use crate::points::Points;
use crate::threads;

/// From so many preferences on, of which a row of a chunk may be among the best, copies are looked
/// for.
const MIN_NEAR: usize = 6;

/// What a scan finds.
pub(super) struct Scanned {
    /// The best rows of each preference, and more; and what bounds them.
    pub best: Vec<(Vec<Candidate>, Bound)>,
    /// Whether no value was NaN or too large for single precision.
    pub finite: bool,
}

/// A scan of some chunks of rows, for the instruction set at hand.
pub(super) struct Scan<'a> {
    pub points: &'a Points<'a>,
    pub ideal: &'a [f64],
    /// Powers of two that bring shortfalls near one, for single precision; by objective.
    pub factors: &'a [f64],
    pub preferences: &'a [&'a Preference],
    pub k: usize,
    /// Where the chunks start.
    pub firsts: StepBy<Range<usize>>,
    pub bounds: &'a [Bound],
    /// Whether rows may have many copies.
    pub copies: bool,
}

impl ForObjectives for Scan<'_> {
    type Output = Scanned;

    fn objectives(&self) -> usize {
        self.points.objectives()
    }

    #[inline(always)]
    fn with_objectives<S: Simd, const M: usize>(self, simd: S) -> Scanned {
        let &Self { points, ideal, factors, k, .. } = &self;
        let m = if M == 0 { points.objectives() } else { M };
        let order = |&preference| Order { points, ideal, preference };
        let mut best: Vec<Best<'_>> = (self.preferences.iter().zip(self.bounds))
            .map(|(preference, bound)| Best::new(order(preference), k, bound.clone()))
            .collect();
        let mut caps = vec![0.0; best.len() * m];
        for (caps, best) in caps.chunks_exact_mut(m).zip(&best) {
            round(caps, best, factors);
        }
        let mut chunk = Chunk::new(m);
        let mut near = Vec::with_capacity(best.len());
        let mut copies = if self.copies { Copies::new(points, k) } else { None };
        let (mut finite, mut all_copies) = (true, false);
        // Now and then: after about as much work as for a few thousand rows and one preference.
        let until_check = 1 + 4096 / (1 + self.preferences.len());
        for (place, first) in self.firsts.enumerate() {
            if place % until_check == 0 {
                threads::check();
            }
            finite &= chunk.read::<M>(points, first, ideal, factors);
            // Where a chunk held nothing but copies the next may, too: it is not even screened then.
            let looked = all_copies;
            if looked {
                all_copies = chunk.leave_out_copies(&mut copies);
                if all_copies {
                    continue;
                }
            }
            screen::<S, M>(simd, &chunk, &caps, &mut near);
            if near.len() >= MIN_NEAR && !looked && copies.is_some() {
                all_copies = chunk.leave_out_copies(&mut copies);
                near.clear();
                if !all_copies {
                    screen::<S, M>(simd, &chunk, &caps, &mut near);
                }
            }
            for place in near.drain(..) {
                let caps = &mut caps[place * m..][..m];
                if push_best::<S, M>(simd, &chunk, caps, &mut best[place]) {
                    round(caps, &best[place], factors);
                }
            }
        }
        Scanned { best: best.into_iter().map(|best| (best.rows, best.bound)).collect(), finite }
    }
}

/// The caps in single precision, in which shortfalls are screened: a number that is at most a cap
/// is at most that when both are rounded.
fn round(caps: &mut [f32], best: &Best<'_>, factors: &[f64]) {
    let preference = best.order.preference;
    for (j, (rounded, cap)) in caps.iter_mut().zip(&best.bound.caps).enumerate() {
        let yields = preference.firm && preference.direction[j] != 0.0;
        *rounded = if yields { f32::INFINITY } else { (cap * factors[j]) as f32 };
    }
}

/// Appends the preferences of which a row of the chunk may be among the best.
#[inline(always)]
fn screen<S: Simd, const M: usize>(simd: S, chunk: &Chunk, caps: &[f32], near: &mut Vec<usize>) {
    let m = if M == 0 { chunk.least.len() } else { M };
    let (least, rounded) = (&chunk.least[..m], &chunk.rounded[..m]);
    for (place, caps) in caps.chunks_exact(m).enumerate() {
        if any_within(simd, least.iter().map(|least| &least[..]), caps)
            && any_within(simd, rounded.iter().map(|rounded| &rounded.0[..]), caps)
        {
            near.push(place);
        }
    }
}

/// Whether a row, or the least of some rows, is within all caps.
#[inline(always)]
fn any_within<'a, S: Simd>(
    simd: S,
    numbers: impl Iterator<Item = &'a [f32]> + Clone,
    caps: &[f32],
) -> bool {
    let zero = simd.splat_f32s(0.0);
    let (mut any, always) =
        (simd.less_than_f32s(zero, zero), simd.less_than_or_equal_f32s(zero, zero));
    let lanes = numbers.clone().next().map_or(0, |numbers| numbers.len());
    for step in 0..lanes / S::F32_LANES {
        let mut within = always;
        for (numbers, &cap) in numbers.clone().zip(caps) {
            let (numbers, _) = S::as_simd_f32s(numbers);
            let here = simd.less_than_or_equal_f32s(numbers[step], simd.splat_f32s(cap));
            within = simd.and_m32s(within, here);
        }
        any = simd.or_m32s(any, within);
    }
    simd.first_true_m32s(any) < S::F32_LANES
}

/// With at most this many fours of rows that may hold one, rows are looked at one by one.
const FEW: usize = 6;

/// Pushes the rows of a chunk that may be among the best; whether that changed the bound.
#[inline(always)]
fn push_best<S: Simd, const M: usize>(
    simd: S,
    chunk: &Chunk,
    caps: &[f32],
    best: &mut Best<'_>,
) -> bool {
    let m = if M == 0 { chunk.least.len() } else { M };
    let mut inside = [u32::MAX; LEAST];
    for (least, &cap) in chunk.least[..m].iter().zip(caps) {
        for lane in 0..LEAST {
            inside[lane] &= if least[lane] <= cap { u32::MAX } else { 0 };
        }
    }
    if inside.iter().map(|inside| (inside & 1) as usize).sum::<usize>() > FEW {
        return push_many::<S, M>(simd, chunk, best);
    }
    let mut changed = false;
    for lane in (0..LEAST).filter(|&lane| inside[lane] != 0) {
        for place in (lane..chunk.rows).step_by(LEAST) {
            changed |= push_row::<M>(chunk, place, best);
        }
    }
    changed
}

/// Pushes a row if it may be among the best; whether that changed the bound.
#[inline(always)]
fn push_row<const M: usize>(chunk: &Chunk, place: usize, best: &mut Best<'_>) -> bool {
    let m = if M == 0 { chunk.shortfalls.len() } else { M };
    let (preference, bound) = (best.order.preference, &best.bound);
    let shortfalls = chunk.shortfalls[..m].iter().map(|shortfalls| shortfalls.0[place]);
    let (direction, caps) = (&preference.direction[..m], &bound.caps[..m]);
    for ((shortfall, &cap), &d) in shortfalls.clone().zip(caps).zip(direction) {
        // Where there are firm objectives, the rank tells whether another one counts. NaN is
        // within no cap.
        if !(shortfall <= cap || preference.firm && d != 0.0 && !shortfall.is_nan()) {
            return false;
        }
    }
    let row = chunk.first + place;
    if bound.last.is_some_and(|last| last.row < row) {
        let mut values = chunk.values[..m].iter().map(|values| values.0[place]);
        if bound.values.iter().all(|last| values.next() == Some(*last)) {
            // A later copy of the last of k rows comes after it.
            return false;
        }
    }
    best.push(Candidate { rank: preference.rank(shortfalls), row })
}

/// The same as [`push_best`] where many rows may be.
#[inline(always)]
fn push_many<S: Simd, const M: usize>(simd: S, chunk: &Chunk, best: &mut Best<'_>) -> bool {
    let m = if M == 0 { chunk.shortfalls.len() } else { M };
    let (shortfalls, values) = (&chunk.shortfalls[..m], &chunk.values[..m]);
    let preference = best.order.preference;
    let zero = simd.splat_f64s(0.0);
    let (never, always) =
        (simd.less_than_f64s(zero, zero), simd.less_than_or_equal_f64s(zero, zero));
    // Later copies of the last of k rows come after it.
    let late = best.bound.last.is_some_and(|last| last.row < chunk.first);
    let mut changed = false;
    for (step, first) in (0..chunk.rows).step_by(S::F64_LANES).enumerate() {
        // What is no better in the firm objectives must be good enough in the others.
        let (mut within, mut others) = (always, always);
        let mut better = if preference.firm { always } else { never };
        let mut differs = if late { never } else { always };
        for j in 0..m {
            let (s, _) = S::as_simd_f64s(&shortfalls[j].0);
            let cap = simd.splat_f64s(best.bound.caps[j]);
            let here = simd.less_than_or_equal_f64s(s[step], cap);
            if preference.direction[j] == 0.0 {
                within = simd.and_m64s(within, here);
                better = simd.and_m64s(better, simd.less_than_f64s(s[step], cap));
            } else {
                others = simd.and_m64s(others, here);
            }
            if late {
                let (v, _) = S::as_simd_f64s(&values[j].0);
                let last = simd.splat_f64s(best.bound.values[j]);
                let apart = simd.or_m64s(
                    simd.less_than_f64s(v[step], last),
                    simd.less_than_f64s(last, v[step]),
                );
                differs = simd.or_m64s(differs, apart);
            }
        }
        within = simd.and_m64s(simd.and_m64s(within, simd.or_m64s(others, better)), differs);
        if simd.first_true_m64s(within) == S::F64_LANES {
            continue;
        }
        for place in first..chunk.rows.min(first + S::F64_LANES) {
            changed |= push_row::<M>(chunk, place, best);
        }
    }
    changed
}
