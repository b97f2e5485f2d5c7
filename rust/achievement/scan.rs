//! One pass over rows: four together in single precision, then each in double precision, and ranks
//! where a row is not out of the question.

use std::iter::StepBy;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::best::{Best, Bound};
use super::order::{Candidate, Order};
use super::preference::Preference;
use crate::lanes::{CHUNK_ROWS, Lanes, read};
use crate::points::Points;

/// Numbers of a chunk's rows, of which the least of every four is kept: one full vector, or more.
const LEAST: usize = CHUNK_ROWS / 4;

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
}

impl WithSimd for Scan<'_> {
    type Output = Scanned;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Scanned {
        match self.points.objectives() {
            1 => self.scan::<S, 1>(simd),
            2 => self.scan::<S, 2>(simd),
            3 => self.scan::<S, 3>(simd),
            4 => self.scan::<S, 4>(simd),
            5 => self.scan::<S, 5>(simd),
            _ => self.scan::<S, 0>(simd),
        }
    }
}

impl Scan<'_> {
    #[inline(always)]
    fn scan<S: Simd, const M: usize>(self, simd: S) -> Scanned {
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
        let mut finite = true;
        for first in self.firsts {
            finite &= chunk.read::<M>(points, first, ideal, factors);
            screen::<S, M>(simd, &chunk.least, &caps, &mut near);
            for place in near.drain(..) {
                if push_best::<S, M>(simd, &chunk, &mut best[place]) {
                    round(&mut caps[place * m..][..m], &best[place], factors);
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

/// Some rows and their shortfalls; by objective.
struct Chunk {
    first: usize,
    rows: usize,
    values: Vec<Lanes<f64>>,
    shortfalls: Vec<Lanes<f64>>,
    /// The least shortfall of every four rows, rounded.
    least: Vec<[f32; LEAST]>,
}

impl Chunk {
    fn new(m: usize) -> Self {
        Self {
            first: 0,
            rows: 0,
            values: vec![Lanes([0.0; CHUNK_ROWS]); m],
            shortfalls: vec![Lanes([0.0; CHUNK_ROWS]); m],
            least: vec![[0.0; LEAST]; m],
        }
    }

    /// Reads the rows from `first` on; whether all are finite in single precision.
    #[inline(always)]
    fn read<const M: usize>(
        &mut self,
        points: &Points<'_>,
        first: usize,
        ideal: &[f64],
        factors: &[f64],
    ) -> bool {
        let m = if M == 0 { self.values.len() } else { M };
        self.first = first;
        self.rows = read::<M>(points, first, &mut self.values);
        let mut zeros = [0.0f32; LEAST];
        for j in 0..m {
            let (ideal, factor, least) = (ideal[j], factors[j], &mut self.least[j]);
            let (values, shortfalls) = (&self.values[j].0, &mut self.shortfalls[j].0);
            least.fill(f32::INFINITY);
            for start in (0..CHUNK_ROWS).step_by(LEAST) {
                for lane in 0..LEAST {
                    let shortfall = ideal - values[start + lane];
                    shortfalls[start + lane] = shortfall;
                    let rounded = (shortfall * factor) as f32;
                    least[lane] = if rounded < least[lane] { rounded } else { least[lane] };
                    // Stays zero while all are finite.
                    zeros[lane] += rounded * 0.0;
                }
            }
        }
        zeros.iter().sum::<f32>() == 0.0
    }
}

/// Appends the preferences of which a row of the chunk may be among the best.
#[inline(always)]
fn screen<S: Simd, const M: usize>(
    simd: S,
    least: &[[f32; LEAST]],
    caps: &[f32],
    near: &mut Vec<usize>,
) {
    let m = if M == 0 { least.len() } else { M };
    for (place, caps) in caps.chunks_exact(m).enumerate() {
        let mut any = simd.less_than_f32s(simd.splat_f32s(0.0), simd.splat_f32s(0.0));
        for step in 0..LEAST / S::F32_LANES {
            let within = |j: usize| {
                let (least, _) = S::as_simd_f32s(&least[j]);
                simd.less_than_or_equal_f32s(least[step], simd.splat_f32s(caps[j]))
            };
            any = simd.or_m32s(any, (1..m).fold(within(0), |a, j| simd.and_m32s(a, within(j))));
        }
        if simd.first_true_m32s(any) < S::F32_LANES {
            near.push(place);
        }
    }
}

/// Pushes the rows of a chunk that may be among the best; whether that changed the bound.
#[inline(always)]
fn push_best<S: Simd, const M: usize>(simd: S, chunk: &Chunk, best: &mut Best<'_>) -> bool {
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
        // The caps may tighten on the way; the order decides.
        for lane in first..chunk.rows.min(first + S::F64_LANES) {
            let own = || (0..m).map(|j| shortfalls[j].0[lane]);
            let possible = own().zip(&best.bound.caps).zip(&preference.direction);
            if possible.into_iter().all(|((s, &cap), &d)| s <= cap || preference.firm && d != 0.0) {
                let row = chunk.first + lane;
                changed |= best.push(Candidate { rank: preference.rank(own()), row });
            }
        }
    }
    changed
}
