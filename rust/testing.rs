//! Numbers without a pattern for tests, the same in every run, and points in every layout.

use crate::{Column, Points, Strided};

/// A linear congruence (Knuth, MMIX).
pub(crate) struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }

    /// A number from 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Points on the simplex, row after row.
    pub fn simplex(&mut self, rows: usize, m: usize) -> Vec<f64> {
        let mut points = Vec::with_capacity(rows * m);
        for _ in 0..rows {
            let row: Vec<f64> =
                (0..m).map(|_| -(self.unit() + 1.0 / (1u64 << 53) as f64).ln()).collect();
            let sum: f64 = row.iter().sum();
            points.extend(row.iter().map(|x| x / sum));
        }
        points
    }

    /// Columns of whole numbers below `levels`.
    pub fn columns(&mut self, rows: usize, m: usize, levels: u64) -> Vec<Vec<f64>> {
        (0..m).map(|_| (0..rows).map(|_| self.below(levels) as f64).collect()).collect()
    }

    /// The numbers below `count` in any order.
    pub fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

/// Columns as they are handed to a kernel.
pub(crate) fn points(columns: &[Vec<f64>]) -> Points<'_> {
    Points::new(columns.iter().map(|c| Column::F64(c)).collect()).expect("valid points")
}

/// How points lie in memory, row by row but for the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layout {
    /// Column by column.
    Columns,
    /// A table of just the objectives.
    Table,
    /// Some columns of a wider table, from somewhere within its first row on.
    Wide,
    /// The columns of a table, not in its order.
    Turned,
    /// A column by itself, one in a wider table, and so on.
    Mixed,
}

impl Layout {
    pub const ALL: [Self; 5] = [Self::Columns, Self::Table, Self::Wide, Self::Turned, Self::Mixed];

    /// What `check` says of the points in this layout, in double precision or in single, which must
    /// hold their values. Between these stands NaN: to read one is a fault.
    pub fn hold<T>(
        self,
        columns: &[Vec<f64>],
        single: bool,
        check: impl FnOnce(&Points<'_>) -> T,
    ) -> T {
        let (m, rows) = (columns.len(), columns[0].len());
        let wide = matches!(self, Self::Wide | Self::Mixed);
        let (before, step) = if wide { (2, m + 3) } else { (0, m) };
        let place = |j: usize| if self == Self::Turned { (j + 1) % m } else { j };
        let mut table = vec![f64::NAN; before + rows * step];
        for (j, column) in columns.iter().enumerate() {
            for (row, &value) in column.iter().enumerate() {
                table[before + row * step + place(j)] = value;
            }
        }
        let narrow = |values: &Vec<f64>| values.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let narrow_table = narrow(&table);
        let narrow_columns: Vec<Vec<f32>> = columns.iter().map(narrow).collect();
        let column = |j: usize| {
            let in_table = self != Self::Columns && (self != Self::Mixed || j % 2 == 1);
            // A table without rows has no place for its columns to begin.
            let first = if rows == 0 { 0 } else { before + place(j) };
            match (single, in_table) {
                (false, false) => Column::F64(&columns[j]),
                (true, false) => Column::F32(&narrow_columns[j]),
                (false, true) => {
                    Column::F64Strided(Strided::new(&table, first, step, rows).expect("a column"))
                }
                (true, true) => Column::F32Strided(
                    Strided::new(&narrow_table, first, step, rows).expect("a column"),
                ),
            }
        };
        check(&Points::new((0..m).map(column).collect()).expect("valid points"))
    }
}
