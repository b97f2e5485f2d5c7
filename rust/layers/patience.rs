//! Two objectives: patience sorting.
//!
//! Rows come best first in the first objective, so front f dominates a row exactly when the best
//! second objective seen in f is at least as good. Those bests worsen from front to front, and a
//! binary search finds the first front that does not dominate: O(n log n) whatever the shape.

use std::hint::select_unpredictable;

use super::dictionary;
use super::stop::capped;
use crate::points::Column;
use crate::sort::{ColumnKeys, FIRST, Slabs, descending_key};
use crate::threads;

/// Searches done side by side, so that the memory and the processor overlap them.
const BATCH_ROWS: usize = 16;

/// About as many rows are sorted on one thread while as many before them are numbered on another.
const STEP_ROWS: usize = 1 << 15;

/// The layer of each row of two columns: no ranks are needed, one sort is enough. `None` if both
/// columns hold so few distinct values that merging equal rows first is faster.
pub(super) fn number_columns(a: Column<'_>, b: Column<'_>, cap: u32) -> Option<Vec<i32>> {
    // Objectives can change places; ties in the one sorted by would cost a second sort.
    let (first, second) = match (dictionary::is_likely(a), dictionary::is_likely(b)) {
        (true, true) => return None,
        (true, false) => (b, a),
        (false, _) => (a, b),
    };
    let rows = first.len();
    let slabs = Slabs::new(ColumnKeys::new(first));
    let slabs_per_step = (slabs.count() * STEP_ROWS).div_ceil(rows.max(1)).max(1);
    let steps = slabs.count().div_ceil(slabs_per_step);
    let sorted = |step: usize| {
        let end = slabs.count().min((step + 1) * slabs_per_step);
        let range = step * slabs_per_step..end;
        threads::map(rows, range.len(), |i| Run::new(slabs.sorted(range.start + i), second))
    };
    let mut fronts = Fronts::new(cap);
    let mut numbers = vec![0; rows];
    let mut next = sorted(0);
    for step in 1..=steps {
        let number = || {
            for run in std::mem::take(&mut next) {
                threads::check();
                fronts.number(&run, &mut numbers);
            }
        };
        ((), next) = threads::join(rows, number, || sorted(step));
    }
    Some(numbers)
}

/// Rows in lexicographic order, marked `FIRST` where a row differs from the one before.
struct Run {
    rows: Vec<u32>,
    /// The keys of the second objective.
    values: Vec<u64>,
}

impl Run {
    /// Takes rows ordered and marked by their first objective.
    fn new(mut rows: Vec<u32>, second: Column<'_>) -> Self {
        let at = |&row: &u32| (row & !FIRST) as usize;
        let mut values = second.gather(rows.iter().map(at), descending_key);
        let mut start = 0;
        while start < rows.len() {
            let ties = rows[start + 1..].iter().take_while(|&&row| row & FIRST == 0).count();
            if ties > 0 {
                let range = start..start + 1 + ties;
                let mut keyed: Vec<(u64, u32)> = values[range.clone()]
                    .iter()
                    .zip(&rows[range.clone()])
                    .map(|(&value, &row)| (value, row & !FIRST))
                    .collect();
                keyed.sort_unstable();
                let mut last = None;
                for (i, (value, row)) in range.zip(keyed) {
                    let new = last.replace(value) != Some(value);
                    (values[i], rows[i]) = (value, row | if new { FIRST } else { 0 });
                }
            }
            start += 1 + ties;
        }
        Self { rows, values }
    }
}

/// The front of each row, given the second objective of distinct rows in lexicographic order.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number(second: &[u32], cap: u32) -> Vec<u32> {
    let mut fronts = Fronts::new(cap);
    let mut numbers = Vec::with_capacity(second.len());
    for (at, batch) in second.chunks(BATCH_ROWS).enumerate() {
        if at % 1024 == 0 {
            threads::check();
        }
        let mut values = [0; BATCH_ROWS];
        values[..batch.len()].copy_from_slice(batch);
        let hints = fronts.search(&values);
        numbers.extend(batch.iter().zip(hints).map(|(&value, hint)| fronts.place(value, hint)));
    }
    numbers
}

impl Fronts<u64> {
    /// Numbers rows that come after all rows numbered before.
    fn number(&mut self, run: &Run, numbers: &mut [i32]) {
        let mut front = 0;
        for (rows, values) in run.rows.chunks(BATCH_ROWS).zip(run.values.chunks(BATCH_ROWS)) {
            let mut batch = [0; BATCH_ROWS];
            batch[..values.len()].copy_from_slice(values);
            let hints = self.search(&batch);
            for ((&row, &value), hint) in rows.iter().zip(values).zip(hints) {
                // Equal rows share a front.
                if row & FIRST != 0 {
                    front = self.place(value, hint);
                }
                numbers[(row & !FIRST) as usize] = capped(front, self.cap);
            }
        }
    }
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
    fn search(&self, values: &[T; BATCH_ROWS]) -> [usize; BATCH_ROWS] {
        let mut fronts = [0; BATCH_ROWS];
        // Within a stop, most rows are past it: one comparison settles those.
        if self.bests.len() == self.cap as usize
            && self.bests.last().is_none_or(|best| values.iter().all(|value| best <= value))
        {
            return [self.bests.len(); BATCH_ROWS];
        }
        let mut left = self.bests.len();
        if left == 0 {
            return fronts;
        }
        while left > 1 {
            let half = left / 2;
            for (fronts, value) in fronts.iter_mut().zip(values) {
                let dominates = self.bests[*fronts + half - 1] <= *value;
                *fronts = select_unpredictable(dominates, *fronts + half, *fronts);
            }
            left -= half;
        }
        for (fronts, value) in fronts.iter_mut().zip(values) {
            *fronts += usize::from(self.bests[*fronts] <= *value);
        }
        fronts
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
