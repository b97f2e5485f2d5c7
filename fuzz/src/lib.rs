//! Bytes as points, and the definitions that the kernels are held against.

mod cloud;
mod definitions;
mod layout;
mod wide;

pub use cloud::{Bytes, Cloud};
pub use definitions::{dominates, last_layer, layers, stopped, volume};
pub use wide::Wide;

/// References of the volumes: near the points, on them, and so far that differences overflow.
pub fn reference(bytes: &mut Bytes<'_>) -> f64 {
    const EXTREMES: [f64; 8] = [0.0, -1e308, -f64::MAX, 5e-324, -1e-300, 1e300, -1e150, -1e-160];
    let byte = bytes.byte();
    if byte % 8 == 7 {
        EXTREMES[usize::from(byte / 8) % EXTREMES.len()]
    } else {
        f64::from(bytes.byte() as i8) / 16.0
    }
}
