//! Two objectives left: the deepest layer within reach, as a flat list of steps.

/// The deepest layer met so far, by the value needed to reach it: both rise along the steps.
#[derive(Default)]
pub(super) struct Sweep {
    values: Vec<u32>,
    layers: Vec<u32>,
}

impl Sweep {
    /// Empties the steps.
    pub fn clear(&mut self) {
        self.values.clear();
        self.layers.clear();
    }

    /// One past the deepest layer among the rows that are no worse than `value`.
    pub fn least_layer(&self, value: u32) -> u32 {
        let reached = self.values.partition_point(|&v| v <= value);
        if reached == 0 { 0 } else { self.layers[reached - 1] + 1 }
    }

    /// Adds a row of `layer`, and drops the steps that it makes needless.
    pub fn insert(&mut self, value: u32, layer: u32) {
        let reached = self.values.partition_point(|&v| v <= value);
        if reached > 0 && self.layers[reached - 1] >= layer {
            return;
        }
        let from = reached - usize::from(reached > 0 && self.values[reached - 1] == value);
        let shadowed = self.layers[from..].iter().take_while(|&&l| l <= layer).count();
        if shadowed == 0 {
            self.values.insert(from, value);
            self.layers.insert(from, layer);
        } else {
            (self.values[from], self.layers[from]) = (value, layer);
            self.values.drain(from + 1..from + shadowed);
            self.layers.drain(from + 1..from + shadowed);
        }
    }
}
