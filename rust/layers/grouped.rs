//! Pareto layers within each group of rows, in one call for all groups.
//!
//! Groups up to 256 rows compare all pairs lane by lane and keep the dominators of a row as bits of
//! words, from which layers are peeled: O(m s²) for s rows without a branch on a value. Larger
//! ones go to the kernels for ungrouped rows.

use pulp::{Arch, NullaryFnOnce};

use super::stop::{PAST_STOP, Stop};
use super::ungrouped::layers;
use crate::error::Error;
use crate::groups::segments::{Segments, runs};
use crate::points::Points;
use crate::threads;

/// The dominators of a row are bits of so many words that each has a row per bit.
const WORD_ROWS: usize = u64::BITS as usize;

/// Words of a large bitset: groups of up to as many rows as they have bits compare all pairs.
const MAX_WORDS: usize = 4;

const MAX_BITSET_ROWS: usize = MAX_WORDS * WORD_ROWS;

/// Rows that are compared at once.
const LANE_ROWS: usize = 8;

/// Whole groups are worked on together up to about this many rows, which stay in cache.
const RUN_ROWS: usize = 1 << 12;

/// The Pareto layer of every row within its group: 0 for the front of the group, -1 past the stop.
///
/// `ids[i]` is the group of row i, a number below `groups`; rows of a group need not be adjacent,
/// and a group may be empty. The stop acts in each group on its own.
///
/// # Errors
/// `ids` has another length than there are rows, an id is not below `groups`, or the stop asks for
/// zero layers or rows.
///
/// ```
/// use paretohqd::{Column, Points, Stop, pareto_layers_by_group};
///
/// let column = [3.0, 1.0, 2.0, 3.0];
/// let points = Points::new(vec![Column::F64(&column)])?;
/// assert_eq!(pareto_layers_by_group(&points, &[0, 1, 1, 0], 2, Stop::Never)?, [0, 1, 0, 0]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn pareto_layers_by_group(
    points: &Points<'_>,
    ids: &[u32],
    groups: usize,
    stop: Stop,
) -> Result<Vec<i32>, Error> {
    let stop = stop.check()?;
    let segments = Segments::new(ids, groups, points.rows())?;
    if segments.ends().len() == 1 {
        return Ok(layers(points, stop));
    }
    let mut numbers = vec![PAST_STOP; points.rows()];
    let (mut tasks, mut rest, mut start) = (Vec::new(), &mut numbers[..], 0);
    for ends in runs(segments.ends(), RUN_ROWS) {
        let end = ends[ends.len() - 1] as usize;
        let (numbers, after) = rest.split_at_mut(end - start);
        tasks.push(Run { points, segments: &segments, stop, start, ends, numbers });
        (rest, start) = (after, end);
    }
    let number = |run: Run<'_>| Arch::new().dispatch(run);
    threads::each(points.rows(), tasks, number);
    Ok(segments.by_row(numbers))
}

/// Groups that are numbered together.
struct Run<'a> {
    points: &'a Points<'a>,
    segments: &'a Segments,
    stop: Stop,
    /// Where the groups start and each ends.
    start: usize,
    ends: &'a [u32],
    /// What to fill in, from the start.
    numbers: &'a mut [i32],
}

impl NullaryFnOnce for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.points.objectives() {
            1 => self.number::<1>(),
            2 => self.number::<2>(),
            3 => self.number::<3>(),
            4 => self.number::<4>(),
            _ => self.number::<0>(),
        }
    }
}

impl Run<'_> {
    /// Numbers the rows; M is the number of objectives, or 0 for any.
    #[inline(always)]
    fn number<const M: usize>(self) {
        let rows = self.numbers.len();
        if self.ends.len() == 1 && rows > MAX_BITSET_ROWS {
            let columns = self.segments.columns(self.points, self.start, rows, 0);
            let layers_of_group = layers(&self.points.part(&columns), self.stop);
            self.numbers.copy_from_slice(&layers_of_group);
            return;
        }
        let columns = self.segments.columns(self.points, self.start, rows, LANE_ROWS);
        let mut start = 0;
        for &end in self.ends {
            let end = end as usize - self.start;
            let numbers = &mut self.numbers[start..end];
            if numbers.len() == 1 {
                numbers[0] = 0;
            } else if numbers.len() <= WORD_ROWS {
                number_by_bitset::<M, 1>(&columns, start, self.stop, numbers);
            } else if numbers.len() <= MAX_BITSET_ROWS {
                number_by_bitset::<M, MAX_WORDS>(&columns, start, self.stop, numbers);
            } else {
                let part: Vec<Vec<f64>> = columns.iter().map(|c| c[start..end].to_vec()).collect();
                numbers.copy_from_slice(&layers(&self.points.part(&part), self.stop));
            }
            start = end;
        }
    }
}

/// Numbers the few rows from `start` on; past them the columns go on for some lanes. `W` words
/// have a bit for each row.
#[inline(always)]
fn number_by_bitset<const M: usize, const W: usize>(
    columns: &[Vec<f64>],
    start: usize,
    stop: Stop,
    numbers: &mut [i32],
) {
    let m = if M == 0 { columns.len() } else { M };
    let columns = &columns[..m];
    let rows = numbers.len();
    // The dominators of each row, as bits; eight rows at a time, word by word.
    let mut dominators = [[[[0u64; LANE_ROWS]; W]; WORD_ROWS / LANE_ROWS]; W];
    let dominators = &mut dominators.as_flattened_mut()[..rows.div_ceil(LANE_ROWS)];
    for (step, dominators) in dominators.iter_mut().enumerate() {
        for (word, dominators) in dominators.iter_mut().enumerate() {
            let others = rows.min((word + 1) * WORD_ROWS).saturating_sub(word * WORD_ROWS);
            for bit in 0..others {
                let mut no_worse = [true; LANE_ROWS];
                let mut better = [false; LANE_ROWS];
                for column in columns {
                    let x = column[start + word * WORD_ROWS + bit];
                    let lanes = &column[start + step * LANE_ROWS..][..LANE_ROWS];
                    for lane in 0..LANE_ROWS {
                        no_worse[lane] &= x >= lanes[lane];
                        better[lane] |= x > lanes[lane];
                    }
                }
                for lane in 0..LANE_ROWS {
                    dominators[lane] |= u64::from(no_worse[lane] & better[lane]) << bit;
                }
            }
        }
    }
    let (most_layers, enough) = match stop {
        Stop::Never => (rows, rows),
        Stop::UpTo(layers) => (layers, rows),
        Stop::AtLeast(covered) => (rows, covered),
    };
    // What is left has layers yet to be peeled off; lanes past the rows never count as left.
    let mut left: [u64; W] = std::array::from_fn(|word| {
        let rows = rows.saturating_sub(word * WORD_ROWS).min(WORD_ROWS);
        u64::MAX.checked_shr((WORD_ROWS - rows) as u32).unwrap_or(0)
    });
    numbers.fill(PAST_STOP);
    let mut numbered = 0;
    for layer in 0..most_layers as i32 {
        let mut front = [0u64; W];
        for (step, dominators) in dominators.iter().enumerate() {
            let mut remain = [0; LANE_ROWS];
            for (dominators, left) in dominators.iter().zip(left) {
                for lane in 0..LANE_ROWS {
                    remain[lane] |= dominators[lane] & left;
                }
            }
            let bits =
                (0..LANE_ROWS).fold(0, |bits, lane| bits | u64::from(remain[lane] == 0) << lane);
            front[step * LANE_ROWS / WORD_ROWS] |= bits << (step * LANE_ROWS % WORD_ROWS);
        }
        for (word, (left, front)) in left.iter_mut().zip(front).enumerate() {
            let mut front = front & *left;
            *left &= !front;
            while front != 0 {
                numbers[word * WORD_ROWS + front.trailing_zeros() as usize] = layer;
                front &= front - 1;
                numbered += 1;
            }
        }
        if numbered >= enough {
            break;
        }
    }
}
