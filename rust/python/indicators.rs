//! How crowded points lie, and how good a set of them is.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::input::Input;
use super::run::run;
use crate::Points;

/// The crowding distance of each point.
#[pyfunction]
#[pyo3(signature = (input, n_threads, /))]
pub(super) fn crowding_distance<'py>(
    py: Python<'py>,
    input: Input<'py>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let columns = input.columns()?;
    let kernel = || crate::crowding_distance(&Points::new(columns)?);
    Ok(run(py, n_threads, kernel)?.into_pyarray(py))
}

/// The crowding distance of each point within its group.
#[pyfunction]
#[pyo3(signature = (input, ids, groups, n_threads, /))]
pub(super) fn crowding_distance_in_groups<'py>(
    py: Python<'py>,
    input: Input<'py>,
    ids: PyReadonlyArray1<'py, u32>,
    groups: usize,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (columns, ids) = (input.columns()?, ids.as_slice()?);
    let kernel = || crate::crowding_distance_in_groups(&Points::new(columns)?, ids, groups);
    Ok(run(py, n_threads, kernel)?.into_pyarray(py))
}

/// The modified inverted generational distance to a reference set.
#[pyfunction]
#[pyo3(signature = (input, reference, n_threads, /))]
pub(super) fn igd_plus(
    py: Python<'_>,
    input: Input<'_>,
    reference: Input<'_>,
    n_threads: Option<usize>,
) -> PyResult<f64> {
    let (points, reference) = (input.columns()?, reference.columns()?);
    let kernel = || crate::igd_plus(&Points::new(points)?, &Points::new(reference)?);
    run(py, n_threads, kernel)
}

/// The additive epsilon indicator beside a reference set.
#[pyfunction]
#[pyo3(signature = (input, reference, n_threads, /))]
pub(super) fn epsilon_additive(
    py: Python<'_>,
    input: Input<'_>,
    reference: Input<'_>,
    n_threads: Option<usize>,
) -> PyResult<f64> {
    let (points, reference) = (input.columns()?, reference.columns()?);
    let kernel = || crate::epsilon_additive(&Points::new(points)?, &Points::new(reference)?);
    run(py, n_threads, kernel)
}

/// The R2 indicator: weights one vector after another.
#[pyfunction]
#[pyo3(signature = (input, weights, ideal, n_threads, /))]
pub(super) fn r2_indicator(
    py: Python<'_>,
    input: Input<'_>,
    weights: PyReadonlyArray1<'_, f64>,
    ideal: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<f64> {
    let (columns, weights) = (input.columns()?, weights.as_slice()?);
    run(py, n_threads, || crate::r2_indicator(&Points::new(columns)?, weights, &ideal))
}
