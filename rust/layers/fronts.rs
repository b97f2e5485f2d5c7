//! Successive fronts of three objectives, and which of them a row belongs to.
//!
//! Fronts that dominate a row come before fronts that do not, so the first of these is found by
//! galloping from where the last row of the same neighbourhood ended: O(n log² n) at worst, near
//! O(n log n) when neighbours have near layers.

use std::collections::VecDeque;

use super::staircase::{Staircase, Step};

/// Cells per side of the grid that remembers the last answer of each neighbourhood.
const GRID_SIDE: usize = 64;

/// Cells of equal width in rank, hence of about equal content.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    widths: [u32; 2],
}

impl Grid {
    pub fn over(second: &[u32], third: &[u32]) -> Self {
        let width = |ranks: &[u32]| ranks.iter().copied().max().unwrap_or(0) / GRID_SIDE as u32 + 1;
        Self { widths: [width(second), width(third)] }
    }

    fn cell(&self, (y, z): Step) -> usize {
        (y / self.widths[0]) as usize * GRID_SIDE + (z / self.widths[1]) as usize
    }
}

/// The fronts of a range of layers.
pub(super) struct Fronts {
    /// The layer of the first of these fronts.
    pub first: u32,
    pub fronts: VecDeque<Staircase>,
    /// No front of this range or past it has this layer: rows that get it are past the stop, or
    /// belong to a later range.
    pub end: u32,
    grid: Grid,
    /// The layer of the last row of each cell.
    pub hints: Vec<u32>,
}

impl Fronts {
    /// No front yet, up to `cap` of them to come.
    pub fn new(cap: u32, grid: Grid) -> Self {
        let hints = vec![0; GRID_SIDE * GRID_SIDE];
        Self { first: 0, fronts: VecDeque::new(), end: cap, grid, hints }
    }

    /// Puts a row into the first front that does not dominate it and returns its layer; that is
    /// `end` or later if all do.
    pub fn place(&mut self, step: Step) -> u32 {
        let cell = self.grid.cell(step);
        let hint = self.hints[cell].saturating_sub(self.first) as usize;
        let front = self.first_clear(step, hint);
        let layer = self.first + front as u32;
        self.hints[cell] = layer;
        match self.fronts.get_mut(front) {
            Some(staircase) => staircase.insert(step),
            None if layer < self.end => self.fronts.push_back(Staircase::new(step)),
            None => {}
        }
        layer
    }

    /// What all stages of a pipeline remember of each cell.
    pub fn hints_of(stages: &[Self]) -> Vec<u32> {
        let cell = |cell: usize| {
            let placed = stages.iter().find(|stage| stage.hints[cell] < stage.end);
            placed.or(stages.last()).map_or(0, |stage| stage.hints[cell])
        };
        (0..GRID_SIDE * GRID_SIDE).map(cell).collect()
    }

    /// The first front that does not dominate, galloping away from `hint`.
    fn first_clear(&self, step: Step, hint: usize) -> usize {
        let dominates = |front: usize| self.fronts[front].dominates(step);
        // Invariant: every front before `low` dominates, none from `high` on does.
        let (mut low, mut high) = (0, self.fronts.len());
        if high == 0 {
            return 0;
        }
        let hint = hint.min(high - 1);
        let mut stride = 1;
        if dominates(hint) {
            low = hint + 1;
            while low < high {
                let probe = (low + stride - 1).min(high - 1);
                if !dominates(probe) {
                    high = probe;
                    break;
                }
                low = probe + 1;
                stride *= 2;
            }
        } else {
            high = hint;
            while low < high {
                let probe = high.saturating_sub(stride);
                if dominates(probe) {
                    low = probe + 1;
                    break;
                }
                high = probe;
                stride *= 2;
            }
        }
        while low < high {
            let middle = low.midpoint(high);
            if dominates(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
