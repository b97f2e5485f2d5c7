//! Hypervolume: the volume that a set of points dominates above a reference point.
//!
//! Points that are not above the reference in every objective have no volume and are dropped, and
//! so, for a volume, are most of the dominated ones ([`above`]). What is left, relative to the
//! reference, in a copy or, if that would be large, in place, goes to
//!
//! | objectives | algorithm | time |
//! |---|---|---|
//! | 1 | the largest value | O(n) |
//! | 2 | sweep | O(n log n) |
//! | 3 | sweep with a staircase (Beume et al. 2009) | O(n log n) |
//! | 4 | sweep of what each point adds (HV4D+: Guerreiro, Fonseca 2018) | O(n²) |
//! | 5 to 16 | quick hypervolume (QHV-II, Jaszkiewicz 2018) | exponential in m at worst |
//! | more | WFG with limit sets (While, Bradstreet, Barone 2012) | the same |
//!
//! and, for contributions, to a sweep (Emmerich, Fonseca 2011) or from four objectives on to what
//! the others leave free of each point's box. Many points in many objectives are estimated
//! ([`estimate`]).
//!
//! # Numbers
//!
//! A volume is right to a relative 1e-13 for any finite doubles, and infinite, 0 or subnormal only
//! if it is so. Terms are products, which may over- or underflow where their sum does not. Up to
//! three objectives a volume that is large beside all that may have underflowed is taken as it is
//! ([`range`]); else the sweep is done once more with [`measure::Wide`] numbers. From four
//! objectives on columns are scaled by powers of two, which changes no digit, and if terms that
//! underflowed might still matter, a plain WFG in wide numbers does it ([`careful`]).
//!
//! Contributions are computed from differences of the points as they are, not relative to the
//! reference: up to three objectives all terms are positive or added up anew ([`exclusive`]), to a
//! relative 1e-12; above, see [`far`] and [`lost`].

mod above;
mod blocks;
mod boxes;
mod careful;
mod chunks;
mod corner;
mod estimate;
mod exact;
mod exclusive;
mod far;
mod four;
mod front;
mod gain;
mod grouped;
mod growing;
mod lattice;
mod lost;
mod many;
mod measure;
mod quick;
mod range;
mod sets;
mod sliced;
mod staircase;
mod strips;
mod sweep;
mod wfg;

pub(crate) use above::check;
pub use estimate::{Estimate, hypervolume_estimate};
pub use exact::{hypervolume, hypervolume_contributions};
pub(crate) use gain::Buffers;
pub use grouped::hypervolume_in_groups;
pub(crate) use growing::Growing;
