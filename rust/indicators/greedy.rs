//! Points chosen one after another, each the one that adds most volume.
//!
//! The volume is a submodular function, so that this keeps at least 1 - 1/e of what the best choice
//! keeps (Nemhauser, Wolsey, Fisher 1978; for hypervolume Guerreiro, Fonseca, Paquete 2016), and
//! what a point adds never grows: what it would have added earlier is a bound (Minoux 1978; Chen,
//! Ishibuchi, Shang 2020). Only points whose bound is above the best gain found are measured.
//!
//! A second bound needs no measurement. A chosen point that is worse than another one in one
//! objective alone covers all of its box up to there, a floor. What lies above all floors, less
//! what the chosen point covers of that, is kept for all points in one pass over the columns per
//! choice. It spares nearly all measurements of points that a choice changed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use pulp::{Arch, NullaryFnOnce};

use crate::hypervolume::{Buffers, Growing};
use crate::threads;

/// Points whose bounds are kept together.
const PART_POINTS: usize = 1 << 12;

/// Up to this many gains are measured side by side.
const MAX_BATCH: usize = 16;

/// Measurements are shared once one has taken this long.
const MIN_SHARED: Duration = Duration::from_micros(100);

/// Gains are exact up to this share of what lies above the floors: a bound must not be lower by
/// rounding.
const ALLOWANCE: f64 = 1.0 / (1u64 << 44) as f64;

/// The first of the points with the largest value, if there is a point.
pub(super) fn largest(values: &[f64]) -> Vec<u32> {
    let best = values.iter().copied().fold(0.0, f64::max);
    values.iter().position(|&value| value == best).map(|place| place as u32).into_iter().collect()
}

/// Up to `k` of the points in three objectives or more, in the order of choice, fewer if no other
/// point adds volume.
pub(super) fn choose(columns: &[Vec<f64>], k: usize) -> Vec<u32> {
    let (m, count) = (columns.len(), columns[0].len());
    let mut chosen = Vec::with_capacity(k.min(count));
    let mut bounds = Bounds::new(columns);
    let mut set = Growing::new(m, k.min(count));
    let (mut buffers, mut point) = (Buffers::new(m), Vec::with_capacity(m));
    let mut since_long = Duration::ZERO;
    while chosen.len() < k {
        let Some(best) = bounds.best_gain(&mut |batch: &[Bound]| {
            let measure = |set: &mut Growing, buffers: &mut Buffers, bound: &Bound| {
                threads::check();
                let place = bound.place.0 as usize;
                let point: Vec<f64> = columns.iter().map(|column| column[place]).collect();
                set.gain(&point, buffers)
            };
            // How long it takes decides who measures, not what is measured.
            let shared = batch.len() > 1 && since_long >= MIN_SHARED;
            let begin = Instant::now();
            let gains = if shared {
                threads::map(usize::MAX, batch.len(), |i| {
                    measure(&mut set.clone(), &mut Buffers::new(m), &batch[i])
                })
            } else {
                batch.iter().map(|bound| measure(&mut set, &mut buffers, bound)).collect()
            };
            since_long = begin.elapsed() / if shared { 1 } else { batch.len() as u32 };
            gains
        }) else {
            break;
        };
        chosen.push(best);
        point.clear();
        point.extend(columns.iter().map(|column| column[best as usize]));
        set.push(&point, &mut buffers);
        if chosen.len() < k {
            bounds.lower(&point);
        }
    }
    chosen
}

/// What a point adds at most; the larger bound first, then the earlier point.
#[derive(Clone, Copy)]
struct Bound {
    most: f64,
    place: Reverse<u32>,
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.most.total_cmp(&other.most).then(self.place.cmp(&other.place))
    }
}

/// The bounds of all points, part after part.
struct Bounds<'a> {
    columns: &'a [Vec<f64>],
    parts: Vec<Part>,
}

/// The bounds of some points; 0 for those that add nothing or are chosen.
struct Part {
    /// By objective, up to where chosen points cover all of each point's box.
    floors: Vec<Vec<f64>>,
    /// What of each box lies above the floors.
    room: Vec<f64>,
    most: Vec<f64>,
    largest: f64,
}

impl<'a> Bounds<'a> {
    fn new(columns: &'a [Vec<f64>]) -> Self {
        let count = columns[0].len();
        let parts = threads::map(count, count.div_ceil(PART_POINTS), |i| {
            let points = i * PART_POINTS..count.min((i + 1) * PART_POINTS);
            let mut room = vec![1.0; points.len()];
            for column in columns {
                for (product, x) in room.iter_mut().zip(&column[points.clone()]) {
                    *product *= x;
                }
            }
            let largest = room.iter().copied().fold(0.0, f64::max);
            let floors = vec![vec![0.0; points.len()]; columns.len()];
            Part { floors, most: room.clone(), room, largest }
        });
        Self { columns, parts }
    }

    /// The point that adds most, the first of these, if one adds anything; `measure` tells what
    /// points add.
    fn best_gain(&mut self, measure: &mut dyn FnMut(&[Bound]) -> Vec<f64>) -> Option<u32> {
        let first = self.first()?;
        let mut best = self.measured(&[first], measure);
        let mut open = self.above(best, first.place.0);
        // One, then a few, then many: of most points the bound alone tells enough.
        for size in [1, 2, 4, 8].into_iter().chain(std::iter::repeat(MAX_BATCH)) {
            let mut batch = Vec::with_capacity(size);
            while batch.len() < size && open.peek() > best.as_ref() {
                batch.extend(open.pop());
            }
            if batch.is_empty() {
                break;
            }
            best = best.max(self.measured(&batch, measure));
        }
        let best = best?.place.0;
        let (part, at) = self.part(best);
        part.most[at] = 0.0;
        Some(best)
    }

    /// Measures what points add, and keeps it; the best of them, if one adds anything.
    fn measured(
        &mut self,
        batch: &[Bound],
        measure: &mut dyn FnMut(&[Bound]) -> Vec<f64>,
    ) -> Option<Bound> {
        let mut best = None;
        for (&Bound { most, place }, gain) in batch.iter().zip(measure(batch)) {
            let (part, at) = self.part(place.0);
            if gain > 0.0 {
                part.most[at] = most.min(gain + part.room[at] * ALLOWANCE);
                best = best.max(Some(Bound { most: gain, place }));
            } else {
                part.most[at] = 0.0;
            }
        }
        best
    }

    fn part(&mut self, place: u32) -> (&mut Part, usize) {
        (&mut self.parts[place as usize / PART_POINTS], place as usize % PART_POINTS)
    }

    /// The point of the largest bound, the first of these; `None` if all are 0.
    fn first(&self) -> Option<Bound> {
        let mut first: Option<Bound> = None;
        for (i, part) in self.parts.iter().enumerate() {
            if part.largest > first.map_or(0.0, |bound| bound.most)
                && let Some(at) = part.most.iter().position(|&most| most == part.largest)
            {
                let place = Reverse((i * PART_POINTS + at) as u32);
                first = Some(Bound { most: part.largest, place });
            }
        }
        first
    }

    /// The points whose bounds come before `best`, but for one.
    fn above(&self, best: Option<Bound>, but: u32) -> BinaryHeap<Bound> {
        let least = best.map_or(f64::MIN_POSITIVE, |best| best.most);
        let mut above = Vec::new();
        for (i, part) in self.parts.iter().enumerate() {
            if part.largest < least {
                continue;
            }
            let bounds = (i * PART_POINTS..).zip(&part.most);
            let bounds = bounds.filter(|(place, most)| **most >= least && *place != but as usize);
            above.extend(bounds.map(|(place, &most)| Bound { most, place: Reverse(place as u32) }));
        }
        above.into()
    }

    /// Raises the floors to what a chosen point covers, and lowers all bounds.
    fn lower(&mut self, chosen: &[f64]) {
        let arch = Arch::new();
        let columns = self.columns;
        let parts = self.parts.iter_mut().enumerate().collect();
        threads::each(columns[0].len(), parts, |(i, part): (usize, &mut Part)| {
            arch.dispatch(Lower { part, columns, chosen, start: i * PART_POINTS });
        });
    }
}

struct Lower<'a> {
    part: &'a mut Part,
    columns: &'a [Vec<f64>],
    chosen: &'a [f64],
    start: usize,
}

impl NullaryFnOnce for Lower<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        /// Points at a time: products stay in registers.
        const LANES: usize = 32;
        let Self { part, columns, chosen, start } = self;
        let count = part.most.len();
        let mut best = [0.0f64; LANES];
        for first in (0..count).step_by(LANES) {
            let lanes = first..count.min(first + LANES);
            let points = start + lanes.start..start + lanes.end;
            let mut worse = [0.0; LANES];
            for (column, &limit) in columns.iter().zip(chosen) {
                for (worse, &x) in worse.iter_mut().zip(&column[points.clone()]) {
                    *worse += if limit < x { 1.0 } else { 0.0 };
                }
            }
            let (mut room, mut covered) = ([1.0; LANES], [1.0; LANES]);
            for ((column, &limit), floors) in columns.iter().zip(chosen).zip(&mut part.floors) {
                let values = column[points.clone()].iter().zip(&mut floors[lanes.clone()]);
                let products = room.iter_mut().zip(&mut covered).zip(&worse);
                for ((&x, floor), ((room, covered), &worse)) in values.zip(products) {
                    let (alone, higher) = (worse == 1.0, limit > *floor);
                    *floor = if alone & higher & (limit < x) { limit } else { *floor };
                    let limit = if x < limit { x } else { limit };
                    let above = limit - *floor;
                    *room *= x - *floor;
                    *covered *= if above > 0.0 { above } else { 0.0 };
                }
            }
            part.room[lanes.clone()].copy_from_slice(&room[..lanes.len()]);
            let bounds = room.iter().zip(&covered).zip(part.most[lanes].iter_mut().zip(&mut best));
            for (((&room, &covered), (most, best)), &worse) in bounds.zip(&worse) {
                let bound = (room - covered) + room * ALLOWANCE;
                let bound = if worse == 0.0 { 0.0 } else { bound };
                *most = if bound < *most { bound } else { *most };
                *best = if *most > *best { *most } else { *best };
            }
        }
        part.largest = best.into_iter().fold(0.0, f64::max);
    }
}
