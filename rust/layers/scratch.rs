//! Sets of rows in divide and conquer: their buffers, which are reused, and how they are cut in two
//! and merged.

use super::direct::Rows;
use super::sweep::Sweep;

/// Buffers for more rows are not kept.
const MAX_SPARE_ROWS: usize = 1 << 16;

/// Buffers reused from one call to the next.
#[derive(Default)]
pub(super) struct Scratch {
    pub rows: Rows,
    pub sweep: Sweep,
    /// Buffers that are done with, kept for their memory.
    spare: Vec<Vec<u32>>,
}

impl Scratch {
    /// Keeps a buffer for its memory, unless it is so large that a new one costs little compared to
    /// the work on it.
    pub fn recycle(&mut self, buffer: Vec<u32>) {
        if buffer.capacity() <= MAX_SPARE_ROWS {
            self.spare.push(buffer);
        }
    }

    /// A buffer for `rows` rows: the smallest spare one that has room, else the largest.
    pub fn buffer(&mut self, rows: usize) -> Vec<u32> {
        let tightest = |place: &usize| {
            let room = self.spare[*place].capacity();
            (room < rows, if room < rows { usize::MAX - room } else { room })
        };
        let place = (0..self.spare.len()).min_by_key(tightest);
        let mut buffer = place.map(|place| self.spare.swap_remove(place)).unwrap_or_default();
        buffer.clear();
        buffer.resize(rows, 0);
        buffer
    }

    /// The rows of rank below `cut` and the others, each in order.
    pub fn split(&mut self, set: &[u32], column: &[u32], cut: u32) -> Split {
        let mut rows = self.buffer(set.len());
        // The better fill it from the front, the others from the back and so in reverse; there is
        // no branch that depends on the data.
        let (mut front, mut back) = (0, set.len());
        for &row in set {
            let better = usize::from(column[row as usize] < cut);
            back -= 1 - better;
            rows[if better == 1 { front } else { back }] = row;
            front += better;
        }
        rows[front..].reverse();
        Split { rows, better: front }
    }

    /// Moves the rows of rank below `cut` to the front, each side in order, and counts them.
    pub fn partition(&mut self, set: &mut [u32], column: &[u32], cut: u32) -> usize {
        let mut others = self.buffer(set.len());
        let mut better = 0;
        // Written to both, advanced in one: no branch that depends on the data.
        for at in 0..set.len() {
            let row = set[at];
            set[better] = row;
            others[at - better] = row;
            better += usize::from(column[row as usize] < cut);
        }
        let worse = set.len() - better;
        set[better..].copy_from_slice(&others[..worse]);
        self.recycle(others);
        better
    }
}

/// A set in two halves, one after the other in one buffer.
pub(super) struct Split {
    pub rows: Vec<u32>,
    pub better: usize,
}

impl Split {
    pub fn halves(&self) -> [&[u32]; 2] {
        let (better, worse) = self.rows.split_at(self.better);
        [better, worse]
    }
}

/// Two sets in order as one in order, and the places of each in it.
pub(super) fn merge(a: &[u32], b: &[u32]) -> [Vec<u32>; 3] {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let mut places = [Vec::with_capacity(a.len()), Vec::with_capacity(b.len())];
    let mut rest = [a, b];
    while let [Some(&x), Some(&y)] = rest.map(<[u32]>::first) {
        let from = usize::from(y < x);
        places[from].push(merged.len() as u32);
        merged.push(x.min(y));
        rest[from] = &rest[from][1..];
    }
    for (places, rest) in places.iter_mut().zip(rest) {
        places.extend((merged.len() as u32..).take(rest.len()));
        merged.extend_from_slice(rest);
    }
    let [a, b] = places;
    [merged, a, b]
}
