//! Rows in the order of a key, best first, slab after slab.
//!
//! A 32-bit prefix of each key, which never contradicts the keys, and the row make one integer.
//! Chunks of rows are dealt into slabs by the first bits of the prefix; a slab, now in cache, is
//! dealt into buckets by further bits and sorted; rows that share a prefix are settled by their
//! keys. An even spread takes O(n); a skewed one only makes some buckets large: O(n log n)
//! whatever the shape. Chunks, and then slabs, are independent, so threads share them; and a slab
//! need not be kept once it is used, so that 8 bytes per row are all the memory.

use super::keys::Keys;
use crate::threads;

/// Set in a row whose key differs from the key of the row before it.
pub(crate) const FIRST: u32 = 1 << 31;

/// About as many rows per slab as the first-level cache holds.
const SLAB_ROWS: usize = 1 << 12;

/// Fewer rows are one slab.
const MIN_SLABBED_ROWS: usize = 1 << 14;

/// Slabs are numbered by up to so many bits: more places to write to at once than the cache has
/// lines would be slow.
const MAX_SLAB_BITS: u32 = 10;

/// Buckets of up to this many rows are sorted by insertion.
const INSERTION_SORT_MAX: u32 = 24;

/// More items are not sorted in one go: that would take longer than a few milliseconds.
const MAX_UNCHECKED: usize = 1 << 16;

/// All rows, dealt into slabs but not yet sorted within.
pub(crate) struct Slabs<K> {
    keys: K,
    chunks: Vec<Chunk>,
    bits: u32,
}

/// Some rows by slab: the prefix in the upper half of each item, the row in the lower.
struct Chunk {
    items: Vec<u64>,
    /// Where each slab starts, and the end of the last.
    starts: Vec<u32>,
}

impl<K: Keys> Slabs<K> {
    pub fn new(keys: K) -> Self {
        let rows = keys.rows();
        let bits =
            if rows < MIN_SLABBED_ROWS { 0 } else { (rows / SLAB_ROWS).ilog2().min(MAX_SLAB_BITS) };
        let size = (rows / 64).clamp(1 << 14, 1 << 17);
        let chunks = threads::map(rows, rows.div_ceil(size), |chunk| {
            Chunk::new(&keys, chunk * size, size.min(rows - chunk * size), bits)
        });
        Self { keys, chunks, bits }
    }

    /// Number of slabs.
    pub fn count(&self) -> usize {
        1 << self.bits
    }

    /// The rows of a slab in order, marked `FIRST` where a new key begins.
    ///
    /// The order of rows with equal keys is deterministic but unspecified.
    pub fn sorted(&self, slab: usize) -> Vec<u32> {
        let pieces = || {
            self.chunks.iter().map(|chunk| {
                &chunk.items[chunk.starts[slab] as usize..chunk.starts[slab + 1] as usize]
            })
        };
        let mut items = Vec::with_capacity(pieces().map(<[u64]>::len).sum());
        pieces().for_each(|piece| items.extend_from_slice(piece));
        let items = sort(items);
        let mut rows = Vec::with_capacity(items.len());
        let mut start = 0;
        while start < items.len() {
            let same =
                items[start + 1..].iter().take_while(|&&i| prefix(i) == prefix(items[start]));
            let end = start + 1 + same.count();
            let run = &items[start..end];
            if run.len() == 1 || self.keys.exact() {
                rows.push(row(run[0]) | FIRST);
                rows.extend(run[1..].iter().map(|&item| row(item)));
            } else {
                self.settle(run, &mut rows);
            }
            start = end;
        }
        rows
    }

    /// Appends rows that share a prefix, by their keys.
    fn settle(&self, run: &[u64], rows: &mut Vec<u32>) {
        check_if_many(run);
        let mut keyed: Vec<(u64, u32)> =
            run.iter().map(|&item| (self.keys.key(row(item)), row(item))).collect();
        if keyed.iter().any(|keyed_row| keyed_row.0 != keyed[0].0) {
            sort_large(&mut keyed);
        }
        let mut last = None;
        rows.extend(keyed.iter().map(|&(key, row)| {
            let new = last.replace(key) != Some(key);
            row | if new { FIRST } else { 0 }
        }));
    }
}

impl Chunk {
    fn new(keys: &impl Keys, first: usize, rows: usize, bits: u32) -> Self {
        let mut prefixes = vec![0; rows];
        keys.prefixes(first, &mut prefixes);
        let items =
            || prefixes.iter().zip(first as u64..).map(|(&p, row)| u64::from(p) << 32 | row);
        if bits == 0 {
            return Self { items: items().collect(), starts: vec![0, rows as u32] };
        }
        let (starts, items) = deal(rows, 1 << bits, items, |item| (item >> (64 - bits)) as usize);
        Self { items, starts }
    }
}

fn prefix(item: u64) -> u32 {
    (item >> 32) as u32
}

fn row(item: u64) -> u32 {
    item as u32
}

/// Items bucket by bucket, and where each bucket starts.
fn deal<I: Iterator<Item = u64>>(
    count: usize,
    buckets: usize,
    items: impl Fn() -> I,
    bucket: impl Fn(u64) -> usize,
) -> (Vec<u32>, Vec<u64>) {
    // One place further, so that filling a bucket moves its start to where the next one starts.
    let mut starts = vec![0u32; buckets + 2];
    for item in items() {
        starts[bucket(item) + 2] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut dealt = vec![0; count];
    for item in items() {
        let next = &mut starts[bucket(item) + 1];
        dealt[*next as usize] = item;
        *next += 1;
    }
    starts.pop();
    (starts, dealt)
}

/// Sorts items that fit into cache.
fn sort(mut items: Vec<u64>) -> Vec<u64> {
    if items.len() <= 2 * INSERTION_SORT_MAX as usize {
        items.sort_unstable();
        return items;
    }
    let (low, high) = items
        .iter()
        .fold((u32::MAX, 0), |(low, high), &item| (low.min(prefix(item)), high.max(prefix(item))));
    let buckets = items.len().next_power_of_two();
    let shift = (32 - (high - low).leading_zeros()).saturating_sub(buckets.ilog2());
    let bucket = |item: u64| ((prefix(item) - low) >> shift) as usize;
    // Some are all that there are, and then each step takes long.
    check_if_many(&items);
    let (starts, mut dealt) = deal(items.len(), buckets, || items.iter().copied(), bucket);
    check_if_many(&dealt);
    for ends in starts.windows(2) {
        if ends[1] - ends[0] > INSERTION_SORT_MAX {
            sort_large(&mut dealt[ends[0] as usize..ends[1] as usize]);
        }
    }
    check_if_many(&dealt);
    // What is left to do is within small buckets.
    for i in 1..dealt.len() {
        let item = dealt[i];
        let mut at = i;
        while at > 0 && dealt[at - 1] > item {
            dealt[at] = dealt[at - 1];
            at -= 1;
        }
        dealt[at] = item;
    }
    dealt
}

/// Asks whether the call is to stop, if going through the items takes long.
fn check_if_many<T>(items: &[T]) {
    if items.len() > MAX_UNCHECKED {
        threads::check();
    }
}

/// Sorts any number of items by comparison. A skewed column may have all in one bucket: then the
/// call can be stopped each time that a half was told from the other.
fn sort_large<T: Ord>(items: &mut [T]) {
    // Equal prefixes are mostly in order, which is seen at once.
    if items.len() <= MAX_UNCHECKED || items.is_sorted() {
        return items.sort_unstable();
    }
    threads::check();
    let (low, _, high) = items.select_nth_unstable(items.len() / 2);
    sort_large(low);
    sort_large(high);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Column;
    use crate::sort::keys::{ColumnKeys, descending_key};
    use crate::testing::Random;

    /// Shapes that a map by range, or by bits, serves badly.
    fn shapes(rows: usize) -> Vec<Vec<f64>> {
        let mut random = Random(7);
        let mut next = move || random.unit();
        let mut shape = |f: fn(f64, f64) -> f64| (0..rows).map(|_| f(next(), next())).collect();
        vec![
            shape(|x, _| x),
            shape(|x, _| (x - 0.5).powi(-3)),
            shape(|x, y| if y < 0.5 { 0.5 } else { x }),
            shape(|x, _| (x * 9.0).floor()),
            shape(|x, y| if y < 0.5 { 1e9 + x * 1e-6 } else { x * 1e-300 }),
            shape(|x, y| if y < 0.1 { f64::INFINITY } else { -x }),
            shape(|x, y| if y < 0.1 { -0.0 } else { (x * 3.0).floor() }),
            shape(|x, _| f64::from_bits((x * 100.0) as u64)),
            shape(|x, _| (x - 0.5) * f64::MAX * 1.9),
            shape(|x, _| f64::from(x as f32)),
        ]
    }

    #[test]
    fn slabs_are_the_sorted_rows() {
        for rows in [0, 1, 2, 47, 100, 5000, 200_000] {
            for values in shapes(rows) {
                let slabs = Slabs::new(ColumnKeys::new(Column::F64(&values)));
                let sorted: Vec<u32> = (0..slabs.count()).flat_map(|s| slabs.sorted(s)).collect();
                let key = |row: u32| descending_key(values[(row & !FIRST) as usize]);
                assert!(sorted.is_sorted_by_key(|&row| key(row)));
                for (i, &row) in sorted.iter().enumerate() {
                    let new = i == 0 || key(sorted[i - 1]) != key(row);
                    assert_eq!(row & FIRST != 0, new);
                }
                let mut all: Vec<u32> = sorted.iter().map(|row| row & !FIRST).collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..rows as u32));
            }
        }
    }
}
