//! What searches for the k best rows share, whatever makes a row good.

pub(crate) mod copies;
pub(crate) mod dispatch;
pub(crate) mod kept;
pub(crate) mod lanes;
pub(crate) mod room;
