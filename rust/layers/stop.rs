//! Where to stop counting layers, and what that leaves of them.

use crate::error::{Error, Kind};

/// The layer number of a row past the stop.
pub(crate) const PAST_STOP: i32 = -1;

/// Where to stop counting layers; rows past the stop get -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// Number every row.
    Never,
    /// After this many layers.
    UpTo(usize),
    /// After the first layer with which this many rows are covered; layers are never cut.
    AtLeast(usize),
}

impl Stop {
    pub(crate) fn check(self) -> Result<Self, Error> {
        match self {
            Self::UpTo(0) => Err(Kind::Zero { name: "upto" }.into()),
            Self::AtLeast(0) => Err(Kind::Zero { name: "at_least" }.into()),
            stop => Ok(stop),
        }
    }
}

/// A layer below `cap`, or that of a row past the stop.
pub(super) fn capped(layer: u32, cap: u32) -> i32 {
    if layer < cap { layer as i32 } else { PAST_STOP }
}

/// Sets the layers past the first one with which `covered` rows are covered to -1.
pub(super) fn cut(layers: &mut [i32], covered: usize) {
    let deepest = layers.iter().copied().max().unwrap_or(PAST_STOP);
    let mut sizes = vec![0usize; (deepest + 1) as usize];
    for &layer in layers.iter() {
        if layer >= 0 {
            sizes[layer as usize] += 1;
        }
    }
    let mut sum = 0;
    let last = sizes.iter().position(|size| {
        sum += size;
        sum >= covered
    });
    if let Some(last) = last {
        for layer in layers.iter_mut().filter(|layer| **layer > last as i32) {
            *layer = PAST_STOP;
        }
    }
}
