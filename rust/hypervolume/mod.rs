//! Hypervolume: the volume that a set of points dominates above a reference point.
//!
//! Points are shifted so that the reference is the origin. Those that are not above it in every
//! objective have no volume and are dropped, and so are most of the dominated ones ([`above`]).
//! What is left, in a copy or, if that would be large, in place, goes to
//!
//! | objectives | algorithm | time |
//! |---|---|---|
//! | 1 | the largest value | O(n) |
//! | 2 | sweep | O(n log n) |
//! | 3 | sweep with a staircase (Beume et al. 2009) | O(n log n) |
//! | 4 and more | WFG with limit sets (While, Bradstreet, Barone 2012) | about O(n²) in 4, exponential in m at worst |
//!
//! and, for contributions, to a sweep (Emmerich, Fonseca 2011) or from four objectives on to what
//! each point adds to the others. Many points in many objectives are estimated ([`estimate`]).

mod above;
mod directions;
mod estimate;
mod exact;
mod exclusive;
mod front;
mod grouped;
mod growing;
mod many;
mod staircase;
mod sweep;
mod wfg;

pub(crate) use above::check;
pub use estimate::{Estimate, hypervolume_estimate};
pub use exact::{hypervolume, hypervolume_contributions};
pub use grouped::hypervolume_in_groups;
pub(crate) use growing::{Buffers, Growing};
