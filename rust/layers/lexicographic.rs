//! Distinct rows in lexicographic order, best first.
//!
//! In that order a row is dominated only by rows before it, so the first objective needs no
//! further look: an earlier row dominates a later one exactly when it is at least as good in all
//! the other objectives.

use super::ranked::Ranked;
use super::ranks::rank_keys;
use crate::sort::Keys;
use crate::threads;

/// The distinct rows and where each input row went.
pub(super) struct Distinct {
    /// The second and later objectives of the distinct rows, in lexicographic order.
    pub columns: Vec<Vec<u32>>,
    /// The distinct row that each input row equals.
    place: Vec<u32>,
}

impl Distinct {
    /// Merges equal rows of two or more ranked columns and sorts the rest.
    pub fn new(mut ranked: Vec<Ranked>) -> Self {
        // The finest column leaves the shortest ties to sort, often none.
        if let Some(finest) =
            (0..ranked.len()).max_by_key(|&j| (ranked[j].distinct, usize::MAX - j))
        {
            ranked.swap(0, finest);
        }
        let mut rest = ranked.into_iter();
        let Some(mut first) = rest.next() else {
            return Self { columns: Vec::new(), place: Vec::new() };
        };
        let rest: Vec<Ranked> = rest.collect();
        let rows = first.ranks.len();
        let mut next = &rest[..];
        while first.distinct < rows && !next.is_empty() {
            let fits = Packed::fits(&first, next).max(1);
            first = rank_together(&first, &next[..fits]);
            next = &next[fits..];
        }
        // Two at a time: a column of ranks is given up once its values are picked.
        let mut columns = Vec::with_capacity(rest.len());
        let mut rest = rest.into_iter();
        while let Some(column) = rest.next() {
            let other = rest.next();
            let pick_other = || other.map(|column| first.pick(&column));
            let (one, two) = threads::join(rows, || first.pick(&column), pick_other);
            columns.push(one);
            columns.extend(two);
        }
        Self { columns, place: first.ranks }
    }

    /// Numbers of the distinct rows, handed to the rows they stand for.
    pub fn spread(&self, numbers: &[u32], f: impl Fn(u32) -> i32 + Sync) -> Vec<i32> {
        const CHUNK_ROWS: usize = 1 << 15;
        let mut spread = vec![0; self.place.len()];
        let tasks = spread.chunks_mut(CHUNK_ROWS).zip(self.place.chunks(CHUNK_ROWS)).collect();
        threads::each(self.place.len(), tasks, |(out, places): (&mut [i32], &[u32])| {
            for (number, &place) in out.iter_mut().zip(places) {
                *number = f(numbers[place as usize]);
            }
        });
        spread
    }
}

impl Ranked {
    /// For each rank of this column the rank that its rows have in another.
    fn pick(&self, other: &Self) -> Vec<u32> {
        let mut picked = vec![0; self.distinct];
        for (&place, &rank) in self.ranks.iter().zip(&other.ranks) {
            picked[place as usize] = rank;
        }
        picked
    }

    /// Bits that a rank takes.
    fn bits(&self) -> u32 {
        usize::BITS - self.distinct.saturating_sub(1).leading_zeros()
    }
}

/// Dense ranks of rows that are compared by one column, then by the next, and so on.
fn rank_together(first: &Ranked, next: &[Ranked]) -> Ranked {
    let rows = first.ranks.len();
    let cells = next.iter().try_fold(first.distinct, |cells, c| cells.checked_mul(c.distinct));
    match cells {
        Some(cells) if cells <= 2 * rows => rank_cells(first, next, cells),
        _ => rank_keys(Packed::new(first, next)),
    }
}

/// The same where all combinations of ranks can be counted.
fn rank_cells(first: &Ranked, next: &[Ranked], cells: usize) -> Ranked {
    const BLOCK_ROWS: usize = 1 << 12;
    let rows = first.ranks.len();
    let mut ranks = vec![0; rows];
    let cell_of = |(block, out): (usize, &mut [u32])| {
        let start = block * BLOCK_ROWS;
        out.copy_from_slice(&first.ranks[start..start + out.len()]);
        for column in next {
            for (cell, rank) in out.iter_mut().zip(&column.ranks[start..]) {
                *cell = *cell * column.distinct as u32 + rank;
            }
        }
    };
    let mut rank_of = vec![0; cells];
    threads::each(rows, ranks.chunks_mut(BLOCK_ROWS).enumerate().collect(), cell_of);
    for &cell in &ranks {
        rank_of[cell as usize] = 1;
    }
    let mut distinct = 0;
    for rank in &mut rank_of {
        (*rank, distinct) = (distinct, distinct + *rank);
    }
    let dense =
        |cells: &mut [u32]| cells.iter_mut().for_each(|cell| *cell = rank_of[*cell as usize]);
    threads::each(rows, ranks.chunks_mut(BLOCK_ROWS).collect(), dense);
    Ranked { ranks, distinct: distinct as usize }
}

/// Columns of ranks side by side in one integer.
struct Packed<'a> {
    first: &'a Ranked,
    next: &'a [Ranked],
    bits: u32,
}

impl<'a> Packed<'a> {
    fn new(first: &'a Ranked, next: &'a [Ranked]) -> Self {
        let bits = first.bits() + next.iter().map(Ranked::bits).sum::<u32>();
        Self { first, next, bits }
    }

    /// How many of the next columns an integer takes beside the first; ranks have 31 bits at most,
    /// so one always fits.
    fn fits(first: &Ranked, next: &[Ranked]) -> usize {
        let mut bits = first.bits();
        next.iter()
            .take_while(|column| {
                bits += column.bits();
                bits <= u64::BITS
            })
            .count()
    }
}

impl Keys for Packed<'_> {
    fn rows(&self) -> usize {
        self.first.ranks.len()
    }

    fn prefixes(&self, start: usize, out: &mut [u32]) {
        for (out, row) in out.iter_mut().zip(start as u32..) {
            *out = ((self.key(row) << (u64::BITS - self.bits)) >> 32) as u32;
        }
    }

    fn exact(&self) -> bool {
        self.bits <= 32
    }

    fn key(&self, row: u32) -> u64 {
        let row = row as usize;
        self.next.iter().fold(u64::from(self.first.ranks[row]), |key, column| {
            key << column.bits() | u64::from(column.ranks[row])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn ranked(ranks: Vec<u32>) -> Ranked {
        let mut values = ranks.clone();
        values.sort_unstable();
        values.dedup();
        let ranks = ranks.iter().map(|rank| values.binary_search(rank).unwrap() as u32).collect();
        Ranked { ranks, distinct: values.len() }
    }

    #[test]
    fn rows_are_merged_and_sorted() {
        let mut random = Random(3);
        let mut column = |rows: usize, levels: u64| {
            ranked((0..rows).map(|_| random.below(levels) as u32).collect())
        };
        // Cells that can be counted, keys of one integer, keys of several, no ties at all.
        for (rows, levels) in [
            (500, vec![4, 3, 5]),
            (60, vec![9, 9, 9]),
            (30_000, vec![900; 8]),
            (9, vec![1 << 24; 2]),
        ] {
            let columns: Vec<Ranked> = levels.iter().map(|&l| column(rows, l)).collect();
            let finest = (0..columns.len()).rev().max_by_key(|&j| columns[j].distinct).unwrap();
            let mut order: Vec<usize> = (0..columns.len()).collect();
            order.swap(0, finest);
            let row =
                |i: usize| -> Vec<u32> { order.iter().map(|&j| columns[j].ranks[i]).collect() };
            let mut expected: Vec<Vec<u32>> = (0..rows).map(row).collect();
            expected.sort_unstable();
            expected.dedup();
            let rows: Vec<Vec<u32>> = (0..rows).map(row).collect();
            let distinct = Distinct::new(columns);
            for (j, column) in distinct.columns.iter().enumerate() {
                assert!(column.iter().copied().eq(expected.iter().map(|row| row[j + 1])));
            }
            for (row, place) in rows.iter().zip(&distinct.place) {
                assert_eq!(row, &expected[*place as usize]);
            }
        }
    }
}
