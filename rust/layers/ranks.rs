//! Values as dense ranks: 0 is the best value of a column, equal values share a rank.
//!
//! Ranks compare as integers, take half the memory of doubles, and make -0.0 and the infinities
//! ordinary. Every kernel for three objectives or more works on them.

use rayon::prelude::*;

use crate::points::Column;
use crate::threads;

/// A value as an integer that orders the other way round (best first), and what goes with it.
pub(crate) type Keyed<T> = (u64, T);

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
pub(crate) fn descending_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { bits } else { !bits & (u64::MAX >> 1) }
}

/// The value a key stands for.
#[inline]
fn value_of(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key } else { !key & (u64::MAX >> 1) })
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
    let sorted = sort(&keys(column), |row| row);
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

/// Keys with what goes with each row, best first; equal keys in an order that is fixed but not by
/// row.
///
/// Values are dealt into buckets by size, which a linear map of most of their range keeps even,
/// and the buckets, now in cache, are sorted one by one. A skewed column only makes some buckets
/// large: O(n log n) whatever the shape.
pub(crate) fn sort<T: Copy + Default + Send>(
    keys: &[u64],
    with: impl Fn(u32) -> T,
) -> Vec<Keyed<T>> {
    const SMALL: usize = 1 << 11;
    if keys.len() < SMALL {
        let mut sorted: Vec<Keyed<T>> = keys.iter().copied().zip((0..).map(with)).collect();
        sorted.sort_unstable_by_key(|keyed| keyed.0);
        return sorted;
    }
    let buckets = Buckets::over(keys);
    let mut ends = vec![0usize; buckets.count];
    let dealt: Vec<u16> = map(keys, |key| buckets.of(key));
    for &bucket in &dealt {
        ends[bucket as usize] += 1;
    }
    let sizes = ends.clone();
    let mut sum = 0;
    for end in &mut ends {
        // For now the start of the bucket; filling it moves it to its end.
        (*end, sum) = (sum, sum + *end);
    }
    let mut sorted = vec![(0, T::default()); keys.len()];
    for ((&key, &bucket), row) in keys.iter().zip(&dealt).zip(0..) {
        let next = &mut ends[bucket as usize];
        sorted[*next] = (key, with(row));
        *next += 1;
    }
    let mut rest = &mut sorted[..];
    let mut slices = Vec::with_capacity(sizes.len());
    for size in sizes {
        let (slice, after) = rest.split_at_mut(size);
        slices.push(slice);
        rest = after;
    }
    let sort = |slice: &mut [Keyed<T>]| slice.sort_unstable_by_key(|keyed| keyed.0);
    if threads::worthwhile(keys.len()) {
        slices.into_par_iter().with_min_len(8).for_each(sort);
    } else {
        slices.into_iter().for_each(sort);
    }
    sorted
}

/// A monotone map from keys to buckets of about equal size, where values spread evenly.
struct Buckets {
    best: f64,
    scale: f64,
    count: usize,
}

impl Buckets {
    /// Buckets of a few hundred keys, judged by a sample.
    fn over(keys: &[u64]) -> Self {
        let mut sample: Vec<u64> = keys.iter().step_by(keys.len() / 1024).copied().collect();
        sample.sort_unstable();
        // The ends of the range may be far out; what lies beyond goes to the outer buckets.
        let trim = sample.len() / 128;
        let best = value_of(sample[trim]);
        let worst = value_of(sample[sample.len() - 1 - trim]);
        let count = (keys.len() / 256).clamp(1, 1 << 13);
        // An infinite or empty range makes the scale zero or NaN: all in one bucket.
        let scale = count as f64 / (best - worst);
        Self { best, scale: if scale.is_finite() { scale } else { 0.0 }, count }
    }

    #[inline]
    fn of(&self, key: u64) -> u16 {
        // Negative, NaN (zero times infinity) and too large are clamped by the conversion.
        let bucket = ((self.best - value_of(key)) * self.scale) as u32;
        bucket.min(self.count as u32 - 1) as u16
    }
}
