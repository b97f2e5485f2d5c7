//! Values as integers that order the other way round: the best value has the smallest key.

use crate::points::Column;

/// What rows are ordered by, and a short prefix of it that never contradicts it.
pub(crate) trait Keys: Sync {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Writes the prefixes of the rows from `start` on; a smaller one means a smaller key.
    fn prefixes(&self, start: usize, out: &mut [u32]);

    /// Whether equal prefixes mean equal keys.
    fn exact(&self) -> bool;

    /// The whole key.
    fn key(&self, row: u32) -> u64;
}

/// Maps doubles to integers so that the larger double gets the smaller integer.
///
/// Adding zero turns -0.0 into 0.0, which therefore share a key.
#[inline]
pub(crate) fn descending_key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { bits } else { !bits & (u64::MAX >> 1) }
}

/// A column by value, larger first.
pub(crate) struct ColumnKeys<'a> {
    column: Column<'a>,
    prefix: Prefix,
}

/// How values become prefixes.
enum Prefix {
    /// In proportion to the value, where values spread evenly.
    Linear { best: f64, scale: f64 },
    /// The leading bits of the key, near a logarithm, where they do not.
    Bits { least: u64, shift: u32 },
}

impl<'a> ColumnKeys<'a> {
    pub fn new(column: Column<'a>) -> Self {
        let (worst, best) = column.range();
        let linear = Prefix::Linear { best, scale: f64::from(u32::MAX - 1) / (best - worst) };
        let least = descending_key(best);
        let range = descending_key(worst).saturating_sub(least);
        let bits = Prefix::Bits { least, shift: range.leading_zeros() };
        let prefix = if linear.is_even(column) { linear } else { bits };
        Self { column, prefix }
    }
}

impl Prefix {
    /// Whether a sample spreads about evenly, so that no bucket grows far beyond the others.
    fn is_even(&self, column: Column<'_>) -> bool {
        const SAMPLE: usize = 1 << 10;
        const CELLS: usize = 1 << 6;
        let &Self::Linear { scale, .. } = self else { return false };
        // The range is infinite, empty, or so narrow that its inverse is not finite.
        if !scale.is_finite() || scale == 0.0 {
            return false;
        }
        let stride = column.len().div_ceil(SAMPLE);
        let sample = column.gather((0..column.len()).step_by(stride), |value| value);
        let mut prefixes = vec![0; sample.len()];
        self.write(&sample, &mut prefixes);
        let mut cells = [0; CELLS];
        for prefix in prefixes {
            cells[prefix as usize >> (32 - CELLS.ilog2())] += 1;
        }
        cells.into_iter().all(|cell| cell <= sample.len() / 8 + 8)
    }

    fn write(&self, values: &[f64], out: &mut [u32]) {
        match *self {
            Self::Linear { best, scale } => {
                // In doubles from here on the last bit is worth one: adding rounds to an integer,
                // whose bits are the lowest of the sum.
                const INTEGERS: f64 = (1u64 << 52) as f64;
                for (out, value) in out.iter_mut().zip(values) {
                    *out = ((best - value) * scale + INTEGERS).to_bits() as u32;
                }
            }
            Self::Bits { least, shift } => {
                for (out, &value) in out.iter_mut().zip(values) {
                    // A shift by 64 means that all keys are equal.
                    let offset = (descending_key(value) - least).checked_shl(shift);
                    *out = (offset.unwrap_or(0) >> 32) as u32;
                }
            }
        }
    }
}

impl Keys for ColumnKeys<'_> {
    fn rows(&self) -> usize {
        self.column.len()
    }

    fn prefixes(&self, start: usize, out: &mut [u32]) {
        self.column.for_blocks(start..start + out.len(), |first, block| {
            self.prefix.write(block, &mut out[first - start..][..block.len()]);
        });
    }

    fn exact(&self) -> bool {
        // Shifted out of the lower half, no key has bits there.
        matches!(self.prefix, Prefix::Bits { shift, .. } if shift >= 32)
    }

    fn key(&self, row: u32) -> u64 {
        descending_key(self.column.get(row as usize))
    }
}
