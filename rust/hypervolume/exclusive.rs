//! What each point alone dominates, in three objectives.
//!
//! One sweep after Emmerich and Fonseca (2011), from the best to the worst first objective. The
//! points met so far have an outline in the other two objectives, a staircase. Each of its steps
//! has a region that it alone covers, kept as strips; a point's contribution is the integral of
//! its region's area along the sweep. A new point takes strips from its two neighbours, or from
//! the one step above it, and ends the steps below it, so O(n log n) strips are ever made.

use std::collections::BTreeMap;

/// Contributions of positive points: what their hypervolume loses without each.
pub(super) fn contributions(points: &[[f64; 3]]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_unstable_by(|&a, &b| points[b][0].total_cmp(&points[a][0]).then(a.cmp(&b)));
    let mut sweep = Sweep {
        points,
        regions: points.iter().map(|_| Region::default()).collect(),
        steps: BTreeMap::new(),
    };
    for point in order {
        sweep.add(point);
    }
    for region in &mut sweep.regions {
        region.advance(0.0);
    }
    sweep.regions.into_iter().map(|region| region.volume).collect()
}

struct Sweep<'a> {
    points: &'a [[f64; 3]],
    regions: Vec<Region>,
    /// The staircase: points by the bits of y, which order like y because y is positive.
    steps: BTreeMap<u64, usize>,
}

impl Sweep<'_> {
    fn add(&mut self, point: usize) {
        let [x, y, z] = self.points[point];
        let height = |&step: &usize| self.points[step][2];
        let mut above = self.steps.range(y.to_bits()..).map(|(_, &step)| step);
        let first = above.next();
        if let Some(step) = first.filter(|step| height(step) >= z) {
            // Covered. Where two steps cover it, nothing in it belongs to one alone.
            if above.next().is_none_or(|next| height(&next) < z) {
                self.regions[step].cut(x, y, z, height(&step));
            }
            return;
        }
        let same = first.filter(|&step| self.points[step][1] == y);
        let right = if same.is_some() { above.next() } else { first };
        let mut below: Vec<usize> = Vec::new();
        let mut left = None;
        for (_, &step) in self.steps.range(..=y.to_bits()).rev() {
            if height(&step) > z {
                left = Some(step);
                break;
            }
            below.push(step);
        }
        for neighbour in [left, right].into_iter().flatten() {
            self.regions[neighbour].cut(x, y, z, self.points[neighbour][2]);
        }
        let region = &mut self.regions[point];
        region.since = x;
        let mut start = left.map_or(0.0, |step| self.points[step][1]);
        for &step in below.iter().rev() {
            let [_, end, bottom] = self.points[step];
            region.push(Strip { start, end, bottom }, z);
            start = end;
        }
        let bottom = right.map_or(0.0, |step| self.points[step][2]);
        region.push(Strip { start, end: y, bottom }, z);
        for step in below {
            self.regions[step].advance(x);
            self.regions[step].clear();
            self.steps.remove(&self.points[step][1].to_bits());
        }
        self.steps.insert(y.to_bits(), point);
    }
}

/// What one point alone covers at the present depth: strips along y, all up to the point's z,
/// their bottoms falling.
#[derive(Default)]
struct Region {
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

    fn clear(&mut self) {
        self.strips.clear();
        self.area = 0.0;
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
