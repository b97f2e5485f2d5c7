//! Four objectives: what a point adds to a front in the other three, by a sweep over the third.
//!
//! The front is kept in columns, best third objective first. The area that the rectangle of a new
//! point has to itself shrinks from each point of the front to the next, mostly to nothing after a
//! few. This is the idea of HV4D+ (Guerreiro, Fonseca 2018), which finds a point's neighbours by
//! linked lists; here they are looked for among columns, many at a time. O(n) a point at worst but
//! for the steps of its outline.

use pulp::{Arch, NullaryFnOnce};

use super::chunks::{CHECKED_POINTS, Growth, front_of};
use crate::threads;

/// Points that are looked at together.
const LANES: usize = 8;

/// Points in three objectives of which none dominates another, the third falling, ties by the
/// others.
#[derive(Default)]
pub(super) struct Front {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    /// What the outline of the last point's area was made of.
    steps: Vec<[f64; 2]>,
}

impl Growth for Front {
    fn after(before: &[f64], m: usize, capacity: usize) -> Self {
        let mut front = Self::default();
        front.x.reserve(capacity);
        front.y.reserve(capacity);
        front.z.reserve(capacity);
        let rows = front_of(before, m);
        for &[x, y, z] in rows.as_chunks().0 {
            front.x.push(x);
            front.y.push(y);
            front.z.push(z);
        }
        front
    }

    fn grow(&mut self, rows: &[f64]) -> f64 {
        Arch::new().dispatch(Stretch { front: self, rows: rows.as_chunks().0 })
    }
}

/// A stretch of the sorted points: what it adds to the front of those before it.
struct Stretch<'a> {
    front: &'a mut Front,
    rows: &'a [[f64; 4]],
}

impl NullaryFnOnce for Stretch<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut volume = 0.0;
        for (i, &[x, y, z, last]) in self.rows.iter().enumerate() {
            if i % CHECKED_POINTS == 0 {
                threads::check();
            }
            volume += last * self.front.add(x, y, z);
        }
        volume
    }
}

impl Front {
    /// Adds a point unless it is dominated; returns the volume that it adds.
    #[inline(always)]
    fn add(&mut self, x: f64, y: f64, z: f64) -> f64 {
        let mut at = self.z.partition_point(|&other| other > z);
        while at < self.z.len() && self.z[at] == z && (self.x[at], self.y[at]) >= (x, y) {
            at += 1;
        }
        let [left, low] = floors(&self.x[..at], &self.y[..at], [x, y]);
        if left >= x {
            return 0.0;
        }
        let mut outline = Outline { left, low, x, y, steps: &mut self.steps, area: 0.0 };
        outline.begin(&self.x[..at], &self.y[..at]);
        let (mut volume, mut top) = (0.0, z);
        let lower = self.x[at..].iter().zip(&self.y[at..]).zip(&self.z[at..]);
        for ((&other_x, &other_y), &other_z) in lower {
            if other_x > outline.left && other_y > outline.low {
                let free = outline.area;
                if outline.cover(lesser(other_x, x), lesser(other_y, y)) {
                    volume += free * (top - other_z);
                    top = other_z;
                    if outline.left >= x || outline.low >= y {
                        top = 0.0;
                        break;
                    }
                }
            }
        }
        volume += outline.area * top;
        self.insert(at, x, y, z);
        volume
    }

    /// Puts a point in its place; those that it dominates fall away.
    #[inline(always)]
    fn insert(&mut self, at: usize, x: f64, y: f64, z: f64) {
        let Some(gap) = self.dominated(at, x, y) else {
            self.x.insert(at, x);
            self.y.insert(at, y);
            self.z.insert(at, z);
            return;
        };
        for (column, value) in [(&mut self.x, x), (&mut self.y, y), (&mut self.z, z)] {
            column.copy_within(at..gap, at + 1);
            column[at] = value;
        }
        let mut next = gap + 1;
        while let Some(gap) = self.dominated(next, x, y) {
            for column in [&mut self.x, &mut self.y, &mut self.z] {
                column.remove(gap);
            }
            next = gap;
        }
    }

    /// The first point from a place on that is dominated in the first two objectives.
    #[inline(always)]
    fn dominated(&self, from: usize, x: f64, y: f64) -> Option<usize> {
        let (xs, last_xs) = self.x[from..].as_chunks::<LANES>();
        let (ys, last_ys) = self.y[from..].as_chunks::<LANES>();
        for (chunk, (xs, ys)) in xs.iter().zip(ys).enumerate() {
            let mut any = false;
            for i in 0..LANES {
                any |= (xs[i] <= x) & (ys[i] <= y);
            }
            if any {
                let first = xs.iter().zip(ys).position(|(&a, &b)| a <= x && b <= y);
                return first.map(|i| from + chunk * LANES + i);
            }
        }
        let last = last_xs.iter().zip(last_ys).position(|(&a, &b)| a <= x && b <= y);
        last.map(|i| from + xs.len() * LANES + i)
    }
}

/// The smaller of two numbers, none of which is NaN.
#[inline(always)]
fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// How far points cover a rectangle from below in each direction: of those that reach as far as it
/// in the other one, the farthest.
#[inline(always)]
fn floors(xs: &[f64], ys: &[f64], [x, y]: [f64; 2]) -> [f64; 2] {
    let mut lanes = [[0.0; LANES]; 2];
    let ((xs, last_xs), (ys, last_ys)) = (xs.as_chunks::<LANES>(), ys.as_chunks::<LANES>());
    for (xs, ys) in xs.iter().zip(ys) {
        for i in 0..LANES {
            let left = if ys[i] >= y { xs[i] } else { 0.0 };
            let low = if xs[i] >= x { ys[i] } else { 0.0 };
            lanes[0][i] = if left > lanes[0][i] { left } else { lanes[0][i] };
            lanes[1][i] = if low > lanes[1][i] { low } else { lanes[1][i] };
        }
    }
    for (i, (&other_x, &other_y)) in last_xs.iter().zip(last_ys).enumerate() {
        lanes[0][i] = if other_y >= y { lanes[0][i].max(other_x) } else { lanes[0][i] };
        lanes[1][i] = if other_x >= x { lanes[1][i].max(other_y) } else { lanes[1][i] };
    }
    lanes.map(|lanes| lanes.into_iter().fold(0.0, f64::max))
}

/// The part of a rectangle that points leave free: above `low` and right of `left`, and outside of
/// the rectangles from there up to each step.
struct Outline<'a> {
    left: f64,
    low: f64,
    x: f64,
    y: f64,
    /// x rising, y falling, all inside.
    steps: &'a mut Vec<[f64; 2]>,
    area: f64,
}

impl Outline<'_> {
    /// Takes the points that reach into the rectangle.
    #[inline(always)]
    fn begin(&mut self, xs: &[f64], ys: &[f64]) {
        self.steps.clear();
        let inside =
            |x: f64, y: f64| (x > self.left) & (x < self.x) & (y > self.low) & (y < self.y);
        let ((xs, last_xs), (ys, last_ys)) = (xs.as_chunks::<LANES>(), ys.as_chunks::<LANES>());
        for (xs, ys) in xs.iter().zip(ys) {
            let mut any = false;
            for i in 0..LANES {
                any |= inside(xs[i], ys[i]);
            }
            if any {
                for i in 0..LANES {
                    if inside(xs[i], ys[i]) {
                        self.steps.push([xs[i], ys[i]]);
                    }
                }
            }
        }
        for (&x, &y) in last_xs.iter().zip(last_ys) {
            if inside(x, y) {
                self.steps.push([x, y]);
            }
        }
        self.keep_outer();
        let (mut from, mut area) = (self.left, 0.0);
        for &[x, y] in &*self.steps {
            area += (x - from) * (self.y - y);
            from = x;
        }
        self.area = area + (self.x - from) * (self.y - self.low);
    }

    /// Keeps the steps that no other covers, x rising.
    #[inline(always)]
    fn keep_outer(&mut self) {
        if self.steps.len() < 2 {
            return;
        }
        self.steps.sort_unstable_by(|a, b| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1])));
        let mut highest = self.low;
        self.steps.retain(|step| {
            let outer = step[1] > highest;
            highest = highest.max(step[1]);
            outer
        });
        self.steps.reverse();
    }

    /// Covers the rectangle up to a point, which is above `low` and right of `left`; whether some of
    /// it was free.
    #[inline(always)]
    fn cover(&mut self, x: f64, y: f64) -> bool {
        let end = self.steps.partition_point(|step| step[0] < x);
        let beyond = self.steps.get(end).map_or(self.low, |step| step[1]);
        if beyond >= y {
            return false;
        }
        // Steps under the rectangle fall away.
        let first = self.steps[..end].partition_point(|step| step[1] > y);
        let last = end + usize::from(self.steps.get(end).is_some_and(|step| step[0] == x));
        let (mut right, mut level, mut gained) = (x, beyond, 0.0);
        for &[step_x, step_y] in self.steps[first..end].iter().rev() {
            gained += (right - step_x) * (y - level);
            (right, level) = (step_x, step_y);
        }
        let left = if first == 0 { self.left } else { self.steps[first - 1][0] };
        gained += (right - left) * (y - level);
        self.area = (self.area - gained).max(0.0);
        if x < self.x && y < self.y {
            if first == last {
                self.steps.insert(first, [x, y]);
            } else {
                self.steps[first] = [x, y];
                self.steps.drain(first + 1..last);
            }
        } else if y < self.y {
            self.low = y;
            self.steps.truncate(first);
        } else {
            self.left = x;
            self.steps.drain(..last);
        }
        true
    }
}
