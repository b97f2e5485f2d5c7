//! Two objectives: patience sorting.
//!
//! Rows come best first in the first objective, so front f dominates a row exactly when the best
//! second objective seen in f is at least as good. Those bests worsen from front to front, and a
//! binary search finds the first front that does not dominate: O(n log n) whatever the shape.

use std::hint::select_unpredictable;

use super::ranks;
use crate::points::Column;

/// Searches done side by side, so that the memory and the processor overlap them.
const BATCH: usize = 16;

/// The front of each row of two columns: no ranks are needed, one sort is enough.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number_columns(first: Column<'_>, second: Column<'_>, cap: u32) -> Vec<u32> {
    let second = ranks::keys(second);
    let mut sorted = ranks::sort(&ranks::keys(first), |row| (second[row as usize], row));
    drop(second);
    for ties in sorted.chunk_by_mut(|a, b| a.0 == b.0) {
        if ties.len() > 1 {
            ties.sort_unstable_by_key(|&(_, (value, _))| value);
        }
    }
    let mut fronts = Fronts::new(cap);
    let mut numbers = vec![0; sorted.len()];
    let mut last: Option<(u64, u64, u32)> = None;
    for batch in sorted.chunks(BATCH) {
        let mut values = [0; BATCH];
        for (value, row) in values.iter_mut().zip(batch) {
            *value = row.1.0;
        }
        let hints = fronts.search(&values);
        for (&(key, (value, row)), hint) in batch.iter().zip(hints) {
            let front = match last {
                // Equal rows share a front.
                Some((k, v, front)) if k == key && v == value => front,
                _ => fronts.place(value, hint),
            };
            numbers[row as usize] = front;
            last = Some((key, value, front));
        }
    }
    numbers
}

/// The front of each row, given the second objective of distinct rows in lexicographic order.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number(second: &[u32], cap: u32) -> Vec<u32> {
    let mut fronts = Fronts::new(cap);
    let mut numbers = Vec::with_capacity(second.len());
    for batch in second.chunks(BATCH) {
        let mut values = [0; BATCH];
        values[..batch.len()].copy_from_slice(batch);
        let hints = fronts.search(&values);
        numbers.extend(batch.iter().zip(hints).map(|(&value, hint)| fronts.place(value, hint)));
    }
    numbers
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

    /// For each value the number of fronts that dominate it, by binary search.
    #[inline]
    fn search(&self, values: &[T; BATCH]) -> [usize; BATCH] {
        let mut found = [0; BATCH];
        // Within a stop, most rows are past it: one comparison settles those.
        if self.bests.len() == self.cap as usize
            && self.bests.last().is_none_or(|best| values.iter().all(|value| best <= value))
        {
            return [self.bests.len(); BATCH];
        }
        let mut left = self.bests.len();
        if left == 0 {
            return found;
        }
        while left > 1 {
            let half = left / 2;
            for (found, value) in found.iter_mut().zip(values) {
                let dominates = self.bests[*found + half - 1] <= *value;
                *found = select_unpredictable(dominates, *found + half, *found);
            }
            left -= half;
        }
        for (found, value) in found.iter_mut().zip(values) {
            *found += usize::from(self.bests[*found] <= *value);
        }
        found
    }

    /// Puts a row into the first front that does not dominate it and returns that front. `hint`
    /// fronts dominated it a few rows ago; since then only more may.
    #[inline]
    fn place(&mut self, value: T, hint: usize) -> u32 {
        let more = self.bests[hint..].iter().take_while(|&&best| best <= value).count();
        let front = hint + more;
        if let Some(best) = self.bests.get_mut(front) {
            *best = value;
        } else if front < self.cap as usize {
            self.bests.push(value);
        }
        front as u32
    }
}
