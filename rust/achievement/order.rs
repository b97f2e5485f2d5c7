//! The order of rows for one preference.

use std::cmp::Ordering;

use super::exact::compare_sums;
use super::preference::{Preference, Rank};
use crate::points::Points;

/// A row and its rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub rank: Rank,
    pub row: usize,
}

/// The order of rows for one preference, the best first.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    pub points: &'a Points<'a>,
    pub ideal: &'a [f64],
    pub preference: &'a Preference,
}

impl Order<'_> {
    /// Which of two rows comes first; equal only if they are one row.
    #[inline(always)]
    pub fn compare(&self, a: &Candidate, b: &Candidate) -> Ordering {
        compare(a.rank.firm, b.rank.firm)
            .then(compare(a.rank.yielding, b.rank.yielding))
            .then_with(|| self.settle(a.row, b.row))
    }

    /// Which of two rows of one rank comes first.
    fn settle(&self, a: usize, b: usize) -> Ordering {
        let values = self.points.columns().iter().map(|column| (column.get(a), column.get(b)));
        if values.clone().all(|(a, b)| a == b) {
            return a.cmp(&b);
        }
        let terms = || values.clone().zip(&self.preference.direction);
        let firm = || terms().filter(|(_, d)| **d == 0.0).map(|((a, b), _)| (a, b, 1.0));
        let yielding = || terms().filter(|(_, d)| **d != 0.0).map(|((a, b), &d)| (a, b, d));
        self.rounded_sums(a, b)
            // Larger values are smaller shortfalls.
            .then_with(|| compare_sums(firm()).reverse())
            .then_with(|| compare_sums(yielding()).reverse())
            .then(a.cmp(&b))
    }

    /// The firm sums, then the others.
    fn rounded_sums(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (self.sums(a), self.sums(b));
        compare(a.0, b.0).then(compare(a.1, b.1))
    }

    fn sums(&self, row: usize) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        let columns = self.points.columns().iter().zip(self.ideal);
        for ((column, ideal), &d) in columns.zip(&self.preference.direction) {
            let shortfall = ideal - column.get(row);
            let (sum, term) =
                if d == 0.0 { (&mut sums.0, shortfall) } else { (&mut sums.1, shortfall / d) };
            // Infinities of both signs would add up to NaN.
            *sum += term.clamp(f64::MIN, f64::MAX);
        }
        sums
    }
}

/// The order of two numbers that are not NaN; zeros of both signs are equal.
#[inline(always)]
fn compare(a: f64, b: f64) -> Ordering {
    if a < b {
        Ordering::Less
    } else if a > b {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}
