//! The Python module `paretohqd.kernels._core`: slices in, the interpreter let go, arrays out.

mod indicators;
mod input;
mod layers;
mod nearest;
mod run;
mod screens;
mod volumes;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use super::indicators::{
        crowding_distance, crowding_distance_in_groups, epsilon_additive, igd_plus, r2_indicator,
    };
    #[pymodule_export]
    use super::layers::{non_finite, pareto_layers, pareto_layers_by_group};
    #[pymodule_export]
    use super::nearest::{
        least_achievement, least_achievement_in_groups, nearest_in_groups, nearest_to_rays,
    };
    #[pymodule_export]
    use super::screens::{unbeaten, within_bounds};
    #[pymodule_export]
    use super::volumes::{
        hypervolume, hypervolume_contributions, hypervolume_estimate, hypervolume_in_groups,
        hypervolume_subset,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }
}
