//! The k rows of least achievement for each preference.
//!
//! The achievement of a row v, as seen from the ideal point r and along a direction d with no
//! negative entry, is the largest of the terms (r_j - v_j) / d_j (Wierzbicki 1980; the weighted
//! Chebyshev norm of Bowman 1976, but for rows that surpass r in an objective). It is how far one
//! must go from r along -d until v is at least as good in every objective, so it is least for the
//! row that the preference serves best: on a front of any shape, concave parts as well.
//!
//! Where d_j is 0 the preference does not yield in objective j: such a *firm* objective counts
//! before all others. Rows are ordered by
//!
//! 1. the largest shortfall r_j - v_j in a firm objective, if there are any;
//! 2. the largest term of the others;
//! 3. the sum of the firm shortfalls, then the sum of the other terms;
//! 4. the same sums without any rounding;
//! 5. the number of the row.
//!
//! No row comes before one that dominates it. If u dominates v, every term of u is at most that
//! of v. Rounded subtraction, division by a positive number, maximum and rounded sums in one order
//! are monotone, so neither the maxima nor the sums of u, as they are computed, are above those of
//! v. Rounding may make them equal, but not the sums that are not rounded: those of u are less in
//! the objective where it is better. Hence the row in place i comes after all that dominate it, and
//! these are among the i rows before: it is in one of the first i + 1 layers, and the k rows of
//! least achievement never need more than the first k layers.
//!
//! Row by row this is one comparison an objective: a row can only be among the best so far if it
//! reaches a point of the ray in all objectives, that of the k-th best. O(n m P) for P preferences.

mod best;
mod chunk;
mod exact;
#[cfg(test)]
mod group_laws;
mod grouped;
#[cfg(test)]
mod laws;
mod order;
mod preference;
mod scan;
mod search;

pub(crate) use best::cap;
pub use grouped::least_achievement_in_groups;
pub use search::{Achievements, least_achievement};
