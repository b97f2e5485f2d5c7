//! The least loss of each of many queries with a set of points.
//!
//! A few good points come first, the witnesses. A query that loses nothing with one of them is
//! answered; of the others they give a bound. Points that are worse than a witness in every
//! objective lose more than it and are screened out. The rest is looked through as it lies for some
//! hundred queries, or for more that end early, and sorted into a tree for others. In the worst
//! case, many objectives in which bounds tell nothing, all pairs are looked at: O(n r m).

use std::cmp::Reverse;

use pulp::{Arch, NullaryFnOnce};

use super::flat::Flat;
use super::loss::Loss;
use super::tree::{BLOCK_POINTS, Tree};
use crate::layers::{Stop, layers};
use crate::points::{Column, Points};
use crate::screen::unbeaten;
use crate::threads;

/// Fewer points are not worth a screen.
const MIN_SCREENED_ROWS: usize = 1 << 12;

/// Points in a sample at most, of which the best are witnesses.
const MAX_SAMPLE_ROWS: usize = 1 << 11;

/// How many witnesses screen.
const SCREENING: usize = 16;

/// Looks at all points that cost as much as a tree of them.
const MIN_TREE_QUERIES: usize = 512;

/// Queries that a thread answers at a time, one after another.
const TURN_QUERIES: usize = 64;

/// After so many queries a turn looks whether the call was stopped.
const CHECKED_QUERIES: usize = 8;

/// The points that matter, at least one.
pub(super) struct Set {
    columns: Vec<Vec<f64>>,
    witnesses: Tree,
    /// Whether there are no points but the witnesses.
    complete: bool,
}

impl Set {
    /// `None` if there is no point.
    pub fn new(points: &Points<'_>) -> Option<Self> {
        let (m, rows) = (points.objectives(), points.rows());
        let every = |column: &Column<'_>, step| column.gather((0..rows).step_by(step), |x| x);
        let all = |step| points.columns().iter().map(|column| every(column, step)).collect();
        if rows == 0 {
            return None;
        }
        if rows < MIN_SCREENED_ROWS {
            let step = rows.div_ceil(BLOCK_POINTS);
            let (columns, some): (_, Vec<Vec<f64>>) = (all(1), all(step));
            return Some(Self { columns, witnesses: Tree::new(&some, 0), complete: step == 1 });
        }
        let sample: Vec<Vec<f64>> = all(rows.div_ceil((4 * rows.isqrt()).min(MAX_SAMPLE_ROWS)));
        let best = best_of(points, &sample);
        let screening: Vec<f64> = best
            .iter()
            .take(SCREENING)
            .flat_map(|&row| sample.iter().map(move |column| column[row]))
            .collect();
        // No point of a front is beaten by another, so something is left.
        let left = unbeaten(points, &vec![true; m], &screening).ok()?.rows;
        let columns = threads::map(left.len(), m, |j| {
            points.columns()[j].gather(left.iter().map(|&row| row as usize), |x| x)
        });
        let witnesses: Vec<Vec<f64>> =
            sample.iter().map(|column| best.iter().map(|&row| column[row]).collect()).collect();
        Some(Self { columns, witnesses: Tree::new(&witnesses, 0), complete: false })
    }

    /// The values of all points that matter.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.columns.iter().flatten().copied()
    }

    /// The least loss of each query; queries one after another.
    pub fn least_losses<L: Loss>(&self, loss: L, queries: &[f64]) -> Vec<f64> {
        let mut least = self.known(loss, queries);
        let open = |place: &usize| least[*place] > L::LEAST;
        let open: Vec<usize> = (0..least.len()).filter(open).collect();
        if !self.complete && !open.is_empty() {
            let found = if open.len() < MIN_TREE_QUERIES {
                self.scanned(loss, queries, &open, &least)
            } else {
                turns(&self.tree(open.len()), loss, queries, &open, &least, None)
            };
            open.into_iter().zip(found.concat()).for_each(|(place, found)| least[place] = found);
        }
        least
    }

    /// The largest of the least losses of the queries, at least one.
    pub fn largest_loss<L: Loss>(&self, loss: L, queries: &[f64]) -> f64 {
        let known = self.known(loss, queries);
        let largest = |losses: &[f64]| losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.complete {
            return largest(&known);
        }
        // The query that may lose most first: when it is answered, most others need no answer.
        let mut order: Vec<usize> = (0..known.len()).collect();
        order.sort_unstable_by(|&a, &b| known[b].total_cmp(&known[a]).then(a.cmp(&b)));
        let (first, rest) = order.split_at(order.len().min(TURN_QUERIES));
        let end_early = |places, most| {
            Arch::new().dispatch(EndEarly { set: self, loss, queries, places, known: &known, most })
        };
        let (most, looks) = end_early(first, f64::NEG_INFINITY);
        let rest = &rest[..rest.partition_point(|&place| known[place] > most)];
        if rest.is_empty() {
            return most;
        }
        // The first queries tell how early the others end.
        let rows = self.columns[0].len();
        if looks / first.len() * rest.len() > MIN_TREE_QUERIES * rows {
            let tree = self.tree(rest.len());
            return most
                .max(largest(&turns(&tree, loss, queries, rest, &known, Some(most)).concat()));
        }
        let found = threads::map(rest.len() * rows, rest.len().div_ceil(TURN_QUERIES), |i| {
            end_early(&rest[i * TURN_QUERIES..rest.len().min((i + 1) * TURN_QUERIES)], most).0
        });
        largest(&found)
    }

    /// The least losses with the witnesses.
    fn known<L: Loss>(&self, loss: L, queries: &[f64]) -> Vec<f64> {
        let count = queries.len() / self.columns.len();
        let all: Vec<usize> = (0..count).collect();
        turns(&self.witnesses, loss, queries, &all, &vec![f64::INFINITY; count], None).concat()
    }

    /// The least losses of the queries at some places by a look at all points, turn after turn.
    fn scanned(
        &self,
        loss: impl Loss,
        queries: &[f64],
        places: &[usize],
        known: &[f64],
    ) -> Vec<Vec<f64>> {
        let arch = Arch::new();
        let rows = self.columns[0].len();
        // As many turns as there may be threads, so that each reads the points once.
        let size = places.len().div_ceil(threads::count()).min(TURN_QUERIES);
        threads::map(places.len() * rows, places.len().div_ceil(size), |i| {
            let places = &places[i * size..places.len().min((i + 1) * size)];
            arch.dispatch(Scan { set: self, loss, queries, places, known })
        })
    }

    /// All points, sorted as far as it pays for so many queries: a level costs a pass over the
    /// points and about halves what a query looks at.
    fn tree(&self, queries: usize) -> Tree {
        Tree::new(&self.columns, queries.ilog2() + 1)
    }
}

/// Some rows of a sample's front, those first that beat most rows of the sample everywhere.
fn best_of(points: &Points<'_>, sample: &[Vec<f64>]) -> Vec<usize> {
    let numbers = layers(&points.part(sample), Stop::UpTo(1));
    let mut front: Vec<usize> = (0..numbers.len()).filter(|&row| numbers[row] == 0).collect();
    // A front that is most of the sample screens out next to nothing, whichever points are taken.
    let step = front.len().div_ceil(BLOCK_POINTS);
    front = front.into_iter().step_by(step).collect();
    let beats = |row: usize| {
        let worse = |other: &usize| sample.iter().all(|column| column[*other] < column[row]);
        (0..numbers.len()).filter(worse).count()
    };
    front.sort_by_cached_key(|&row| (Reverse(beats(row)), row));
    front
}

/// The least losses of the queries at some places, turn after turn, where they are less than those
/// known; from `most` on only the largest of each turn, if it is larger than that.
fn turns(
    tree: &Tree,
    loss: impl Loss,
    queries: &[f64],
    places: &[usize],
    known: &[f64],
    most: Option<f64>,
) -> Vec<Vec<f64>> {
    let arch = Arch::new();
    // A query looks at some blocks, so that few of them are already worth a thread.
    threads::map(places.len() * BLOCK_POINTS, places.len().div_ceil(TURN_QUERIES), |i| {
        let places = &places[i * TURN_QUERIES..places.len().min((i + 1) * TURN_QUERIES)];
        arch.dispatch(Turn { tree, loss, queries, places, known, most })
    })
}

struct Scan<'a, L> {
    set: &'a Set,
    loss: L,
    queries: &'a [f64],
    places: &'a [usize],
    known: &'a [f64],
}

impl<L: Loss> NullaryFnOnce for Scan<'_, L> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let Self { set, loss, queries, places, known } = self;
        let points = Flat::new(&set.columns);
        let m = points.objectives();
        let queries: Vec<&[f64]> = places.iter().map(|&place| &queries[place * m..][..m]).collect();
        let mut least: Vec<f64> = places.iter().map(|&place| known[place]).collect();
        points.lower(loss, &queries, &mut least);
        least
    }
}

/// The largest of the least losses, if it is larger than `most`, and the number of points that were
/// looked at: a query that loses no more than the largest so far need not be known.
struct EndEarly<'a, L> {
    set: &'a Set,
    loss: L,
    queries: &'a [f64],
    places: &'a [usize],
    known: &'a [f64],
    most: f64,
}

impl<L: Loss> NullaryFnOnce for EndEarly<'_, L> {
    type Output = (f64, usize);

    #[inline(always)]
    fn call(self) -> (f64, usize) {
        let Self { set, loss, queries, places, known, mut most } = self;
        let points = Flat::new(&set.columns);
        let m = points.objectives();
        let mut looks = 0;
        for &place in places {
            if known[place] > most {
                let query = &queries[place * m..][..m];
                let (least, looked) = points.least(loss, query, known[place], most);
                (most, looks) = (most.max(least), looks + looked);
            }
        }
        (most, looks)
    }
}

struct Turn<'a, L> {
    tree: &'a Tree,
    loss: L,
    queries: &'a [f64],
    places: &'a [usize],
    known: &'a [f64],
    most: Option<f64>,
}

impl<L: Loss> NullaryFnOnce for Turn<'_, L> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let Self { tree, loss, queries, places, known, most } = self;
        let m = tree.objectives();
        let mut stack = Vec::new();
        let mut asked = 0;
        let mut least = |place: usize, enough: f64| {
            asked += 1;
            if asked % CHECKED_QUERIES == 0 {
                threads::check();
            }
            let query = &queries[place * m..][..m];
            tree.least(loss, query, known[place], enough, &mut stack)
        };
        let Some(mut most) = most else {
            return places.iter().map(|&place| least(place, L::LEAST)).collect();
        };
        for &place in places {
            // What is no larger than the largest so far need not be known.
            if known[place] > most {
                most = most.max(least(place, most));
            }
        }
        vec![most]
    }
}
