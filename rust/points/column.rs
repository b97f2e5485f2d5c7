//! One objective of every row, read in the width and the layout that the caller holds it in.

use std::ops::Range;

use crate::points::strided::Strided;
use crate::threads;

/// Rows that are read as one task.
pub(crate) const PART_ROWS: usize = 1 << 16;

/// Rows that are widened at a time, into a buffer that stays in cache.
pub(crate) const BLOCK_ROWS: usize = 512;

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

impl NonFinite {
    /// Counts the values of the rows from `start` on, which come after all counted before.
    pub(crate) fn add(&mut self, start: usize, values: &[f64]) {
        // Finite values are the rule, and a loop without a branch on each is fast.
        if values.iter().fold(true, |finite, x| finite & x.is_finite()) {
            return;
        }
        for (row, x) in values.iter().enumerate().map(|(i, x)| (start + i, x)) {
            if x.is_nan() {
                self.nan += 1;
                self.first_nan.get_or_insert(row);
            } else if x.is_infinite() {
                self.infinite += 1;
                self.first_infinite.get_or_insert(row);
            }
        }
    }

    /// The counts of these rows and of later ones.
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            nan: self.nan + later.nan,
            first_nan: self.first_nan.or(later.first_nan),
            infinite: self.infinite + later.infinite,
            first_infinite: self.first_infinite.or(later.first_infinite),
        }
    }
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
        let parts = threads::map(self.len(), self.len().div_ceil(PART_ROWS), |part| {
            let mut counts = NonFinite::default();
            let end = self.len().min((part + 1) * PART_ROWS);
            self.for_blocks(part * PART_ROWS..end, |start, block| counts.add(start, block));
            counts
        });
        parts.into_iter().fold(NonFinite::default(), NonFinite::and)
    }

    /// Folds the values in lanes, without an early exit, so that the loop vectorises.
    fn fold<A: Copy + Send + Sync>(
        &self,
        start: A,
        step: impl Fn(A, f64) -> A + Sync,
        join: impl Fn(A, A) -> A + Sync,
    ) -> A {
        const ACCUMULATORS: usize = 16;
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
