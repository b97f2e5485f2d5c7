//! Rows by the block: their values, larger is better, and the range of all that were read.

use std::ops::Range;

use crate::error::{Error, Kind};
use crate::points::Points;
use crate::threads;

/// Rows that are looked at together, a bit of a word each.
pub(super) const BLOCK_ROWS: usize = 64;

/// Rows of a part: results of parts are joined in order.
const PART_ROWS: usize = 1 << 14;

/// What a screen leaves, and the range of all values.
#[derive(Clone, Debug, PartialEq)]
pub struct Screened {
    /// The rows that may still count, ascending; all that hold NaN are here.
    pub rows: Vec<u32>,
    /// The worst value of each objective over all rows, negated where smaller is better; infinity
    /// if there are no rows. NaN is passed over.
    pub worst: Vec<f64>,
    /// The best, likewise; minus infinity if there are no rows.
    pub best: Vec<f64>,
}

/// Checks that `larger` is one bool per objective.
pub(super) fn check_larger(points: &Points<'_>, larger: &[bool]) -> Result<(), Error> {
    let m = points.objectives();
    if larger.len() == m {
        return Ok(());
    }
    Err(Kind::WrongLength { name: "larger", expected: m, actual: larger.len() }.into())
}

/// What a screen leaves of each part of the rows, joined.
pub(super) fn in_parts(
    points: &Points<'_>,
    part: impl Fn(Range<usize>) -> Screened + Sync,
) -> Screened {
    let (m, rows) = (points.objectives(), points.rows());
    let parts = threads::map(rows, rows.div_ceil(PART_ROWS), |number| {
        part(number * PART_ROWS..rows.min((number + 1) * PART_ROWS))
    });
    let (mut worst, mut best) = (vec![f64::INFINITY; m], vec![f64::NEG_INFINITY; m]);
    for part in &parts {
        for j in 0..m {
            worst[j] = worst[j].min(part.worst[j]);
            best[j] = best[j].max(part.best[j]);
        }
    }
    Screened { rows: parts.into_iter().flat_map(|part| part.rows).collect(), worst, best }
}

/// A block of rows, and the range of all blocks that were read.
pub(super) struct Block {
    /// By objective, larger is better. Past the last row stands NaN.
    pub values: Vec<[f64; BLOCK_ROWS]>,
    low: Vec<[f64; BLOCK_ROWS]>,
    high: Vec<[f64; BLOCK_ROWS]>,
}

impl Block {
    pub fn new(m: usize) -> Self {
        Self {
            values: vec![[0.0; BLOCK_ROWS]; m],
            low: vec![[f64::INFINITY; BLOCK_ROWS]; m],
            high: vec![[f64::NEG_INFINITY; BLOCK_ROWS]; m],
        }
    }

    /// Reads the rows of a range of at most a block; their bits.
    #[inline(always)]
    pub fn read(&mut self, points: &Points<'_>, larger: &[bool], rows: Range<usize>) -> u64 {
        let (start, count) = (rows.start, rows.len());
        for (j, values) in self.values.iter_mut().enumerate() {
            // NaN is beaten by nothing and changes no range.
            values[count..].fill(f64::NAN);
            points.columns()[j].copy_to(start, &mut values[..count]);
            if !larger[j] {
                values.iter_mut().for_each(|value| *value = -*value);
            }
            let (low, high) = (&mut self.low[j], &mut self.high[j]);
            for lane in 0..BLOCK_ROWS {
                let value = values[lane];
                low[lane] = if value < low[lane] { value } else { low[lane] };
                high[lane] = if value > high[lane] { value } else { high[lane] };
            }
        }
        if count < BLOCK_ROWS { (1 << count) - 1 } else { u64::MAX }
    }

    /// What is left, with the range of what was read.
    pub fn screened(&self, rows: Vec<u32>) -> Screened {
        let least = |lanes: &[f64; BLOCK_ROWS]| lanes.iter().copied().fold(f64::INFINITY, f64::min);
        let most =
            |lanes: &[f64; BLOCK_ROWS]| lanes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Screened {
            rows,
            worst: self.low.iter().map(least).collect(),
            best: self.high.iter().map(most).collect(),
        }
    }
}

/// The numbers of the bits that are set, ascending, from `start` on.
pub(super) fn numbers(mut bits: u64, start: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(start + lane)
    })
}
