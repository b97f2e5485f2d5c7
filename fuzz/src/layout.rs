//! How points lie in memory: column by column, or row by row in a table with room between.

use paretohqd::{Column, Strided};

use crate::cloud::Bytes;

/// How each objective is handed over.
#[derive(Debug)]
pub struct Layout {
    /// Per objective: in single precision.
    pub single: Vec<bool>,
    /// Per objective: as every n-th value of a table.
    in_table: Vec<bool>,
    /// Per objective: its place in a row of the table.
    place: Vec<usize>,
    /// Values of the table before the first row, and between one row and the next.
    before: usize,
    between: usize,
}

impl Layout {
    /// Columns, tables, tables wider than the points, with objectives in any order, or a mixture.
    pub fn new(bytes: &mut Bytes<'_>, m: usize) -> Self {
        let (kind, more) = (bytes.byte(), bytes.byte());
        let (width, kind) = (kind % 4, kind / 4 % 4);
        let single = |j: usize| match width {
            0 | 1 => false,
            2 => true,
            _ => more >> (j % 8) & 1 == 1,
        };
        let in_table = |j: usize| match kind {
            0 => false,
            1 | 2 => true,
            _ => more.rotate_left(3) >> (j % 8) & 1 == 1,
        };
        let wide = kind >= 2;
        let turn = if wide { usize::from(more / 32) } else { 0 };
        Self {
            single: (0..m).map(single).collect(),
            in_table: (0..m).map(in_table).collect(),
            place: (0..m).map(|j| (j + turn) % m).collect(),
            before: if wide { usize::from(more % 4) } else { 0 },
            between: if wide { usize::from(more / 4 % 8) } else { 0 },
        }
    }

    /// What holds `columns` in this layout. Between the values stands NaN: to read one is a fault.
    pub fn store(&self, columns: &[Vec<f64>]) -> Stored {
        let (m, rows) = (columns.len(), columns[0].len());
        let step = m + self.between;
        let mut table = vec![f64::NAN; self.before + rows * step];
        for (column, place) in columns.iter().zip(&self.place) {
            for (row, &value) in column.iter().enumerate() {
                table[self.before + row * step + place] = value;
            }
        }
        let narrow = |values: &[f64]| values.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        Stored {
            narrow_columns: columns.iter().map(|column| narrow(column)).collect(),
            narrow_table: narrow(&table),
            table,
        }
    }

    /// The objectives as a kernel takes them.
    pub fn columns<'a>(&self, columns: &'a [Vec<f64>], stored: &'a Stored) -> Vec<Column<'a>> {
        let (m, rows) = (columns.len(), columns[0].len());
        let step = m + self.between;
        // A table without rows has no place for its columns to begin.
        let first = |j: usize| if rows == 0 { 0 } else { self.before + self.place[j] };
        let column = |j: usize| match (self.single[j], self.in_table[j]) {
            (false, false) => Column::F64(&columns[j]),
            (true, false) => Column::F32(&stored.narrow_columns[j]),
            (false, true) => Column::F64Strided(strided(&stored.table, first(j), step, rows)),
            (true, true) => Column::F32Strided(strided(&stored.narrow_table, first(j), step, rows)),
        };
        (0..m).map(column).collect()
    }
}

/// Memory that columns are borrowed from.
pub struct Stored {
    table: Vec<f64>,
    narrow_table: Vec<f32>,
    narrow_columns: Vec<Vec<f32>>,
}

fn strided<T: Copy>(table: &[T], first: usize, step: usize, rows: usize) -> Strided<'_, T> {
    Strided::new(table, first, step, rows).expect("a column of the table")
}
