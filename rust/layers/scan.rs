//! Brute force on columns: of the rows before a given one, the deepest that dominates it.
//!
//! The base case of divide and conquer. Rows lie in blocks of one array per objective, so that a
//! block is compared lane by lane without a branch.

/// Rows per block: long enough that the compiler keeps the loop over lanes and vectorises it.
const LANES: usize = 64;

type Lanes = [i32; LANES];

/// Rows to compare against, each with the layer that follows its own.
#[derive(Default)]
pub(super) struct Scan {
    /// Block by block, one array per objective; lanes without a row hold the worst value.
    ranks: Vec<Lanes>,
    /// Block by block, layer + 1; 0 where there is no row.
    following: Vec<Lanes>,
    objectives: usize,
}

impl Scan {
    /// Empties the scan and makes room for `rows` rows.
    pub fn reset(&mut self, rows: usize, objectives: usize) {
        let blocks = rows.div_ceil(LANES);
        self.objectives = objectives;
        self.ranks.clear();
        self.ranks.resize(blocks * objectives, [i32::MAX; LANES]);
        self.following.clear();
        self.following.resize(blocks, [0; LANES]);
    }

    /// Puts a row at `place`.
    #[inline(always)]
    pub fn set(&mut self, place: usize, row: &[i32], layer: u32) {
        let (block, lane) = (place / LANES, place % LANES);
        let ranks = &mut self.ranks[block * self.objectives..][..self.objectives];
        for (lanes, &rank) in ranks.iter_mut().zip(row) {
            lanes[lane] = rank;
        }
        self.following[block][lane] = layer as i32 + 1;
    }

    /// The least layer that `row` can have: one past the deepest row before `end` that is at
    /// least as good everywhere. Rows of the last block past `end` must not be set yet.
    #[inline(always)]
    pub fn least_layer(&self, end: usize, row: &[i32]) -> u32 {
        let blocks = end.div_ceil(LANES);
        match self.objectives {
            1 => self.deepest::<1>(blocks, row),
            2 => self.deepest::<2>(blocks, row),
            3 => self.deepest::<3>(blocks, row),
            4 => self.deepest::<4>(blocks, row),
            5 => self.deepest::<5>(blocks, row),
            6 => self.deepest::<6>(blocks, row),
            7 => self.deepest::<7>(blocks, row),
            _ => self.deepest_of_many(blocks, row),
        }
    }

    #[inline(always)]
    fn deepest<const K: usize>(&self, blocks: usize, row: &[i32]) -> u32 {
        let Some(row) = row.first_chunk::<K>() else { return 0 };
        let mut best = [0; LANES];
        let (ranks, _) = self.ranks[..blocks * K].as_chunks::<K>();
        for (ranks, following) in ranks.iter().zip(&self.following[..blocks]) {
            for lane in 0..LANES {
                let mut no_worse = true;
                for k in 0..K {
                    no_worse &= ranks[k][lane] <= row[k];
                }
                best[lane] = best[lane].max(if no_worse { following[lane] } else { 0 });
            }
        }
        best.into_iter().fold(0, i32::max) as u32
    }

    #[inline(always)]
    fn deepest_of_many(&self, blocks: usize, row: &[i32]) -> u32 {
        let mut best = [0; LANES];
        let ranks = self.ranks.chunks_exact(self.objectives.max(1));
        for (ranks, following) in ranks.zip(&self.following[..blocks]) {
            let mut reached = *following;
            for (lanes, &limit) in ranks.iter().zip(row) {
                for lane in 0..LANES {
                    reached[lane] = if lanes[lane] <= limit { reached[lane] } else { 0 };
                }
            }
            for lane in 0..LANES {
                best[lane] = best[lane].max(reached[lane]);
            }
        }
        best.into_iter().fold(0, i32::max) as u32
    }
}
