//! The Python module `paretohqd.kernels._core`: slices in, the interpreter let go, arrays out.

use std::cell::Cell;
use std::rc::Rc;

use numpy::prelude::*;
use numpy::{Element, IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArrayDyn};
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::threads::with_watch;
use crate::{Column, Error, ErrorKind, Points, Stop, Strided};

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

/// A column as NumPy holds it, of any layout that needs no copy; Python converts other ones.
#[derive(FromPyObject)]
enum Array<'py> {
    F64(Values<'py, f64>),
    F32(Values<'py, f32>),
}

impl Array<'_> {
    fn column(&self) -> PyResult<Column<'_>> {
        Ok(match self {
            Self::F64(Values::Contiguous(values)) => Column::F64(values.as_slice()?),
            Self::F32(Values::Contiguous(values)) => Column::F32(values.as_slice()?),
            Self::F64(Values::OfTable(table)) => Column::F64Strided(table.column()?),
            Self::F32(Values::OfTable(table)) => Column::F32Strided(table.column()?),
        })
    }
}

/// One array of numbers: all of a block of memory, or evenly spaced in it.
enum Values<'py, T: Element> {
    Contiguous(PyReadonlyArray1<'py, T>),
    OfTable(OfTable<'py, T>),
}

/// A view of a contiguous array, such as a column of a row-major table.
struct OfTable<'py, T: Element> {
    table: PyReadonlyArrayDyn<'py, T>,
    first: usize,
    step: usize,
    len: usize,
}

impl<'py, T: Element> FromPyObject<'_, 'py> for Values<'py, T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let view = object.cast::<PyArray1<T>>()?;
        if view.is_contiguous() {
            return Ok(Self::Contiguous(view.readonly()));
        }
        let table: PyReadonlyArrayDyn<'py, T> = object.getattr("base")?.extract()?;
        // Where the view lies in the table; a place outside of it is refused on use.
        let offset = (view.data() as usize).wrapping_sub(table.as_slice()?.as_ptr() as usize);
        let step = usize::try_from(view.strides()[0])?;
        let size = size_of::<T>();
        if !offset.is_multiple_of(size) || !step.is_multiple_of(size) {
            return Err(PyValueError::new_err("a column is not aligned with its base array"));
        }
        let (first, step) = (offset / size, step / size);
        Ok(Self::OfTable(OfTable { table, first, step, len: view.len() }))
    }
}

impl<T: Element + Copy> OfTable<'_, T> {
    fn column(&self) -> PyResult<Strided<'_, T>> {
        Strided::new(self.table.as_slice()?, self.first, self.step, self.len)
            .ok_or_else(|| PyValueError::new_err("a column lies outside its base array"))
    }
}

fn columns<'a>(arrays: &'a [Array<'_>]) -> PyResult<Vec<Column<'a>>> {
    arrays.iter().map(Array::column).collect()
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

#[pymodule]
mod _core {
    use super::{
        Array, Bound, IntoPyArray, Points, PyArray1, PyModule, PyModuleMethods, PyReadonlyArray1,
        PyResult, Python, columns, pyfunction, run, stop,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))
    }

    /// Count NaN and infinities: (NaN, first row, infinities, first row).
    #[pyfunction]
    #[pyo3(signature = (column, /))]
    fn non_finite(
        py: Python<'_>,
        column: Array<'_>,
    ) -> PyResult<(usize, Option<usize>, usize, Option<usize>)> {
        let column = column.column()?;
        let counts = run(py, None, || Ok(column.non_finite()))?;
        Ok((counts.nan, counts.first_nan, counts.infinite, counts.first_infinite))
    }

    /// Number the Pareto layers.
    #[pyfunction]
    #[pyo3(signature = (arrays, upto, at_least, n_threads, /))]
    fn pareto_layers<'py>(
        py: Python<'py>,
        arrays: Vec<Array<'py>>,
        upto: Option<usize>,
        at_least: Option<usize>,
        n_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let (columns, stop) = (columns(&arrays)?, stop(upto, at_least)?);
        let kernel = || crate::pareto_layers(&Points::new(columns)?, stop);
        Ok(run(py, n_threads, kernel)?.into_pyarray(py))
    }

    /// Number the Pareto layers within each group.
    #[pyfunction]
    #[pyo3(signature = (arrays, ids, groups, upto, at_least, n_threads, /))]
    fn pareto_layers_by_group<'py>(
        py: Python<'py>,
        arrays: Vec<Array<'py>>,
        ids: PyReadonlyArray1<'py, u32>,
        groups: usize,
        upto: Option<usize>,
        at_least: Option<usize>,
        n_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let (columns, stop, ids) = (columns(&arrays)?, stop(upto, at_least)?, ids.as_slice()?);
        let kernel = || crate::pareto_layers_by_group(&Points::new(columns)?, ids, groups, stop);
        Ok(run(py, n_threads, kernel)?.into_pyarray(py))
    }

    /// Rows that none of a few others beats in every objective; the worst and the best values.
    #[pyfunction]
    #[pyo3(signature = (arrays, larger, others, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "three arrays, as Python receives them")]
    fn unbeaten<'py>(
        py: Python<'py>,
        arrays: Vec<Array<'py>>,
        larger: Vec<bool>,
        others: PyReadonlyArray1<'py, f64>,
        n_threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>)>
    {
        let (columns, others) = (columns(&arrays)?, others.as_slice()?);
        // NaN passes the screen, so the points are not read for that before.
        let kernel = || crate::unbeaten(&Points::unchecked(columns)?, &larger, others);
        let screened = run(py, n_threads, kernel)?;
        let (worst, best) = (screened.worst.into_pyarray(py), screened.best.into_pyarray(py));
        Ok((screened.rows.into_pyarray(py), worst, best))
    }

    /// The volume dominated above a reference.
    #[pyfunction]
    #[pyo3(signature = (arrays, reference, n_threads, /))]
    fn hypervolume(
        py: Python<'_>,
        arrays: Vec<Array<'_>>,
        reference: Vec<f64>,
        n_threads: Option<usize>,
    ) -> PyResult<f64> {
        let columns = columns(&arrays)?;
        run(py, n_threads, || crate::hypervolume(&Points::new(columns)?, &reference))
    }

    /// The volume that each group dominates above a reference, group by group.
    #[pyfunction]
    #[pyo3(signature = (arrays, ids, groups, reference, n_threads, /))]
    fn hypervolume_in_groups<'py>(
        py: Python<'py>,
        arrays: Vec<Array<'py>>,
        ids: PyReadonlyArray1<'py, u32>,
        groups: usize,
        reference: Vec<f64>,
        n_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let (columns, ids) = (columns(&arrays)?, ids.as_slice()?);
        let kernel =
            || crate::hypervolume_in_groups(&Points::new(columns)?, ids, groups, &reference);
        Ok(run(py, n_threads, kernel)?.into_pyarray(py))
    }

    /// What the hypervolume loses without each point.
    #[pyfunction]
    #[pyo3(signature = (arrays, reference, n_threads, /))]
    fn hypervolume_contributions<'py>(
        py: Python<'py>,
        arrays: Vec<Array<'py>>,
        reference: Vec<f64>,
        n_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let columns = columns(&arrays)?;
        let kernel = || crate::hypervolume_contributions(&Points::new(columns)?, &reference);
        Ok(run(py, n_threads, kernel)?.into_pyarray(py))
    }

    /// An estimate of the volume dominated above a reference, and its standard error.
    #[pyfunction]
    #[pyo3(signature = (arrays, reference, samples, seed, n_threads, /))]
    fn hypervolume_estimate(
        py: Python<'_>,
        arrays: Vec<Array<'_>>,
        reference: Vec<f64>,
        samples: usize,
        seed: u64,
        n_threads: Option<usize>,
    ) -> PyResult<(f64, f64)> {
        let columns = columns(&arrays)?;
        let kernel =
            || crate::hypervolume_estimate(&Points::new(columns)?, &reference, samples, seed);
        let estimate = run(py, n_threads, kernel)?;
        Ok((estimate.value, estimate.standard_error))
    }

    /// The k rows of each group nearest to each of its rays: rows and distances, ray after ray.
    #[pyfunction]
    #[pyo3(signature = (arrays, starts, spans, weights, k, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
    fn nearest_in_groups<'py>(
        py: Python<'py>,
        arrays: Vec<Array<'py>>,
        starts: PyReadonlyArray1<'py, u32>,
        spans: PyReadonlyArray1<'py, f64>,
        weights: PyReadonlyArray1<'py, f64>,
        k: usize,
        n_threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
        let (columns, starts) = (columns(&arrays)?, starts.as_slice()?);
        let (spans, weights) = (spans.as_slice()?, weights.as_slice()?);
        let kernel = || crate::nearest_in_groups(&Points::new(columns)?, starts, spans, weights, k);
        let nearest = run(py, n_threads, kernel)?;
        Ok((nearest.rows.into_pyarray(py), nearest.distances.into_pyarray(py)))
    }

    /// The k rows nearest to each ray: rows and distances, ray after ray.
    #[pyfunction]
    #[pyo3(signature = (arrays, origins, through, k, n_threads, /))]
    #[expect(clippy::type_complexity, reason = "two arrays, as Python receives them")]
    fn nearest_to_rays<'py>(
        py: Python<'py>,
        arrays: Vec<Array<'py>>,
        origins: PyReadonlyArray1<'py, f64>,
        through: PyReadonlyArray1<'py, f64>,
        k: usize,
        n_threads: Option<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
        let columns = columns(&arrays)?;
        let (origins, through) = (origins.as_slice()?, through.as_slice()?);
        // The search notices NaN on its way, so the points are not read for that before.
        let kernel = || crate::nearest_to_rays(&Points::unchecked(columns)?, origins, through, k);
        let nearest = run(py, n_threads, kernel)?;
        Ok((nearest.rows.into_pyarray(py), nearest.distances.into_pyarray(py)))
    }
}
