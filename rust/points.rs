//! Points as one column per objective: borrowed, validated once, larger is better.

use std::ops::Range;

use crate::error::{Error, Kind};
use crate::strided::Strided;
use crate::threads;

/// One objective of every row, in the width and the layout the caller holds it in.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Single precision; widened exactly where arithmetic is done.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
    /// A column of a row-major table in single precision.
    F32Strided(Strided<'a, f32>),
    /// A column of a row-major table in double precision.
    F64Strided(Strided<'a, f64>),
}

impl<'a> From<&'a [f32]> for Column<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a [f64]> for Column<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self::F64(values)
    }
}

/// How many values of a column are not finite, and where the first of each sort is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NonFinite {
    /// Number of NaN.
    pub nan: usize,
    /// Row of the first NaN.
    pub first_nan: Option<usize>,
    /// Number of infinities of either sign.
    pub infinite: usize,
    /// Row of the first infinity.
    pub first_infinite: Option<usize>,
}

impl Column<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::F32Strided(v) => v.len(),
            Self::F64Strided(v) => v.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `row`, widened.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[row]),
            Self::F64(v) => v[row],
            Self::F32Strided(v) => f64::from(v.get(row)),
            Self::F64Strided(v) => v.get(row),
        }
    }

    /// What `f` makes of the values at `rows`, widened.
    pub(crate) fn gather<T>(
        &self,
        rows: impl Iterator<Item = usize>,
        f: impl Fn(f64) -> T,
    ) -> Vec<T> {
        match self {
            Self::F32(v) => rows.map(|row| f(f64::from(v[row]))).collect(),
            Self::F64(v) => rows.map(|row| f(v[row])).collect(),
            Self::F32Strided(v) => rows.map(|row| f(f64::from(v.get(row)))).collect(),
            Self::F64Strided(v) => rows.map(|row| f(v.get(row))).collect(),
        }
    }

    /// Writes the values from `start` on into `out`, widened.
    pub(crate) fn copy_to(&self, start: usize, out: &mut [f64]) {
        fn fill(out: &mut [f64], values: impl Iterator<Item = f64>) {
            for (o, x) in out.iter_mut().zip(values) {
                *o = x;
            }
        }
        match self {
            Self::F32(v) => fill(out, v[start..].iter().map(|&x| f64::from(x))),
            Self::F64(v) => out.copy_from_slice(&v[start..start + out.len()]),
            Self::F32Strided(v) => fill(out, v.from(start).map(f64::from)),
            Self::F64Strided(v) => fill(out, v.from(start)),
        }
    }

    /// Hands the values of `rows` to `f`, block after block, widened; where each block starts too.
    pub(crate) fn for_blocks(&self, rows: Range<usize>, mut f: impl FnMut(usize, &[f64])) {
        const BLOCK_ROWS: usize = 512;
        let mut buffer = [0.0; BLOCK_ROWS];
        for start in rows.clone().step_by(BLOCK_ROWS) {
            let end = rows.end.min(start + BLOCK_ROWS);
            match self {
                Self::F64(v) => f(start, &v[start..end]),
                _ => {
                    let block = &mut buffer[..end - start];
                    self.copy_to(start, block);
                    f(start, block);
                }
            }
        }
    }

    /// The largest absolute value; 0 if there are no rows.
    fn largest(&self) -> f64 {
        self.fold(0.0, |a, x| a.max(x.abs()), f64::max)
    }

    /// The smallest and the largest value of a column without NaN.
    pub(crate) fn range(&self) -> (f64, f64) {
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        // Not f64::min, which minds NaN and costs three instructions for one.
        let least = |a: f64, b: f64| if b < a { b } else { a };
        let most = |a: f64, b: f64| if b > a { b } else { a };
        self.fold(
            start,
            |a, x| (least(a.0, x), most(a.1, x)),
            |a, b| (least(a.0, b.0), most(a.1, b.1)),
        )
    }

    /// Counts NaN and infinities.
    pub fn non_finite(&self) -> NonFinite {
        // Finite columns are the rule: one vectorised pass decides, a second counts.
        let mut counts = NonFinite::default();
        if self.fold(true, |ok, x| ok & x.is_finite(), |a, b| a & b) {
            return counts;
        }
        for row in 0..self.len() {
            let x = self.get(row);
            if x.is_nan() {
                counts.nan += 1;
                counts.first_nan.get_or_insert(row);
            } else if x.is_infinite() {
                counts.infinite += 1;
                counts.first_infinite.get_or_insert(row);
            }
        }
        counts
    }

    /// Folds the values in lanes, without an early exit, so that the loop vectorises.
    fn fold<A: Copy + Send + Sync>(
        &self,
        start: A,
        step: impl Fn(A, f64) -> A + Sync,
        join: impl Fn(A, A) -> A + Sync,
    ) -> A {
        const ACCUMULATORS: usize = 16;
        const PART_ROWS: usize = 1 << 16;
        let parts = threads::map(self.len(), self.len().div_ceil(PART_ROWS), |part| {
            let mut lanes = [start; ACCUMULATORS];
            let mut rest = start;
            self.for_blocks(
                part * PART_ROWS..self.len().min((part + 1) * PART_ROWS),
                |_, block| {
                    let (chunks, last) = block.as_chunks::<ACCUMULATORS>();
                    for chunk in chunks {
                        for (lane, &value) in lanes.iter_mut().zip(chunk) {
                            *lane = step(*lane, value);
                        }
                    }
                    rest = last.iter().fold(rest, |a, &value| step(a, value));
                },
            );
            lanes.into_iter().fold(rest, &join)
        });
        parts.into_iter().fold(start, &join)
    }
}

/// `n` points in `m` objectives, larger is better in each; no NaN.
#[derive(Clone, Debug)]
pub struct Points<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
}

impl<'a> Points<'a> {
    /// Checks that there is an objective, that all have one length, and that none holds NaN.
    ///
    /// # Errors
    /// Says which column is wrong, how often and from which row on.
    pub fn new(columns: Vec<Column<'a>>) -> Result<Self, Error> {
        let points = Self::unchecked(columns)?;
        for (column, values) in points.columns.iter().enumerate() {
            let counts = values.non_finite();
            if let Some(first) = counts.first_nan {
                return Err(Kind::Nan { column, count: counts.nan, first }.into());
            }
        }
        Ok(points)
    }

    /// The same without the look for NaN, for kernels that notice it themselves.
    pub(crate) fn unchecked(columns: Vec<Column<'a>>) -> Result<Self, Error> {
        let rows = columns.first().ok_or(Kind::NoColumns)?.len();
        for (column, values) in columns.iter().enumerate() {
            if values.len() != rows {
                return Err(Kind::Ragged { column, expected: rows, actual: values.len() }.into());
            }
        }
        if rows > i32::MAX as usize {
            return Err(Kind::TooManyRows { rows }.into());
        }
        Ok(Self { columns, rows })
    }

    /// Some of these rows, gathered into columns: valid because the whole is.
    pub(crate) fn part<'b>(&self, columns: &'b [Vec<f64>]) -> Points<'b> {
        let rows = columns.first().map_or(0, Vec::len);
        Points { columns: columns.iter().map(|column| Column::F64(column)).collect(), rows }
    }

    /// The objectives in which not all rows are equal; the first, if there is none.
    pub(crate) fn varying(&self) -> Self {
        let varies = |column: &&Column<'a>| {
            let sample = (0..self.rows).step_by(self.rows / 64 + 1);
            sample.into_iter().any(|row| column.get(row) != column.get(0)) || {
                let (least, most) = column.range();
                least < most
            }
        };
        let mut columns: Vec<_> = self.columns.iter().filter(varies).copied().collect();
        if columns.is_empty() {
            columns.push(self.columns[0]);
        }
        Self { columns, rows: self.rows }
    }

    /// The largest absolute value; refuses infinities, for kernels that subtract.
    pub(crate) fn require_finite(&self) -> Result<f64, Error> {
        let mut largest = 0.0f64;
        for (column, values) in self.columns.iter().enumerate() {
            largest = largest.max(values.largest());
            if largest.is_infinite() {
                let counts = values.non_finite();
                let first = counts.first_infinite.unwrap_or(0);
                return Err(Kind::Infinite { column, count: counts.infinite, first }.into());
            }
        }
        Ok(largest)
    }

    /// The rows, but for the last, where they lie one after another in double precision; else none.
    pub(crate) fn table<const M: usize>(&self) -> &'a [[f64; M]] {
        let Some(&Column::F64Strided(first)) = self.columns.first() else { return &[] };
        let together = self.columns.len() == M
            && self.columns.iter().enumerate().all(|(j, column)| {
                matches!(column, Column::F64Strided(values) if values.follows(&first, j))
            });
        if together { first.rows() } else { &[] }
    }

    /// Number of points.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of objectives.
    pub fn objectives(&self) -> usize {
        self.columns.len()
    }

    /// The objectives.
    pub fn columns(&self) -> &[Column<'a>] {
        &self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place() {
        let (a, b) = ([1.0, f64::NAN, f64::NAN], [1.0f32, 2.0]);
        let error = Points::new(vec![Column::F64(&a)]).unwrap_err().to_string();
        assert!(error.contains("column 0 holds 2 NaN (first at row 1)"), "{error}");
        let error = Points::new(vec![Column::F64(&a), Column::F32(&b)]).unwrap_err().to_string();
        assert!(error.contains("column 1 has 2 rows"), "{error}");
        let error = Points::new(vec![]).unwrap_err().to_string();
        assert!(error.contains("no objective"), "{error}");
    }

    #[test]
    fn infinities_pass_unless_refused() {
        let a = [0.0, f64::INFINITY, f64::NEG_INFINITY];
        let points = Points::new(vec![Column::F64(&a)]).unwrap();
        let error = points.require_finite().unwrap_err().to_string();
        assert!(error.contains("column 0 holds 2 infinite values (first at row 1)"), "{error}");
    }
}
