//! Points as one slice per objective: borrowed, validated once, larger is better.

use rayon::prelude::*;

use crate::error::{Error, Kind};
use crate::threads;

/// One objective of every row, in the width the caller holds it in.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Single precision; widened exactly where arithmetic is done.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
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
        }
    }

    /// Writes the values from `start` on into `out`, widened.
    pub(crate) fn copy_to(&self, start: usize, out: &mut [f64]) {
        match self {
            Self::F32(v) => {
                for (o, &x) in out.iter_mut().zip(&v[start..]) {
                    *o = f64::from(x);
                }
            }
            Self::F64(v) => out.copy_from_slice(&v[start..start + out.len()]),
        }
    }

    /// Counts NaN and infinities.
    pub fn non_finite(&self) -> NonFinite {
        // Finite columns are the rule: one vectorised pass decides, a second counts.
        let finite = match self {
            Self::F32(v) => all_finite(v, |x| x.is_finite()),
            Self::F64(v) => all_finite(v, |x| x.is_finite()),
        };
        let mut found = NonFinite::default();
        if finite {
            return found;
        }
        for row in 0..self.len() {
            let x = self.get(row);
            if x.is_nan() {
                found.nan += 1;
                found.first_nan.get_or_insert(row);
            } else if x.is_infinite() {
                found.infinite += 1;
                found.first_infinite.get_or_insert(row);
            }
        }
        found
    }
}

fn all_finite<T: Copy + Sync>(values: &[T], finite: impl Fn(T) -> bool + Sync) -> bool {
    // No early exit inside a block, so that the loop vectorises.
    let block_finite = |block: &[T]| block.iter().fold(true, |ok, &x| ok & finite(x));
    if threads::worthwhile(values.len()) {
        values.par_chunks(1 << 16).all(block_finite)
    } else {
        values.chunks(1 << 12).all(block_finite)
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
        let rows = columns.first().ok_or(Kind::NoColumns)?.len();
        for (column, values) in columns.iter().enumerate() {
            if values.len() != rows {
                return Err(Kind::Ragged {
                    column,
                    expected: rows,
                    found: values.len(),
                }
                .into());
            }
        }
        if rows > i32::MAX as usize {
            return Err(Kind::TooManyRows { rows }.into());
        }
        for (column, values) in columns.iter().enumerate() {
            let found = values.non_finite();
            if let Some(first) = found.first_nan {
                return Err(Kind::Nan {
                    column,
                    count: found.nan,
                    first,
                }
                .into());
            }
        }
        Ok(Self { columns, rows })
    }

    /// Refuses infinities, for kernels that subtract.
    pub(crate) fn require_finite(&self) -> Result<(), Error> {
        for (column, values) in self.columns.iter().enumerate() {
            let found = values.non_finite();
            if let Some(first) = found.first_infinite {
                return Err(Kind::Infinite {
                    column,
                    count: found.infinite,
                    first,
                }
                .into());
            }
        }
        Ok(())
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
        assert!(
            error.contains("column 0 holds 2 NaN (first at row 1)"),
            "{error}"
        );
        let error = Points::new(vec![Column::F64(&a), Column::F32(&b)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("column 1 has 2 rows"), "{error}");
        let error = Points::new(vec![]).unwrap_err().to_string();
        assert!(error.contains("no objective"), "{error}");
    }

    #[test]
    fn infinities_pass_unless_refused() {
        let a = [0.0, f64::INFINITY, f64::NEG_INFINITY];
        let points = Points::new(vec![Column::F64(&a)]).unwrap();
        let error = points.require_finite().unwrap_err().to_string();
        assert!(
            error.contains("column 0 holds 2 infinite values (first at row 1)"),
            "{error}"
        );
    }
}
