//! The points above the reference, relative to it: in place, or a copy without most of the
//! dominated ones.

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

/// Points relative to the reference, read where they lie.
pub(super) struct Relative<'a, const M: usize> {
    columns: [Column<'a>; M],
    origin: [f64; M],
}

impl<'a, const M: usize> Relative<'a, M> {
    /// The first `M` objectives, of as many or more.
    pub fn new(points: &Points<'a>, origin: &[f64]) -> Self {
        let columns = std::array::from_fn(|j| points.columns()[j]);
        Self { columns, origin: std::array::from_fn(|j| origin[j]) }
    }

    /// What the points are ordered by: the first objective, not yet relative.
    pub fn first(&self) -> Column<'a> {
        self.columns[0]
    }

    pub fn rows(&self) -> usize {
        self.columns[0].len()
    }

    pub fn get(&self, j: usize, row: usize) -> f64 {
        self.columns[j].get(row) - self.origin[j]
    }

    /// An objective of some rows: one column at a time, so that many reads are under way at once.
    pub fn column(&self, j: usize, rows: &[u32]) -> Vec<f64> {
        let origin = self.origin[j];
        self.columns[j].gather(rows.iter().map(|&row| row as usize), |x| x - origin)
    }

    /// What `make` makes of those of the rows that are above the reference in every objective.
    pub fn above<T>(&self, rows: &[u32], make: impl Fn([f64; M], u32) -> T) -> Vec<T> {
        let columns: [Vec<f64>; M] = std::array::from_fn(|j| self.column(j, rows));
        let mut made = Vec::with_capacity(rows.len());
        for (i, &row) in rows.iter().enumerate() {
            let point: [f64; M] = std::array::from_fn(|j| columns[j][i]);
            if is_above(point) {
                made.push(make(point, row));
            }
        }
        made
    }
}

/// Whether a point is above the reference that it is relative to.
#[inline]
pub(super) fn is_above<const M: usize>(point: [f64; M]) -> bool {
    point.iter().fold(true, |above, &x| above & (x > 0.0))
}

/// A copy of points above the reference in every objective, relative to it: positive columns.
#[derive(Default)]
pub(super) struct Above {
    pub columns: Vec<Vec<f64>>,
    /// Which rows these are; empty if points were dropped for being dominated.
    pub rows: Vec<u32>,
}

impl Above {
    /// All points above the reference. With `if_few`, `None` if that is more than half of the rows,
    /// so that a copy would be large.
    pub fn all(points: &Points<'_>, reference: &[f64], if_few: bool) -> Option<Self> {
        Self::new(points, reference, if_few, false)
    }

    /// The same, less many that another point covers.
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

    /// The copy as points of its own, whose reference is zero.
    pub fn points<'a>(&'a self, of: &Points<'_>) -> Points<'a> {
        of.part(&self.columns)
    }

    /// Row after row.
    pub fn coordinates(&self) -> Vec<f64> {
        (0..self.len()).flat_map(|i| self.columns.iter().map(move |column| column[i])).collect()
    }
}

/// Reads some rows relative to the reference and keeps those above it.
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
            for (value, above) in values.iter_mut().zip(&mut above) {
                *value -= origin;
                *above &= *value > 0.0;
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
