//! The outline of a growing union of rectangles [0, y] x [0, z].

/// Corners per block: an insertion moves part of one block only.
const BLOCK: usize = 128;

/// An outer corner of the outline.
type Corner = (f64, f64);

/// Outer corners in blocks, y rising and z falling along them; no block is empty.
#[derive(Default)]
pub(super) struct Profile {
    /// The largest y of each block.
    ends: Vec<f64>,
    blocks: Vec<Vec<Corner>>,
    /// Emptied blocks, kept for their memory.
    spare: Vec<Vec<Corner>>,
}

impl Profile {
    pub fn clear(&mut self) {
        self.ends.clear();
        for mut block in self.blocks.drain(..) {
            block.clear();
            self.spare.push(block);
        }
    }

    /// Adds the rectangle up to (y, z) and returns the area that is new.
    pub fn insert(&mut self, y: f64, z: f64) -> f64 {
        // The first corner at or beyond y is the highest of those: it decides dominance.
        let block = self.ends.partition_point(|&end| end < y);
        let Some(run) = self.blocks.get(block) else {
            return self.insert_before(block, 0, y, z, 0.0);
        };
        let at = run.partition_point(|corner| corner.0 < y);
        let (beyond, level) = run[at];
        if level >= z {
            return 0.0;
        }
        self.insert_before(block, if beyond == y { at + 1 } else { at }, y, z, level)
    }

    /// Inserts a corner before place `at` of `block`; corners under it, all before, fall away.
    fn insert_before(&mut self, block: usize, at: usize, y: f64, z: f64, level: f64) -> f64 {
        let (mut first_block, mut first, mut level) = (block, at, level);
        let (mut gained, mut right) = (0.0, y);
        let left = loop {
            if first == 0 {
                if first_block == 0 {
                    break 0.0;
                }
                first_block -= 1;
                first = self.blocks[first_block].len();
                continue;
            }
            let corner = self.blocks[first_block][first - 1];
            if corner.1 > z {
                break corner.0;
            }
            gained += (right - corner.0) * (z - level);
            (right, level) = corner;
            first -= 1;
        };
        gained += (right - left) * (z - level);
        self.replace((first_block, first), (block, at), (y, z));
        gained
    }

    /// Puts `corner` in the place of the corners from `from` up to `to`, places as (block, index).
    fn replace(&mut self, from: (usize, usize), to: (usize, usize), corner: Corner) {
        let (block, mut first) = from;
        if self.blocks.is_empty() {
            let run = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK));
            self.blocks.push(run);
            self.ends.push(corner.0);
        }
        // Beyond the last block: append to it.
        let (mut last_block, mut last) = to;
        if last_block == self.blocks.len() {
            last_block -= 1;
            last = self.blocks[last_block].len();
            if block > last_block {
                first = last;
            }
        }
        let block = block.min(last_block);
        if block == last_block {
            let run = &mut self.blocks[block];
            if first < last {
                run[first] = corner;
                run.drain(first + 1..last);
            } else {
                run.insert(first, corner);
            }
        } else {
            self.blocks[block].truncate(first);
            self.blocks[block].push(corner);
            self.blocks[last_block].drain(..last);
            let gone = block + 1..last_block + usize::from(self.blocks[last_block].is_empty());
            self.ends.drain(gone.clone());
            for mut run in self.blocks.drain(gone) {
                run.clear();
                self.spare.push(run);
            }
        }
        self.settle(block);
    }

    /// Restores the end of a block that changed, and splits it when full.
    fn settle(&mut self, block: usize) {
        let run = &mut self.blocks[block];
        self.ends[block] = run[run.len() - 1].0;
        if run.len() > BLOCK {
            let half = run.len() / 2;
            let mut upper = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK));
            upper.extend(run.drain(half..));
            let end = run[half - 1].0;
            self.ends.insert(block, end);
            self.blocks.insert(block + 1, upper);
        }
    }
}
