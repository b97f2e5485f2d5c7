//! Layers, fronts' candidates, and what is not finite.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::input::Input;
use super::run::{run, run_on};
use crate::points::look;
use crate::{Points, Stop};

fn stop(upto: Option<usize>, at_least: Option<usize>) -> PyResult<Stop> {
    match (upto, at_least) {
        (None, None) => Ok(Stop::Never),
        (Some(layers), None) => Ok(Stop::UpTo(layers)),
        (None, Some(rows)) => Ok(Stop::AtLeast(rows)),
        (Some(_), Some(_)) => Err(PyValueError::new_err("choose one of upto and at_least")),
    }
}

/// Count NaN and infinities of each column: NaN, first row, infinities, first row. `None` if
/// all values are finite.
#[pyfunction]
#[pyo3(signature = (input, n_threads, /))]
#[expect(clippy::type_complexity, reason = "tuples, as Python receives them")]
pub(super) fn non_finite(
    py: Python<'_>,
    input: Input<'_>,
    n_threads: Option<usize>,
) -> PyResult<Option<Vec<(usize, Option<usize>, usize, Option<usize>)>>> {
    let columns = input.columns()?;
    let counts = run(py, n_threads, || {
        let points = Points::unchecked(columns)?;
        let finite = look::largest(points.columns()).is_finite();
        Ok(if finite { None } else { Some(look::non_finite(points.columns())) })
    })?;
    Ok(counts.map(|counts| {
        let counts = counts.into_iter();
        counts.map(|c| (c.nan, c.first_nan, c.infinite, c.first_infinite)).collect()
    }))
}

/// Number the Pareto layers.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, upto, at_least, n_threads, /))]
pub(super) fn pareto_layers<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    upto: Option<usize>,
    at_least: Option<usize>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let (input, stop) = ((&input, &larger[..], checked), stop(upto, at_least)?);
    let kernel = |points: &Points<'_>| crate::pareto_layers(points, stop);
    Ok(run_on(py, input, n_threads, kernel)?.into_pyarray(py))
}

/// Number the Pareto layers within each group.
#[pyfunction]
#[pyo3(signature = (input, larger, checked, ids, groups, upto, at_least, n_threads, /))]
#[expect(clippy::too_many_arguments, reason = "by place, as Python passes them")]
pub(super) fn pareto_layers_by_group<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    checked: bool,
    ids: PyReadonlyArray1<'py, u32>,
    groups: usize,
    upto: Option<usize>,
    at_least: Option<usize>,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let (input, stop) = ((&input, &larger[..], checked), stop(upto, at_least)?);
    let ids = ids.as_slice()?;
    let kernel = |points: &Points<'_>| crate::pareto_layers_by_group(points, ids, groups, stop);
    Ok(run_on(py, input, n_threads, kernel)?.into_pyarray(py))
}
