//! Rows in groups: those that lie anywhere, and those that lie one after another.

pub(crate) mod segments;
pub(crate) mod starts;
