//! Sets of rows in divide and conquer: their buffers, which are reused, and how they are merged.

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
