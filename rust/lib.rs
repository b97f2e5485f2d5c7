//! Kernels of paretohqd: Pareto layers, hypervolume, indicators and the rows nearest to preference
//! rays.
//!
//! Larger is better in every objective. A point *dominates* another when it is at least as good
//! in every objective and better in one. Layer 0 (the front) is the set of points that no point
//! dominates; layer i + 1 is layer 0 of what is left. Equal points never dominate each other and
//! share a layer. Every result is the same, byte for byte, for any number of threads.
//!
//! ```
//! use paretohqd::{Column, Points, Stop, pareto_layers};
//!
//! let helpful = [0.9, 0.5, 0.4, 0.1];
//! let harmless = [0.1, 0.8, 0.7, 0.0];
//! let points = Points::new(vec![Column::F64(&helpful), Column::F64(&harmless)])?;
//! assert_eq!(pareto_layers(&points, Stop::Never)?, [0, 0, 1, 2]);
//! # Ok::<(), paretohqd::Error>(())
//! ```

mod achievement;
#[cfg(test)]
mod architecture;
mod choice;
mod error;
mod groups;
mod hypervolume;
mod indicators;
#[cfg(test)]
mod laws;
mod layers;
mod points;
mod rays;
mod screen;
mod sort;
#[cfg(test)]
mod testing;
mod threads;

#[cfg(feature = "python")]
mod python;

pub use achievement::{Achievements, least_achievement, least_achievement_in_groups};
pub use error::{Error, ErrorKind};
pub use hypervolume::{
    Estimate, hypervolume, hypervolume_contributions, hypervolume_estimate, hypervolume_in_groups,
};
pub use indicators::{
    Subset, crowding_distance, crowding_distance_in_groups, epsilon_additive, hypervolume_subset,
    igd_plus, r2_indicator,
};
pub use layers::{Stop, pareto_layers, pareto_layers_by_group};
pub use points::{Column, NonFinite, Points, Strided};
pub use rays::{Neighbours, nearest_in_groups, nearest_to_rays};
pub use screen::{Bounded, Loss, Screened, unbeaten, within_bounds};
pub use threads::{Cancel, with_cancel, with_threads};

/// The README's program is run as an example.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
