//! Three objectives: a staircase per front.
//!
//! Rows come best first in the first objective. Of the rows a front holds so far, only those
//! matter that no other beats in the second and third objective: a staircase, on which one binary
//! search tells whether the front dominates a row. Fronts that dominate come before fronts that
//! do not, so the first of these is found by galloping from where the last row of the same
//! neighbourhood ended: O(n log² n) at worst, near O(n log n) when neighbours have near layers.

/// Steps per block of a tall staircase; also where a flat one turns tall.
const BLOCK: usize = 128;

/// Cells per side of the grid that remembers the last answer of each neighbourhood.
const GRID: usize = 64;

/// A step: second and third objective. Along a staircase the second worsens, the third improves.
type Step = (u32, u32);

/// The front of each row, given the other objectives of distinct rows in lexicographic order.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number(second: &[u32], third: &[u32], cap: u32) -> Vec<u32> {
    let mut fronts = Fronts::new(cap as usize, Grid::over(second, third));
    second.iter().zip(third).map(|(&y, &z)| fronts.place((y, z)) as u32).collect()
}

struct Fronts {
    fronts: Vec<Staircase>,
    cap: usize,
    grid: Grid,
    hints: Vec<u32>,
}

impl Fronts {
    fn new(cap: usize, grid: Grid) -> Self {
        Self { fronts: Vec::new(), cap, grid, hints: vec![0; GRID * GRID] }
    }

    /// Puts a row into the first front that does not dominate it and returns that front.
    fn place(&mut self, step: Step) -> usize {
        if self.fronts.len() == self.cap
            && self.fronts.last().is_none_or(|last| last.dominates(step))
        {
            return self.cap;
        }
        let cell = self.grid.cell(step);
        let front = self.first_clear(step, self.hints[cell] as usize);
        self.hints[cell] = front as u32;
        match self.fronts.get_mut(front) {
            Some(staircase) => staircase.insert(step),
            None => self.fronts.push(Staircase::Flat(vec![step])),
        }
        front
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

/// Cells of equal width in rank, hence of about equal content.
struct Grid {
    widths: [u32; 2],
}

impl Grid {
    fn over(second: &[u32], third: &[u32]) -> Self {
        let width = |ranks: &[u32]| ranks.iter().copied().max().unwrap_or(0) / GRID as u32 + 1;
        Self { widths: [width(second), width(third)] }
    }

    fn cell(&self, (y, z): Step) -> usize {
        (y / self.widths[0]) as usize * GRID + (z / self.widths[1]) as usize
    }
}

/// The undominated steps of one front, by second objective from best to worst.
enum Staircase {
    /// Few steps in one run; most fronts of a deep cloud stay so, and must stay small.
    Flat(Vec<Step>),
    /// Many steps in blocks, so that an insertion moves one block and not the whole front.
    Tall(Box<Tall>),
}

struct Tall {
    /// The best second objective of each block.
    heads: Vec<u32>,
    /// Never empty, and no block in it is empty.
    blocks: Vec<Vec<Step>>,
}

impl Staircase {
    /// Whether some step is at least as good as `step` in both objectives.
    #[inline]
    fn dominates(&self, step: Step) -> bool {
        match self {
            Self::Flat(run) => run_dominates(run, step),
            Self::Tall(tall) => {
                // The last step that is no worse in the second objective has the best third.
                let block = tall.heads.partition_point(|&head| head <= step.0);
                block > 0 && run_dominates(&tall.blocks[block - 1], step)
            }
        }
    }

    /// Adds a step that is not dominated, and drops the steps it dominates.
    fn insert(&mut self, step: Step) {
        match self {
            Self::Flat(run) => {
                insert_into_run(run, step);
                if run.len() > BLOCK {
                    let upper = run.split_off(run.len() / 2);
                    let lower = std::mem::take(run);
                    *self = Self::Tall(Box::new(Tall {
                        heads: vec![lower[0].0, upper[0].0],
                        blocks: vec![lower, upper],
                    }));
                }
            }
            Self::Tall(tall) => tall.insert(step),
        }
    }
}

impl Tall {
    fn insert(&mut self, step: Step) {
        let at = self.heads.partition_point(|&head| head <= step.0).saturating_sub(1);
        insert_into_run(&mut self.blocks[at], step);
        self.heads[at] = self.blocks[at][0].0;
        self.drop_dominated_after(at, step);
        if self.blocks[at].len() > BLOCK {
            let upper = self.blocks[at].split_off(BLOCK / 2);
            self.heads.insert(at + 1, upper[0].0);
            self.blocks.insert(at + 1, upper);
        }
    }

    /// Drops what `step`, in block `at`, dominates in the blocks that follow.
    fn drop_dominated_after(&mut self, at: usize, step: Step) {
        if self.blocks[at].last() != Some(&step) {
            return;
        }
        let dominated = |block: &Vec<Step>| block.last().is_some_and(|last| last.1 >= step.1);
        let whole = self.blocks[at + 1..].iter().take_while(|block| dominated(block)).count();
        self.blocks.drain(at + 1..=at + whole);
        self.heads.drain(at + 1..=at + whole);
        if let Some(next) = self.blocks.get_mut(at + 1) {
            let kept = next.partition_point(|other| other.1 >= step.1);
            next.drain(..kept);
            self.heads[at + 1] = next[0].0;
        }
    }
}

#[inline]
fn run_dominates(run: &[Step], step: Step) -> bool {
    let no_worse = run.partition_point(|other| other.0 <= step.0);
    no_worse > 0 && run[no_worse - 1].1 <= step.1
}

fn insert_into_run(run: &mut Vec<Step>, step: Step) {
    let from = run.partition_point(|other| other.0 < step.0);
    let dominated = run[from..].iter().take_while(|other| other.1 >= step.1).count();
    if dominated == 0 {
        run.insert(from, step);
    } else {
        run[from] = step;
        run.drain(from + 1..from + dominated);
    }
}
