//! Two objectives: patience sorting.
//!
//! Rows come best first in the first objective, so front f dominates a row exactly when the best
//! second objective seen in f is at least as good. Those bests worsen from front to front, and a
//! binary search finds the first front that does not dominate: O(n log n) whatever the shape.

/// The front of each row, given the second objective of distinct rows in lexicographic order.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number(second: &[u32], cap: u32) -> Vec<u32> {
    let mut bests: Vec<u32> = Vec::new();
    second
        .iter()
        .map(|&value| {
            // Within a stop, most rows are past it: one comparison settles those.
            if bests.len() == cap as usize && bests.last().is_none_or(|&best| best <= value) {
                return cap;
            }
            let front = bests.partition_point(|&best| best <= value);
            match bests.get_mut(front) {
                Some(best) => *best = value,
                None => bests.push(value),
            }
            front as u32
        })
        .collect()
}
