//! One front of three objectives as a staircase.
//!
//! Rows come best first in the first objective. Of the rows a front holds so far, only those
//! matter that no other beats in the second and third objective: a staircase, on which one binary
//! search tells whether the front dominates a row (Kung, Luccio, Preparata 1975).

/// Steps per block of a tall staircase; also where a flat one turns tall.
const BLOCK_STEPS: usize = 128;

/// A step: second and third objective. Along a staircase the second worsens, the third improves.
pub(super) type Step = (u32, u32);

/// The undominated steps of one front, by second objective from best to worst.
pub(super) enum Staircase {
    /// Few steps in one run; most fronts of a deep cloud stay so, and must stay small.
    Flat(Vec<Step>),
    /// Many steps in blocks, so that an insertion moves one block and not the whole front.
    Tall(Box<Tall>),
}

pub(super) struct Tall {
    /// The best second objective of each block.
    heads: Vec<u32>,
    /// Never empty, and no block in it is empty.
    blocks: Vec<Vec<Step>>,
}

impl Staircase {
    pub fn new(step: Step) -> Self {
        Self::Flat(vec![step])
    }

    /// Whether some step is at least as good as `step` in both objectives.
    #[inline]
    pub fn dominates(&self, step: Step) -> bool {
        self.best_third(step.0).is_some_and(|third| third <= step.1)
    }

    /// The best third objective among the steps that are no worse in the second.
    #[inline]
    pub fn best_third(&self, second: u32) -> Option<u32> {
        match self {
            Self::Flat(run) => best_third_of_run(run, second),
            Self::Tall(tall) => {
                // The last step that is no worse in the second objective has the best third.
                let block = tall.heads.partition_point(|&head| head <= second);
                best_third_of_run(tall.blocks.get(block.checked_sub(1)?)?, second)
            }
        }
    }

    /// Adds a step that is not dominated, and drops the steps it dominates.
    pub fn insert(&mut self, step: Step) {
        match self {
            Self::Flat(run) => {
                insert_into_run(run, step);
                if run.len() > BLOCK_STEPS {
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
        if self.blocks[at].len() > BLOCK_STEPS {
            let upper = self.blocks[at].split_off(BLOCK_STEPS / 2);
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
fn best_third_of_run(run: &[Step], second: u32) -> Option<u32> {
    let no_worse = run.partition_point(|other| other.0 <= second);
    Some(run[no_worse.checked_sub(1)?].1)
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
