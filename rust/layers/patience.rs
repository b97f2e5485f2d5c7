//! Two objectives: patience sorting.
//!
//! Rows come best first in the first objective, so front f dominates a row exactly when the best
//! second objective seen in f is at least as good. Those bests worsen from front to front, and a
//! binary search finds the first front that does not dominate: O(n log n) whatever the shape.

use super::ranks::{self, Keyed};
use crate::points::Column;

/// The front of each row of two columns: no ranks are needed, one sort is enough.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number_columns(first: Column<'_>, second: Column<'_>, cap: u32) -> Vec<u32> {
    let second = ranks::keys(second);
    let mut sorted = ranks::sort(&ranks::keys(first));
    for ties in sorted.chunk_by_mut(|a, b| a.0 == b.0) {
        if ties.len() > 1 {
            ties.sort_unstable_by_key(|&(_, row)| second[row as usize]);
        }
    }
    let mut fronts = Fronts::new(cap);
    let mut numbers = vec![0; sorted.len()];
    let mut last: Option<(Keyed, u32)> = None;
    for &(key, row) in &sorted {
        let value = second[row as usize];
        let front = match last {
            // Equal rows share a front.
            Some(((k, r), front)) if k == key && second[r as usize] == value => front,
            _ => fronts.place(value),
        };
        numbers[row as usize] = front;
        last = Some(((key, row), front));
    }
    numbers
}

/// The front of each row, given the second objective of distinct rows in lexicographic order.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number(second: &[u32], cap: u32) -> Vec<u32> {
    let mut fronts = Fronts::new(cap);
    second.iter().map(|&value| fronts.place(value)).collect()
}

/// The best second objective of each front, as a number that is smaller when better.
struct Fronts<T> {
    bests: Vec<T>,
    cap: u32,
}

impl<T: Ord + Copy> Fronts<T> {
    fn new(cap: u32) -> Self {
        Self { bests: Vec::new(), cap }
    }

    /// Puts a row into the first front that does not dominate it and returns that front.
    #[inline]
    fn place(&mut self, value: T) -> u32 {
        // Within a stop, most rows are past it: one comparison settles those.
        if self.bests.len() == self.cap as usize
            && self.bests.last().is_none_or(|&best| best <= value)
        {
            return self.cap;
        }
        let front = self.bests.partition_point(|&best| best <= value);
        match self.bests.get_mut(front) {
            Some(best) => *best = value,
            None => self.bests.push(value),
        }
        front as u32
    }
}
