//! The best k points of a front in two objectives.
//!
//! With the points in the order of x, a subset's area is the sum, over its points, of x's step from
//! the chosen point before times y: a path along the front, with a weight for each step. The
//! weights are Monge, so that the best area is a concave function of the number of points, and the
//! best path of k points is a best path of any number at some price per point (Aggarwal, Schieber,
//! Tokuyama 1994; for hypervolume compare Bringmann, Friedrich, Klitzke 2014 and Kuhn et al. 2016).
//! The price is found by bisection of the doubles. At each price the best path is found in O(n):
//! each point continues the point before whose line is the highest at y, and y only falls along the
//! upper envelope of the lines. O(n log n) for the order, and up to 64 times O(n).

use super::sorted::sorted;
use crate::threads;

/// The places of the `k` points that together have the largest area above the origin; all points
/// if there are fewer. The points are positive and a front but for rounding, copies allowed.
pub(super) fn best(x: &[f64], y: &[f64], k: usize) -> Vec<u32> {
    let mut order = sorted(x, <[u32]>::sort_unstable, &mut Vec::new());
    // Of copies the first is left. Points that only rounding has put at one x have a best one.
    order.dedup_by(|b, a| {
        let same = x[*a as usize] == x[*b as usize];
        if same && y[*b as usize] > y[*a as usize] {
            *a = *b;
        }
        same
    });
    order.reverse();
    if order.len() <= k {
        return order;
    }
    let steps = order.iter().map(|&i| (x[i as usize], y[i as usize])).collect();
    let chosen = Front { steps, before: Vec::new(), envelope: Vec::new() }.choose(k);
    chosen.into_iter().map(|place| order[place as usize]).collect()
}

/// After so many points it is looked whether the call was stopped.
const CHECKED_POINTS: usize = 1 << 16;

/// No point before: a path begins.
const NONE: u32 = u32::MAX;

struct Front {
    /// x rising, y falling.
    steps: Vec<(f64, f64)>,
    /// The point before each on the best path to it, at the present price.
    before: Vec<u32>,
    envelope: Vec<Line>,
}

/// What a path through a point leads to, as a line in the next point's y: `value` - `x` y.
#[derive(Clone, Copy)]
struct Line {
    value: f64,
    x: f64,
    place: u32,
}

impl Line {
    fn at(self, y: f64) -> f64 {
        self.value - self.x * y
    }

    /// Whether `c`, the steepest, is above `a` from a y on at which `b` is not yet above.
    fn covers(c: Self, a: Self, b: Self) -> bool {
        (c.value - a.value) * (b.x - a.x) >= (b.value - a.value) * (c.x - a.x)
    }
}

impl Front {
    /// The best path of `k` points, fewer than there are.
    fn choose(&mut self, k: usize) -> Vec<u32> {
        let dearest = self.steps.iter().map(|(x, y)| x * y).fold(0.0, f64::max);
        let (mut low, mut high) = (0u64, dearest.to_bits());
        // At no price all points are taken, at that of the largest area none.
        let (mut many, mut few) = ((0..self.steps.len() as u32).collect(), Vec::new());
        while high - low > 1 {
            let price = low + (high - low) / 2;
            let path = self.path(f64::from_bits(price));
            match path.len().cmp(&k) {
                std::cmp::Ordering::Equal => return path,
                std::cmp::Ordering::Greater => (many, low) = (path, price),
                std::cmp::Ordering::Less => (few, high) = (path, price),
            }
        }
        splice(&many, &few, k)
    }

    /// The path with the largest area less a price per point.
    fn path(&mut self, price: f64) -> Vec<u32> {
        let (mut best, mut end) = (0.0, NONE);
        self.before.clear();
        self.envelope.clear();
        self.envelope.push(Line { value: 0.0, x: 0.0, place: NONE });
        let mut at = 0;
        for (place, &(x, y)) in (0..).zip(&self.steps) {
            if (place as usize).is_multiple_of(CHECKED_POINTS) {
                threads::check();
            }
            while let Some(next) = self.envelope.get(at + 1)
                && next.at(y) > self.envelope[at].at(y)
            {
                at += 1;
            }
            let last = self.envelope[at];
            let value = last.value + (x - last.x) * y - price;
            self.before.push(last.place);
            if value > best {
                (best, end) = (value, place);
            }
            let line = Line { value, x, place };
            while let [.., a, b] = self.envelope[at..]
                && Line::covers(line, a, b)
            {
                self.envelope.pop();
            }
            self.envelope.push(line);
        }
        let mut path = Vec::new();
        while end != NONE {
            path.push(end);
            end = self.before[end as usize];
        }
        path.reverse();
        path
    }
}

/// A path of `k` points that is as good as two others at one price, one longer and one shorter: the
/// beginning of the longer one, then the end of the shorter one.
///
/// It changes over where a step of the longer lies within a step of the shorter one. There, by the
/// Monge property, both paths that cross over are together no worse.
fn splice(many: &[u32], few: &[u32], k: usize) -> Vec<u32> {
    let more = k - few.len();
    let within = |&taken: &usize| few.get(taken).is_none_or(|&next| next > many[taken + more]);
    let taken = (0..=few.len()).find(within).unwrap_or(few.len());
    [&many[..taken + more], &few[taken..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_spliced_where_steps_nest() {
        assert_eq!(splice(&[1, 3, 5, 7], &[4], 2), [1, 4]);
        assert_eq!(splice(&[1, 3, 5, 7], &[4], 3), [1, 3, 5]);
        assert_eq!(splice(&[1, 3, 5, 7], &[1, 2], 3), [1, 3, 5]);
        assert_eq!(splice(&[1, 3, 5, 7], &[], 2), [1, 3]);
    }

    #[test]
    fn of_points_that_were_rounded_to_one_x_the_highest_is_taken() {
        assert_eq!(best(&[3.0, 3.0, 3.0], &[1.0, 3.0, 2.0], 1), [1]);
        assert_eq!(best(&[3.0, 3.0, 2.0, 3.0], &[1.0, 2.5, 3.0, 2.0], 2), [2, 1]);
        assert_eq!(best(&[2.0, 2.0], &[1.0, 1.0], 1), [0]);
    }

    #[test]
    fn equal_gains_leave_a_choice() {
        // Steps of one size: any k points of the line through them are as good as others.
        let x: Vec<f64> = (1..=9).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| 10.0 - x).collect();
        for k in 1..=9 {
            let chosen = best(&x, &y, k);
            assert_eq!(chosen.len(), k);
            assert!(chosen.is_sorted_by(|a, b| a < b));
        }
    }
}
