//! The points above the reference: in place, or a copy, for volumes without most of the dominated
//! ones.

use pulp::{Arch, NullaryFnOnce};

use crate::error::{Error, Kind};
use crate::points::{Column, Points};
use crate::threads;

/// Rows that are read and prefiltered at a time: columns of that length stay in cache.
const PART_ROWS: usize = 1 << 14;

/// Fewer points are not worth a prefilter.
const MIN_PREFILTERED: usize = 32;

/// Parts after which it is checked whether few rows are kept, however many threads read them.
const BATCH_PARTS: usize = 32;

/// Refuses a reference that is not one finite value per objective, and infinite points.
pub(crate) fn check(points: &Points<'_>, reference: &[f64]) -> Result<(), Error> {
    let (expected, actual) = (points.objectives(), reference.len());
    if actual != expected {
        return Err(Kind::WrongLength { name: "ref", expected, actual }.into());
    }
    if let Some(position) = reference.iter().position(|x| !x.is_finite()) {
        return Err(Kind::NotFinite { name: "ref", position }.into());
    }
    points.require_finite().map(|_| ())
}

/// Points as a sweep reads them, where they lie: moved or not, above a corner.
pub(super) struct SweptPoints<'a, const M: usize> {
    columns: [Column<'a>; M],
    /// What is taken off each objective.
    shift: [f64; M],
    /// The reference, moved likewise.
    pub corner: [f64; M],
}

impl<'a, const M: usize> SweptPoints<'a, M> {
    /// Relative to the reference.
    pub fn relative(points: &Points<'a>, reference: &[f64]) -> Self {
        let columns = std::array::from_fn(|j| points.columns()[j]);
        Self { columns, shift: std::array::from_fn(|j| reference[j]), corner: [0.0; M] }
    }

    /// As they are: what lies between two points is rounded once only, however far off the
    /// reference is.
    pub fn unmoved(points: &Points<'a>, reference: &[f64]) -> Self {
        let columns = std::array::from_fn(|j| points.columns()[j]);
        Self { columns, shift: [0.0; M], corner: std::array::from_fn(|j| reference[j]) }
    }

    /// What the points are ordered by: the first objective, not moved.
    pub fn first(&self) -> Column<'a> {
        self.columns[0]
    }

    pub fn rows(&self) -> usize {
        self.columns[0].len()
    }

    pub fn get(&self, j: usize, row: usize) -> f64 {
        self.columns[j].get(row) - self.shift[j]
    }

    /// An objective of some rows: one column at a time, so that many reads are under way at once.
    pub fn column(&self, j: usize, rows: &[u32]) -> Vec<f64> {
        let shift = self.shift[j];
        self.columns[j].gather(rows.iter().map(|&row| row as usize), |x| x - shift)
    }

    /// What `make` makes of those of the rows that are above the reference in every objective.
    pub fn above<T>(&self, rows: &[u32], make: impl Fn([f64; M], u32) -> T) -> Vec<T> {
        let columns: [Vec<f64>; M] = std::array::from_fn(|j| self.column(j, rows));
        let mut made = Vec::with_capacity(rows.len());
        for (i, &row) in rows.iter().enumerate() {
            let point: [f64; M] = std::array::from_fn(|j| columns[j][i]);
            if is_above(point, self.corner) {
                made.push(make(point, row));
            }
        }
        made
    }
}

/// Whether a point is above a corner in every objective.
#[inline]
pub(super) fn is_above<const M: usize>(point: [f64; M], corner: [f64; M]) -> bool {
    point.iter().zip(corner).fold(true, |above, (&x, least)| above & (x > least))
}

/// A copy of points above the reference in every objective.
#[derive(Default)]
pub(super) struct Above {
    /// By objective; relative to the reference, so positive, or as they are.
    pub columns: Vec<Vec<f64>>,
    /// Which rows these are; empty if points were dropped for being dominated.
    pub rows: Vec<u32>,
}

impl Above {
    /// All points above the reference, as they are. With `if_few`, `None` if that is more than half
    /// of the rows, so that a copy would be large.
    pub fn all(points: &Points<'_>, reference: &[f64], if_few: bool) -> Option<Self> {
        Self::new(points, reference, if_few, false)
    }

    /// The same relative to the reference, less many that another point covers.
    pub fn prefiltered(points: &Points<'_>, reference: &[f64], if_few: bool) -> Option<Self> {
        let mut above = Self::new(points, reference, if_few, true)?;
        if points.rows() > PART_ROWS {
            Arch::new().dispatch(Prefilter(&mut above.columns));
        }
        Some(above)
    }

    fn new(points: &Points<'_>, reference: &[f64], if_few: bool, prefilter: bool) -> Option<Self> {
        let rows = points.rows();
        let arch = Arch::new();
        let part = |start: usize| {
            let rows = start..rows.min(start + PART_ROWS);
            let mut part = arch.dispatch(Read { points, reference, rows, numbered: !prefilter });
            if prefilter {
                arch.dispatch(Prefilter(&mut part.columns));
            }
            part
        };
        if rows <= PART_ROWS {
            return Some(part(0));
        }
        let count = rows.div_ceil(PART_ROWS);
        let (batches, mut parts) = (count.div_ceil(BATCH_PARTS), Vec::with_capacity(count));
        let mut kept = 0;
        for first in 0..batches {
            // Parts from all over, so that the first batch tells about the rest.
            let batch = (count - first).div_ceil(batches);
            parts.extend(threads::map(rows, batch, |i| part((first + i * batches) * PART_ROWS)));
            kept = parts.iter().map(Self::len).sum();
            if if_few && kept * 2 > parts.len() * PART_ROWS {
                return None;
            }
        }
        // One column after the other, each part's given up at once: two copies are never held.
        let mut columns = Vec::with_capacity(points.objectives());
        for j in 0..points.objectives() {
            let mut column = Vec::with_capacity(kept);
            for part in &mut parts {
                column.append(&mut std::mem::take(&mut part.columns[j]));
            }
            columns.push(column);
        }
        Some(Self { columns, rows: parts.into_iter().flat_map(|part| part.rows).collect() })
    }

    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// The copy as points of its own.
    pub fn points<'a>(&'a self, of: &Points<'_>) -> Points<'a> {
        of.part(&self.columns)
    }
}

/// Reads some rows and keeps those above the reference; relative to it unless numbered.
struct Read<'a, 'b> {
    points: &'a Points<'b>,
    reference: &'a [f64],
    rows: std::ops::Range<usize>,
    numbered: bool,
}

impl NullaryFnOnce for Read<'_, '_> {
    type Output = Above;

    #[inline(always)]
    fn call(self) -> Above {
        let Self { points, reference, rows, numbered } = self;
        let mut above = vec![true; rows.len()];
        let mut columns = Vec::with_capacity(reference.len());
        for (column, origin) in points.columns().iter().zip(reference) {
            let mut values = vec![0.0; rows.len()];
            column.copy_to(rows.start, &mut values);
            // Relative only where rows are not told apart: contributions depend on differences.
            let (shift, least) = if numbered { (0.0, *origin) } else { (*origin, 0.0) };
            for (value, above) in values.iter_mut().zip(&mut above) {
                *value -= shift;
                *above &= *value > least;
            }
            columns.push(values);
        }
        keep(&mut columns, &above);
        let rows = rows.start as u32..rows.end as u32;
        let rows = if numbered {
            rows.zip(&above).filter_map(|(row, above)| above.then_some(row)).collect()
        } else {
            Vec::new()
        };
        Above { columns, rows }
    }
}

/// Drops the other rows.
#[inline(always)]
fn keep(columns: &mut [Vec<f64>], keep: &[bool]) {
    let Some(first) = keep.iter().position(|keep| !keep) else { return };
    for column in columns {
        let mut kept = first;
        for i in first..column.len().min(keep.len()) {
            column[kept] = column[i];
            kept += usize::from(keep[i]);
        }
        column.truncate(kept);
    }
}

/// Drops points that a few good ones cover: the one with the largest product, and for each
/// objective one that is good there above all. Stops at a set that is a front for the most part.
pub(super) struct Prefilter<'a>(pub &'a mut [Vec<f64>]);

impl NullaryFnOnce for Prefilter<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let columns = self.0;
        let m = columns.len();
        let mut scores: Vec<f64> = Vec::new();
        let mut above: Vec<bool> = Vec::new();
        for emphasis in std::iter::once(None).chain((0..m).map(Some)) {
            let before = columns.first().map_or(0, Vec::len);
            if before < MIN_PREFILTERED {
                return;
            }
            scores.clear();
            scores.resize(before, 1.0);
            let mut weigh = |column: &[f64]| {
                for (score, value) in scores.iter_mut().zip(column) {
                    *score *= value;
                }
            };
            columns.iter().for_each(|column| weigh(column));
            if let Some(j) = emphasis {
                (0..m).for_each(|_| weigh(&columns[j]));
            }
            let pivot = largest(&scores);
            above.clear();
            above.resize(before, false);
            for column in columns.iter() {
                let limit = column[pivot];
                for (above, &value) in above.iter_mut().zip(column) {
                    *above |= value > limit;
                }
            }
            above[pivot] = true;
            keep(columns, &above);
            if emphasis.is_none() && columns[0].len() > before / 8 * 7 {
                return;
            }
        }
    }
}

/// The place of the largest value; no NaN.
#[inline(always)]
fn largest(values: &[f64]) -> usize {
    let mut lanes = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    let largest = lanes.iter().chain(rest).copied().fold(0.0, f64::max);
    values.iter().position(|&value| value == largest).unwrap_or(0)
}
