//! Three objectives: a staircase per front, the fronts shared among threads.
//!
//! Rows come best first in the first objective and go to the first front that does not dominate
//! them (see `fronts`), which depends on no later row. So ranges of fronts work as stages of a
//! pipeline: while one stage places a block of rows, the next places those of the block before
//! that all fronts of the first dominate. Which range a front is in changes no result; from time
//! to time the ranges are chosen anew, so that all stages have about as much to do.

use std::sync::atomic::{AtomicU32, Ordering};

use super::fronts::{Fronts, Grid};
use crate::threads;

/// Rows per block: long enough to be worth a handover.
const BLOCK_ROWS: usize = 1 << 12;

/// At most this many blocks from one choice of ranges to the next.
const MAX_BLOCKS: usize = 16;

/// With fewer rows the handovers cost more than they bring.
const MIN_STAGED_ROWS: usize = 1 << 16;

/// Each stage should have so many rows to see, or it is not worth its tables.
const MIN_STAGE_ROWS: usize = 4 * BLOCK_ROWS;

/// More stages bring little: each row is seen by all stages up to its own, so that however many
/// there are, they are not [`PLACING_COST`] times as fast as one; eight come to nine tenths of that.
const MAX_STAGES: usize = 8;

/// What it takes to place a row, in units of what it takes to hand it on.
const PLACING_COST: f64 = 4.0;

/// The front of each row, given the other objectives of distinct rows in lexicographic order.
///
/// Numbers at or past `cap` only say "past the stop".
pub(super) fn number(second: &[u32], third: &[u32], cap: u32) -> Vec<u32> {
    let rows = second.len();
    let grid = Grid::over(second, third);
    let step = |row: u32| (second[row as usize], third[row as usize]);
    if rows < MIN_STAGED_ROWS || !threads::worthwhile(rows) {
        let mut fronts = Fronts::new(cap, grid);
        let mut numbers = Vec::with_capacity(rows);
        for start in (0..rows).step_by(BLOCK_ROWS) {
            threads::check();
            let block = start as u32..rows.min(start + BLOCK_ROWS) as u32;
            numbers.extend(block.map(|row| fronts.place(step(row))));
        }
        return numbers;
    }
    let numbers: Vec<AtomicU32> = (0..rows).map(|_| AtomicU32::new(0)).collect();
    // Places rows and returns those to hand on.
    let place = |fronts: &mut Fronts, rows: &[u32]| -> Vec<u32> {
        let mut passed = Vec::new();
        for &row in rows {
            let layer = fronts.place(step(row));
            if layer < fronts.end || fronts.end == cap {
                numbers[row as usize].store(layer, Ordering::Relaxed);
            } else {
                passed.push(row);
            }
        }
        passed
    };
    let count = threads::count().min(MAX_STAGES).min(rows / MIN_STAGE_ROWS);
    let mut stages: Vec<Fronts> = (0..count).map(|_| Fronts::new(cap, grid)).collect();
    share(&mut stages, Vec::new(), cap, 0);
    let (mut start, mut blocks) = (0, 1);
    while start < rows {
        let end = rows.min(start + blocks * BLOCK_ROWS);
        let mut waiting = vec![Vec::new(); count];
        // As many steps as there are blocks, and some until the last block is through.
        for block in 0..blocks + count - 1 {
            let first = start + block * BLOCK_ROWS;
            waiting[0] = (first.min(end) as u32..end.min(first + BLOCK_ROWS) as u32).collect();
            let tasks = stages.iter_mut().zip(&waiting).collect();
            waiting = threads::share_out(tasks, |(fronts, rows): (&mut Fronts, &Vec<u32>)| {
                if rows.is_empty() { Vec::new() } else { place(fronts, rows) }
            });
            waiting.rotate_right(1);
        }
        let sample = numbers[start..end].iter().step_by(blocks).map(|n| n.load(Ordering::Relaxed));
        share(&mut stages, sample.collect(), cap, (end - start) as u32);
        (start, blocks) = (end, MAX_BLOCKS.min(blocks * 2));
    }
    numbers.into_iter().map(AtomicU32::into_inner).collect()
}

/// Chooses ranges of fronts anew, given the layers of rows that were placed of late.
///
/// Only the fronts between an old border and the new one change hands, and no border moves past
/// more fronts than `most`: with as many rows placed since the last choice, all choices together
/// take time in proportion to the rows, however many fronts there are and wherever rows go.
fn share(stages: &mut [Fronts], mut layers: Vec<u32>, cap: u32, most: u32) {
    layers.sort_unstable();
    let count = stages.len();
    let fronts = stages.last().map_or(0, |last| last.first + last.fronts.len() as u32);
    let border = |(k, stage): (usize, &Fronts)| {
        let (near, far) = (stage.first.saturating_sub(most), stage.first.saturating_add(most));
        (first_layer(&layers, k, count) as u32).clamp(near, far).min(fronts)
    };
    let hints = Fronts::hints_of(stages);
    let mut borders: Vec<u32> = stages.iter().enumerate().map(border).collect();
    if let Some(first) = borders.first_mut() {
        *first = 0;
    }
    // To later stages from the first stage on, to earlier ones from the last: a front that passes
    // several borders is handed from stage to stage.
    for k in 1..count {
        while stages[k].first > borders[k]
            && let Some(front) = stages[k - 1].fronts.pop_back()
        {
            stages[k].fronts.push_front(front);
            stages[k].first -= 1;
        }
    }
    for k in (1..count).rev() {
        while stages[k].first < borders[k]
            && let Some(front) = stages[k].fronts.pop_front()
        {
            stages[k - 1].fronts.push_back(front);
            stages[k].first += 1;
        }
    }
    for (k, stage) in stages.iter_mut().enumerate() {
        stage.first = borders[k];
        stage.end = borders.get(k + 1).copied().unwrap_or(cap);
        stage.hints.clone_from(&hints);
    }
}

/// The layer that stage `k` > 0 of `count` should begin with.
///
/// Stage k and those after it should place the part r(k) = (1 - q^(count - k)) / (1 - q^count) of
/// all rows, with q = 1 - 1 / c and c = [`PLACING_COST`]. Then each stage has the same work, the
/// rows it places and those it hands on: c (r(k) - r(k + 1)) + r(k + 1) does not depend on k. So
/// stage k begins with the layer of the row at 1 - r(k) of the sorted sample.
fn first_layer(sorted: &[u32], k: usize, count: usize) -> usize {
    let later = |k: usize| 1.0 - (1.0 - 1.0 / PLACING_COST).powi((count - k) as i32);
    let place = ((1.0 - later(k) / later(0)) * sorted.len() as f64) as usize;
    let Some(&layer) = sorted.get(place) else { return 0 };
    let before = sorted.partition_point(|&other| other < layer);
    let after = sorted.partition_point(|&other| other <= layer);
    layer as usize + usize::from(place - before > after - place)
}

#[cfg(test)]
mod tests {
    use super::super::staircase::Step;
    use super::*;
    use crate::testing::Random;
    use crate::with_threads;

    #[test]
    fn stages_place_rows_as_one_would() {
        let rows = 3 * MIN_STAGED_ROWS;
        let mut random = Random(5);
        let mut next = |below: u64| random.below(below) as u32;
        let cloud: Vec<Step> = (0..rows).map(|_| (next(1 << 20), next(1 << 20))).collect();
        let front: Vec<Step> = (0..rows as u32).map(|row| (row, u32::MAX / 2 - row)).collect();
        let chain: Vec<Step> = (0..rows as u32).map(|row| (row, row)).collect();
        let late: Vec<Step> = (0..rows as u32)
            .map(|row| if row < 1 << 17 { (row, row) } else { (row, next(1 << 17)) })
            .collect();
        // Fronts come with nearly every row; and rows that go to the first fronts and to the last
        // ones by turns, in stretches as long as those between two choices of ranges.
        let noisy: Vec<Step> = (0..rows as u32).map(|row| (row + next(4), row + next(4))).collect();
        let turns: Vec<Step> = (0..rows as u32)
            .map(|row| {
                let first = row >= rows as u32 / 3
                    && (row / (BLOCK_ROWS * MAX_BLOCKS) as u32).is_multiple_of(2);
                if first {
                    (rows as u32 - row, row)
                } else {
                    (row + rows as u32, row + rows as u32)
                }
            })
            .collect();
        for steps in [cloud, front, chain, late, noisy, turns] {
            let (second, third): (Vec<u32>, Vec<u32>) = steps.into_iter().unzip();
            for cap in [rows as u32, 70, 1] {
                let run = |threads| {
                    let number = || number(&second, &third, cap);
                    let fronts = with_threads(Some(threads), number).unwrap();
                    fronts.into_iter().map(|layer| layer.min(cap)).collect::<Vec<u32>>()
                };
                let expected = run(1);
                for threads in [2, 5, 40] {
                    assert_eq!(run(threads), expected);
                }
            }
        }
    }
}
