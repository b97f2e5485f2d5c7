//! Pareto layers, of all rows or within groups of them.
//!
//! Columns become dense ranks; constant objectives and copies of another objective are dropped,
//! because they decide no dominance; equal rows are merged. What is left goes to the algorithm for
//! its objectives; few rows, for which that preparation takes longest, to none of them (`small`).
//!
//! | objectives | algorithm | time |
//! |---|---|---|
//! | 1 | the ranks are the layers | O(n log n) |
//! | 2 | patience: binary search over the fronts' best second objective | O(n log n) |
//! | 3 | one staircase per front, galloping search over the fronts | O(n log² n) |
//! | 4 and more | divide and conquer | O(n log^(m-1) n) |

mod bound;
mod cuts;
mod dictionary;
mod direct;
mod divide;
mod fronts;
mod grouped;
mod lexicographic;
mod patience;
mod pivots;
mod problem;
mod ranked;
mod ranks;
mod scratch;
mod single;
mod small;
mod staircase;
mod stop;
mod sweep;
mod ungrouped;
mod wavefront;

pub use grouped::pareto_layers_by_group;
pub use stop::Stop;
pub(crate) use ungrouped::layers;
pub use ungrouped::pareto_layers;
