//! The k nearest rows among those met so far.

use std::cmp::Ordering;

/// A distance and the row that has it; of equal distances the earlier row is nearer.
pub(super) type Neighbour = (f64, usize);

/// Nearer first.
pub(super) fn nearer(a: &Neighbour, b: &Neighbour) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// What a row must be nearer than: some k rows are at least this near.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    worst: Neighbour,
    /// The largest square whose root is at most the distance.
    within: f64,
    /// The largest square whose root is less than the distance.
    below: f64,
}

impl Bound {
    /// Every row is nearer than this.
    pub const NONE: Self =
        Self { worst: (f64::INFINITY, usize::MAX), within: f64::INFINITY, below: f64::INFINITY };

    fn new(worst: Neighbour) -> Self {
        // Different squares may round to one root, and ties are ties of the distance.
        let (distance, _) = worst;
        if !distance.is_finite() {
            return Self::NONE;
        }
        let mut within = distance * distance;
        while within.sqrt() > distance {
            within = within.next_down();
        }
        while within.next_up().sqrt() <= distance {
            within = within.next_up();
        }
        let mut below = within;
        while below.sqrt() >= distance {
            below = below.next_down();
        }
        Self { worst, within, below }
    }

    /// The largest squared distance with which a row can come in.
    pub fn squared(&self) -> f64 {
        self.within
    }

    /// The same for rows from `first` on, which may be too late to win a tie.
    pub fn squared_from(&self, first: usize) -> f64 {
        if first > self.worst.1 { self.below } else { self.within }
    }
}

/// The nearest rows met so far.
pub(super) struct Nearest {
    k: usize,
    pub bound: Bound,
    pub neighbours: Vec<Neighbour>,
}

impl Nearest {
    pub fn new(k: usize, bound: Bound) -> Self {
        Self { k, bound, neighbours: Vec::new() }
    }

    /// Takes a row whose squared distance is within the bound.
    pub fn push(&mut self, squared: f64, row: usize) {
        self.neighbours.push((squared.sqrt(), row));
        if self.neighbours.len() >= self.k + self.k.max(32) {
            self.shrink();
        }
    }

    /// Drops all but the k nearest, and tightens the bound to them.
    pub fn shrink(&mut self) {
        if self.neighbours.len() < self.k {
            return;
        }
        let (_, &mut worst, _) = self.neighbours.select_nth_unstable_by(self.k - 1, nearer);
        self.neighbours.truncate(self.k);
        if nearer(&worst, &self.bound.worst).is_lt() {
            self.bound = Bound::new(worst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_exact() {
        let mut distance = 1e-160;
        while distance < 1e140 {
            let bound = Bound::new((distance, 5));
            assert!(bound.squared().sqrt() <= distance);
            assert!(bound.squared().next_up().sqrt() > distance);
            assert!(bound.squared_from(6).sqrt() < distance);
            assert!(bound.squared_from(6).next_up().sqrt() >= distance);
            assert_eq!(bound.squared_from(5), bound.squared());
            distance *= 1.7;
        }
        let zero = Bound::new((0.0, 5));
        assert_eq!(zero.squared(), 0.0);
        assert!(zero.squared_from(6) < 0.0);
    }

    #[test]
    fn ties_go_to_the_earlier_row() {
        let mut nearest = Nearest::new(2, Bound::NONE);
        for row in (0..1000).rev() {
            nearest.push(4.0, row);
        }
        nearest.shrink();
        nearest.neighbours.sort_unstable_by(nearer);
        assert_eq!(nearest.neighbours, [(2.0, 0), (2.0, 1)]);
    }
}
