//! The hypervolume of each group of rows, in one call for all groups.
//!
//! Small groups are measured one after another in buffers that they share; larger ones go to the
//! kernels for ungrouped rows. Both add the same terms in the same order, so the volume of a group
//! is that of its rows alone to the last bit.

use pulp::Arch;

use super::above::{Prefilter, check};
use super::exact::volume;
use super::many::SmallSets;
use super::range::{Scaled, certain};
use super::staircase::Staircase;
use super::sweep::{self, MAX_SWEPT_OBJECTIVES};
use crate::error::Error;
use crate::groups::segments::{Segments, runs};
use crate::points::Points;
use crate::threads;

/// Groups up to this many rows are measured in shared buffers if they are swept: no sweep of so
/// few rows is cut into parts.
const SWEPT_ROWS: usize = sweep::STRETCH_POINTS;

/// The same for groups that are not swept, whose time grows faster: threads may share larger ones.
const MANY_ROWS: usize = 32;

/// Whole groups are worked on together up to about this many rows.
const RUN_ROWS: usize = 1 << 12;

/// The same where a row takes much longer.
const MANY_RUN_ROWS: usize = 1 << 8;

/// The volume that the points of each group dominate above `reference`, group by group.
///
/// `ids[i]` is the group of row i, a number below `groups`; rows of a group need not be adjacent.
/// Each value is what [`hypervolume`](crate::hypervolume()) gives for the rows of the group alone,
/// in the same order; a group without rows has none, 0.
///
/// # Errors
/// A value is infinite, the reference is not finite or not one value per objective, `ids` has
/// another length than there are rows, or an id is not below `groups`.
///
/// ```
/// use paretohqd::{Column, Points, hypervolume_in_groups};
///
/// let (x, y) = ([3.0, 2.0, 1.0], [1.0, 2.0, 2.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let volumes = hypervolume_in_groups(&points, &[2, 0, 2], 3, &[0.0, 0.0])?;
/// assert_eq!(volumes, [4.0, 0.0, 4.0]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn hypervolume_in_groups(
    points: &Points<'_>,
    ids: &[u32],
    groups: usize,
    reference: &[f64],
) -> Result<Vec<f64>, Error> {
    let segments = Segments::new(ids, groups, points.rows())?;
    check(points, reference)?;
    let swept = points.objectives() <= MAX_SWEPT_OBJECTIVES;
    let (mut tasks, mut start) = (Vec::new(), 0);
    for ends in runs(segments.ends(), if swept { RUN_ROWS } else { MANY_RUN_ROWS }) {
        tasks.push(Run { points, segments: &segments, reference, start, ends });
        start = ends[ends.len() - 1] as usize;
    }
    let weight = if swept { 1 } else { RUN_ROWS / MANY_RUN_ROWS };
    let measured = threads::each(points.rows() * weight, tasks, Run::measure);
    let starts = std::iter::once(0).chain(segments.ends().iter().map(|&end| end as usize));
    let mut volumes = vec![0.0; groups];
    for (start, volume) in starts.zip(measured.into_iter().flatten()) {
        volumes[ids[segments.row(start)] as usize] = volume;
    }
    Ok(volumes)
}

/// Groups that are measured together.
struct Run<'a> {
    points: &'a Points<'a>,
    segments: &'a Segments,
    reference: &'a [f64],
    /// Where the groups start and each ends.
    start: usize,
    ends: &'a [u32],
}

impl Run<'_> {
    /// The volume of each group.
    fn measure(self) -> Vec<f64> {
        let Self { points, segments, reference, start: first, ends } = self;
        let rows = ends[ends.len() - 1] as usize - first;
        let columns = segments.columns(points, first, rows, 0);
        let mut small = SmallGroup::new(reference.len());
        let most = if reference.len() <= MAX_SWEPT_OBJECTIVES { SWEPT_ROWS } else { MANY_ROWS };
        let mut start = 0;
        let measure = |&end: &u32| {
            let group = start..end as usize - first;
            start = group.end;
            if group.len() <= most {
                small.read(&columns, group.clone(), reference);
                if let Some(volume) = small.volume() {
                    return volume;
                }
            }
            if group.len() == rows {
                return volume(&points.part(&columns), reference);
            }
            let part: Vec<Vec<f64>> = columns.iter().map(|c| c[group.clone()].to_vec()).collect();
            volume(&points.part(&part), reference)
        };
        ends.iter().map(measure).collect()
    }
}

/// The points of one group after another.
struct SmallGroup {
    /// The points above the reference, relative to it, by objective.
    columns: Vec<Vec<f64>>,
    plane: Vec<[f64; 2]>,
    space: Vec<[f64; 3]>,
    outline: Staircase<()>,
    many: SmallSets,
    arch: Arch,
}

impl SmallGroup {
    fn new(m: usize) -> Self {
        Self {
            columns: vec![Vec::new(); m],
            plane: Vec::new(),
            space: Vec::new(),
            outline: Staircase::default(),
            many: SmallSets::new(m),
            arch: Arch::new(),
        }
    }

    /// Takes the rows that are above the reference, less many that another one covers.
    fn read(&mut self, columns: &[Vec<f64>], rows: std::ops::Range<usize>, reference: &[f64]) {
        self.columns.iter_mut().for_each(Vec::clear);
        for row in rows {
            if columns.iter().zip(reference).all(|(column, origin)| column[row] - origin > 0.0) {
                let place = columns.iter().zip(reference).zip(&mut self.columns);
                place.for_each(|((column, origin), above)| above.push(column[row] - origin));
            }
        }
        self.arch.dispatch(Prefilter(&mut self.columns));
    }

    /// The volume of the points that were read, unless some of it may be out of the range of
    /// doubles.
    fn volume(&mut self) -> Option<f64> {
        if self.columns[0].is_empty() {
            return Some(0.0);
        }
        let largest = |column: &[f64]| column.iter().copied().fold(0.0, f64::max);
        match &mut self.columns[..] {
            [x] => Some(largest(x)),
            [x, y] => {
                self.plane.clear();
                self.plane.extend(x.iter().zip(y).map(|(x, y)| [*x, *y]));
                let area = sweep::small_area(&mut self.plane);
                certain(area, 1.0).then_some(area)
            }
            [x, y, z] => {
                let deepest = largest(x);
                self.space.clear();
                self.space.extend(x.iter().zip(y).zip(z).map(|((x, y), z)| [*x, *y, *z]));
                let volume = sweep::small_volume(&mut self.space, &mut self.outline);
                certain(volume, deepest).then_some(volume)
            }
            columns => {
                let exponent = Scaled::scale(columns)?;
                Scaled::unscaled(self.many.volume(columns), exponent)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use crate::{Column, hypervolume, with_threads};

    fn points(columns: &[Vec<f64>]) -> Points<'_> {
        Points::new(columns.iter().map(|column| Column::F64(column)).collect()).unwrap()
    }

    /// Compares with each group alone, on any number of threads; groups are `sizes` rows.
    fn check_groups(columns: &[Vec<f64>], sizes: &[usize], reference: &[f64]) {
        let rows: usize = sizes.iter().sum();
        let in_order: Vec<u32> =
            (0..).zip(sizes).flat_map(|(id, &size)| std::iter::repeat_n(id, size)).collect();
        // Rows of a group need not be adjacent: a step prime to the number of rows mixes them.
        let step = (0..).map(|i| 7919 + i).find(|step| gcd(*step, rows.max(1)) == 1).unwrap();
        let mixed: Vec<u32> = (0..rows).map(|row| in_order[row * step % rows]).collect();
        for ids in [in_order, mixed] {
            let run = |threads| {
                let run = || {
                    hypervolume_in_groups(&points(columns), &ids, sizes.len(), reference).unwrap()
                };
                with_threads(Some(threads), run).unwrap()
            };
            let volumes = run(1);
            assert_eq!(volumes.len(), sizes.len());
            let bits = |volumes: &[f64]| volumes.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&run(3)), bits(&volumes));
            for (id, volume) in (0..).zip(volumes) {
                let members: Vec<usize> = (0..rows).filter(|&row| ids[row] == id).collect();
                let part: Vec<Vec<f64>> =
                    columns.iter().map(|c| members.iter().map(|&row| c[row]).collect()).collect();
                let alone = hypervolume(&points(&part), reference).unwrap();
                assert_eq!(volume.to_bits(), alone.to_bits(), "{volume} is not {alone}");
            }
        }
    }

    fn gcd(a: usize, b: usize) -> usize {
        if b == 0 { a } else { gcd(b, a % b) }
    }

    #[test]
    fn each_group_is_measured_as_if_alone() {
        let mut random = Random(11);
        for m in 1..=7 {
            let most = if m <= 4 { 40 } else { 12 };
            // Ties and copies, points below the reference, and values that sums must round.
            for levels in [3, 1000, 1 << 30] {
                let mut sizes: Vec<usize> = (0..60).map(|_| random.below(most) as usize).collect();
                if m <= MAX_SWEPT_OBJECTIVES {
                    // Both sides of every change of the algorithm.
                    sizes.extend([SWEPT_ROWS, SWEPT_ROWS + 1, RUN_ROWS + 1, 0, 1]);
                } else {
                    sizes.extend([MANY_ROWS, MANY_ROWS + 1, 0, 1]);
                    if m == 4 {
                        sizes.extend([MANY_RUN_ROWS + 1, 2 * MANY_RUN_ROWS, 0, 1]);
                    }
                }
                let rows = sizes.iter().sum();
                let mut columns = random.columns(rows, m, levels);
                for value in columns.iter_mut().flatten() {
                    *value /= levels as f64 * 1.1;
                }
                for origin in [-0.01, 0.1] {
                    check_groups(&columns, &sizes, &vec![origin; m]);
                }
            }
        }
    }

    #[test]
    fn many_groups_are_shared_among_threads() {
        for (m, groups) in [(2, 8000), (3, 8000), (4, 400)] {
            let sizes: Vec<usize> = (0..groups).map(|id| 4 + id % 13).collect();
            let columns = Random(12).columns(sizes.iter().sum(), m, 1 << 20);
            let ids: Vec<u32> =
                (0..).zip(&sizes).flat_map(|(id, &size)| std::iter::repeat_n(id, size)).collect();
            let run = |threads| {
                let run = || hypervolume_in_groups(&points(&columns), &ids, groups, &vec![9.0; m]);
                with_threads(Some(threads), run).unwrap().unwrap()
            };
            let volumes = run(1);
            assert_eq!(run(3), volumes);
            for id in (0..groups).step_by(97) {
                let start: usize = sizes[..id].iter().sum();
                let rows = start..start + sizes[id];
                let part: Vec<_> = columns.iter().map(|c| c[rows.clone()].to_vec()).collect();
                assert_eq!(volumes[id], hypervolume(&points(&part), &vec![9.0; m]).unwrap());
            }
        }
    }

    #[test]
    fn no_rows_have_no_volume() {
        for m in 1..=5 {
            // Groups without rows, and one whose row is not above the reference.
            let (none, below) = (vec![vec![]; m], vec![vec![0.0]; m]);
            for (columns, ids) in [(none, &[][..]), (below, &[1][..])] {
                let volumes = hypervolume_in_groups(&points(&columns), ids, 2, &vec![1.0; m]);
                let bits: Vec<u64> = volumes.unwrap().into_iter().map(f64::to_bits).collect();
                assert_eq!(bits, [0, 0]);
                assert_eq!(hypervolume(&points(&columns), &vec![1.0; m]).unwrap().to_bits(), 0);
            }
        }
    }

    #[test]
    fn refusals_name_the_place() {
        let columns = [vec![1.0, f64::INFINITY]];
        let refused = |ids: &[u32], reference: &[f64]| {
            hypervolume_in_groups(&points(&columns), ids, 2, reference).unwrap_err().to_string()
        };
        assert!(refused(&[0], &[0.0]).contains("groups has 1 keys"));
        assert!(refused(&[0, 2], &[0.0]).contains("group id 2 at row 1"));
        assert!(refused(&[0, 1], &[0.0, 0.0]).contains("ref has length 2"));
        assert!(refused(&[0, 1], &[f64::NAN]).contains("ref is not finite"));
        assert!(refused(&[0, 1], &[0.0]).contains("column 0 holds 1 infinite"));
    }
}
