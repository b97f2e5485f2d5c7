//! What each point alone dominates, in up to three objectives.
//!
//! In three, one sweep after Emmerich and Fonseca (2011), from the best to the worst first
//! objective. The points met so far have an outline in the other two objectives, a staircase. Each
//! of its steps has a region that it alone covers, cut into strips along y; a point's contribution
//! is the integral of its region's area along the sweep. A new point takes strips from its two
//! neighbours, or from the one step above it, and ends the steps below it, so that O(n) strips are
//! ever made, each found and removed in O(log n).
//!
//! An area that shrinks by subtraction keeps the rounding of what it was. It is added up anew from
//! its strips whenever it has shrunk to 1/64, which bounds the error by a few bits of what is left.

use super::above::SweptPoints;
use super::measure::Measure;
use super::staircase::{Staircase, Step};
use super::strips::Strips;
use super::sweep::{exclusive_areas, exclusive_lengths, for_slabs};
use crate::points::Points;

/// Contributions in one objective, two or three: what the hypervolume loses without each point.
pub(super) fn volumes<A: Measure>(points: &Points<'_>, reference: &[f64]) -> Vec<A> {
    match reference {
        [_] => exclusive_lengths(&SweptPoints::unmoved(points, reference)),
        [_, _] => exclusive_areas(&SweptPoints::unmoved(points, reference)),
        _ => in_space(&SweptPoints::unmoved(points, reference)),
    }
}

/// The same in three.
fn in_space<A: Measure>(points: &SweptPoints<'_, 3>) -> Vec<A> {
    let [last, corner @ ..] = points.corner;
    let mut sweep = Sweep {
        contributions: vec![A::default(); points.rows()],
        corner,
        steps: Staircase::default(),
        regions: Vec::new(),
        free: Vec::new(),
    };
    let read = |rows: Vec<u32>| points.above(&rows, |point, row| (point, row));
    for_slabs(points.first(), read, |slab| {
        slab.into_iter().for_each(|([x, y, z], row)| sweep.add(row, x, y, z));
    });
    let left: Vec<usize> = sweep.steps.items().map(|step| step.of).collect();
    for slot in left {
        sweep.end(slot, last);
    }
    sweep.contributions
}

struct Sweep<A> {
    contributions: Vec<A>,
    /// Where y and z begin.
    corner: [f64; 2],
    /// The outline, each step with the slot of its region.
    steps: Staircase<usize>,
    regions: Vec<Region<A>>,
    /// Slots whose step is gone.
    free: Vec<usize>,
}

/// What one point alone covers at the present depth.
#[derive(Default)]
struct Region<A> {
    point: u32,
    strips: Strips,
    area: A,
    /// What the area was when it was last added up.
    added_up: A,
    /// The depth up to which the volume is counted.
    since: f64,
    volume: A,
}

impl<A: Measure> Sweep<A> {
    fn add(&mut self, point: u32, x: f64, y: f64, z: f64) {
        let at = self.steps.seek(y);
        let mut to = at;
        if let Some(&step) = self.steps.get(at) {
            let after = self.steps.after(at);
            if step.z >= z {
                // Covered. Where two steps cover it, nothing in it belongs to one alone.
                if self.steps.get(after).is_none_or(|next| next.z < z) {
                    self.regions[step.of].cut([x, y, z], step);
                }
                return;
            }
            if step.y == y {
                to = after;
            }
        }
        let right = self.steps.get(to).copied();
        let mut from = to;
        let left = loop {
            let Some(place) = self.steps.before(from) else { break None };
            match self.steps.get(place) {
                Some(step) if step.z <= z => from = place,
                step => break step.copied(),
            }
        };
        for step in [left, right].into_iter().flatten() {
            self.regions[step.of].cut([x, y, z], step);
        }
        let slot = self.begin(point, x);
        let (mut start, mut place) = (left.map_or(self.corner[0], |step| step.y), from);
        while place != to
            && let Some(&under) = self.steps.get(place)
        {
            self.regions[slot].grow([start, under.y], [under.z, z]);
            self.end(under.of, x);
            (start, place) = (under.y, self.steps.after(place));
        }
        let bottom = right.map_or(self.corner[1], |step| step.z);
        self.regions[slot].grow([start, y], [bottom, z]);
        self.steps.replace(from, to, Step { y, z, of: slot });
    }

    /// A slot for the region of another point, from depth `x` on.
    fn begin(&mut self, point: u32, x: f64) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.regions.push(Region::default());
            self.regions.len() - 1
        });
        let region = &mut self.regions[slot];
        region.strips = Strips::default();
        let nothing = A::default();
        (region.point, region.since, region.volume) = (point, x, nothing);
        (region.area, region.added_up) = (nothing, nothing);
        slot
    }

    /// A step falls behind others at depth `x`: its point's contribution is known.
    fn end(&mut self, slot: usize, x: f64) {
        let region = &mut self.regions[slot];
        region.advance(x);
        self.contributions[region.point as usize] = region.volume;
        self.free.push(slot);
    }
}

impl<A: Measure> Region<A> {
    /// Adds a strip to a new region, which reaches up to `top`.
    fn grow(&mut self, [start, end]: [f64; 2], [bottom, top]: [f64; 2]) {
        if end > start {
            self.area = self.area + A::span(start, end) * A::span(bottom, top);
            self.added_up = self.area;
            self.strips.push(start, bottom);
        }
    }

    /// Takes away the rectangle up to (y, z), at depth x; the region is that of `step`.
    fn cut(&mut self, [x, y, z]: [f64; 3], step: Step<usize>) {
        let corner = [step.y, step.z];
        let Some(left) = self.strips.cut([y, z], corner, self.area) else { return };
        self.advance(x);
        self.area = left;
        if left.far_below(self.added_up) {
            self.area = self.strips.area(corner);
            self.added_up = self.area;
        }
    }

    /// Counts the volume down to depth `x`.
    fn advance(&mut self, x: f64) {
        self.volume = self.volume + self.area * A::span(x, self.since);
        self.since = x;
    }
}
