//! The best k points of a front in two objectives.
//!
//! With the points in the order of x, a subset's area is the sum of x_i's step from the chosen
//! point before times y_i. So the best area of t points that ends with point j is
//! x_j y_j + max over i < j of (best area of t - 1 points that ends with i) - x_i y_j: lines in y_j,
//! whose upper envelope is walked along, for y falls as j grows (Bringmann, Friedrich, Klitzke
//! 2014; Kuhn et al. 2016). O(n log n + k n). Which i was best is found again from every few rows
//! of areas, so that O(n sqrt k) numbers are kept, not k n.

use crate::error::{Error, Kind};
use crate::sort::descending_key;

/// The places of the `k` points that together have the largest area above the origin; all points
/// if there are fewer. The points are positive and a front, copies allowed.
pub(super) fn best(x: &[f64], y: &[f64], k: usize) -> Result<Vec<u32>, Error> {
    let mut order: Vec<u32> = (0..x.len() as u32).collect();
    order.sort_unstable_by_key(|&i| (!descending_key(x[i as usize]), i));
    order.dedup_by(|b, a| x[*a as usize] == x[*b as usize]);
    if order.len() <= k {
        return Ok(order);
    }
    let steps = order.iter().map(|&i| (x[i as usize], y[i as usize])).collect();
    let chosen = Steps(steps).choose(k)?;
    Ok(chosen.into_iter().map(|place| order[place as usize]).collect())
}

/// Points with x rising and y falling.
struct Steps(Vec<(f64, f64)>);

impl Steps {
    fn choose(&self, k: usize) -> Result<Vec<u32>, Error> {
        let n = self.0.len();
        let stride = k.isqrt().max(1);
        // The areas after 1, 1 + stride, 1 + 2 stride, .. points.
        let mut kept: Vec<Vec<f64>> = Vec::new();
        let mut areas: Vec<f64> = self.0.iter().map(|(x, y)| x * y).collect();
        let (mut before, mut envelope) = (room(n)?, Vec::new());
        before.resize(n, 0.0);
        for t in 1..k {
            if (t - 1) % stride == 0 {
                let mut copy = room(n)?;
                copy.extend_from_slice(&areas);
                kept.push(copy);
            }
            std::mem::swap(&mut areas, &mut before);
            // Enough points must be left for those that come later.
            let places = t..n - (k - 1 - t);
            self.extend(&before, t, places, &mut areas, &mut envelope, |_, _| ());
        }
        let most = areas[k - 1..].iter().copied().fold(0.0, f64::max);
        let mut last = k - 1 + areas[k - 1..].iter().position(|&area| area == most).unwrap_or(0);
        let mut chosen = vec![last as u32];
        // From the last stretch to the first, with the choices that lead to its end.
        let mut t = k - 1;
        while let Some(start) = kept.pop() {
            let first = kept.len() * stride + 1;
            let width = last + 1;
            let mut choices: Vec<Vec<u32>> = Vec::new();
            before.clear();
            before.extend_from_slice(&start[..width]);
            areas.clear();
            areas.resize(width, 0.0);
            for t in first..=t {
                let mut choice = room(width)?;
                choice.resize(width, 0);
                let note = |place: usize, i: u32| choice[place] = i;
                self.extend(&before, t, t..width, &mut areas, &mut envelope, note);
                choices.push(choice);
                std::mem::swap(&mut areas, &mut before);
            }
            while let Some(choice) = choices.pop() {
                last = choice[last] as usize;
                chosen.push(last as u32);
            }
            t = first - 1;
        }
        chosen.reverse();
        Ok(chosen)
    }

    /// The best areas of `t` + 1 points that end at each of some places, from those of `t` points;
    /// `note` is told the place before. Of equally good ones that is the first.
    fn extend(
        &self,
        before: &[f64],
        t: usize,
        places: std::ops::Range<usize>,
        areas: &mut [f64],
        envelope: &mut Vec<u32>,
        mut note: impl FnMut(usize, u32),
    ) {
        let line = |i: u32| (before[i as usize], self.0[i as usize].0);
        // Line `c` overtakes `a` no later than `b` does.
        let useless = |a: u32, b: u32, c: u32| {
            let ((a, ax), (b, bx), (c, cx)) = (line(a), line(b), line(c));
            (c - a) * (bx - ax) >= (b - a) * (cx - ax)
        };
        envelope.clear();
        let mut at = 0;
        for place in places {
            let new = place as u32 - 1;
            debug_assert!(place >= t);
            while let [.., a, b] = envelope[at..]
                && useless(a, b, new)
            {
                envelope.pop();
            }
            envelope.push(new);
            let (x, y) = self.0[place];
            let value = |i: u32| before[i as usize] - self.0[i as usize].0 * y;
            while envelope.get(at + 1).is_some_and(|&next| value(next) > value(envelope[at])) {
                at += 1;
            }
            note(place, envelope[at]);
            areas[place] = x * y + value(envelope[at]);
        }
    }
}

/// An empty vector with room for so many, unless that is more than there is.
fn room<T>(count: usize) -> Result<Vec<T>, Error> {
    let mut values = Vec::new();
    let bytes = count * size_of::<T>();
    values.try_reserve_exact(count).map_err(|_| Kind::TooMuchMemory { bytes })?;
    Ok(values)
}
