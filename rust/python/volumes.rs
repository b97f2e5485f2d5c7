//! Volumes, and points chosen by them.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::input::Input;
use super::run::{row_numbers, run_on};
use crate::Points;

/// The volume dominated above a reference.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, reference, n_threads, /))]
pub(super) fn hypervolume(
    py: Python<'_>,
    input: Input<'_>,
    larger: Vec<bool>,
    checked: bool,
    reference: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<f64> {
    let kernel = |points: &Points<'_>| crate::hypervolume(points, &reference);
    run_on(py, (&input, &larger, checked), n_threads, kernel)
}

/// The volume that each group dominates above a reference, group by group.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, ids, groups, reference, n_threads, /))]
#[expect(clippy::too_many_arguments, reason = "by place, as Python passes them")]
pub(super) fn hypervolume_in_groups<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    ids: PyReadonlyArray1<'py, u32>,
    groups: usize,
    reference: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let ids = ids.as_slice()?;
    let kernel =
        |points: &Points<'_>| crate::hypervolume_in_groups(points, ids, groups, &reference);
    Ok(run_on(py, (&input, &larger, checked), n_threads, kernel)?.into_pyarray(py))
}

/// What the hypervolume loses without each point.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, reference, n_threads, /))]
pub(super) fn hypervolume_contributions<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    reference: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let kernel = |points: &Points<'_>| crate::hypervolume_contributions(points, &reference);
    Ok(run_on(py, (&input, &larger, checked), n_threads, kernel)?.into_pyarray(py))
}

/// An estimate of the volume dominated above a reference, and its standard error.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, reference, samples, seed, n_threads, /))]
#[expect(clippy::too_many_arguments, reason = "by place, as Python passes them")]
pub(super) fn hypervolume_estimate(
    py: Python<'_>,
    input: Input<'_>,
    larger: Vec<bool>,
    checked: bool,
    reference: Vec<f64>,
    samples: usize,
    seed: u64,
    n_threads: Option<usize>,
) -> PyResult<(f64, f64)> {
    let kernel =
        |points: &Points<'_>| crate::hypervolume_estimate(points, &reference, samples, seed);
    let estimate = run_on(py, (&input, &larger, checked), n_threads, kernel)?;
    Ok((estimate.value, estimate.standard_error))
}

/// The k rows that keep most of the hypervolume, and what they dominate.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, k, reference, n_threads, /))]
pub(super) fn hypervolume_subset<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    k: usize,
    reference: Vec<f64>,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, f64)> {
    let kernel = |points: &Points<'_>| crate::hypervolume_subset(points, k, &reference);
    let subset = run_on(py, (&input, &larger, checked), n_threads, kernel)?;
    Ok((row_numbers(py, subset.rows)?, subset.volume))
}
