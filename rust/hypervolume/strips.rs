//! What one step of an outline covers alone, cut into strips along y.

use super::blocks::{Blocks, Keyed};
use super::measure::Measure;

/// A region of more strips keeps them in blocks. Of a random front 98 % have no more.
const MAX_FEW: usize = 4;

/// From `start` up to the start of the next, and from `bottom` up to the z of the step.
#[derive(Clone, Copy)]
struct Strip {
    start: f64,
    bottom: f64,
}

impl Keyed for Strip {
    #[inline]
    fn key(&self) -> f64 {
        self.start
    }
}

/// The strips of a region in the order of y, their bottoms falling. The last ends at the y of the
/// step: what is cut off whole are the first.
pub(super) struct Strips {
    /// All, unless they are many; infinite where there is none, which makes for few branches.
    starts: [f64; MAX_FEW],
    bottoms: [f64; MAX_FEW],
    len: usize,
    many: Option<Box<Blocks<Strip>>>,
}

impl Default for Strips {
    #[inline]
    fn default() -> Self {
        let none = [f64::INFINITY; MAX_FEW];
        Self { starts: none, bottoms: none, len: 0, many: None }
    }
}

impl Strips {
    /// Adds a strip after the others.
    #[inline]
    pub fn push(&mut self, start: f64, bottom: f64) {
        if self.len < MAX_FEW && self.many.is_none() {
            (self.starts[self.len], self.bottoms[self.len]) = (start, bottom);
            self.len += 1;
        } else {
            self.many().push(Strip { start, bottom });
        }
    }

    /// The area of all, up to the y and z of their step.
    pub fn area<A: Measure>(&self, corner: [f64; 2]) -> A {
        let few = (0..MAX_FEW).map(|i| self.common(i, corner));
        let mut area = few.fold(A::default(), |sum, part| sum + part);
        let [end, top] = corner;
        let mut strips = self.many.iter().flat_map(|many| many.items()).peekable();
        while let Some(strip) = strips.next() {
            let end = strips.peek().map_or(end, |next| next.start);
            area = area + A::span(strip.start, end) * A::span(strip.bottom, top);
        }
        area
    }

    /// What the rectangle up to (y, z) has in common with one of the few.
    #[inline]
    fn common<A: Measure>(&self, i: usize, [y, z]: [f64; 2]) -> A {
        let end = least(self.starts.get(i + 1).copied().unwrap_or(f64::INFINITY), y);
        A::span(least(self.starts[i], end), end) * A::span(least(self.bottoms[i], z), z)
    }

    /// Takes away the rectangle up to (y, z) from the region of a step up to (end, top). Gives what
    /// is left of the area, unless it is all.
    #[inline]
    pub fn cut<A: Measure>(
        &mut self,
        [y, z]: [f64; 2],
        [end, top]: [f64; 2],
        area: A,
    ) -> Option<A> {
        let z = least(z, top);
        let to = count(&self.starts, |start| start < y);
        let from = self.len - count(&self.bottoms, |bottom| bottom < z);
        if from >= to {
            return if self.many.is_some() {
                self.cut_many([y, z], [end, top], area)
            } else {
                None
            };
        }
        let (above, beside) =
            (z < top, self.starts.get(to).is_none_or(|&next| next > y) && end > y);
        let place = from + usize::from(above) + usize::from(beside);
        if self.len - to + place > MAX_FEW {
            return self.cut_many([y, z], [end, top], area);
        }
        let limit = least(y, end);
        let left = (0..MAX_FEW).fold(area, |left, i| left - self.common(i, [limit, z]));
        let bottom = self.bottoms[to - 1];
        if place != to {
            self.shift(to, place);
        }
        if above {
            // From where the first started.
            self.bottoms[from] = z;
        }
        if beside {
            (self.starts[place - 1], self.bottoms[place - 1]) = (y, bottom);
        }
        Some(left)
    }

    /// Moves the strips from one place on to another.
    #[inline]
    fn shift(&mut self, from: usize, to: usize) {
        let len = self.len - from + to;
        for side in [&mut self.starts, &mut self.bottoms] {
            side.copy_within(from..self.len, to);
            if let Some(gone) = side.get_mut(len..self.len) {
                gone.fill(f64::INFINITY);
            }
        }
        self.len = len;
    }

    /// [`Strips::cut`] of many strips.
    #[cold]
    fn cut_many<A: Measure>(
        &mut self,
        [y, z]: [f64; 2],
        [end, top]: [f64; 2],
        area: A,
    ) -> Option<A> {
        let many = self.many();
        let to = many.seek(y);
        let last_end = many.get(to).map_or(end, |next| next.start);
        let (mut from, mut cut, end) = (to, None, last_end.min(y));
        while let Some(before) = many.before(from)
            && let Some(&strip) = many.get(before).filter(|strip| strip.bottom < z)
        {
            (from, cut) = (before, Some((strip, cut.map_or(strip, |(_, last)| last))));
        }
        let (first, last) = cut?;
        let (mut place, mut left) = (from, area);
        while place != to
            && let Some(&strip) = many.get(place)
        {
            place = many.after(place);
            let next = if place == to { end } else { many.get(place).map_or(end, |s| s.start) };
            left = left - A::span(strip.start, next) * A::span(strip.bottom, z);
        }
        let above = Strip { start: first.start, bottom: z };
        let beside = Strip { start: y, bottom: last.bottom };
        let kept = usize::from(z >= top)..1 + usize::from(last_end > y);
        many.splice(from, to, &[above, beside][kept]);
        Some(left)
    }

    /// The blocks, to which the few go if they are not in them yet.
    fn many(&mut self) -> &mut Blocks<Strip> {
        let Self { starts, bottoms, len, many } = self;
        let many = many.get_or_insert_default();
        for i in 0..std::mem::take(len) {
            many.push(Strip { start: starts[i], bottom: bottoms[i] });
            (starts[i], bottoms[i]) = (f64::INFINITY, f64::INFINITY);
        }
        many
    }
}

/// Of numbers that are not NaN.
#[inline(always)]
fn least(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline(always)]
fn count(values: &[f64], is: impl Fn(f64) -> bool) -> usize {
    values.iter().filter(|&&value| is(value)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// A grid: areas of whole cells are exact.
    const SIDE: usize = 600;

    #[test]
    fn what_is_left_of_a_region_is_a_staircase() {
        let mut random = Random(11);
        for cuts in [3, 30, 1000] {
            for _ in 0..20 {
                let mut strips = Strips::default();
                // What is covered of each column of cells, by the floor and by the cuts.
                let mut covered = [0; SIDE];
                let steps = 1 + random.below(cuts.min(SIDE) as u64) as usize;
                for i in 0..steps {
                    let (start, bottom) = (i * SIDE / steps, (steps - 1 - i) * SIDE / steps);
                    covered[start..].fill(bottom);
                    strips.push(start as f64, bottom as f64);
                }
                let corner = [SIDE as f64; 2];
                let cells = |covered: &[usize]| covered.iter().map(|z| SIDE - z).sum::<usize>();
                let mut area: f64 = strips.area(corner);
                assert_eq!(area, cells(&covered) as f64);
                for _ in 0..cuts {
                    let mut next = || random.below(SIDE as u64 + 30) as usize + 1;
                    let (mut y, mut z) = (next(), next());
                    // Most cuts take little.
                    if random.below(8) > 0 {
                        y = y.min(SIDE);
                        z = (covered[y - 1] + 1 + random.below(4) as usize).min(SIDE);
                    }
                    let before = cells(&covered);
                    for column in &mut covered[..y.min(SIDE)] {
                        *column = (*column).max(z.min(SIDE));
                    }
                    let left = strips.cut([y as f64, z as f64], corner, area);
                    assert_eq!(left.is_none(), before == cells(&covered));
                    area = left.unwrap_or(area);
                    assert_eq!(area, cells(&covered) as f64);
                    assert_eq!(strips.area::<f64>(corner), area);
                }
            }
        }
    }
}
