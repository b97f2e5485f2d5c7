//! Values as dense ranks: 0 is the best value of a column, equal values share a rank.
//!
//! Ranks compare as integers, take half the memory of doubles, and make -0.0 and the infinities
//! ordinary. Every kernel for three objectives or more works on them.

use rayon::prelude::*;

use crate::points::Column;
use crate::threads;

/// A value as an integer that orders the other way round (best first), beside its row.
pub(super) type Keyed = (u64, u32);

/// A column as dense ranks.
pub(super) struct Ranked {
    /// The rank of each row.
    pub ranks: Vec<u32>,
    /// Rows from best to worst value.
    pub order: Vec<u32>,
    /// Number of distinct values.
    pub distinct: usize,
}

/// Maps doubles to integers so that the larger double gets the smaller integer.
///
/// Adding zero turns -0.0 into 0.0, which therefore share a key.
#[inline]
pub(super) fn descending_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { bits } else { !bits & (u64::MAX >> 1) }
}

/// The keys of a column, in row order.
pub(super) fn keys(column: Column<'_>) -> Vec<u64> {
    match column {
        Column::F32(v) => map(v, |x| descending_key(f64::from(x))),
        Column::F64(v) => map(v, descending_key),
    }
}

fn map<T: Copy + Sync, U: Send>(values: &[T], f: impl Fn(T) -> U + Sync + Send) -> Vec<U> {
    if threads::worthwhile(values.len()) {
        values.par_iter().with_min_len(1 << 14).map(|&x| f(x)).collect()
    } else {
        values.iter().map(|&x| f(x)).collect()
    }
}

/// Dense ranks of a column.
pub(super) fn rank(column: Column<'_>) -> Ranked {
    let sorted = sort(&keys(column));
    let mut ranks = vec![0; sorted.len()];
    let mut order = Vec::with_capacity(sorted.len());
    let mut distinct = 0;
    let mut last = None;
    for &(key, row) in &sorted {
        if last != Some(key) {
            last = Some(key);
            distinct += 1;
        }
        ranks[row as usize] = distinct - 1;
        order.push(row);
    }
    Ranked { ranks, order, distinct: distinct as usize }
}

/// Keys with their rows, best first; among equal keys the earlier row first.
pub(super) fn sort(keys: &[u64]) -> Vec<Keyed> {
    let mut sorted: Vec<Keyed> = keys.iter().zip(0..).map(|(&key, row)| (key, row)).collect();
    if threads::worthwhile(keys.len()) {
        sorted.par_sort_unstable();
    } else {
        sorted.sort_unstable();
    }
    sorted
}
