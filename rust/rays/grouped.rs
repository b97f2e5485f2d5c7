//! The k rows of each group that are nearest to the group's own rays, in one call for all groups.
//!
//! Groups up to some thousand rows are searched row by row: a screen and a sample would cost more
//! than they save. Larger groups, and numbers whose squares leave the range of doubles, go to the
//! search for ungrouped rows. All compute the distance in the same way, to the last bit.

use pulp::{Arch, NullaryFnOnce};

use super::group::{Group, Rays};
use super::ray::scale;
use super::search::{Neighbours, nearest_to_rays};
use crate::choice::room::require_room;
use crate::error::{Error, Kind};
use crate::groups::segments::runs;
use crate::groups::starts::{Part, check_starts, held, split_off, write};
use crate::points::Points;
use crate::threads;

/// Groups of up to this many rows are searched row by row.
const EXHAUSTIVE_ROWS: usize = 1 << 10;

/// Whole groups are searched together up to about this many rows, which stay in cache.
const RUN_ROWS: usize = 1 << 12;

/// Rays of a group after which it is looked whether the call was stopped.
const RAYS_UNTIL_CHECK: usize = 256;

/// The `k` rows of each group that are nearest to each of its rays, or all rows of a smaller group.
///
/// Group g is the rows from `starts[g]` up to `starts[g + 1]`. A ray runs from the group's ideal
/// point, `spans[g]`, through `weights[p] * spans[g]`, objective by objective; `spans` and
/// `weights` are row after row. Where no objective with a weight has a span, or the two points are
/// one, no direction is left: the ray is then the ideal point alone. Equal distances go to the
/// earlier row. For a ray with a direction, rows and distances are those of [`nearest_to_rays`] on
/// the group alone.
///
/// Returned are min(k, size) rows of each group, group after group for the first weights, then for
/// the next.
///
/// # Errors
/// `starts` does not ascend from 0 to the number of rows, a length does not fit, a value is not
/// finite, `k` is zero, or there is no memory for the answer.
///
/// ```
/// use paretohqd::{Column, Points, nearest_in_groups};
///
/// let (x, y) = ([1.0, 0.0, 0.4, 2.0, 0.0], [0.0, 1.0, 0.5, 0.0, 1.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let (spans, weights) = ([1.0, 1.0, 2.0, 1.0], [0.5, 0.5, 1.0, 0.0]);
/// let nearest = nearest_in_groups(&points, &[0, 3, 5], &spans, &weights, 1)?;
/// assert_eq!(nearest.rows, [2, 3, 0, 3]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn nearest_in_groups(
    points: &Points<'_>,
    starts: &[u32],
    spans: &[f64],
    weights: &[f64],
    k: usize,
) -> Result<Neighbours, Error> {
    if k == 0 {
        return Err(Kind::Zero { name: "k" }.into());
    }
    let ends = check_starts(starts, points.rows())?;
    check_rays(spans, weights, ends.len(), points.objectives())?;
    points.require_finite()?;
    let (rays, per_ray) = (weights.len() / points.objectives(), held(starts, k));
    require_room(per_ray, rays, 0)?;
    let (mut rows, mut distances) = (vec![0; rays * per_ray], vec![0.0; rays * per_ray]);
    let parts = distances.chunks_mut(per_ray.max(1));
    let mut rest: Vec<_> = rows.chunks_mut(per_ray.max(1)).zip(parts).collect();
    let (mut tasks, mut first) = (Vec::new(), 0);
    for ends in runs(ends, RUN_ROWS) {
        let starts = &starts[first..=first + ends.len()];
        let held = held(starts, k);
        let out = rest.iter_mut().map(|part| split_off(part, held)).collect();
        let spans = &spans[first * points.objectives()..];
        tasks.push(Run { points, starts, spans, weights, k, out });
        first += ends.len();
    }
    let search = |run: Run<'_>| Arch::new().dispatch(run);
    let weight = (points.rows() / 16).saturating_mul(rays);
    threads::each(weight, tasks, search).into_iter().collect::<Result<(), Error>>()?;
    Ok(Neighbours { rows, distances })
}

/// Checks lengths, and that all ends of rays are finite.
fn check_rays(spans: &[f64], weights: &[f64], groups: usize, m: usize) -> Result<(), Error> {
    if !weights.len().is_multiple_of(m) {
        let actual = weights.len();
        return Err(Kind::WrongLength { name: "weights", expected: m, actual }.into());
    }
    if spans.len() != groups * m {
        return Err(Kind::WrongSpans { expected: groups * m, actual: spans.len() }.into());
    }
    if let Some(position) = weights.iter().position(|x| !x.is_finite()) {
        return Err(Kind::NotFinite { name: "weights", position }.into());
    }
    let mut reach = vec![1.0f64; m];
    for weights in weights.chunks_exact(m) {
        reach.iter_mut().zip(weights).for_each(|(reach, w)| *reach = reach.max(w.abs()));
    }
    let too_far = |spans: &[f64]| spans.iter().zip(&reach).position(|(s, r)| !(s * r).is_finite());
    let position = spans.chunks_exact(m).enumerate().find_map(|(g, s)| Some(g * m + too_far(s)?));
    match position {
        Some(position) => Err(Kind::NotFinite { name: "spans", position }.into()),
        None => Ok(()),
    }
}

/// Groups that are searched together.
struct Run<'a> {
    points: &'a Points<'a>,
    /// Where each group starts and the last one ends.
    starts: &'a [u32],
    /// Spans of these groups and of those that follow.
    spans: &'a [f64],
    weights: &'a [f64],
    k: usize,
    /// What to fill in, ray by ray.
    out: Vec<Part<'a>>,
}

impl NullaryFnOnce for Run<'_> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        match self.points.objectives() {
            1 => self.search::<1>(),
            2 => self.search::<2>(),
            3 => self.search::<3>(),
            4 => self.search::<4>(),
            5 => self.search::<5>(),
            _ => self.search::<0>(),
        }
    }
}

impl Run<'_> {
    /// Fills in what is nearest; M is the number of objectives, or 0 for any.
    #[inline(always)]
    fn search<const M: usize>(mut self) -> Result<(), Error> {
        let m = if M == 0 { self.points.objectives() } else { M };
        let mut rays = Rays::new(self.weights, m);
        let mut group = Group::new(m);
        let mut at = 0;
        for (ends, spans) in self.starts.windows(2).zip(self.spans.chunks_exact(m)) {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            if start == end {
                continue;
            }
            let held = self.k.min(end - start);
            let largest = group.read(self.points, start, end);
            rays.set_spans(spans, scale(spans.iter().fold(largest, |a, s| a.max(s.abs()))));
            let small = end - start <= EXHAUSTIVE_ROWS && rays.scale == 1.0;
            let exhaustive = |ray: &usize| small || rays.is_point(*ray);
            let (exhaustive, searched): (Vec<_>, Vec<_>) =
                (0..self.out.len()).partition(exhaustive);
            if !exhaustive.is_empty() {
                group.subtract_origin(&rays);
            }
            for (place, ray) in exhaustive.into_iter().enumerate() {
                if place % RAYS_UNTIL_CHECK == 0 {
                    threads::check();
                }
                let nearest = group.nearest::<M>(rays.direction(ray), held).iter();
                let nearest = nearest.map(|&(distance, row)| (row as u32, distance / rays.scale));
                write(&mut self.out[ray], start, at, nearest);
            }
            if !searched.is_empty() {
                let through: Vec<f64> =
                    searched.iter().flat_map(|&ray| rays.endpoint(ray)).collect();
                let part = self.points.part(&group.values);
                let Neighbours { rows, distances } = nearest_to_rays(&part, spans, &through, held)?;
                let mut nearest = rows.into_iter().zip(distances);
                for ray in searched {
                    write(&mut self.out[ray], start, at, nearest.by_ref().take(held));
                }
            }
            at += held;
        }
        Ok(())
    }
}
