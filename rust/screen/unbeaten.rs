//! Rows that no known row beats in every objective: what is left of a batch for the layers.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use super::block::{BLOCK_ROWS, Block, Screened, check_larger, in_parts, numbers};
use crate::error::{Error, Kind};
use crate::points::Points;

/// Drops the rows that one of `others` beats in every objective.
///
/// `larger` says per objective whether larger is better; `others` are few rows, one after another,
/// the ones that beat most first, their values negated where smaller is better. With L layers kept
/// and `others` of the last of these, a dropped row lies past them, whatever comes later.
///
/// # Errors
/// `larger` is not one bool per objective, or `others` are not whole rows.
///
/// ```
/// use paretohqd::{Column, Points, unbeaten};
///
/// let (x, y) = ([3.0, 1.0, 0.0], [1.0, 1.0, 5.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// assert_eq!(unbeaten(&points, &[true, true], &[2.0, 2.0])?.rows, [0, 2]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn unbeaten(points: &Points<'_>, larger: &[bool], others: &[f64]) -> Result<Screened, Error> {
    let m = points.objectives();
    check_larger(points, larger)?;
    if !others.len().is_multiple_of(m) {
        let actual = others.len();
        return Err(Kind::WrongLength { name: "others", expected: m, actual }.into());
    }
    let arch = Arch::new();
    Ok(in_parts(points, |rows| arch.dispatch(Part { points, larger, others, rows })))
}

/// [`unbeaten`] of the rows in a range, larger is better.
struct Part<'a, 'b> {
    points: &'a Points<'b>,
    larger: &'a [bool],
    others: &'a [f64],
    rows: Range<usize>,
}

impl NullaryFnOnce for Part<'_, '_> {
    type Output = Screened;

    #[inline(always)]
    fn call(self) -> Screened {
        match self.larger.len() {
            2 => self.screen::<2>(),
            3 => self.screen::<3>(),
            4 => self.screen::<4>(),
            5 => self.screen::<5>(),
            _ => self.screen::<0>(),
        }
    }
}

impl Part<'_, '_> {
    /// In `M` objectives, or in any number if `M` is 0.
    #[inline(always)]
    fn screen<const M: usize>(self) -> Screened {
        let m = if M == 0 { self.larger.len() } else { M };
        let mut block = Block::new(m);
        // The first other beats most rows; only what it leaves meets the rest.
        let (first, rest) = self.others.split_at(m.min(self.others.len()));
        let mut left: Vec<usize> = Vec::new();
        for start in self.rows.clone().step_by(BLOCK_ROWS) {
            let rows = start..self.rows.end.min(start + BLOCK_ROWS);
            let mut open = block.read(self.points, self.larger, rows);
            if !first.is_empty() {
                open &= !beaten::<M>(&block.values, first);
            }
            left.extend(numbers(open, start));
        }
        let mut rows = Vec::new();
        let mut values = vec![[0.0; BLOCK_ROWS]; m];
        for block in left.chunks(BLOCK_ROWS) {
            for (j, values) in values.iter_mut().enumerate() {
                let column = &self.points.columns()[j];
                let sign = if self.larger[j] { 1.0 } else { -1.0 };
                for (value, &row) in values.iter_mut().zip(block) {
                    *value = sign * column.get(row);
                }
            }
            let mut open = u64::MAX;
            for other in rest.chunks_exact(m) {
                open &= !beaten::<M>(&values, other);
            }
            let open = |lane: &usize| open >> lane & 1 == 1;
            rows.extend((0..block.len()).filter(open).map(|lane| block[lane] as u32));
        }
        block.screened(rows)
    }
}

/// The lanes that `other` beats in every objective, as bits.
#[inline(always)]
fn beaten<const M: usize>(values: &[[f64; BLOCK_ROWS]], other: &[f64]) -> u64 {
    let m = if M == 0 { other.len() } else { M };
    let mut bits = [0u64; 8];
    for step in (0..BLOCK_ROWS).step_by(8) {
        let mut beaten = [1u64 << step; 8];
        for j in 0..m {
            for lane in 0..8 {
                // Numbers, not bools, are as wide as the values and so stay in their lanes.
                beaten[lane] &= if values[j][step + lane] < other[j] { u64::MAX } else { 0 };
            }
        }
        for lane in 0..8 {
            bits[lane] |= beaten[lane] << lane;
        }
    }
    bits.into_iter().fold(0, |a, b| a | b)
}
