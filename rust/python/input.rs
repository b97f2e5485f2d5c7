//! Points as Python holds them, read where they lie.

use std::ops::Range;

use numpy::prelude::*;
use numpy::{
    BorrowError, Element, PyArray, PyArray1, PyArray2, PyReadonlyArray, PyReadonlyArray1,
    PyReadonlyArray2, PyReadonlyArrayDyn, ndarray,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::{Error, Kind};
use crate::{Column, Strided, threads};

/// Points: one array of all, of n rows and m columns, or an array for each objective.
pub(super) enum Input<'py> {
    TableF64(PyReadonlyArray2<'py, f64>),
    TableF32(PyReadonlyArray2<'py, f32>),
    Columns(Vec<Array<'py>>),
}

impl<'py> FromPyObject<'_, 'py> for Input<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(table) = object.cast::<PyArray2<f64>>() {
            return Ok(Self::TableF64(read(&table)?));
        }
        if let Ok(table) = object.cast::<PyArray2<f32>>() {
            return Ok(Self::TableF32(read(&table)?));
        }
        Ok(Self::Columns(object.extract()?))
    }
}

impl Input<'_> {
    pub fn columns(&self) -> PyResult<Vec<Column<'_>>> {
        match self {
            Self::TableF64(table) => columns_of_table(table, Column::F64, Column::F64Strided),
            Self::TableF32(table) => columns_of_table(table, Column::F32, Column::F32Strided),
            Self::Columns(arrays) => columns(arrays),
        }
    }
}

/// The columns of a table of either order.
fn columns_of_table<'a, T: Element + Copy>(
    table: &'a PyReadonlyArray2<'_, T>,
    contiguous: fn(&'a [T]) -> Column<'a>,
    strided: fn(Strided<'a, T>) -> Column<'a>,
) -> PyResult<Vec<Column<'a>>> {
    let (rows, m, values) = (table.shape()[0], table.shape()[1], table.as_slice()?);
    if table.is_fortran_contiguous() {
        return Ok((0..m).map(|j| contiguous(&values[j * rows..(j + 1) * rows])).collect());
    }
    let columns = (0..m).map(|j| Strided::new(values, j, m, rows).map(strided));
    columns.collect::<Option<_>>().ok_or_else(|| PyValueError::new_err("a table has no rows"))
}

/// A column as NumPy holds it, of any layout that needs no copy; Python converts other ones.
#[derive(FromPyObject)]
pub(super) enum Array<'py> {
    F64(Values<'py, f64>),
    F32(Values<'py, f32>),
}

impl Array<'_> {
    pub fn column(&self) -> PyResult<Column<'_>> {
        Ok(match self {
            Self::F64(Values::Contiguous(values)) => Column::F64(values.as_slice()?),
            Self::F32(Values::Contiguous(values)) => Column::F32(values.as_slice()?),
            Self::F64(Values::OfTable(table)) => Column::F64Strided(table.column()?),
            Self::F32(Values::OfTable(table)) => Column::F32Strided(table.column()?),
        })
    }
}

/// One array of numbers: all of a block of memory, or evenly spaced in it.
pub(super) enum Values<'py, T: Element> {
    Contiguous(PyReadonlyArray1<'py, T>),
    OfTable(OfTable<'py, T>),
}

/// A view of a contiguous array, such as a column of a row-major table.
pub(super) struct OfTable<'py, T: Element> {
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
            return Ok(Self::Contiguous(read(&view)?));
        }
        let base = object.getattr("base")?;
        let table: PyReadonlyArrayDyn<'py, T> = read(base.cast::<PyArray<T, ndarray::IxDyn>>()?)?;
        // Where the view lies in the table; a place outside of it is refused on use.
        let offset = (view.data() as usize).wrapping_sub(table.as_slice()?.as_ptr() as usize);
        let step = usize::try_from(view.strides()[0])
            .map_err(|_| PyValueError::new_err("a column runs backwards in its base array"))?;
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

pub(super) fn columns<'a>(arrays: &'a [Array<'_>]) -> PyResult<Vec<Column<'a>>> {
    arrays.iter().map(Array::column).collect()
}

/// An array to read, unless another extension holds it for writing.
fn read<'py, T: Element, D: ndarray::Dimension>(
    array: &Bound<'py, PyArray<T, D>>,
) -> PyResult<PyReadonlyArray<'py, T, D>> {
    array.try_readonly().map_err(|_: BorrowError| {
        PyValueError::new_err(
            "an array is being written to by another extension; wait for it or pass a copy",
        )
    })
}

/// Copies of the columns in which smaller is better, negated.
pub(super) struct Negated(Vec<Option<Copied>>);

enum Copied {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Negated {
    /// Copies what has to be negated; `larger` says in which columns larger is better.
    pub fn of(columns: &[Column<'_>], larger: &[bool]) -> Result<Self, Error> {
        let (expected, actual) = (columns.len(), larger.len());
        if expected != actual {
            return Err(Kind::WrongLength { name: "maximize", expected, actual }.into());
        }
        if larger.iter().all(|&larger| larger) {
            return Ok(Self(Vec::new()));
        }
        let rows = columns.first().map_or(0, Column::len);
        let copies = threads::map(rows, columns.len(), |j| {
            (!larger[j]).then(|| negated(&columns[j])).transpose()
        });
        Ok(Self(copies.into_iter().collect::<Result<_, _>>()?))
    }

    /// The columns with larger is better in each.
    pub fn columns<'a>(&'a self, columns: &[Column<'a>]) -> Vec<Column<'a>> {
        let mut columns = columns.to_vec();
        for (column, copied) in columns.iter_mut().zip(&self.0) {
            match copied {
                Some(Copied::F32(values)) => *column = Column::F32(values),
                Some(Copied::F64(values)) => *column = Column::F64(values),
                None => {}
            }
        }
        columns
    }
}

fn negated(column: &Column<'_>) -> Result<Copied, Error> {
    let rows = column.len();
    Ok(match column {
        Column::F32(values) => {
            Copied::F32(copy(rows, |rows, out| out.extend(values[rows].iter().map(|x| -x)))?)
        }
        Column::F64(values) => {
            Copied::F64(copy(rows, |rows, out| out.extend(values[rows].iter().map(|x| -x)))?)
        }
        Column::F32Strided(values) => Copied::F32(copy(rows, |rows, out| {
            out.extend(values.from(rows.start).take(rows.len()).map(|x| -x));
        })?),
        Column::F64Strided(values) => Copied::F64(copy(rows, |rows, out| {
            out.extend(values.from(rows.start).take(rows.len()).map(|x| -x));
        })?),
    })
}

/// What `append` makes of the rows, some at a time so that the call can be stopped in between.
fn copy<T>(rows: usize, append: impl Fn(Range<usize>, &mut Vec<T>)) -> Result<Vec<T>, Error> {
    const ROWS_BETWEEN_CHECKS: usize = 1 << 18;
    let mut values = Vec::new();
    let refused = |_| Kind::TooMuchMemory {
        what: "a negated copy of a column",
        bytes: rows * size_of::<T>(),
    };
    values.try_reserve_exact(rows).map_err(refused)?;
    for start in (0..rows).step_by(ROWS_BETWEEN_CHECKS) {
        threads::check();
        append(start..rows.min(start + ROWS_BETWEEN_CHECKS), &mut values);
    }
    Ok(values)
}
