//! Property tests: every kernel against its definition, and laws that need no second program.

mod definitions;
mod extremes;
mod large;
mod layouts;
mod neighbours;
mod refusals;
mod small;
mod volumes;
