//! Rows sorted by a column, or by any key that fits 64 bits.

mod keys;
mod order;

pub(crate) use keys::{ColumnKeys, Keys, descending_key};
pub(crate) use order::{FIRST, Slabs};
