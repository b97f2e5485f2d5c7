//! The Python module `paretohqd.kernels._core`: slices in, the interpreter let go, arrays out.

mod input;

use std::cell::Cell;
use std::rc::Rc;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::look;
use crate::threads::with_watch;
use crate::{Error, ErrorKind, Points, Stop};
use input::{Input, Negated};

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::Input => PyValueError::new_err(message),
            ErrorKind::Memory => PyMemoryError::new_err(message),
            ErrorKind::Threads => PyRuntimeError::new_err(message),
            ErrorKind::Cancelled => PyKeyboardInterrupt::new_err(message),
        }
    }
}

fn stop(upto: Option<usize>, at_least: Option<usize>) -> PyResult<Stop> {
    match (upto, at_least) {
        (None, None) => Ok(Stop::Never),
        (Some(layers), None) => Ok(Stop::UpTo(layers)),
        (None, Some(rows)) => Ok(Stop::AtLeast(rows)),
        (Some(_), Some(_)) => Err(PyValueError::new_err("choose one of upto and at_least")),
    }
}

/// Runs a kernel without the interpreter lock. An exception that a signal raises, such as Ctrl-C
/// does, stops it.
fn run<T: Send>(
    py: Python<'_>,
    n_threads: Option<usize>,
    kernel: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    let (result, raised) = py.detach(|| {
        let raised = Rc::new(Cell::new(None));
        let ask = {
            let raised = Rc::clone(&raised);
            move || match Python::attach(|py| py.check_signals()) {
                Ok(()) => true,
                Err(error) => {
                    raised.set(Some(error));
                    false
                }
            }
        };
        let result = with_watch(ask, n_threads, kernel);
        (result, raised.take())
    });
    // It was raised: even if the kernel was done first, it must not be lost.
    raised.map_or_else(|| Ok(result??), Err)
}

/// Runs a kernel on points without the interpreter lock.
///
/// `larger` says in which columns larger is better: the others are negated first. NaN is looked for
/// unless the points were `checked` before.
fn run_on<T: Send>(
    py: Python<'_>,
    (input, larger, checked): (&Input<'_>, &[bool], bool),
    n_threads: Option<usize>,
    kernel: impl FnOnce(&Points<'_>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let columns = input.columns()?;
    run(py, n_threads, || {
        let negated = Negated::of(&columns, larger)?;
        let columns = negated.columns(&columns);
        kernel(&if checked { Points::unchecked(columns)? } else { Points::new(columns)? })
    })
}

#[pymodule]
mod _core {
    use super::{
        Bound, Input, IntoPyArray, Points, PyArray1, PyModule, PyModuleMethods, PyReadonlyArray1,
        PyResult, Python, look, pyfunction, run, run_on, stop,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }

    /// Count NaN and infinities of each column: NaN, first row, infinities, first row. `None` if
    /// all values are finite.
    #[pyfunction]
    #[pyo3(signature = (input, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "tuples, as Python receives them")]
    fn non_finite(
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
    fn pareto_layers<'py>(
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
    fn pareto_layers_by_group<'py>(
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

    /// Rows that none of a few others beats in every objective; the worst and the best values.
    #[pyfunction]
    #[pyo3(signature = (input, larger, others, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "three arrays, as Python receives them")]
    fn unbeaten<'py>(
        py: Python<'py>,
        input: Input<'py>,
        larger: Vec<bool>,
        others: PyReadonlyArray1<'py, f64>,
        n_threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>)>
    {
        let (columns, others) = (input.columns()?, others.as_slice()?);
        // NaN passes the screen, so the points are not read for that before.
        let kernel = || crate::unbeaten(&Points::unchecked(columns)?, &larger, others);
        let screened = run(py, n_threads, kernel)?;
        let (worst, best) = (screened.worst.into_pyarray(py), screened.best.into_pyarray(py));
        Ok((screened.rows.into_pyarray(py), worst, best))
    }

    /// The volume dominated above a reference.
    #[pyfunction]
    #[pyo3(signature = (input, larger, checked, reference, n_threads, /))]
    fn hypervolume(
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
    fn hypervolume_in_groups<'py>(
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
    fn hypervolume_contributions<'py>(
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
    fn hypervolume_estimate(
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

    /// The k rows of each group nearest to each of its rays: rows and distances, ray after ray.
    #[pyfunction]
    #[pyo3(signature = (input, starts, spans, weights, k, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
    fn nearest_in_groups<'py>(
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
        Ok((nearest.rows.into_pyarray(py), nearest.distances.into_pyarray(py)))
    }

    /// The k rows nearest to each ray: rows and distances, ray after ray.
    #[pyfunction]
    #[pyo3(signature = (input, origins, through, k, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
    fn nearest_to_rays<'py>(
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
        Ok((nearest.rows.into_pyarray(py), nearest.distances.into_pyarray(py)))
    }
    /// The k rows of least achievement for each preference: rows and values, one after the other.
    #[pyfunction]
    #[pyo3(signature = (arrays, ideal, directions, k, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
    fn least_achievement<'py>(
        py: Python<'py>,
        arrays: Input<'py>,
        ideal: PyReadonlyArray1<'py, f64>,
        directions: PyReadonlyArray1<'py, f64>,
        k: usize,
        n_threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
        let columns = arrays.columns()?;
        let (ideal, directions) = (ideal.as_slice()?, directions.as_slice()?);
        // The search notices NaN on its way, so the points are not read for that before.
        let kernel =
            || crate::least_achievement(&Points::unchecked(columns)?, ideal, directions, k);
        let least = run(py, n_threads, kernel)?;
        Ok((least.rows.into_pyarray(py), least.values.into_pyarray(py)))
    }

    /// The k rows of each group of least achievement for each preference.
    #[pyfunction]
    #[pyo3(signature = (arrays, starts, ideals, units, directions, k, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
    #[expect(clippy::too_many_arguments, reason = "by place, as Python passes them")]
    fn least_achievement_in_groups<'py>(
        py: Python<'py>,
        arrays: Input<'py>,
        starts: PyReadonlyArray1<'py, u32>,
        ideals: PyReadonlyArray1<'py, f64>,
        units: PyReadonlyArray1<'py, f64>,
        directions: PyReadonlyArray1<'py, f64>,
        k: usize,
        n_threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
        let (columns, starts) = (arrays.columns()?, starts.as_slice()?);
        let (ideals, units) = (ideals.as_slice()?, units.as_slice()?);
        let directions = directions.as_slice()?;
        let kernel = || {
            let points = Points::new(columns)?;
            crate::least_achievement_in_groups(&points, starts, ideals, units, directions, k)
        };
        let least = run(py, n_threads, kernel)?;
        Ok((least.rows.into_pyarray(py), least.values.into_pyarray(py)))
    }

    /// The crowding distance of each point.
    #[pyfunction]
    #[pyo3(signature = (arrays, n_threads, /))]
    fn crowding_distance<'py>(
        py: Python<'py>,
        arrays: Input<'py>,
        n_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let columns = arrays.columns()?;
        let kernel = || crate::crowding_distance(&Points::new(columns)?);
        Ok(run(py, n_threads, kernel)?.into_pyarray(py))
    }

    /// The crowding distance of each point within its group.
    #[pyfunction]
    #[pyo3(signature = (arrays, ids, groups, n_threads, /))]
    fn crowding_distance_in_groups<'py>(
        py: Python<'py>,
        arrays: Input<'py>,
        ids: PyReadonlyArray1<'py, u32>,
        groups: usize,
        n_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let (columns, ids) = (arrays.columns()?, ids.as_slice()?);
        let kernel = || crate::crowding_distance_in_groups(&Points::new(columns)?, ids, groups);
        Ok(run(py, n_threads, kernel)?.into_pyarray(py))
    }

    /// The modified inverted generational distance to a reference set.
    #[pyfunction]
    #[pyo3(signature = (arrays, reference, n_threads, /))]
    fn igd_plus(
        py: Python<'_>,
        arrays: Input<'_>,
        reference: Input<'_>,
        n_threads: Option<usize>,
    ) -> PyResult<f64> {
        let (points, reference) = (arrays.columns()?, reference.columns()?);
        let kernel = || crate::igd_plus(&Points::new(points)?, &Points::new(reference)?);
        run(py, n_threads, kernel)
    }

    /// The additive epsilon indicator beside a reference set.
    #[pyfunction]
    #[pyo3(signature = (arrays, reference, n_threads, /))]
    fn epsilon_additive(
        py: Python<'_>,
        arrays: Input<'_>,
        reference: Input<'_>,
        n_threads: Option<usize>,
    ) -> PyResult<f64> {
        let (points, reference) = (arrays.columns()?, reference.columns()?);
        let kernel = || crate::epsilon_additive(&Points::new(points)?, &Points::new(reference)?);
        run(py, n_threads, kernel)
    }

    /// The R2 indicator: weights one vector after another.
    #[pyfunction]
    #[pyo3(signature = (arrays, weights, ideal, n_threads, /))]
    fn r2_indicator(
        py: Python<'_>,
        arrays: Input<'_>,
        weights: PyReadonlyArray1<'_, f64>,
        ideal: Vec<f64>,
        n_threads: Option<usize>,
    ) -> PyResult<f64> {
        let (columns, weights) = (arrays.columns()?, weights.as_slice()?);
        run(py, n_threads, || crate::r2_indicator(&Points::new(columns)?, weights, &ideal))
    }

    /// The k rows that keep most of the hypervolume, and what they dominate.
    #[pyfunction]
    #[pyo3(signature = (arrays, k, reference, n_threads, /))]
    fn hypervolume_subset<'py>(
        py: Python<'py>,
        arrays: Input<'py>,
        k: usize,
        reference: Vec<f64>,
        n_threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, f64)> {
        let columns = arrays.columns()?;
        let kernel = || crate::hypervolume_subset(&Points::new(columns)?, k, &reference);
        let subset = run(py, n_threads, kernel)?;
        let rows: Vec<i64> = subset.rows.into_iter().map(i64::from).collect();
        Ok((rows.into_pyarray(py), subset.volume))
    }
}
