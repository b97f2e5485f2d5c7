//! Kernels run without the interpreter lock, and their errors as Python's.

use std::cell::Cell;
use std::rc::Rc;

use numpy::{IntoPyArray, PyArray1};
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::input::{Input, Negated};
use crate::error::Kind;
use crate::threads::with_watch;
use crate::{Column, Error, ErrorKind, Points};

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

/// Runs a kernel without the interpreter lock. An exception that a signal raises, such as Ctrl-C
/// does, stops it.
pub(super) fn run<T: Send>(
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
pub(super) fn run_on<T: Send>(
    py: Python<'_>,
    (input, larger, checked): (&Input<'_>, &[bool], bool),
    n_threads: Option<usize>,
    kernel: impl FnOnce(&Points<'_>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let columns = input.columns()?;
    run(py, n_threads, || {
        let negated = Negated::of(&columns, larger)?;
        kernel(&points_of(negated.columns(&columns), checked)?)
    })
}

/// The points of some columns; NaN is looked for unless they were `checked` before.
pub(super) fn points_of(columns: Vec<Column<'_>>, checked: bool) -> Result<Points<'_>, Error> {
    if checked { Points::unchecked(columns) } else { Points::new(columns) }
}

/// Row numbers as NumPy indexes with them.
pub(super) fn row_numbers(py: Python<'_>, rows: Vec<u32>) -> PyResult<Bound<'_, PyArray1<i64>>> {
    let mut wide = Vec::new();
    let bytes = rows.len().saturating_mul(size_of::<i64>());
    wide.try_reserve_exact(rows.len())
        .map_err(|_| Error::from(Kind::TooMuchMemory { what: "the answer", bytes }))?;
    wide.extend(rows.into_iter().map(i64::from));
    Ok(wide.into_pyarray(py))
}
