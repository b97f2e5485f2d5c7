//! Rows of which many copies came before: whatever is searched for, these come first.

use crate::choice::lanes::{CHUNK_ROWS, Lanes, read};
use crate::points::Points;

/// Different rows that can be counted; a power of two.
const SLOTS: usize = 1 << 12;

/// Chunks that are looked at to know whether there are copies.
const LOOKED_AT: usize = 4;

/// Copies among the rows of these, one in 16, from which on they are counted.
const MIN_COPIES: u32 = (LOOKED_AT * CHUNK_ROWS / 16) as u32;

/// Counts of the rows met so far, of which those with `k` copies before them are told.
///
/// Scores are often rounded, and then most rows have copies. The k best of anything, of which the
/// earlier ones of equal rows come first, hold no row with k earlier copies.
pub(crate) struct Copies {
    k: usize,
    m: usize,
    /// A row for each slot that is taken, and how often it came.
    rows: Vec<f64>,
    counts: Vec<usize>,
}

impl Copies {
    /// A count if it seems worth it.
    pub fn new(points: &Points<'_>, k: usize) -> Option<Self> {
        let m = points.objectives();
        if points.rows() < 4 * LOOKED_AT * CHUNK_ROWS {
            return None;
        }
        let mut values = vec![Lanes([0.0; CHUNK_ROWS]); m];
        let mut looked = Self::empty(1, m);
        let starts = (0..LOOKED_AT).map(|part| part * (points.rows() / LOOKED_AT));
        let copies = starts.map(|start| {
            let rows = read::<0>(points, start, &mut values);
            looked.exhausted(&values, rows).count_ones()
        });
        (copies.sum::<u32>() >= MIN_COPIES).then(|| Self::empty(k, m))
    }

    fn empty(k: usize, m: usize) -> Self {
        Self { k, m, rows: vec![0.0; SLOTS * m], counts: vec![0; SLOTS] }
    }

    /// The rows of a chunk, as bits, of which k copies came before, here or in an earlier chunk.
    #[inline(always)]
    pub fn exhausted(&mut self, values: &[Lanes<f64>], rows: usize) -> u64 {
        let all = if rows == CHUNK_ROWS { u64::MAX } else { (1 << rows) - 1 };
        let mut same = true;
        for values in &values[..self.m] {
            let first = values.0[0];
            let mut here = true;
            for value in &values.0 {
                here &= *value == first;
            }
            same &= here;
        }
        if same && rows == CHUNK_ROWS {
            // The usual case where all rows are equal.
            let slot = self.slots(values)[0];
            if !self.take(values, 0, slot) {
                return 0;
            }
            let first = self.k.saturating_sub(self.counts[slot]);
            self.counts[slot] += rows;
            return if first < rows { all << first } else { 0 };
        }
        let (mut exhausted, slots) = (0, self.slots(values));
        for (lane, slot) in slots.into_iter().enumerate().take(rows) {
            if self.take(values, lane, slot) {
                exhausted |= u64::from(self.counts[slot] >= self.k) << lane;
                self.counts[slot] += 1;
            }
        }
        exhausted
    }

    /// The slot of each row of a chunk, by its values alone.
    #[inline(always)]
    fn slots(&self, values: &[Lanes<f64>]) -> [usize; CHUNK_ROWS] {
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut hashes = [0u64; CHUNK_ROWS];
        for values in &values[..self.m] {
            for (hash, value) in hashes.iter_mut().zip(&values.0) {
                // Zeros of both signs are equal.
                *hash = (hash.rotate_left(23) ^ (value + 0.0).to_bits()).wrapping_mul(FACTOR);
            }
        }
        hashes.map(|hash| ((hash ^ hash >> 29).wrapping_mul(FACTOR) >> 52) as usize % SLOTS)
    }

    /// Whether a row has its slot, which it takes if it is free.
    #[inline(always)]
    fn take(&mut self, values: &[Lanes<f64>], lane: usize, slot: usize) -> bool {
        let values = values[..self.m].iter().map(|values| values.0[lane]);
        let row = &mut self.rows[slot * self.m..][..self.m];
        if self.counts[slot] == 0 {
            row.iter_mut().zip(values).for_each(|(place, value)| *place = value);
            return true;
        }
        row.iter().zip(values).fold(true, |same, (place, value)| same & (*place == value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Column;
    use crate::testing::Random;

    #[test]
    fn only_rows_with_k_copies_before_are_told() {
        let mut random = Random(5);
        for levels in [1, 2, 9] {
            let columns = random.columns(3000, 2, levels);
            let points = Points::new(columns.iter().map(|c| Column::F64(c)).collect()).unwrap();
            let k = 20;
            let mut copies = Copies::new(&points, k).unwrap();
            let mut values = [Lanes([0.0; CHUNK_ROWS]); 2];
            for first in (0..3000).step_by(CHUNK_ROWS) {
                let rows = read::<2>(&points, first, &mut values);
                let exhausted = copies.exhausted(&values, rows);
                for row in first..first + rows {
                    let same = |other: &usize| columns.iter().all(|c| c[*other] == c[row]);
                    let expected = (0..row).filter(same).count() >= k;
                    assert_eq!(exhausted >> (row - first) & 1 == 1, expected, "row {row}");
                }
            }
        }
        let columns = [(0..3000).map(f64::from).collect::<Vec<_>>()];
        assert!(Copies::new(&Points::new(vec![Column::F64(&columns[0])]).unwrap(), 1).is_none());
    }
}
