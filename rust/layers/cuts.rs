//! Where divide and conquer splits its sets: near the median of a sample, or at the median.
//!
//! A sample alone is not to be relied on: rows can lie such that each split takes off the sampled
//! ones and no others, and then time is quadratic and the recursion as deep as there are rows. So
//! a lopsided split is made anew at the median of all rows, as introselect does (Musser 1997).

/// Rows that tell where to split.
const SAMPLED_ROWS: usize = 63;

/// A split is lopsided if one side holds less than this part of the rows.
const MIN_SIDE_PART: usize = 8;

/// Whether one side of a split is so small that the sample was a bad guide, or equal ranks many.
pub(super) fn is_lopsided(better: usize, rows: usize) -> bool {
    better.min(rows - better) * MIN_SIDE_PART < rows
}

/// The rank at which to split two sets that halves a sample of them best: rows below it go to
/// one side, the others to the other.
pub(super) fn sampled_cut(ranks: &[u32], sets: [&[u32]; 2]) -> u32 {
    let total = sets[0].len() + sets[1].len();
    let size = SAMPLED_ROWS.min(total);
    let mut sample = [0; SAMPLED_ROWS];
    for (t, slot) in sample[..size].iter_mut().enumerate() {
        let at = (2 * t + 1) * total / (2 * size);
        let row = sets[0].get(at).or_else(|| sets[1].get(at - sets[0].len()));
        *slot = row.map_or(0, |&row| ranks[row as usize]);
    }
    let sample = &mut sample[..size];
    sample.sort_unstable();
    let Some(&median) = sample.get(size / 2) else { return 0 };
    let below = sample.partition_point(|&rank| rank < median);
    let upto = sample.partition_point(|&rank| rank <= median);
    if size - below <= upto { median } else { median + 1 }
}

/// The rank at which to split two sets that halves all their rows best; `None` if all have one
/// rank.
///
/// Either both sides then hold a quarter of the rows, or the rows of the median's rank, which are
/// many, are split off from one side of the others; a second such split leaves them alone.
pub(super) fn middle_cut(ranks: &[u32], sets: [&[u32]; 2]) -> Option<u32> {
    let mut values: Vec<u32> = sets.into_iter().flatten().map(|&row| ranks[row as usize]).collect();
    let total = values.len();
    let middle = total / 2;
    if middle == total {
        return None;
    }
    let (_, &mut median, _) = values.select_nth_unstable(middle);
    let below = values.iter().filter(|&&rank| rank < median).count();
    let upto = values.iter().filter(|&&rank| rank <= median).count();
    match (below.min(total - below), upto.min(total - upto)) {
        (0, 0) => None,
        (before, after) => Some(if before >= after { median } else { median + 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn a_middle_cut_halves_as_well_as_any_rank_can() {
        let mut random = Random(11);
        for levels in [1, 2, 3, 10, 1000] {
            for rows in [1, 2, 5, 64, 400] {
                let ranks: Vec<u32> = (0..rows)
                    .map(|_| random.below(levels).min(random.below(levels)) as u32)
                    .collect();
                let all: Vec<u32> = (0..rows as u32).collect();
                let sides = |cut: u32| {
                    let below = ranks.iter().filter(|&&rank| rank < cut).count();
                    below.min(rows - below)
                };
                let best = (0..=levels as u32).map(sides).max().unwrap();
                for at in [0, rows / 3, rows] {
                    let (low, high) = all.split_at(at);
                    let cut = middle_cut(&ranks, [low, high]);
                    assert_eq!(cut.map_or(0, sides), best);
                    let sampled = sampled_cut(&ranks, [low, high]);
                    assert!(rows > SAMPLED_ROWS || sides(sampled) == best);
                }
            }
        }
    }

    #[test]
    fn no_row_gives_no_cut() {
        assert_eq!(middle_cut(&[], [&[], &[]]), None);
        assert_eq!(sampled_cut(&[], [&[], &[]]), 0);
    }
}
