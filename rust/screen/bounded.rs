//! Rows that lose no more than a bound for some preference: what is left of a batch for a ranking.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use super::block::{BLOCK_ROWS, Block, Screened, check_larger, in_parts, numbers};
use crate::achievement::cap;
use crate::error::{Error, Kind};
use crate::points::Points;

/// What a preference loses with a row, given how far the row falls short of the ideal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The largest shortfall, each divided by its weight; where weights are 0 the largest shortfall
    /// of those objectives alone.
    Achievement,
    /// The sum of the weighted shortfalls.
    Sum,
    /// The root of the sum of their squares, of those above 0.
    Distance,
}

/// Preferences, what each loses with a row, and the most that it may lose.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<'a> {
    /// How the loss is computed.
    pub loss: Loss,
    /// Where nothing is lost, by objective.
    pub ideal: &'a [f64],
    /// What one unit of a shortfall is, by objective; [`Loss::Achievement`] has no use for it.
    pub units: &'a [f64],
    /// The weights of each preference, one after another.
    pub weights: &'a [f64],
    /// The most that each may lose.
    pub bounds: &'a [f64],
}

/// Drops the rows with which each preference loses more than its bound.
///
/// `larger` says per objective whether larger is better; ideals are in larger-is-better units. A row
/// within a bound, as losses are computed in double precision, is never dropped; a few beyond one
/// may be left. O(n m P) for P preferences.
///
/// # Errors
/// A vector has the wrong length.
///
/// ```
/// use paretohqd::{Bounded, Column, Loss, Points, within_bounds};
///
/// let (x, y) = ([1.0, 0.6, 0.0], [0.0, 0.5, 1.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let bounded = Bounded {
///     loss: Loss::Sum,
///     ideal: &[1.0, 1.0],
///     units: &[1.0, 1.0],
///     weights: &[0.5, 0.5, 0.9, 0.1],
///     bounds: &[0.45, 0.2],
/// };
/// assert_eq!(within_bounds(&points, &[true, true], &bounded)?.rows, [0, 1]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn within_bounds(
    points: &Points<'_>,
    larger: &[bool],
    bounded: &Bounded<'_>,
) -> Result<Screened, Error> {
    let m = points.objectives();
    check_larger(points, larger)?;
    for (name, values, expected) in [
        ("ideal", bounded.ideal, m),
        ("units", bounded.units, m),
        ("weights", bounded.weights, m * bounded.bounds.len()),
    ] {
        if values.len() != expected {
            return Err(Kind::WrongLength { name, expected, actual: values.len() }.into());
        }
    }
    let limits = limits(bounded, m);
    let arch = Arch::new();
    let part = |rows| arch.dispatch(Part { points, larger, bounded, limits: &limits, rows });
    Ok(in_parts(points, part))
}

/// The most of what is compared, which spares a division or a root for each row: by preference, or
/// for achievements by preference and objective.
fn limits(bounded: &Bounded<'_>, m: usize) -> Vec<f64> {
    match bounded.loss {
        Loss::Sum => bounded.bounds.to_vec(),
        // Rounded squares and roots are off by some 1e-16 of themselves, or by the least numbers.
        Loss::Distance => bounded
            .bounds
            .iter()
            .map(|&bound| bound.max(0.0).powi(2) * (1.0 + 1e-15) + f64::MIN_POSITIVE)
            .collect(),
        Loss::Achievement => bounded
            .weights
            .chunks_exact(m)
            .zip(bounded.bounds)
            .flat_map(|(falls, &bound)| {
                let firm = falls.contains(&0.0);
                falls.iter().map(move |&fall| match (fall == 0.0, firm) {
                    (true, _) => bound,
                    (false, true) => f64::INFINITY,
                    (false, false) => cap(bound, fall),
                })
            })
            .collect(),
    }
}

/// [`within_bounds`] of the rows in a range.
struct Part<'a, 'b> {
    points: &'a Points<'b>,
    larger: &'a [bool],
    bounded: &'a Bounded<'a>,
    limits: &'a [f64],
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
        let Self { bounded, limits, .. } = self;
        let mut block = Block::new(m);
        let mut losses = vec![[0.0; BLOCK_ROWS]; m];
        let (mut left, ones) = (Vec::new(), vec![1.0; m]);
        for start in self.rows.clone().step_by(BLOCK_ROWS) {
            let rows = start..self.rows.end.min(start + BLOCK_ROWS);
            let there = block.read(self.points, self.larger, rows);
            for (j, losses) in losses.iter_mut().enumerate() {
                let (ideal, unit) = (bounded.ideal[j], bounded.units[j]);
                for (loss, value) in losses.iter_mut().zip(&block.values[j]) {
                    let shortfall = ideal - value;
                    *loss = match bounded.loss {
                        Loss::Achievement => shortfall,
                        Loss::Sum => shortfall / unit,
                        // NaN stays.
                        Loss::Distance => {
                            let loss = shortfall / unit;
                            if loss < 0.0 { 0.0 } else { loss }
                        }
                    };
                }
            }
            let mut open = [0u64; BLOCK_ROWS];
            if bounded.loss == Loss::Achievement {
                // A sum holds NaN where a shortfall does; the largest of some may be another one.
                added::<M>(&losses, &ones, |x| x, f64::NEG_INFINITY, &mut open);
            }
            for (preference, weights) in bounded.weights.chunks_exact(m).enumerate() {
                match bounded.loss {
                    Loss::Achievement => {
                        reached::<M>(&losses, &limits[preference * m..][..m], &mut open);
                    }
                    Loss::Sum => {
                        added::<M>(&losses, weights, |x| x, limits[preference], &mut open);
                    }
                    Loss::Distance => {
                        added::<M>(&losses, weights, |x| x * x, limits[preference], &mut open);
                    }
                }
            }
            if open.iter().fold(0, |any, lane| any | lane) != 0 {
                let bits = (0..).zip(open).fold(0, |bits, (lane, open)| bits | (open & 1) << lane);
                left.extend(numbers(bits & there, start).map(|row| row as u32));
            }
        }
        block.screened(left)
    }
}

/// Marks the rows whose losses are within all limits, or NaN.
#[inline(always)]
fn reached<const M: usize>(
    losses: &[[f64; BLOCK_ROWS]],
    limits: &[f64],
    open: &mut [u64; BLOCK_ROWS],
) {
    let m = if M == 0 { limits.len() } else { M };
    for lane in 0..BLOCK_ROWS {
        let mut within = u64::MAX;
        for j in 0..m {
            // Numbers, not bools, are as wide as the losses and so stay in their lanes.
            within &= if losses[j][lane] > limits[j] { 0 } else { u64::MAX };
        }
        open[lane] |= within;
    }
}

/// Marks the rows whose weighted losses, each `turned`, add up to no more than the limit, or to NaN.
#[inline(always)]
fn added<const M: usize>(
    losses: &[[f64; BLOCK_ROWS]],
    weights: &[f64],
    turned: impl Fn(f64) -> f64,
    limit: f64,
    open: &mut [u64; BLOCK_ROWS],
) {
    let m = if M == 0 { weights.len() } else { M };
    for lane in 0..BLOCK_ROWS {
        let mut sum = turned(weights[0] * losses[0][lane]);
        for j in 1..m {
            sum += turned(weights[j] * losses[j][lane]);
        }
        open[lane] |= if sum > limit { 0 } else { u64::MAX };
    }
}
