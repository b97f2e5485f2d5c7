//! The Python module `paretohqd._core`: slices in, the interpreter let go, arrays out.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::{Column, Error, Points, Stop};

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// A contiguous column as NumPy holds it; other dtypes and layouts are converted in Python.
#[derive(FromPyObject)]
enum Array<'py> {
    F64(PyReadonlyArray1<'py, f64>),
    F32(PyReadonlyArray1<'py, f32>),
}

impl Array<'_> {
    fn column(&self) -> PyResult<Column<'_>> {
        Ok(match self {
            Self::F64(values) => Column::F64(values.as_slice()?),
            Self::F32(values) => Column::F32(values.as_slice()?),
        })
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

/// Runs a kernel without the interpreter lock.
fn run<T: Send>(
    py: Python<'_>,
    n_threads: Option<usize>,
    kernel: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    Ok(py.detach(|| crate::with_threads(n_threads, kernel))??)
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
        let found = py.detach(|| column.non_finite());
        Ok((found.nan, found.first_nan, found.infinite, found.first_infinite))
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
        let found = run(py, n_threads, kernel)?;
        Ok((found.rows.into_pyarray(py), found.distances.into_pyarray(py)))
    }
}
