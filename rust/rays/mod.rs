//! The k rows nearest to each ray.
//!
//! A ray starts at an origin o and runs through a second point. With u the unit vector along it
//! and q = v - o, the foot of v on the ray is at t = max(0, q.u), and the distance of v is
//! |q - t u|. It is computed in this residual form, which does not cancel. |q|² - (q.u)² would;
//! in single precision and with an allowance for that it only screens out the rows that cannot be
//! near enough. A sample of the rows sets the first bounds. O(n m P) for P rays.

mod chunk;
mod group;
mod grouped;
#[cfg(test)]
mod laws;
mod nearest;
mod ray;
mod scan;
mod search;

pub use grouped::nearest_in_groups;
pub use search::{Neighbours, nearest_to_rays};
