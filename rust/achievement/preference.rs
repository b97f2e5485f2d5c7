//! Preferences: the directions that rays take from the ideal point.

use crate::error::{Error, Kind};

/// A preference.
pub(super) struct Preference {
    /// How much it yields in each objective; 0 where it is firm.
    pub direction: Vec<f64>,
    /// Whether it is firm in an objective.
    pub firm: bool,
}

/// What rows are ordered by first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rank {
    /// The largest shortfall in a firm objective; minus infinity if there is none.
    pub firm: f64,
    /// The largest term of the other objectives, likewise.
    pub yielding: f64,
}

impl Preference {
    pub fn new(direction: Vec<f64>) -> Self {
        let firm = direction.contains(&0.0);
        Self { direction, firm }
    }

    /// The rank of a row with these shortfalls.
    #[inline(always)]
    pub fn rank(&self, shortfalls: impl Iterator<Item = f64>) -> Rank {
        let mut rank = Rank { firm: f64::NEG_INFINITY, yielding: f64::NEG_INFINITY };
        for (shortfall, &d) in shortfalls.zip(&self.direction) {
            if d == 0.0 {
                rank.firm = larger(rank.firm, shortfall);
            } else {
                rank.yielding = larger(rank.yielding, shortfall / d);
            }
        }
        rank
    }

    /// The number of a rank that counts first.
    pub fn value(&self, rank: Rank) -> f64 {
        // Zero is plus zero.
        0.0 + if self.firm { rank.firm } else { rank.yielding }
    }
}

/// The larger of two numbers, without a look for NaN.
#[inline(always)]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Checks that there are whole rows of `m` finite numbers of at least 0.
pub(super) fn check_directions(name: &'static str, values: &[f64], m: usize) -> Result<(), Error> {
    if !values.len().is_multiple_of(m) {
        return Err(Kind::WrongLength { name, expected: m, actual: values.len() }.into());
    }
    check_finite(name, values)?;
    match values.iter().position(|&x| x < 0.0) {
        Some(position) => Err(Kind::Negative { name, position }.into()),
        None => Ok(()),
    }
}

/// Checks that all numbers are finite.
pub(super) fn check_finite(name: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(position) => Err(Kind::NotFinite { name, position }.into()),
        None => Ok(()),
    }
}
