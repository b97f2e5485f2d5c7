//! How crowded points lie, and how good a set of them is.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::input::{Input, Negated};
use super::run::{points_of, run_on};
use crate::{Error, Points};

/// The crowding distance of each point.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, n_threads, /))]
pub(super) fn crowding_distance<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let input = (&input, &larger[..], checked);
    Ok(run_on(py, input, n_threads, crate::crowding_distance)?.into_pyarray(py))
}

/// The crowding distance of each point within its group.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, ids, groups, n_threads, /))]
pub(super) fn crowding_distance_in_groups<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    ids: PyReadonlyArray1<'py, u32>,
    groups: usize,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let ids = ids.as_slice()?;
    let kernel = |points: &Points<'_>| crate::crowding_distance_in_groups(points, ids, groups);
    Ok(run_on(py, (&input, &larger, checked), n_threads, kernel)?.into_pyarray(py))
}

/// The modified inverted generational distance to a reference set.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, reference, known, n_threads, /))]
pub(super) fn igd_plus(
    py: Python<'_>,
    input: Input<'_>,
    larger: Vec<bool>,
    checked: bool,
    reference: Input<'_>,
    known: bool,
    n_threads: Option<usize>,
) -> PyResult<f64> {
    beside(py, (&input, &larger, checked), (&reference, known), n_threads, crate::igd_plus)
}

/// The additive epsilon indicator beside a reference set.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, reference, known, n_threads, /))]
pub(super) fn epsilon_additive(
    py: Python<'_>,
    input: Input<'_>,
    larger: Vec<bool>,
    checked: bool,
    reference: Input<'_>,
    known: bool,
    n_threads: Option<usize>,
) -> PyResult<f64> {
    beside(py, (&input, &larger, checked), (&reference, known), n_threads, crate::epsilon_additive)
}

/// An indicator of points beside a reference set in the same objectives; `known` says whether NaN
/// was looked for in the reference.
fn beside(
    py: Python<'_>,
    input: (&Input<'_>, &[bool], bool),
    (reference, known): (&Input<'_>, bool),
    n_threads: Option<usize>,
    indicator: fn(&Points<'_>, &Points<'_>) -> Result<f64, Error>,
) -> PyResult<f64> {
    let (columns, larger) = (reference.columns()?, input.1);
    run_on(py, input, n_threads, |points| {
        let negated = Negated::of(&columns, larger)?;
        indicator(points, &points_of(negated.columns(&columns), known)?)
    })
}

/// The R2 indicator: weights one vector after another.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, weights, ideal, n_threads, /))]
pub(super) fn r2_indicator(
    py: Python<'_>,
    input: Input<'_>,
    larger: Vec<bool>,
    checked: bool,
    weights: PyReadonlyArray1<'_, f64>,
    ideal: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<f64> {
    let weights = weights.as_slice()?;
    let kernel = |points: &Points<'_>| crate::r2_indicator(points, weights, &ideal);
    run_on(py, (&input, &larger, checked), n_threads, kernel)
}
