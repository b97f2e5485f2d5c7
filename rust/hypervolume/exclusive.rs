//! What each point alone dominates, in three objectives.
//!
//! One sweep after Emmerich and Fonseca (2011), from the best to the worst first objective. The
//! points met so far have an outline in the other two objectives, a staircase. Each of its steps
//! has a region that it alone covers, kept as strips; a point's contribution is the integral of
//! its region's area along the sweep. A new point takes strips from its two neighbours, or from
//! the one step above it, and ends the steps below it, so O(n log n) strips are ever made.

use super::above::Relative;
use super::staircase::{Staircase, Step};
use super::sweep::for_slabs;

/// Contributions of the points: what their hypervolume loses without each.
pub(super) fn contributions(points: &Relative<'_, 3>) -> Vec<f64> {
    let mut sweep = Sweep {
        contributions: vec![0.0; points.rows()],
        steps: Staircase::default(),
        regions: Vec::new(),
        free: Vec::new(),
        under: Vec::new(),
    };
    let read = |rows: Vec<u32>| points.above(&rows, |point, row| (point, row));
    for_slabs(points.first(), read, |slab| {
        slab.into_iter().for_each(|([x, y, z], row)| sweep.add(row, x, y, z));
    });
    let left: Vec<usize> = sweep.steps.steps().map(|step| step.of).collect();
    for slot in left {
        sweep.end(slot, 0.0);
    }
    sweep.contributions
}

struct Sweep {
    contributions: Vec<f64>,
    /// The outline, each step with the slot of its region.
    steps: Staircase<usize>,
    regions: Vec<Region>,
    /// Slots whose step is gone.
    free: Vec<usize>,
    /// The steps under a new point, from high to low y.
    under: Vec<Step<usize>>,
}

impl Sweep {
    fn add(&mut self, point: u32, x: f64, y: f64, z: f64) {
        let at = self.steps.seek(y);
        let mut to = at;
        if let Some(&step) = self.steps.get(at) {
            let after = self.steps.after(at);
            if step.z >= z {
                // Covered. Where two steps cover it, nothing in it belongs to one alone.
                if self.steps.get(after).is_none_or(|next| next.z < z) {
                    self.regions[step.of].cut(x, y, z, step.z);
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
                left = Some(step);
                break;
            }
            self.under.push(step);
            from = place;
        }
        for step in [left, right].into_iter().flatten() {
            self.regions[step.of].cut(x, y, z, step.z);
        }
        let slot = self.free.pop().unwrap_or(self.regions.len());
        if slot == self.regions.len() {
            self.regions.push(Region::default());
        }
        let region = &mut self.regions[slot];
        region.begin(point, x);
        let mut start = left.map_or(0.0, |step| step.y);
        for step in self.under.iter().rev() {
            region.push(Strip { start, end: step.y, bottom: step.z }, z);
            start = step.y;
        }
        region.push(Strip { start, end: y, bottom: right.map_or(0.0, |step| step.z) }, z);
        while let Some(step) = self.under.pop() {
            self.end(step.of, x);
        }
        self.steps.replace(from, to, Step { y, z, of: slot });
    }

    /// A step falls behind others at depth `x`: its point's contribution is known.
    fn end(&mut self, slot: usize, x: f64) {
        let region = &mut self.regions[slot];
        region.advance(x);
        self.contributions[region.point as usize] = region.volume;
        self.free.push(slot);
    }
}

/// What one point alone covers at the present depth: strips along y, all up to the point's z,
/// their bottoms falling.
#[derive(Default)]
struct Region {
    point: u32,
    strips: Vec<Strip>,
    area: f64,
    /// The depth up to which the volume is counted.
    since: f64,
    volume: f64,
}

#[derive(Clone, Copy)]
struct Strip {
    start: f64,
    end: f64,
    bottom: f64,
}

impl Region {
    /// Counts the volume down to depth `x`.
    fn advance(&mut self, x: f64) {
        self.volume += self.area * (self.since - x);
        self.since = x;
    }

    /// Starts anew for another point at depth `x`; the strips' memory stays.
    fn begin(&mut self, point: u32, x: f64) {
        (self.point, self.since, self.area, self.volume) = (point, x, 0.0, 0.0);
        self.strips.clear();
    }

    fn push(&mut self, strip: Strip, top: f64) {
        if strip.end > strip.start {
            self.area += (strip.end - strip.start) * (top - strip.bottom);
            self.strips.push(strip);
        }
    }

    /// Takes away the rectangle up to (y, z) at depth `x`; the region reaches up to `top`.
    fn cut(&mut self, x: f64, y: f64, z: f64, top: f64) {
        let from = self.strips.partition_point(|strip| strip.bottom >= z);
        let to = self.strips.partition_point(|strip| strip.start < y);
        if from >= to {
            return;
        }
        self.advance(x);
        let z = z.min(top);
        for strip in &self.strips[from..to] {
            self.area -= (strip.end.min(y) - strip.start) * (z - strip.bottom);
        }
        let (first, last) = (self.strips[from], self.strips[to - 1]);
        let raised = Strip { start: first.start, end: last.end.min(y), bottom: z };
        let rest = Strip { start: y, ..last };
        let kept = [(raised, z < top), (rest, last.end > y)];
        let kept = kept.into_iter().filter_map(|(strip, kept)| kept.then_some(strip));
        self.strips.splice(from..to, kept);
        if self.strips.is_empty() {
            // Nothing is left, whatever rounding says.
            self.area = 0.0;
        }
    }
}
