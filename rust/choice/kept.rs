//! The first few items in some order, in calls that can be stopped.

use std::cell::Cell;
use std::cmp::Ordering;

use crate::threads;

/// Leaves the first `k` items, sorted.
#[inline(always)]
pub(crate) fn keep_first<T>(items: &mut Vec<T>, k: usize, compare: impl Fn(&T, &T) -> Ordering) {
    const COMPARISONS: usize = 1 << 16;
    if items.len() < COMPARISONS {
        select_and_sort(items, k, compare);
        return;
    }
    let left = Cell::new(COMPARISONS);
    select_and_sort(items, k, |a, b| {
        if left.get() == 0 {
            left.set(COMPARISONS);
            threads::check();
        }
        left.set(left.get() - 1);
        compare(a, b)
    });
}

#[inline(always)]
fn select_and_sort<T>(items: &mut Vec<T>, k: usize, compare: impl Fn(&T, &T) -> Ordering) {
    if 0 < k && k < items.len() {
        items.select_nth_unstable_by(k - 1, &compare);
    }
    items.truncate(k);
    items.sort_unstable_by(compare);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn the_first_are_left_in_order() {
        let mut random = Random(1);
        for n in [0, 1, 50, 200_000] {
            let items: Vec<u64> = (0..n).map(|_| random.below(1000)).collect();
            let mut sorted = items.clone();
            sorted.sort_unstable();
            for k in [0, 1, 7, 100_000, 300_000] {
                let mut kept = items.clone();
                keep_first(&mut kept, k, u64::cmp);
                assert_eq!(kept, sorted[..k.min(sorted.len())]);
            }
        }
    }
}
