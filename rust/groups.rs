//! Pareto layers within each group of rows, in one call for all groups.

use rayon::prelude::*;

use crate::error::{Error, Kind};
use crate::layers::{self, Stop};
use crate::points::Points;
use crate::threads;

/// Groups up to this many rows are compared row by row.
const SMALL_GROUP: usize = 48;

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
    let rows = points.rows();
    if ids.len() != rows {
        return Err(Kind::WrongGroups { expected: rows, found: ids.len() }.into());
    }
    if let Some(row) = ids.iter().position(|&id| id as usize >= groups) {
        return Err(Kind::BadGroup { row, id: ids[row], groups }.into());
    }
    let (order, ends) = by_group(ids, groups);
    // Runs of whole groups of about equal size, so that tiny groups do not each cost a task.
    let runs = runs(&ends, if threads::worthwhile(rows) { 1 << 12 } else { usize::MAX });
    let number_run = |run: &std::ops::Range<usize>| {
        let mut layers = Vec::new();
        let mut small = Small::default();
        for group in run.clone() {
            let start = if group == 0 { 0 } else { ends[group - 1] };
            let members = &order[start..ends[group]];
            if members.len() <= SMALL_GROUP {
                small.number(points, members, stop, &mut layers);
            } else {
                layers.extend(number_large(points, members, stop));
            }
        }
        layers
    };
    let numbered: Vec<Vec<i32>> = if runs.len() > 1 {
        runs.par_iter().map(number_run).collect()
    } else {
        runs.iter().map(number_run).collect()
    };
    let mut layers = vec![layers::PAST_STOP; rows];
    for (&row, layer) in order.iter().zip(numbered.into_iter().flatten()) {
        layers[row as usize] = layer;
    }
    Ok(layers)
}

/// Rows group by group, in row order within each, and where each group ends.
fn by_group(ids: &[u32], groups: usize) -> (Vec<u32>, Vec<usize>) {
    let mut ends = vec![0usize; groups];
    for &id in ids {
        ends[id as usize] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        // For now the start of the group; filling it moves it to its end.
        (*end, sum) = (sum, sum + *end);
    }
    let mut order = vec![0u32; ids.len()];
    for (row, &id) in (0..).zip(ids) {
        let next = &mut ends[id as usize];
        order[*next] = row;
        *next += 1;
    }
    (order, ends)
}

/// Ranges of groups that hold about `size` rows each.
fn runs(ends: &[usize], size: usize) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let (mut first, mut start) = (0, 0);
    for (group, &end) in ends.iter().enumerate() {
        if end - start >= size || group + 1 == ends.len() {
            runs.push(first..group + 1);
            (first, start) = (group + 1, end);
        }
    }
    runs
}

fn number_large(points: &Points<'_>, members: &[u32], stop: Stop) -> Vec<i32> {
    let columns: Vec<Vec<f64>> = points
        .columns()
        .iter()
        .map(|column| members.iter().map(|&row| column.get(row as usize)).collect())
        .collect();
    layers::layers(&points.part(&columns), stop)
}

/// Buffers for groups small enough to compare row by row.
#[derive(Default)]
struct Small {
    rows: Vec<f64>,
    order: Vec<usize>,
    layers: Vec<i32>,
}

impl Small {
    /// Appends the layers of `members` to `out`.
    fn number(&mut self, points: &Points<'_>, members: &[u32], stop: Stop, out: &mut Vec<i32>) {
        let m = points.objectives();
        self.rows.clear();
        for &row in members {
            self.rows.extend(points.columns().iter().map(|column| column.get(row as usize)));
        }
        let row = |i: usize| &self.rows[i * m..(i + 1) * m];
        self.order.clear();
        self.order.extend(0..members.len());
        // Best first, so that only earlier rows dominate later ones.
        self.order.sort_unstable_by(|&a, &b| {
            row(b).partial_cmp(row(a)).unwrap_or(std::cmp::Ordering::Equal)
        });
        self.layers.clear();
        self.layers.resize(members.len(), 0);
        for (place, &i) in self.order.iter().enumerate() {
            let mut layer = 0;
            for &j in &self.order[..place] {
                if self.layers[j] >= layer && dominates(row(j), row(i)) {
                    layer = self.layers[j] + 1;
                }
            }
            self.layers[i] = layer;
        }
        layers::apply(stop, &mut self.layers);
        out.extend_from_slice(&self.layers);
    }
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(x, y)| x >= y) && a != b
}
