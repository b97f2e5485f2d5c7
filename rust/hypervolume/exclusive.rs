//! What each point alone dominates, in up to three objectives.
//!
//! In three, one sweep after Emmerich and Fonseca (2011), from the best to the worst first objective. The
//! points met so far have an outline in the other two objectives, a staircase. Each of its steps
//! has a region that it alone covers, cut into strips along y; a point's contribution is the
//! integral of its region's area along the sweep. A new point takes strips from its two
//! neighbours, or from the one step above it, and ends the steps below it, so that O(n) strips are
//! ever made. Regions do not overlap in y, for what lies before the step to the left belongs to
//! both: so all strips are one sequence, in which a change is one replacement, O(log n).
//!
//! An area that shrinks by subtraction keeps the rounding of what it was. It is added up anew from
//! its strips whenever it has shrunk to 1/64, which bounds the error by a few bits of what is left.

use super::above::SweptPoints;
use super::blocks::{Blocks, Ending, Place};
use super::measure::Measure;
use super::staircase::{Staircase, Step};
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
        strips: Blocks::default(),
        regions: Vec::new(),
        free: Vec::new(),
        under: Vec::new(),
        made: Vec::new(),
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

/// A part of a region: from `start` to `end` along y, from `bottom` up to the z of the step.
#[derive(Clone, Copy)]
struct Strip {
    start: f64,
    end: f64,
    bottom: f64,
}

impl Ending for Strip {
    #[inline]
    fn end(&self) -> f64 {
        self.end
    }
}

struct Sweep<A> {
    contributions: Vec<A>,
    /// Where y and z begin.
    corner: [f64; 2],
    /// The outline, each step with the slot of its region.
    steps: Staircase<usize>,
    /// The strips of all regions, in the order of y. Those of a step end past the step to its left
    /// and at or before its own y, their bottoms falling.
    strips: Blocks<Strip>,
    regions: Vec<Region<A>>,
    /// Slots whose step is gone.
    free: Vec<usize>,
    /// The steps under a new point, from high to low y.
    under: Vec<Step<usize>>,
    /// The strips that a point makes.
    made: Vec<Strip>,
}

/// What is known of the region of a step, but for its strips.
#[derive(Default)]
struct Region<A> {
    point: u32,
    area: A,
    /// What the area was when it was last added up.
    added_up: A,
    /// The depth up to which the volume is counted.
    since: f64,
    volume: A,
}

impl<A: Measure> Region<A> {
    /// Counts the volume down to depth `x`.
    fn advance(&mut self, x: f64) {
        self.volume = self.volume + self.area * A::span(x, self.since);
        self.since = x;
    }
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
                    self.cover(at, x, y, z);
                }
                return;
            }
            if step.y == y {
                to = after;
            }
        }
        let right = self.steps.get(to).copied();
        let mut from = to;
        let mut left = None;
        self.under.clear();
        while let Some(place) = self.steps.before(from) {
            let Some(&step) = self.steps.get(place) else { break };
            if step.z > z {
                left = Some((step, self.y_before(place)));
                break;
            }
            self.under.push(step);
            from = place;
        }
        let start = left.map_or(self.corner[0], |(step, _)| step.y);
        // The strips that make room: of the left step those that are not as high as z, all of the
        // steps under the point, of the right step those before y.
        let before_right = self.under.first().map_or(start, |step| step.y);
        let end = self.strips_before(y);
        let first_right = self.back(end, |strip| strip.end > before_right);
        let first = self.back(first_right, |strip| strip.end > start);
        self.made.clear();
        let mut begin = first;
        if let Some((step, before)) = left {
            begin = self.back(first, |strip| strip.end > before && strip.bottom < z);
            self.cut(step, begin, first, [x, y, z]);
        }
        let slot = self.begin(point, x);
        let mut y_before = start;
        for i in (0..self.under.len()).rev() {
            let step = self.under[i];
            self.grow(slot, Strip { start: y_before, end: step.y, bottom: step.z }, z);
            y_before = step.y;
        }
        let bottom = right.map_or(self.corner[1], |step| step.z);
        self.grow(slot, Strip { start: y_before, end: y, bottom }, z);
        if let Some(step) = right {
            self.cut(step, first_right, end, [x, y, z]);
        }
        self.strips.splice(begin, end, &self.made);
        while let Some(step) = self.under.pop() {
            self.end(step.of, x);
        }
        self.steps.replace(from, to, Step { y, z, of: slot });
        if let Some((step, before)) = left {
            self.settle(step, before);
        }
        if let Some(step) = right {
            self.settle(step, y);
        }
    }

    /// Takes from the step at a place what a point below it covers.
    fn cover(&mut self, at: Place, x: f64, y: f64, z: f64) {
        let Some(&step) = self.steps.get(at) else { return };
        let before = self.y_before(at);
        let end = self.strips_before(y);
        let begin = self.back(end, |strip| strip.end > before && strip.bottom < z);
        if begin != end {
            self.made.clear();
            self.cut(step, begin, end, [x, y, z]);
            self.strips.splice(begin, end, &self.made);
            self.settle(step, before);
        }
    }

    /// The y of the step before a place.
    fn y_before(&self, place: Place) -> f64 {
        let before = self.steps.before(place).and_then(|place| self.steps.get(place));
        before.map_or(self.corner[0], |step| step.y)
    }

    /// The place past all strips that start before `y`.
    fn strips_before(&self, y: f64) -> Place {
        let place = self.strips.seek(y);
        match self.strips.get(place) {
            Some(strip) if strip.start < y => self.strips.after(place),
            _ => place,
        }
    }

    /// The first of the strips right before a place that are all `like` this.
    fn back(&self, mut place: Place, like: impl Fn(&Strip) -> bool) -> Place {
        while let Some(before) = self.strips.before(place)
            && self.strips.get(before).is_some_and(&like)
        {
            place = before;
        }
        place
    }

    /// Takes from some strips of a step the rectangle up to (y, z), at depth x. What is left of
    /// them goes to `made`.
    fn cut(&mut self, step: Step<usize>, from: Place, to: Place, [x, y, z]: [f64; 3]) {
        let Some(&first) = self.strips.get(from).filter(|_| from != to) else { return };
        let region = &mut self.regions[step.of];
        region.advance(x);
        let z = z.min(step.z);
        let (mut place, mut last) = (from, first);
        while place != to
            && let Some(&strip) = self.strips.get(place)
        {
            let width = A::span(strip.start, strip.end.min(y));
            region.area = region.area - width * A::span(strip.bottom, z);
            (last, place) = (strip, self.strips.after(place));
        }
        if z < step.z {
            self.made.push(Strip { start: first.start, end: last.end.min(y), bottom: z });
        }
        if last.end > y {
            self.made.push(Strip { start: y, ..last });
        }
    }

    /// Adds a strip to a new region that reaches up to `top`.
    fn grow(&mut self, slot: usize, strip: Strip, top: f64) {
        if strip.end > strip.start {
            let region = &mut self.regions[slot];
            region.area =
                region.area + A::span(strip.start, strip.end) * A::span(strip.bottom, top);
            region.added_up = region.area;
            self.made.push(strip);
        }
    }

    /// Adds the area of a step up anew if little is left of it; `before` is the y of the step
    /// before it.
    fn settle(&mut self, step: Step<usize>, before: f64) {
        let region = &mut self.regions[step.of];
        if !region.area.far_below(region.added_up) {
            return;
        }
        region.area = A::default();
        // The first strip that ends past `before`.
        let mut place = self.strips.seek(before);
        if self.strips.get(place).is_some_and(|strip| strip.end == before) {
            place = self.strips.after(place);
        }
        while let Some(strip) = self.strips.get(place)
            && strip.end <= step.y
        {
            region.area =
                region.area + A::span(strip.start, strip.end) * A::span(strip.bottom, step.z);
            place = self.strips.after(place);
        }
        region.added_up = region.area;
    }

    /// A slot for the region of another point, from depth `x` on.
    fn begin(&mut self, point: u32, x: f64) -> usize {
        let slot = self.free.pop().unwrap_or(self.regions.len());
        let nothing = A::default();
        let region = Region { point, area: nothing, added_up: nothing, since: x, volume: nothing };
        match self.regions.get_mut(slot) {
            Some(place) => *place = region,
            None => self.regions.push(region),
        }
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
