//! A column of a table that is stored row after row, read in place.

/// Evenly spaced values of a slice, such as a column of a row-major table.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T> {
    /// From the first of the values to the last.
    values: &'a [T],
    step: usize,
}

impl<'a, T: Copy> Strided<'a, T> {
    /// `len` values of `table`, the one at `first` and every `step`-th after it; `None` if they
    /// are not all in the table.
    ///
    /// ```
    /// use paretohqd::{Column, Points, Stop, Strided, pareto_layers};
    ///
    /// let table = [0.9, 0.1, 0.5, 0.8, 0.4, 0.7];
    /// let column = |j| Strided::new(&table, j, 2, 3).map(Column::F64Strided);
    /// let points = Points::new([0, 1].into_iter().filter_map(column).collect())?;
    /// assert_eq!(pareto_layers(&points, Stop::Never)?, [0, 0, 1]);
    /// # Ok::<(), paretohqd::Error>(())
    /// ```
    pub fn new(table: &'a [T], first: usize, step: usize, len: usize) -> Option<Self> {
        let span = match len.checked_sub(1) {
            Some(steps) => steps.checked_mul(step)?.checked_add(1)?,
            None => 0,
        };
        let values = table.get(first..first.checked_add(span)?)?;
        (step > 0).then_some(Self { values, step })
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len().div_ceil(self.step)
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> T {
        self.values[row * self.step]
    }

    /// Whether this is the `j`-th column of a table that has `first` as the first.
    pub(crate) fn follows(&self, first: &Self, j: usize) -> bool {
        let here = self.values.first().zip(first.values.get(j));
        self.step == first.step && here.is_some_and(|(a, b)| std::ptr::eq(a, b))
    }

    /// The rows of a table of `m` columns that has this as the first, but for the last row, as one
    /// slice; `None` if the table has more columns.
    pub(crate) fn flat(&self, m: usize) -> Option<&'a [T]> {
        (self.step == m).then(|| &self.values[..self.values.len().saturating_sub(1)])
    }

    /// The rows of a table of `M` columns that has this as the first, but for the last row.
    pub(crate) fn rows<const M: usize>(&self) -> &'a [[T; M]] {
        if self.step == M { self.values.as_chunks().0 } else { &[] }
    }

    #[inline]
    pub(crate) fn from(&self, row: usize) -> impl Iterator<Item = T> {
        self.values[(row * self.step).min(self.values.len())..].chunks(self.step).map(|row| row[0])
    }
}
