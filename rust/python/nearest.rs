//! The k rows that serve preferences best.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::input::Input;
use super::run::{row_numbers, run, run_on};
use crate::Points;

/// The k rows of each group nearest to each of its rays: rows and distances, ray after ray.
#[pyfunction]
#[pyo3(signature = (input, starts, spans, weights, k, n_threads, /))]
#[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
pub(super) fn nearest_in_groups<'py>(
    py: Python<'py>,
    input: Input<'py>,
    starts: PyReadonlyArray1<'py, u32>,
    spans: PyReadonlyArray1<'py, f64>,
    weights: PyReadonlyArray1<'py, f64>,
    k: usize,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
    let (columns, starts) = (input.columns()?, starts.as_slice()?);
    let (spans, weights) = (spans.as_slice()?, weights.as_slice()?);
    let kernel = || crate::nearest_in_groups(&Points::new(columns)?, starts, spans, weights, k);
    let nearest = run(py, n_threads, kernel)?;
    Ok((row_numbers(py, nearest.rows)?, nearest.distances.into_pyarray(py)))
}

/// The k rows nearest to each ray: rows and distances, ray after ray.
#[pyfunction]
#[pyo3(signature = (input, origins, through, k, n_threads, /))]
#[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
pub(super) fn nearest_to_rays<'py>(
    py: Python<'py>,
    input: Input<'py>,
    origins: PyReadonlyArray1<'py, f64>,
    through: PyReadonlyArray1<'py, f64>,
    k: usize,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
    let columns = input.columns()?;
    let (origins, through) = (origins.as_slice()?, through.as_slice()?);
    // The search notices NaN on its way, so the points are not read for that before.
    let kernel = || crate::nearest_to_rays(&Points::unchecked(columns)?, origins, through, k);
    let nearest = run(py, n_threads, kernel)?;
    Ok((row_numbers(py, nearest.rows)?, nearest.distances.into_pyarray(py)))
}

/// The k rows of least achievement for each preference: rows and values, one after the other.
#[pyfunction]
#[pyo3(signature = (input, larger, ideal, directions, k, n_threads, /))]
#[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
pub(super) fn least_achievement<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    ideal: PyReadonlyArray1<'py, f64>,
    directions: PyReadonlyArray1<'py, f64>,
    k: usize,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
    let (ideal, directions) = (ideal.as_slice()?, directions.as_slice()?);
    let kernel = |points: &Points<'_>| crate::least_achievement(points, ideal, directions, k);
    // The search notices NaN on its way, so the points are not read for that before.
    let least = run_on(py, (&input, &larger, true), n_threads, kernel)?;
    Ok((row_numbers(py, least.rows)?, least.values.into_pyarray(py)))
}

/// The k rows of each group of least achievement for each preference.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, starts, ideals, units, directions, k, n_threads, /))]
#[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
#[expect(clippy::too_many_arguments, reason = "by place, as Python passes them")]
pub(super) fn least_achievement_in_groups<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    starts: PyReadonlyArray1<'py, u32>,
    ideals: PyReadonlyArray1<'py, f64>,
    units: PyReadonlyArray1<'py, f64>,
    directions: PyReadonlyArray1<'py, f64>,
    k: usize,
    n_threads: Option<usize>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
    let (starts, directions) = (starts.as_slice()?, directions.as_slice()?);
    let (ideals, units) = (ideals.as_slice()?, units.as_slice()?);
    let kernel = |points: &Points<'_>| {
        crate::least_achievement_in_groups(points, starts, ideals, units, directions, k)
    };
    let least = run_on(py, (&input, &larger, checked), n_threads, kernel)?;
    Ok((row_numbers(py, least.rows)?, least.values.into_pyarray(py)))
}
