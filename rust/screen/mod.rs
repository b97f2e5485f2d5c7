//! Rows of a batch that may still count, and the range of all: those that no known row beats in
//! every objective, and those that some preference does not rank after a bound.

mod block;
mod bounded;
mod unbeaten;

pub use block::Screened;
pub use bounded::{Bounded, Loss, within_bounds};
pub use unbeaten::unbeaten;
