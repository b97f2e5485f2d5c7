//! Columns of few distinct values, such as grades and rounded scores: looked up, not sorted.

use super::ranked::Ranked;
use crate::points::Column;
use crate::sort::descending_key;
use crate::threads;

/// The most distinct values of a column: their codes are bytes.
const MAX_DISTINCT: usize = 1 << 8;

/// Slots of the hash table; at most a quarter is taken.
const SLOTS: usize = MAX_DISTINCT * 4;

/// The distinct keys of some rows, numbered in the order in which they appear.
struct Dictionary {
    /// A key and its code, which is `MAX_DISTINCT` in an empty slot.
    slots: Vec<(u64, u16)>,
    keys: Vec<u64>,
}

impl Dictionary {
    fn new() -> Self {
        Self { slots: vec![(0, MAX_DISTINCT as u16); SLOTS], keys: Vec::new() }
    }

    /// The code of a key; `None` if it is one more than there are codes.
    #[inline]
    fn code(&mut self, key: u64) -> Option<u8> {
        // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): rounded numbers
        // differ in their upper bits only, which the product brings together.
        let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.ilog2())) as usize;
        loop {
            let (known, code) = self.slots[slot];
            if code == MAX_DISTINCT as u16 {
                return self.add(key, slot);
            }
            if known == key {
                return Some(code as u8);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    #[cold]
    fn add(&mut self, key: u64, slot: usize) -> Option<u8> {
        let code = u8::try_from(self.keys.len()).ok()?;
        self.slots[slot] = (key, u16::from(code));
        self.keys.push(key);
        Some(code)
    }
}

/// Whether a sample holds few distinct values.
pub(super) fn is_likely(column: Column<'_>) -> bool {
    let mut dictionary = Dictionary::new();
    let stride = column.len().div_ceil(MAX_DISTINCT * 4).max(1);
    (0..column.len())
        .step_by(stride)
        .all(|row| dictionary.code(descending_key(column.get(row))).is_some())
}

/// Dense ranks of a column; `None` if it holds many distinct values.
pub(super) fn rank(column: Column<'_>) -> Option<Ranked> {
    const CHUNK_ROWS: usize = 1 << 14;
    if !is_likely(column) {
        return None;
    }
    let rows = column.len();
    let chunks = threads::map(rows, rows.div_ceil(CHUNK_ROWS), |chunk| {
        let mut dictionary = Dictionary::new();
        let mut codes = Vec::with_capacity(CHUNK_ROWS);
        let start = chunk * CHUNK_ROWS;
        column.for_blocks(start..rows.min(start + CHUNK_ROWS), |first, block| {
            // Once a value has no code, no later row gets one.
            if codes.len() == first - start {
                codes.extend(block.iter().map_while(|&x| dictionary.code(descending_key(x))));
            }
        });
        (dictionary.keys, codes)
    });
    let mut keys: Vec<u64> = chunks.iter().flat_map(|(keys, _)| keys.iter().copied()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() > MAX_DISTINCT
        || chunks.iter().map(|(_, codes)| codes.len()).sum::<usize>() < rows
    {
        return None;
    }
    let mut ranks = vec![0; rows];
    let write = |(out, (known, codes)): (&mut [u32], &(Vec<u64>, Vec<u8>))| {
        let mut of_code = [0; MAX_DISTINCT];
        for (rank, key) in of_code.iter_mut().zip(known) {
            *rank = keys.partition_point(|other| other < key) as u32;
        }
        for (rank, &code) in out.iter_mut().zip(codes) {
            *rank = of_code[code as usize];
        }
    };
    threads::each(rows, ranks.chunks_mut(CHUNK_ROWS).zip(&chunks).collect(), write);
    Some(Ranked { ranks, distinct: keys.len() })
}
