//! The front alone, the layer that is asked for most: it takes no layers to be counted.
//!
//! Pivots drop what they dominate, again and again while that is much. Of what is left, few rows
//! are sorted and each is held against the front so far; many are numbered as for any other stop.

use pulp::{Arch, NullaryFnOnce};

use super::pivots;
use super::stop::PAST_STOP;
use crate::points::{Column, Points};
use crate::sort::descending_key;
use crate::threads;

/// Up to so many rows are compared with the whole front: all of them may be in it.
const MAX_COMPARED_ROWS: usize = 1024;

/// Up to so many are, if they have few objectives and as long as the front stays small. Else
/// numbering is as fast, and what was compared until then costs a tenth of that.
const MAX_TRIED_ROWS: usize = 1 << 14;
const MAX_TRIED_FRONT: usize = 512;
const MAX_TRIED_OBJECTIVES: usize = 5;

/// Rows of the front that are compared at once.
const LANE_ROWS: usize = 8;

/// 0 for the rows of the front and -1 for the others; `number` tells that of rows of which no few
/// dominate many.
pub(super) fn number_front(
    points: &Points<'_>,
    number: impl FnOnce(&Points<'_>) -> Vec<i32>,
) -> Vec<i32> {
    let rows = points.rows();
    let compared = |max_front| Arch::new().dispatch(Compared { points, max_front });
    if rows <= MAX_COMPARED_ROWS
        && let Some(numbers) = compared(rows)
    {
        return numbers;
    }
    let open = pivots::undominated(points).filter(|open| open.len() <= rows / 4 * 3);
    let Some(open) = open else {
        let tried = rows <= MAX_TRIED_ROWS && points.objectives() <= MAX_TRIED_OBJECTIVES;
        let numbers = if tried { compared(MAX_TRIED_FRONT) } else { None };
        return numbers.unwrap_or_else(|| number(points));
    };
    let gather = |column: &Column<'_>| column.gather(open.iter().map(|&row| row as usize), |x| x);
    let columns = threads::map(open.len(), points.objectives(), |j| gather(&points.columns()[j]));
    let mut numbers = vec![PAST_STOP; rows];
    for (&row, number) in open.iter().zip(number_front(&points.part(&columns), number)) {
        numbers[row as usize] = number;
    }
    numbers
}

/// Rows that are each compared with the front of those before it in lexicographic order.
struct Compared<'a, 'b> {
    points: &'a Points<'b>,
    /// There is no result if the front is larger.
    max_front: usize,
}

impl NullaryFnOnce for Compared<'_, '_> {
    type Output = Option<Vec<i32>>;

    #[inline(always)]
    fn call(self) -> Option<Vec<i32>> {
        match self.points.objectives() {
            2 => self.number::<2>(),
            3 => self.number::<3>(),
            4 => self.number::<4>(),
            5 => self.number::<5>(),
            _ => self.number::<0>(),
        }
    }
}

impl Compared<'_, '_> {
    /// In `M` objectives, or in any number if `M` is 0.
    #[inline(always)]
    fn number<const M: usize>(self) -> Option<Vec<i32>> {
        let (first, others) = self.points.columns().split_first()?;
        let rest = if M == 0 { others.len() } else { M - 1 };
        let key = |j: usize, row: u32| descending_key(others[j].get(row as usize));
        let mut order: Vec<(u64, u32)> = (0..self.points.rows())
            .map(|row| (descending_key(first.get(row)), row as u32))
            .collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| (0..rest).map(|j| key(j, a.1)).cmp((0..rest).map(|j| key(j, b.1))))
        });
        let mut numbers = vec![PAST_STOP; order.len()];
        // The front so far but for the first objective, which in this order decides nothing. A
        // lane without a row holds NaN: it is no better than anything.
        let mut front: Vec<Vec<[f64; LANE_ROWS]>> = vec![Vec::new(); rest];
        let mut size = 0usize;
        let (mut row, mut first, mut number) = (vec![0.0; rest], None, PAST_STOP);
        for &(key, place) in &order {
            let mut same = first.replace(key) == Some(key);
            for (value, column) in row.iter_mut().zip(others) {
                let before = std::mem::replace(value, column.get(place as usize));
                same &= before == *value;
            }
            // Equal rows are neighbours and share their number.
            if !same {
                let dominated = is_dominated::<M>(&front, size, &row);
                number = if dominated { PAST_STOP } else { 0 };
                if !dominated {
                    if size == self.max_front {
                        return None;
                    }
                    for (lanes, &value) in front.iter_mut().zip(&row) {
                        if size.is_multiple_of(LANE_ROWS) {
                            lanes.push([f64::NAN; LANE_ROWS]);
                        }
                        lanes[size / LANE_ROWS][size % LANE_ROWS] = value;
                    }
                    size += 1;
                }
            }
            numbers[place as usize] = number;
        }
        Some(numbers)
    }
}

/// Whether one of `size` rows is no worse than `row` in all of its objectives.
#[inline(always)]
fn is_dominated<const M: usize>(front: &[Vec<[f64; LANE_ROWS]>], size: usize, row: &[f64]) -> bool {
    let rest = if M == 0 { row.len() } else { M - 1 };
    let (front, row) = (&front[..rest], &row[..rest]);
    (0..size.div_ceil(LANE_ROWS)).any(|group| {
        let mut no_worse = [u64::MAX; LANE_ROWS];
        for j in 0..rest {
            for lane in 0..LANE_ROWS {
                no_worse[lane] &= if front[j][group][lane] >= row[j] { u64::MAX } else { 0 };
            }
        }
        no_worse.into_iter().fold(0, |a, b| a | b) != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn the_front_is_what_no_row_dominates() {
        let mut random = Random(31);
        for m in 1..8 {
            for (rows, levels) in [(0, 1), (1, 1), (60, 2), (700, 5), (1024, 1 << 20), (3000, 40)] {
                let columns = random.columns(rows, m, levels);
                let points = Points::new(columns.iter().map(|c| Column::F64(c)).collect()).unwrap();
                let no_worse = |a: usize, b: usize| columns.iter().all(|c| c[a] >= c[b]);
                let by_definition = |part: &Points<'_>| -> Vec<i32> {
                    let rows = 0..part.rows();
                    let at = |row: usize| part.columns().iter().map(move |c| c.get(row));
                    let dominates = |a: usize, b: usize| {
                        at(a).zip(at(b)).all(|(a, b)| a >= b) && at(a).ne(at(b))
                    };
                    let number =
                        |b| if rows.clone().any(|a| dominates(a, b)) { PAST_STOP } else { 0 };
                    rows.clone().map(number).collect()
                };
                let expected: Vec<i32> = (0..rows)
                    .map(|b| {
                        let dominated = (0..rows).any(|a| no_worse(a, b) && !no_worse(b, a));
                        if dominated { PAST_STOP } else { 0 }
                    })
                    .collect();
                assert_eq!(number_front(&points, by_definition), expected);
            }
        }
    }
}
