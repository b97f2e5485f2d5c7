//! Quick hypervolume (QHV-II: Jaszkiewicz 2018, "Improved quick hypervolume algorithm").
//!
//! The point with the largest box is the pivot. What the others add lies outside its box, in one
//! part per objective: above the pivot there, and below it in those taken before. The points that
//! reach into a part, limited to it, are measured likewise. Only boxes are added, and no coordinate
//! is rounded before a side of a box is taken: a part is known by its corners, and its points keep
//! the values that they had.
//!
//! The same parts give the volume that points leave free in a box: there those are added that no
//! point reaches into, so that a small rest of a large box is as exact as a large one.

use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};

use super::corner::{Corner, least, padded, replaced, volume};
use super::sets::{MIN_LAYERED, Sets};
use super::sliced;
use crate::threads;

/// Objectives that are measured here; more are sliced. A set of so many takes hours in any case.
pub(super) const MAX_OBJECTIVES: usize = 16;

/// Parts of parts go no deeper than this; usual ones reach a third of it. The points of a
/// deeper one are sliced: so neither the stack nor the memory grows with the number of points.
const MAX_DEPTH: usize = 48;

/// Threads share the work once it has taken this long: its cost is hard to tell from its size.
const SERIAL_TIME: Duration = Duration::from_millis(2);

/// A part with fewer points is not shared.
const MIN_SHARED_POINTS: usize = 32;

/// Sets of points that are measured one after another, in buffers that they share.
pub(super) trait Quick: Send {
    fn clear(&mut self);

    fn push(&mut self, point: &[f64]);

    /// The volume that the points dominate above `low`; each is above it in every objective.
    /// With `shared`, threads share work that takes long.
    fn covered(&mut self, low: &[f64], shared: bool) -> f64;

    /// The volume of the box from `low` to `high` that the points, within it, leave free.
    fn free(&mut self, low: &[f64], high: &[f64]) -> f64;
}

/// Buffers for some number of objectives, unless there are too many.
pub(super) fn quick(objectives: usize) -> Option<Box<dyn Quick>> {
    match objectives {
        ..=4 => Some(Box::new(Sets::<4>::new(objectives))),
        5..=8 => Some(Box::new(Sets::<8>::new(objectives))),
        9..=MAX_OBJECTIVES => Some(Box::new(Sets::<16>::new(objectives))),
        _ => None,
    }
}

/// After parts of so many points together it is asked whether the call is to stop: a question costs
/// more than a small part.
const MAX_UNCHECKED: usize = 1 << 12;

/// A part with fewer points takes the largest box for a pivot in any case.
const MIN_HALVED: usize = 64;

/// A part of space. Its points are the last of the sets.
struct Part<const W: usize> {
    low: Corner<W>,
    /// None of the points is above it anywhere.
    high: Corner<W>,
    /// Where its points start.
    start: usize,
    /// The objective whose part is cut off first, another one in each part: earlier ones limit
    /// the points, and were they always the same, others would never be.
    first: usize,
    depth: usize,
    /// Whether nearly all points of the part that it is of reach into it, so that the largest box
    /// was a bad pivot.
    lopsided: bool,
}

impl<const W: usize> Sets<W> {
    /// Whether the work at hand should be shared among threads.
    fn is_long(&self) -> bool {
        self.begin.is_some_and(|begin| begin.elapsed() > SERIAL_TIME) && threads::count() > 1
    }
}

impl<const W: usize> Quick for Sets<W> {
    fn clear(&mut self) {
        self.truncate(0);
    }

    fn push(&mut self, point: &[f64]) {
        self.points.push(padded(point, 1.0));
    }

    fn covered(&mut self, low: &[f64], shared: bool) -> f64 {
        self.begin = shared.then(Instant::now);
        let (low, high) = (padded(low, 0.0), [f64::INFINITY; W]);
        Arch::new().dispatch(Whole::<W, false> { sets: self, low, high })
    }

    fn free(&mut self, low: &[f64], high: &[f64]) -> f64 {
        self.begin = None;
        let (low, high) = (padded(low, 0.0), padded(high, 1.0));
        Arch::new().dispatch(Whole::<W, true> { sets: self, low, high })
    }
}

/// The volume between two corners that all points cover or, if `FREE`, leave free.
struct Whole<'a, const W: usize, const FREE: bool> {
    sets: &'a mut Sets<W>,
    low: Corner<W>,
    high: Corner<W>,
}

impl<const W: usize, const FREE: bool> WithSimd for Whole<'_, W, FREE> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { sets, low, high } = self;
        sets.volumes.clear();
        for point in &sets.points {
            sets.volumes.push(volume(simd, point, &low));
        }
        measure::<S, W, FREE>(
            simd,
            sets,
            &Part { low, high, start: 0, first: 0, depth: 0, lopsided: false },
        )
    }
}

/// The volume of a part that its points cover or, if `FREE`, leave free.
#[inline(always)]
fn measure<S: Simd, const W: usize, const FREE: bool>(
    simd: S,
    sets: &mut Sets<W>,
    part: &Part<W>,
) -> f64 {
    let volumes = &sets.volumes[part.start..];
    // No closure: one that is not inlined would lose the instruction set.
    let low = &part.low;
    match &sets.points[part.start..] {
        [] if FREE => volume(simd, &part.high, low),
        [] => 0.0,
        [_] if !FREE => volumes[0],
        [a, b] if !FREE => volumes[0] + (volumes[1] - volume(simd, &least(a, b), low)),
        [a, b, c] if !FREE => {
            let [ab, ac, bc] = [least(a, b), least(a, c), least(b, c)];
            let third = volumes[2] - volume(simd, &ac, low) - volume(simd, &bc, low)
                + volume(simd, &least(&ab, c), low);
            volumes[0] + (volumes[1] - volume(simd, &ab, low)) + third
        }
        points if part.depth == MAX_DEPTH => {
            let m = sets.objectives;
            let side = |point: &Corner<W>, j: usize| point[j] - part.low[j];
            let relative = points.iter().flat_map(|point| (0..m).map(move |j| side(point, j)));
            let covered = sliced::volume(&relative.collect::<Vec<_>>(), m, false);
            if FREE { (volume(simd, &part.high, low) - covered).max(0.0) } else { covered }
        }
        _ => simd.vectorize(Cut::<W, FREE> { sets, part }),
    }
}

/// [`measure`] by the parts outside the largest box.
struct Cut<'a, const W: usize, const FREE: bool> {
    sets: &'a mut Sets<W>,
    part: &'a Part<W>,
}

impl<const W: usize, const FREE: bool> WithSimd for Cut<'_, W, FREE> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { sets, part } = self;
        let (m, end) = (sets.objectives, sets.points.len());
        sets.unchecked += end - part.start;
        if sets.unchecked > MAX_UNCHECKED {
            threads::check();
            sets.unchecked = 0;
        }
        let pivot = if part.lopsided { (part.start + end) / 2 } else { sets.largest(part.start) };
        let mut total = if FREE { 0.0 } else { sets.volumes[pivot] };
        let mut outside =
            Outside { pivot: sets.points[pivot], high: part.high, objective: part.first };
        for turn in 0..m {
            if end - part.start >= MIN_SHARED_POINTS && sets.is_long() {
                let (sets, next) = (&*sets, &outside);
                let volumes = threads::share_out((0..m - turn).collect(), |turns| {
                    let mut outside = *next;
                    (0..turns).for_each(|_| outside.advance(m));
                    let sets = &mut sets.copied_from(part.start);
                    let part = &Part { start: 0, ..*part };
                    simd.vectorize(Apart::<W, FREE> { sets, part, outside })
                });
                return volumes.iter().fold(total, |total, volume| total + volume);
            }
            total += outside.measure::<S, FREE>(simd, sets, part);
            outside.advance(m);
        }
        total
    }
}

/// What of a part is above the pivot in one objective, and below it in those before.
#[derive(Clone, Copy)]
struct Outside<const W: usize> {
    pivot: Corner<W>,
    /// The part's upper corner, but for the objectives before.
    high: Corner<W>,
    objective: usize,
}

impl<const W: usize> Outside<W> {
    /// On to the next of `m` objectives.
    #[inline(always)]
    fn advance(&mut self, m: usize) {
        self.high = replaced(&self.high, self.objective, &self.pivot);
        self.objective = if self.objective + 1 == m { 0 } else { self.objective + 1 };
    }

    /// Its volume that the points of the whole part cover or, if `FREE`, leave free.
    #[inline(always)]
    fn measure<S: Simd, const FREE: bool>(
        &self,
        simd: S,
        sets: &mut Sets<W>,
        whole: &Part<W>,
    ) -> f64 {
        let (j, m, end) = (self.objective, sets.objectives, sets.points.len());
        if sets.picks.len() < end {
            sets.picks.resize(end, 0);
        }
        let mut picked = 0;
        for (i, point) in (whole.start..).zip(&sets.points[whole.start..end]) {
            sets.picks[picked] = i as u32;
            picked += usize::from(point[j] > self.pivot[j]);
        }
        if picked == 0 && !(FREE && self.high[j] > self.pivot[j]) {
            return 0.0;
        }
        let low = replaced(&whole.low, j, &self.pivot);
        // Points that nothing limits cover each other no more than they did in the whole.
        let limited = j != whole.first;
        let start = if limited && picked < MIN_LAYERED { end } else { usize::MAX };
        for pick in 0..picked {
            let point = least(&sets.points[sets.picks[pick] as usize], &self.high);
            sets.insert(simd, start, point, &low);
        }
        if limited && picked >= MIN_LAYERED {
            sets.keep_front(end);
        }
        let first = if j + 1 == m { 0 } else { j + 1 };
        let most = (end - whole.start) / 8 * 7;
        let lopsided = picked >= MIN_HALVED && sets.points.len() - end > most;
        let (high, depth) = (self.high, whole.depth + 1);
        let part = Part { low, high, start: end, first, depth, lopsided };
        let volume = measure::<S, W, FREE>(simd, sets, &part);
        sets.truncate(end);
        volume
    }
}

/// [`Outside::measure`] on a thread of its own.
struct Apart<'a, const W: usize, const FREE: bool> {
    sets: &'a mut Sets<W>,
    part: &'a Part<W>,
    outside: Outside<W>,
}

impl<const W: usize, const FREE: bool> WithSimd for Apart<'_, W, FREE> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        self.outside.measure::<S, FREE>(simd, self.sets, self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use crate::with_threads;

    /// The volume that points cover, or leave free below 1, by some instructions.
    fn measured<const W: usize, const FREE: bool>(
        points: &[f64],
        m: usize,
        simd: &dyn Fn(Whole<'_, W, FREE>) -> f64,
    ) -> f64 {
        let mut sets = Sets::<W>::new(m);
        points.chunks_exact(m).for_each(|point| sets.push(point));
        simd(Whole { sets: &mut sets, low: padded(&vec![0.0; m], 0.0), high: [1.0; W] })
    }

    fn check<const W: usize, const FREE: bool>(points: &[f64], m: usize) -> f64 {
        let volume =
            measured::<W, FREE>(points, m, &|whole| Simd::vectorize(pulp::Scalar::new(), whole));
        let other = measured::<W, FREE>(points, m, &|whole| Arch::new().dispatch(whole));
        assert_eq!(other.to_bits(), volume.to_bits());
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            let other = measured::<W, FREE>(points, m, &|whole| Simd::vectorize(simd, whole));
            assert_eq!(other.to_bits(), volume.to_bits());
        }
        volume
    }

    #[test]
    fn instruction_sets_do_not_matter_and_all_is_covered_or_free() {
        for m in 4..=11 {
            let points = Random(3).simplex(if m < 7 { 150 } else { 25 }, m);
            let both = match m {
                4 => [check::<4, false>(&points, m), check::<4, true>(&points, m)],
                5..=8 => [check::<8, false>(&points, m), check::<8, true>(&points, m)],
                _ => [check::<16, false>(&points, m), check::<16, true>(&points, m)],
            };
            assert!((both[0] + both[1] - 1.0).abs() < 1e-14);
            let sliced = sliced::volume(&points, m, false);
            assert!((both[0] - sliced).abs() < 1e-13 * sliced);
        }
    }

    #[test]
    fn parts_that_are_too_deep_are_sliced() {
        // All boxes are equal, and all points but the first are above the first in one objective.
        let m = 4;
        let side = |i: i32, j: usize| f64::from(if j == 0 { 3 * i } else { -i }).exp2();
        let points: Vec<f64> = (0..250).flat_map(|i| (0..m).map(move |j| side(i, j))).collect();
        let mut quick = quick(m).unwrap();
        points.chunks_exact(m).for_each(|point| quick.push(point));
        let covered = quick.covered(&[0.0; 4], false);
        let sliced = sliced::volume(&points, m, false);
        assert!((covered - sliced).abs() <= 1e-13 * sliced, "{covered} {sliced}");
    }

    #[test]
    fn threads_do_not_matter() {
        for (m, rows) in [(5, 1500), (7, 400), (10, 90)] {
            let points = Random(4).simplex(rows, m);
            let run = |threads| {
                let mut quick = quick(m).unwrap();
                points.chunks_exact(m).for_each(|point| quick.push(point));
                with_threads(threads, || quick.covered(&vec![0.0; m], true)).unwrap().to_bits()
            };
            assert_eq!(run(Some(3)), run(Some(1)));
        }
    }
}
