//! Indicators: how crowded points lie, how good a set of them is beside a reference, and which few
//! keep most of a hypervolume.
//!
//! | indicator | algorithm | time |
//! |---|---|---|
//! | crowding distance (Deb et al. 2002) | a sort per objective | O(m n log n) |
//! | IGD+ (Ishibuchi et al. 2015) | a k-d tree of the points that a screen leaves, with exact bounds | O(n log n), and per reference point a look at few blocks; O(n r m) at worst |
//! | additive epsilon (Zitzler et al. 2003) | the same | the same |
//! | R2 (Hansen, Jaszkiewicz 1998) | the same, per weight vector | the same |
//! | subset of k points, 2 objectives | the best path at a price per point, found by bisection (Aggarwal, Schieber, Tokuyama 1994) | O(n log n), and up to 64 times O(n) |
//! | subset of k points, 3 and more | greedy, with bounds that are lowered as points are chosen (Minoux 1978; Chen, Ishibuchi, Shang 2020) | O(k n m), and few gains per choice |

mod bounds;
mod crowding;
mod flat;
mod greedy;
#[cfg(test)]
mod laws;
mod loss;
mod quality;
mod search;
mod sorted;
mod staircase;
mod subset;
#[cfg(test)]
mod subset_laws;
mod tree;

pub use crowding::{crowding_distance, crowding_distance_in_groups};
pub use quality::{epsilon_additive, igd_plus, r2_indicator};
pub use subset::{Subset, hypervolume_subset};
