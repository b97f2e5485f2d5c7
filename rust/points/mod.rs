//! Points as one column per objective: borrowed, validated once, larger is better.

pub(crate) mod column;
pub(crate) mod look;
pub(crate) mod strided;

pub use column::{Column, NonFinite};
pub use strided::Strided;

use std::ops::Range;

use crate::error::{Error, Kind};

/// `n` points in `m` objectives, larger is better in each; no NaN.
#[derive(Clone, Debug)]
pub struct Points<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
    /// The largest absolute value, if the values were looked at.
    largest: Option<f64>,
}

impl<'a> Points<'a> {
    /// Checks that there is an objective, that all have one length, and that none holds NaN.
    ///
    /// # Errors
    /// Says which column is wrong, how often and from which row on.
    pub fn new(columns: Vec<Column<'a>>) -> Result<Self, Error> {
        let mut points = Self::unchecked(columns)?;
        let largest = look::largest(&points.columns);
        if largest.is_nan() {
            let counts = look::non_finite(&points.columns);
            for (column, counts) in counts.into_iter().enumerate() {
                if let Some(first) = counts.first_nan {
                    return Err(Kind::Nan { column, count: counts.nan, first }.into());
                }
            }
        }
        points.largest = Some(largest);
        Ok(points)
    }

    /// Points that are stored row after row: `m` values each, read in place.
    ///
    /// # Errors
    /// The last row is not complete, `m` is 0, or as for [`Points::new`].
    ///
    /// ```
    /// use paretohqd::{Points, Stop, pareto_layers};
    ///
    /// let points = Points::from_rows(&[0.9, 0.1, 0.5, 0.8, 0.4, 0.7], 2)?;
    /// assert_eq!(pareto_layers(&points, Stop::Never)?, [0, 0, 1]);
    /// assert!(Points::from_rows(&[0.9, 0.1, 0.5], 2).is_err());
    /// # Ok::<(), paretohqd::Error>(())
    /// ```
    pub fn from_rows(table: &'a [f64], m: usize) -> Result<Self, Error> {
        let columns = columns_of_table(table, m)?.into_iter().map(Column::F64Strided);
        Self::new(if m == 1 { vec![Column::F64(table)] } else { columns.collect() })
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
        Ok(Self { columns, rows, largest: None })
    }

    /// Some of these rows, gathered into columns: valid because the whole is.
    pub(crate) fn part<'b>(&self, columns: &'b [Vec<f64>]) -> Points<'b> {
        let rows = columns.first().map_or(0, Vec::len);
        let columns = columns.iter().map(|column| Column::F64(column)).collect();
        Points { columns, rows, largest: None }
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
        Self { columns, rows: self.rows, largest: None }
    }

    /// The largest absolute value; refuses infinities, for kernels that subtract.
    pub(crate) fn require_finite(&self) -> Result<f64, Error> {
        let largest = self.largest.unwrap_or_else(|| look::largest(&self.columns));
        if largest.is_infinite() {
            let counts = look::non_finite(&self.columns);
            for (column, counts) in counts.into_iter().enumerate() {
                if let Some(first) = counts.first_infinite {
                    return Err(Kind::Infinite { column, count: counts.infinite, first }.into());
                }
            }
        }
        Ok(largest)
    }

    /// The rows, where they lie one after another.
    pub(crate) fn table<const M: usize>(&self) -> Table<'a, M> {
        let follow = |is_next: &dyn Fn(usize, &Column<'a>) -> bool| {
            self.columns.len() == M && self.columns.iter().enumerate().all(|(j, c)| is_next(j, c))
        };
        match self.columns.first() {
            Some(&Column::F64Strided(first))
                if follow(&|j, c| matches!(c, Column::F64Strided(c) if c.follows(&first, j))) =>
            {
                Table::Double(first.rows())
            }
            Some(&Column::F32Strided(first))
                if follow(&|j, c| matches!(c, Column::F32Strided(c) if c.follows(&first, j))) =>
            {
                Table::Single(first.rows())
            }
            _ => Table::Double(&[]),
        }
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

/// Rows of `M` values that lie one after another, but for the last one; or none.
#[derive(Clone, Copy)]
pub(crate) enum Table<'a, const M: usize> {
    Single(&'a [[f32; M]]),
    Double(&'a [[f64; M]]),
}

impl<const M: usize> Table<'_, M> {
    /// Hands over each value of some rows with its objective and its place among these rows;
    /// whether they are all here.
    #[inline(always)]
    pub fn read(self, rows: Range<usize>, put: impl FnMut(usize, usize, f64)) -> bool {
        match self {
            Self::Single(table) => table.get(rows).map(|rows| hand_over(rows, put)).is_some(),
            Self::Double(table) => table.get(rows).map(|rows| hand_over(rows, put)).is_some(),
        }
    }
}

#[inline(always)]
fn hand_over<const M: usize, T: Copy + Into<f64>>(
    rows: &[[T; M]],
    mut put: impl FnMut(usize, usize, f64),
) {
    for (place, row) in rows.iter().enumerate() {
        for (j, &value) in row.iter().enumerate() {
            put(j, place, value.into());
        }
    }
}

/// The columns of a table that is stored row after row; of the last row as much as there is.
fn columns_of_table<T: Copy>(table: &[T], m: usize) -> Result<Vec<Strided<'_, T>>, Error> {
    if m > table.len() && !table.is_empty() {
        return Err(Kind::Ragged { column: m - 1, expected: 1, actual: 0 }.into());
    }
    let mut columns = Vec::new();
    // An empty table may have any number of columns.
    columns.try_reserve_exact(m).map_err(|_| Kind::TooMuchMemory {
        what: "the answer",
        bytes: m.saturating_mul(size_of::<Strided<'_, T>>()),
    })?;
    columns.extend((0..m).filter_map(|j| {
        let rows = table.len().saturating_sub(j).div_ceil(m);
        Strided::new(table, j.min(table.len()), m, rows)
    }));
    Ok(columns)
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
    fn rows_are_columns() {
        let table: Vec<f64> = (0..12).map(f64::from).collect();
        for m in [1, 2, 3, 4, 6, 12] {
            let points = Points::from_rows(&table, m).unwrap();
            assert_eq!((points.rows(), points.objectives()), (12 / m, m));
            for (j, column) in points.columns().iter().enumerate() {
                assert!((0..12 / m).all(|row| column.get(row) == table[row * m + j]));
            }
        }
        let empty = Points::from_rows(&[], 3).unwrap();
        assert_eq!((empty.rows(), empty.objectives()), (0, 3));
        for (m, message) in [
            (0, "no objective"),
            (5, "column 2 has 2 rows but column 0 has 3"),
            (13, "column 12 has 0 rows but column 0 has 1"),
            (usize::MAX, "has 0 rows"),
        ] {
            let error = Points::from_rows(&table, m).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = Points::from_rows(&[], usize::MAX).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Memory);
        let error = Points::from_rows(&[0.0, 1.0, 2.0, f64::NAN], 2).unwrap_err().to_string();
        assert!(error.contains("column 1 holds 1 NaN (first at row 1)"), "{error}");
    }

    #[test]
    fn infinities_pass_unless_refused() {
        let a = [0.0, f64::INFINITY, f64::NEG_INFINITY];
        let points = Points::new(vec![Column::F64(&a)]).unwrap();
        let error = points.require_finite().unwrap_err().to_string();
        assert!(error.contains("column 0 holds 2 infinite values (first at row 1)"), "{error}");
    }
}
