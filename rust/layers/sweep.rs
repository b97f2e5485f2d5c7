//! Two objectives left: the deepest layer within reach.

use super::staircase::Staircase;

/// Up to so many layers are kept one by one: entering a row then costs a short run of writes at
/// most. Deeper sets are rare, and go through a staircase.
const MAX_LISTED_LAYERS: usize = 1 << 12;

/// The rows met so far, as far as they tell which layers are within reach.
#[derive(Default)]
pub(super) struct Sweep {
    /// The layer of the first of `bests`: no row has a lower one.
    first: u32,
    /// Of the rows in each layer or a deeper one, the best value: it worsens from layer to layer.
    bests: Vec<u32>,
    /// Value and negated layer of the rows that matter, if the layers are too many for a list.
    steps: Option<Staircase>,
}

impl Sweep {
    /// Forgets all rows; those to come have layer `first` or later.
    pub fn restart(&mut self, first: u32) {
        self.first = first;
        self.bests.clear();
        self.steps = None;
    }

    /// One past the deepest layer among the rows that are no worse than `value`.
    #[inline(always)]
    pub fn least_layer(&self, value: u32) -> u32 {
        if let Some(steps) = &self.steps {
            return steps.best_third(value).map_or(0, |negated| !negated + 1);
        }
        let reached = self.bests.partition_point(|&best| best <= value) as u32;
        if reached == 0 { 0 } else { self.first + reached }
    }

    /// Adds a row of `layer`.
    #[inline(always)]
    pub fn insert(&mut self, value: u32, layer: u32) {
        let place = (layer - self.first) as usize;
        if place >= self.bests.len() {
            if self.steps.is_some() || place >= MAX_LISTED_LAYERS {
                return self.insert_step(value, layer);
            }
            self.bests.resize(place + 1, u32::MAX);
        }
        for best in self.bests[..=place].iter_mut().rev() {
            if *best <= value {
                break;
            }
            *best = value;
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_step(&mut self, value: u32, layer: u32) {
        let step = (value, !layer);
        let Some(steps) = &mut self.steps else {
            let mut steps = Staircase::new(step);
            for (layer, &best) in (self.first..).zip(&self.bests) {
                if !steps.dominates((best, !layer)) {
                    steps.insert((best, !layer));
                }
            }
            self.bests.clear();
            self.steps = Some(steps);
            return;
        };
        if !steps.dominates(step) {
            steps.insert(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn layers_in_reach_are_those_of_rows_no_worse() {
        let deep = 2 * MAX_LISTED_LAYERS as u64;
        let mut random = Random(23);
        let mut sweep = Sweep::default();
        for (first, layers, values) in [(0, 5, 9), (7, 300, 40), (1 << 20, deep, 3000), (3, 1, 1)] {
            sweep.restart(first);
            let mut rows: Vec<(u32, u32)> = Vec::new();
            for _ in 0..1500 {
                let value = random.below(values) as u32;
                let reached = rows.iter().filter(|row| row.0 <= value).map(|row| row.1 + 1);
                assert_eq!(sweep.least_layer(value), reached.max().unwrap_or(0));
                let row = (random.below(values) as u32, first + random.below(layers) as u32);
                sweep.insert(row.0, row.1);
                rows.push(row);
            }
        }
    }
}
