//! A chunk of rows: shortfalls from the ideal point, in double precision and for the screen.

use crate::choice::copies::Copies;
use crate::choice::lanes::{CHUNK_ROWS, Lanes, read};
use crate::points::Points;

/// Numbers of a chunk's rows, of which the least of every four is kept: one full vector, or more.
pub(super) const LEAST: usize = CHUNK_ROWS / 4;

/// Some rows and their shortfalls; by objective.
pub(super) struct Chunk {
    pub first: usize,
    pub rows: usize,
    pub values: Vec<Lanes<f64>>,
    pub shortfalls: Vec<Lanes<f64>>,
    /// The same in single precision.
    pub rounded: Vec<Lanes<f32>>,
    /// The least of every four rows of `rounded`.
    pub least: Vec<[f32; LEAST]>,
}

impl Chunk {
    pub fn new(m: usize) -> Self {
        Self {
            first: 0,
            rows: 0,
            values: vec![Lanes([0.0; CHUNK_ROWS]); m],
            shortfalls: vec![Lanes([0.0; CHUNK_ROWS]); m],
            rounded: vec![Lanes([0.0; CHUNK_ROWS]); m],
            least: vec![[0.0; LEAST]; m],
        }
    }

    /// Reads the rows from `first` on; whether all are finite in single precision.
    #[inline(always)]
    pub fn read<const M: usize>(
        &mut self,
        points: &Points<'_>,
        first: usize,
        ideal: &[f64],
        factors: &[f64],
    ) -> bool {
        let m = if M == 0 { self.values.len() } else { M };
        self.first = first;
        self.rows = read::<M>(points, first, &mut self.values);
        let mut zeros = [0.0f32; LEAST];
        for j in 0..m {
            let (ideal, factor, values) = (ideal[j], factors[j], &self.values[j].0);
            let (shortfalls, rounded) = (&mut self.shortfalls[j].0, &mut self.rounded[j].0);
            for lane in 0..CHUNK_ROWS {
                shortfalls[lane] = ideal - values[lane];
                rounded[lane] = (shortfalls[lane] * factor) as f32;
            }
            self.least[j] = least_of_four(rounded);
            for (zero, rounded) in zeros.iter_mut().zip(sums_of_four(rounded)) {
                // Stays zero while all are finite.
                *zero += rounded * 0.0;
            }
        }
        zeros.iter().sum::<f32>() == 0.0
    }

    /// Gives rows with so many copies before them that they do not count a shortfall that is within
    /// no cap; whether there are no other rows.
    #[inline(always)]
    pub fn leave_out_copies(&mut self, copies: &mut Option<Copies>) -> bool {
        let Some(copies) = copies else { return false };
        let mut rows = copies.exhausted(&self.values, self.rows);
        if rows.count_ones() as usize == self.rows {
            return true;
        }
        if rows == 0 {
            return false;
        }
        while rows != 0 {
            let row = rows.trailing_zeros() as usize;
            self.shortfalls[0].0[row] = f64::NAN;
            self.rounded[0].0[row] = f32::NAN;
            rows &= rows - 1;
        }
        self.least[0] = least_of_four(&self.rounded[0].0);
        false
    }
}

/// The least of every four, or infinity where all are NaN.
#[inline(always)]
fn least_of_four(numbers: &[f32; CHUNK_ROWS]) -> [f32; LEAST] {
    let mut least = [f32::INFINITY; LEAST];
    for numbers in numbers.as_chunks::<LEAST>().0 {
        for lane in 0..LEAST {
            let number = numbers[lane];
            least[lane] = if number < least[lane] { number } else { least[lane] };
        }
    }
    least
}

/// The sum of every four.
#[inline(always)]
fn sums_of_four(numbers: &[f32; CHUNK_ROWS]) -> [f32; LEAST] {
    let mut sums = [0.0; LEAST];
    for numbers in numbers.as_chunks::<LEAST>().0 {
        for lane in 0..LEAST {
            sums[lane] += numbers[lane];
        }
    }
    sums
}
