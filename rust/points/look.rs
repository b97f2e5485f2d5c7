//! One look at all values before a kernel runs: is there NaN, and how large do they get?
//!
//! A table is read once however it lies in memory: as one slice where rows lie one after another,
//! else a block of rows at a time, in which every column is looked at while the block is in cache.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use crate::points::column::{BLOCK_ROWS, Column, NonFinite, PART_ROWS};
use crate::threads;

/// Values that are looked at side by side.
const LANES: usize = 16;

/// The largest absolute value of columns of one length: NaN if there is NaN, 0 if there is no row.
pub(crate) fn largest(columns: &[Column<'_>]) -> f64 {
    let rows = columns.first().map_or(0, Column::len);
    let (arch, table) = (Arch::new(), Table::of(columns));
    let parts = threads::map(rows, rows.div_ceil(PART_ROWS), |part| {
        let rows = part * PART_ROWS..rows.min((part + 1) * PART_ROWS);
        arch.dispatch(Look { columns, table, rows })
    });
    parts.into_iter().fold(0.0, larger)
}

/// The largest absolute value, or NaN if there is one.
///
/// Comparisons of floats that keep NaN, for the maximum of integers, a reduction that the compiler
/// knows, is made of gathered values and ten times slower.
#[inline(always)]
fn largest_of<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    // In lanes and without an early exit, so that the loop vectorises.
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value.into().abs());
        }
    }
    let rest = rest.iter().fold(0.0, |largest, &value| larger(largest, value.into().abs()));
    lanes.into_iter().fold(rest, larger)
}

/// The larger of two numbers, or NaN if one of them is.
#[inline(always)]
#[expect(clippy::eq_op, reason = "vectorises, beside another comparison")]
fn larger(a: f64, b: f64) -> f64 {
    if (b > a) | (b != b) { b } else { a }
}

/// Counts NaN and infinities of columns of one length, reading each block of rows once.
pub(crate) fn non_finite(columns: &[Column<'_>]) -> Vec<NonFinite> {
    let rows = columns.first().map_or(0, Column::len);
    let parts = threads::map(rows, rows.div_ceil(PART_ROWS), |part| {
        let mut counts = vec![NonFinite::default(); columns.len()];
        let end = rows.min((part + 1) * PART_ROWS);
        for start in (part * PART_ROWS..end).step_by(BLOCK_ROWS) {
            for (column, counts) in columns.iter().zip(&mut counts) {
                let rows = start..end.min(start + BLOCK_ROWS);
                column.for_blocks(rows, |start, block| counts.add(start, block));
            }
        }
        counts
    });
    parts.into_iter().fold(vec![NonFinite::default(); columns.len()], |counts, later| {
        counts.into_iter().zip(later).map(|(counts, later)| counts.and(later)).collect()
    })
}

/// All rows but the last, one after another in memory.
#[derive(Clone, Copy)]
enum Table<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    /// The columns are not those of one table, or not all of them.
    No,
}

impl<'a> Table<'a> {
    fn of(columns: &[Column<'a>]) -> Self {
        let m = columns.len();
        match columns.first() {
            Some(Column::F32Strided(first)) => {
                let together = columns.iter().enumerate().all(|(j, column)| {
                    matches!(column, Column::F32Strided(values) if values.follows(first, j))
                });
                if together { first.flat(m).map_or(Self::No, Self::F32) } else { Self::No }
            }
            Some(Column::F64Strided(first)) => {
                let together = columns.iter().enumerate().all(|(j, column)| {
                    matches!(column, Column::F64Strided(values) if values.follows(first, j))
                });
                if together { first.flat(m).map_or(Self::No, Self::F64) } else { Self::No }
            }
            _ => Self::No,
        }
    }
}

/// A look at some rows.
struct Look<'a, 'b> {
    columns: &'a [Column<'b>],
    table: Table<'b>,
    rows: Range<usize>,
}

impl NullaryFnOnce for Look<'_, '_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let Self { columns, table, mut rows } = self;
        let m = columns.len();
        let mut largest = 0.0;
        match table {
            Table::F32(values) => {
                let end = rows.end.min(values.len() / m);
                largest = largest_of(&values[rows.start.min(end) * m..end * m]);
                rows.start = rows.start.max(end);
            }
            Table::F64(values) => {
                let end = rows.end.min(values.len() / m);
                largest = largest_of(&values[rows.start.min(end) * m..end * m]);
                rows.start = rows.start.max(end);
            }
            Table::No => {}
        }
        for column in columns {
            largest = larger(
                largest,
                match column {
                    Column::F32(values) => largest_of(&values[rows.clone()]),
                    Column::F64(values) => largest_of(&values[rows.clone()]),
                    _ => 0.0,
                },
            );
        }
        let mut buffer = [0.0; BLOCK_ROWS];
        for start in rows.clone().step_by(BLOCK_ROWS) {
            let block = &mut buffer[..BLOCK_ROWS.min(rows.end - start)];
            for column in columns {
                if let Column::F32Strided(_) | Column::F64Strided(_) = column {
                    column.copy_to(start, block);
                    largest = larger(largest, largest_of(block));
                }
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::strided::Strided;
    use crate::testing::Random;

    /// Columns of a table with a column more in front and behind if wider.
    fn strided(table: &[f64], m: usize, wide: usize, rows: usize) -> Vec<Column<'_>> {
        let first = usize::from(wide > m);
        let column = |j| Strided::new(table, first + j, wide, rows).map(Column::F64Strided);
        (0..m).filter_map(column).collect()
    }

    #[test]
    fn one_look_sees_what_each_column_holds() {
        let mut random = Random(11);
        for (rows, m, wide) in
            [(0, 2, 2), (1, 3, 3), (5, 1, 1), (40, 3, 3), (40, 3, 5), (1500, 4, 4), (70_000, 2, 2)]
        {
            for bad in [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY)] {
                let mut table: Vec<f64> = (0..rows * wide).map(|_| random.unit() - 0.7).collect();
                let place = random.below((rows * m).max(1) as u64) as usize;
                let (row, j) = (place / m, place % m);
                if let (Some(bad), true) = (bad, rows > 0) {
                    table[row * wide + usize::from(wide > m) + j] = bad;
                }
                let columns = strided(&table, m, wide, rows);
                let copies: Vec<Vec<f64>> =
                    columns.iter().map(|c| (0..rows).map(|row| c.get(row)).collect()).collect();
                let singles: Vec<Vec<f32>> =
                    copies.iter().map(|c| c.iter().map(|&x| x as f32).collect()).collect();
                let contiguous: Vec<Column<'_>> = copies.iter().map(|c| Column::F64(c)).collect();
                let single: Vec<Column<'_>> = singles.iter().map(|c| Column::F32(c)).collect();
                let largest = copies.iter().flatten().fold(0.0, |a: f64, x| a.max(x.abs()));
                let nan = copies.iter().flatten().any(|x| x.is_nan());
                let expected = if nan { f64::NAN } else { largest };
                for columns in [&columns, &contiguous] {
                    assert!(super::largest(columns).total_cmp(&expected).is_eq());
                }
                let expected = f64::from(expected as f32);
                assert!(super::largest(&single).total_cmp(&expected).is_eq());
                let counts: Vec<NonFinite> = columns.iter().map(Column::non_finite).collect();
                assert_eq!(non_finite(&columns), counts);
                assert_eq!(non_finite(&contiguous), counts);
                let (x, found) = (bad.unwrap_or(0.0), rows > 0);
                assert_eq!(counts[j].first_nan, (x.is_nan() && found).then_some(row));
                assert_eq!(counts[j].first_infinite, (x.is_infinite() && found).then_some(row));
            }
        }
    }
}
