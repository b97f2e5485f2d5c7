//! Columns as dense ranks, by sorting or, if they hold few distinct values, by a dictionary.

use std::sync::atomic::{AtomicU32, Ordering};

use super::dictionary;
use super::ranked::Ranked;
use crate::points::Column;
use crate::sort::{ColumnKeys, FIRST, Keys, Slabs};
use crate::threads;

/// Dense ranks of a column.
pub(super) fn rank(column: Column<'_>) -> Ranked {
    dictionary::rank(column).unwrap_or_else(|| rank_keys(ColumnKeys::new(column)))
}

/// Dense ranks of any keys.
pub(super) fn rank_keys(keys: impl Keys) -> Ranked {
    let rows = keys.rows();
    let slabs = Slabs::new(keys);
    let count_first = |sorted: &[u32]| sorted.iter().filter(|&&row| row & FIRST != 0).count();
    if !threads::worthwhile(rows) {
        let mut ranks = vec![0; rows];
        let mut distinct = 0u32;
        for slab in 0..slabs.count() {
            threads::check();
            for row in slabs.sorted(slab) {
                distinct += row >> 31;
                ranks[(row & !FIRST) as usize] = distinct - 1;
            }
        }
        return Ranked { ranks, distinct: distinct as usize };
    }
    let sorted = threads::map(rows, slabs.count(), |slab| {
        let sorted = slabs.sorted(slab);
        (count_first(&sorted), sorted)
    });
    drop(slabs);
    let mut distinct = 0;
    let mut before = Vec::with_capacity(sorted.len());
    for (count, _) in &sorted {
        before.push(distinct);
        distinct += count;
    }
    // Slabs hold disjoint rows; atomics let threads write them side by side in safe code.
    let ranks: Vec<AtomicU32> = (0..rows).map(|_| AtomicU32::new(0)).collect();
    threads::map(rows, sorted.len(), |slab| {
        let mut seen = before[slab] as u32;
        for &row in &sorted[slab].1 {
            seen += row >> 31;
            ranks[(row & !FIRST) as usize].store(seen - 1, Ordering::Relaxed);
        }
    });
    Ranked { ranks: ranks.into_iter().map(AtomicU32::into_inner).collect(), distinct }
}
