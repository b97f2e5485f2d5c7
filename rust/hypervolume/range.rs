//! Where products of doubles are safe: none that matters over- or underflows.

use super::measure::{Wide, magnitude, power};
use crate::points::{Column, Points};
use crate::threads;

/// Of a volume at least this large, terms that underflowed are no part that a double can show.
const LEAST_VOLUME: i64 = -900;

/// The same for a single point in its own box, from which other points take some.
const LEAST_BOX: i64 = -700;

/// Whether a swept volume is right to the last bit that a double would have without limits: its
/// terms are areas, which may have underflowed, times depths up to `deepest`.
pub(super) fn certain(volume: f64, deepest: f64) -> bool {
    volume.is_finite() && volume >= power(LEAST_VOLUME) * deepest.max(1.0)
}

/// Whether no product of differences, one from each objective, can over- or underflow.
///
/// Numbers that are 0 or at least 2^e are multiples of 2^(e - 52), and so are their differences.
pub(super) fn moderate(points: &Points<'_>, reference: &[f64]) -> bool {
    let (mut lowest, mut highest) = (0, 0);
    for (&column, &origin) in points.columns().iter().zip(reference) {
        let sizes = Sizes::of(column).and(Sizes::of_value(origin));
        lowest += (magnitude(sizes.least) - 53).min(0);
        highest += (magnitude(sizes.most) + 2).max(0);
    }
    // Sums of up to 2^32 terms.
    lowest >= -1020 && highest <= 1020 - 32
}

/// The least absolute value but 0, and the largest.
#[derive(Clone, Copy)]
struct Sizes {
    least: f64,
    most: f64,
}

impl Sizes {
    /// Of nothing: 1, so that it says nothing either.
    const NONE: Self = Self { least: 1.0, most: 0.0 };

    #[inline]
    fn of_value(x: f64) -> Self {
        Self { least: if x == 0.0 { 1.0 } else { x.abs() }, most: x.abs() }
    }

    #[inline]
    fn and(self, other: Self) -> Self {
        let least = if other.least < self.least { other.least } else { self.least };
        let most = if other.most > self.most { other.most } else { self.most };
        Self { least, most }
    }

    fn of(column: Column<'_>) -> Self {
        const ACCUMULATORS: usize = 8;
        const PART_ROWS: usize = 1 << 16;
        let rows = column.len();
        let parts = threads::map(rows, rows.div_ceil(PART_ROWS), |part| {
            let mut lanes = [Self::NONE; ACCUMULATORS];
            let range = part * PART_ROWS..rows.min((part + 1) * PART_ROWS);
            column.for_blocks(range, |_, block| {
                let (chunks, rest) = block.as_chunks::<ACCUMULATORS>();
                for chunk in chunks {
                    for (lane, &x) in lanes.iter_mut().zip(chunk) {
                        *lane = lane.and(Self::of_value(x));
                    }
                }
                for &x in rest {
                    lanes[0] = lanes[0].and(Self::of_value(x));
                }
            });
            lanes.into_iter().fold(Self::NONE, Self::and)
        });
        parts.into_iter().fold(Self::NONE, Self::and)
    }
}

/// Positive columns, each times a power of two that makes its largest value about 1: exact, so that
/// no byte of a volume depends on it.
pub(super) struct Scaled {
    pub columns: Vec<Vec<f64>>,
    /// Two to the power of this times a volume of the columns is one of what they were.
    exponent: i64,
}

impl Scaled {
    /// `None` if a value is infinite.
    pub fn new(mut columns: Vec<Vec<f64>>) -> Option<Self> {
        let exponent = Self::scale(&mut columns)?;
        Some(Self { columns, exponent })
    }

    /// Scales in place; gives the sum of the exponents.
    pub fn scale(columns: &mut [Vec<f64>]) -> Option<i64> {
        let mut sum = 0;
        for column in columns {
            let most = column.iter().copied().fold(0.0, f64::max);
            if most == f64::INFINITY {
                return None;
            }
            // At most the power whose inverse is a normal number.
            let exponent = magnitude(most).min(1022);
            if exponent != 0 {
                let scale = power(-exponent);
                column.iter_mut().for_each(|x| *x *= scale);
            }
            sum += exponent;
        }
        Some(sum)
    }

    /// What a volume of the columns is of what they were; `None` if terms that underflowed matter.
    pub fn value(&self, volume: f64) -> Option<f64> {
        Self::unscaled(volume, self.exponent)
    }

    /// The same for columns scaled in place.
    pub fn unscaled(volume: f64, exponent: i64) -> Option<f64> {
        certain(volume, 1.0).then(|| Wide::times_power(volume, exponent).value())
    }

    /// What a contribution of a row is; `None` if terms that underflowed may matter, for its box is
    /// too small.
    pub fn contribution(&self, row: usize, volume: f64) -> Option<Wide> {
        // No factor is much above 1, so the product is never below the box.
        let own = self.columns.iter().fold(1.0, |own, column| own * column[row]);
        (own >= power(LEAST_BOX)).then(|| Wide::times_power(volume, self.exponent))
    }

    /// Row after row.
    pub fn coordinates(&self) -> Vec<f64> {
        let rows = 0..self.columns.first().map_or(0, Vec::len);
        rows.flat_map(|i| self.columns.iter().map(move |column| column[i])).collect()
    }
}
