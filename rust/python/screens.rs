//! Rows of a batch that may still count, and the range of all.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::input::Input;
use super::run::{row_numbers, run};
use crate::{Bounded, Error, Loss, Points, Screened};

/// Row numbers, and the worst and the best value of each objective over all rows.
type Left<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>);

/// Rows that none of a few others beats in every objective; the worst and the best values.
#[pyfunction]
#[pyo3(signature = (input, larger, others, n_threads, /))]
pub(super) fn unbeaten<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    others: PyReadonlyArray1<'py, f64>,
    n_threads: Option<usize>,
) -> PyResult<Left<'py>> {
    let others = others.as_slice()?;
    screened(py, &input, n_threads, |points| crate::unbeaten(points, &larger, others))
}

/// Rows with which some preference loses no more than its bound; the worst and the best values.
#[pyfunction]
#[pyo3(signature = (input, larger, rank, ideal, units, weights, bounds, n_threads, /))]
#[expect(clippy::too_many_arguments, reason = "by place, as Python passes them")]
pub(super) fn within_bounds<'py>(
    py: Python<'py>,
    input: Input<'py>,
    larger: Vec<bool>,
    rank: &str,
    ideal: PyReadonlyArray1<'py, f64>,
    units: PyReadonlyArray1<'py, f64>,
    weights: PyReadonlyArray1<'py, f64>,
    bounds: PyReadonlyArray1<'py, f64>,
    n_threads: Option<usize>,
) -> PyResult<Left<'py>> {
    let loss = match rank {
        "achievement" => Loss::Achievement,
        "sum" => Loss::Sum,
        "ideal" => Loss::Distance,
        _ => return Err(PyValueError::new_err(format!("no rank is called {rank}"))),
    };
    let (ideal, units) = (ideal.as_slice()?, units.as_slice()?);
    let (weights, bounds) = (weights.as_slice()?, bounds.as_slice()?);
    let bounded = Bounded { loss, ideal, units, weights, bounds };
    screened(py, &input, n_threads, |points| crate::within_bounds(points, &larger, &bounded))
}

fn screened<'py>(
    py: Python<'py>,
    input: &Input<'py>,
    n_threads: Option<usize>,
    screen: impl FnOnce(&Points<'_>) -> Result<Screened, Error> + Send,
) -> PyResult<Left<'py>> {
    let columns = input.columns()?;
    // NaN passes the screens, so the points are not read for that before.
    let left = run(py, n_threads, || screen(&Points::unchecked(columns)?))?;
    let (worst, best) = (left.worst.into_pyarray(py), left.best.into_pyarray(py));
    Ok((row_numbers(py, left.rows)?, worst, best))
}
