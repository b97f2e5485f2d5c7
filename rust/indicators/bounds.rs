//! What each point adds at most to those chosen.
//!
//! One bound is what the point would have added earlier. Another one needs no measurement: a
//! chosen point that is worse than this one in one objective alone covers all of its box up to
//! there, a floor. What lies above all floors, less what the last chosen point covers of that, is
//! kept for all points in one pass over the columns per choice.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use pulp::{Arch, NullaryFnOnce};

use crate::threads;

/// Points of a block, of which the largest bound is kept; a multiple of a vector.
const BLOCK_POINTS: usize = 32;

/// Points whose bounds are kept together, the units that threads share.
const PART_POINTS: usize = 128 * BLOCK_POINTS;

/// Gains are exact up to this share of what lies above the floors: a bound must not be lower by
/// rounding.
const ALLOWANCE: f64 = 1.0 / (1u64 << 44) as f64;

/// What a point, or any of a block, adds at most; the larger one first, then the earlier one.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub most: f64,
    pub place: Reverse<u32>,
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.most.total_cmp(&other.most).then(self.place.cmp(&other.place))
    }
}

/// The bounds of all points.
pub(super) struct Bounds<'a> {
    columns: &'a [Vec<f64>],
    parts: Vec<Part>,
    /// The blocks that have points left for the choice at hand, by number.
    open: BinaryHeap<Bound>,
    /// The points measured for it, and their new bounds.
    measured: Vec<(u32, f64)>,
}

/// The bounds of some points.
struct Part {
    /// By objective, up to where chosen points cover all of each point's box.
    floors: Vec<Vec<f64>>,
    /// What of each box lies above the floors.
    room: Vec<f64>,
    /// The bounds: 0 for points that add nothing or are chosen, less for those taken up.
    most: Vec<f64>,
    /// The largest bound of each block.
    largest: Vec<f64>,
}

impl<'a> Bounds<'a> {
    pub fn new(columns: &'a [Vec<f64>]) -> Self {
        let count = columns[0].len();
        let parts = threads::map(count, count.div_ceil(PART_POINTS), |i| {
            let points = i * PART_POINTS..count.min((i + 1) * PART_POINTS);
            let mut room = vec![1.0; points.len()];
            for column in columns {
                for (product, x) in room.iter_mut().zip(&column[points.clone()]) {
                    *product *= x;
                }
            }
            let largest = room.chunks(BLOCK_POINTS).map(largest).collect();
            let floors = vec![vec![0.0; points.len()]; columns.len()];
            Part { floors, most: room.clone(), room, largest }
        });
        Self { columns, parts, open: BinaryHeap::new(), measured: Vec::new() }
    }

    /// Begins a choice.
    pub fn open(&mut self) {
        let largest = self.parts.iter().flat_map(|part| &part.largest);
        let blocks = (0..).zip(largest).filter(|(_, most)| **most > 0.0);
        self.open = blocks.map(|(block, &most)| Bound { most, place: Reverse(block) }).collect();
    }

    /// Takes up the point of the largest bound, the first of these, if it comes before `best`.
    pub fn pop(&mut self, best: Option<Bound>) -> Option<Bound> {
        let Bound { most, place: Reverse(block) } = *self.open.peek()?;
        let first = block as usize * BLOCK_POINTS;
        let start = first % PART_POINTS;
        let bounds = &mut self.parts[first / PART_POINTS].most[start..];
        let end = bounds.len().min(BLOCK_POINTS);
        let bounds = &mut bounds[..end];
        let at = bounds.iter().position(|&bound| bound == most)?;
        let bound = Bound { most, place: Reverse((first + at) as u32) };
        if Some(bound) <= best {
            return None;
        }
        bounds[at] = -1.0;
        let left = largest(bounds);
        self.open.pop();
        if left > 0.0 {
            self.open.push(Bound { most: left, place: Reverse(block) });
        }
        Some(bound)
    }

    /// Keeps what a point that was taken up adds.
    pub fn put(&mut self, bound: Bound, gain: f64) {
        let place = bound.place.0;
        let room = self.parts[place as usize / PART_POINTS].room[place as usize % PART_POINTS];
        let most = if gain > 0.0 { bound.most.min(gain + room * ALLOWANCE) } else { 0.0 };
        self.measured.push((place, most));
    }

    /// Ends a choice: raises the floors to what the chosen point covers, and lowers all bounds.
    pub fn lower(&mut self, chosen: u32, point: &[f64]) {
        for (place, most) in self.measured.drain(..) {
            let most = if place == chosen { 0.0 } else { most };
            self.parts[place as usize / PART_POINTS].most[place as usize % PART_POINTS] = most;
        }
        let (arch, columns) = (Arch::new(), self.columns);
        let parts = self.parts.iter_mut().enumerate().collect();
        threads::each(columns[0].len(), parts, |(i, part): (usize, &mut Part)| {
            arch.dispatch(Lower { part, columns, chosen: point, start: i * PART_POINTS });
        });
    }
}

/// The largest of the bounds, at least 0.
#[inline(always)]
fn largest(bounds: &[f64]) -> f64 {
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let (chunks, rest) = bounds.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for chunk in chunks {
        for (lane, &bound) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, bound);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(0.0, larger)
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
        let Self { part, columns, chosen, start } = self;
        let count = part.most.len();
        for (block, most_of_block) in part.largest.iter_mut().enumerate() {
            let first = block * BLOCK_POINTS;
            let lanes = first..count.min(first + BLOCK_POINTS);
            let points = start + lanes.start..start + lanes.end;
            let mut worse = [0.0; BLOCK_POINTS];
            for (column, &limit) in columns.iter().zip(chosen) {
                for (worse, &x) in worse.iter_mut().zip(&column[points.clone()]) {
                    *worse += if limit < x { 1.0 } else { 0.0 };
                }
            }
            let (mut room, mut covered) = ([1.0; BLOCK_POINTS], [1.0; BLOCK_POINTS]);
            for ((column, &limit), floors) in columns.iter().zip(chosen).zip(&mut part.floors) {
                let values = column[points.clone()].iter().zip(&mut floors[lanes.clone()]);
                let products = room.iter_mut().zip(&mut covered).zip(&worse);
                for ((&x, floor), ((room, covered), &worse)) in values.zip(products) {
                    let raised = (worse == 1.0) & (limit < x) & (limit > *floor);
                    *floor = if raised { limit } else { *floor };
                    let limit = if x < limit { x } else { limit };
                    let above = limit - *floor;
                    *room *= x - *floor;
                    *covered *= if above > 0.0 { above } else { 0.0 };
                }
            }
            part.room[lanes.clone()].copy_from_slice(&room[..lanes.len()]);
            let bounds =
                room.iter().zip(&covered).zip(part.most[lanes.clone()].iter_mut().zip(&worse));
            for ((&room, &covered), (most, &worse)) in bounds {
                let bound = (room - covered) + room * ALLOWANCE;
                let bound = if worse == 0.0 { 0.0 } else { bound };
                *most = if bound < *most { bound } else { *most };
            }
            *most_of_block = largest(&part.most[lanes]);
        }
    }
}
