//! The points above the reference, relative to it, without most of those that count nothing.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::error::{Error, Kind};
use crate::points::Points;
use crate::threads;

/// Rows that are read and thinned out at a time: columns of that length stay in cache.
const PART: usize = 1 << 14;

/// Fewer points are not worth a look for pivots.
const FEW: usize = 32;

/// Points above the reference in every objective, relative to it: positive columns.
pub(super) struct Above {
    pub columns: Vec<Vec<f64>>,
    /// Which rows these are; empty if points were dropped for being dominated.
    pub rows: Vec<u32>,
}

impl Above {
    /// All points above the reference.
    pub fn all(points: &Points<'_>, reference: &[f64]) -> Result<Self, Error> {
        Self::new(points, reference, false)
    }

    /// The points above the reference, less many that another point covers.
    pub fn thinned(points: &Points<'_>, reference: &[f64]) -> Result<Self, Error> {
        let mut above = Self::new(points, reference, true)?;
        if points.rows() > PART {
            Arch::new().dispatch(Thin(&mut above.columns));
        }
        Ok(above)
    }

    fn new(points: &Points<'_>, reference: &[f64], thin: bool) -> Result<Self, Error> {
        let (objectives, rows) = (points.objectives(), points.rows());
        if reference.len() != objectives {
            let found = reference.len();
            return Err(Kind::WrongLength { name: "ref", expected: objectives, found }.into());
        }
        if let Some(position) = reference.iter().position(|x| !x.is_finite()) {
            return Err(Kind::NotFinite { name: "ref", position }.into());
        }
        points.require_finite()?;
        let arch = Arch::new();
        let part = |start: usize| {
            let rows = start..rows.min(start + PART);
            let mut part = arch.dispatch(Read { points, reference, rows, numbered: !thin });
            if thin {
                arch.dispatch(Thin(&mut part.columns));
            }
            part
        };
        if rows <= PART {
            return Ok(part(0));
        }
        let starts: Vec<usize> = (0..rows).step_by(PART).collect();
        let parts: Vec<Self> = if threads::worthwhile(rows) {
            starts.into_par_iter().map(part).collect()
        } else {
            starts.into_iter().map(part).collect()
        };
        let column =
            |j: usize| parts.iter().map(|part| &part.columns[j][..]).collect::<Vec<_>>().concat();
        let columns = if threads::worthwhile(rows) {
            (0..objectives).into_par_iter().map(column).collect()
        } else {
            (0..objectives).map(column).collect()
        };
        Ok(Self { columns, rows: parts.into_iter().flat_map(|part| part.rows).collect() })
    }

    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
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
struct Thin<'a>(&'a mut [Vec<f64>]);

impl NullaryFnOnce for Thin<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let columns = self.0;
        let m = columns.len();
        let mut scores: Vec<f64> = Vec::new();
        let mut above: Vec<bool> = Vec::new();
        for emphasis in std::iter::once(None).chain((0..m).map(Some)) {
            let before = columns.first().map_or(0, Vec::len);
            if before < FEW {
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
