//! Values as dense ranks: 0 is the best value of a column, equal values share a rank.
//!
//! Ranks compare as integers, take half the memory of doubles, and make -0.0 and the infinities
//! ordinary. Every kernel for three objectives or more works on them.

/// A column, or several at once, as dense ranks.
pub(super) struct Ranked {
    /// The rank of each row.
    pub ranks: Vec<u32>,
    /// Number of distinct values.
    pub distinct: usize,
}
