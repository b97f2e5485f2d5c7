//! The outline of a growing union of rectangles [0, y] x [0, z].

/// Steps per block: an insertion moves part of one block only.
const BLOCK_STEPS: usize = 128;

/// An outer corner of the outline, and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Step<T> {
    pub y: f64,
    pub z: f64,
    pub of: T,
}

/// A block and a place in it.
pub(super) type Place = (usize, usize);

/// Steps in blocks, y rising and z falling along them; no block is empty.
pub(super) struct Staircase<T> {
    /// The largest y of each block.
    ends: Vec<f64>,
    blocks: Vec<Vec<Step<T>>>,
    /// Emptied blocks, kept for their memory.
    spare: Vec<Vec<Step<T>>>,
}

impl<T> Default for Staircase<T> {
    fn default() -> Self {
        Self { ends: Vec::new(), blocks: Vec::new(), spare: Vec::new() }
    }
}

impl Staircase<()> {
    /// Adds the rectangle up to (y, z) and returns the area that is new.
    #[inline]
    pub fn insert(&mut self, y: f64, z: f64) -> f64 {
        // The first step at or beyond y is the highest of those: it decides dominance.
        let at = self.seek(y);
        let mut level = 0.0;
        let mut end = at;
        if let Some(beyond) = self.get(at) {
            if beyond.z >= z {
                return 0.0;
            }
            level = beyond.z;
            if beyond.y == y {
                end = (at.0, at.1 + 1);
            }
        }
        // Steps under the rectangle fall away.
        let (mut first, mut gained, mut right, mut left) = (at, 0.0, y, 0.0);
        while let Some(place) = self.before(first) {
            let Some(&step) = self.get(place) else { break };
            if step.z > z {
                left = step.y;
                break;
            }
            gained += (right - step.y) * (z - level);
            (right, level, first) = (step.y, step.z, place);
        }
        gained += (right - left) * (z - level);
        self.replace(first, end, Step { y, z, of: () });
        gained
    }
}

impl<T: Copy> Staircase<T> {
    pub fn clear(&mut self) {
        self.ends.clear();
        for mut block in self.blocks.drain(..) {
            block.clear();
            self.spare.push(block);
        }
    }

    /// The place of the first step at or beyond `y`.
    #[inline]
    pub fn seek(&self, y: f64) -> Place {
        let block = self.ends.partition_point(|&end| end < y);
        let at = self.blocks.get(block).map_or(0, |run| run.partition_point(|step| step.y < y));
        (block, at)
    }

    #[inline]
    pub fn get(&self, (block, at): Place) -> Option<&Step<T>> {
        self.blocks.get(block)?.get(at)
    }

    #[inline]
    pub fn before(&self, (block, at): Place) -> Option<Place> {
        match at.checked_sub(1) {
            Some(at) => Some((block, at)),
            None => {
                let block = block.checked_sub(1)?;
                Some((block, self.blocks[block].len() - 1))
            }
        }
    }

    #[inline]
    pub fn after(&self, (block, at): Place) -> Place {
        if at + 1 < self.blocks[block].len() { (block, at + 1) } else { (block + 1, 0) }
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step<T>> {
        self.blocks.iter().flatten()
    }

    /// Puts `step` in the place of the steps from `from` up to `to`.
    pub fn replace(&mut self, from: Place, to: Place, step: Step<T>) {
        let (block, mut first) = from;
        if self.blocks.is_empty() {
            let run = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_STEPS));
            self.blocks.push(run);
            self.ends.push(step.y);
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
                run[first] = step;
                run.drain(first + 1..last);
            } else {
                run.insert(first, step);
            }
        } else {
            self.blocks[block].truncate(first);
            self.blocks[block].push(step);
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
        self.ends[block] = run[run.len() - 1].y;
        if run.len() > BLOCK_STEPS {
            let half = run.len() / 2;
            let mut upper = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_STEPS));
            upper.extend(run.drain(half..));
            let end = run[half - 1].y;
            self.ends.insert(block, end);
            self.blocks.insert(block + 1, upper);
        }
    }
}
