//! The search for the nearest rows: bounds from a sample, one pass over all rows, shared among
//! threads.

use std::iter::StepBy;
use std::ops::Range;

use super::chunk::Unit;
use super::nearest::{Bound, Nearest, Neighbour, nearer};
use super::ray::{Ray, RayEndpoints, scale};
use super::scan::{Scan, Scanned};
use crate::choice::dispatch::dispatch;
use crate::choice::kept::keep_first;
use crate::choice::lanes::CHUNK_ROWS;
use crate::choice::room::require_room;
use crate::error::{Error, Kind};
use crate::points::Points;
use crate::threads;

/// The rows nearest to each ray, ray by ray, nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Row numbers, k per ray.
    pub rows: Vec<u32>,
    /// The distances that go with them.
    pub distances: Vec<f64>,
}

/// The `k` rows nearest to each ray; equal distances go to the earlier row.
///
/// Distances beyond the largest f64 come back infinite and the smallest come back zero, but they
/// are compared before that: the order is that of the distances themselves.
///
/// `origins` holds one origin for all rays or one per ray, `through` one further point per ray,
/// both row after row.
///
/// # Errors
/// A value is infinite, a vector has the wrong length, a ray has no direction, `k` is zero or more
/// than there are rows, or there is no memory for `k` rows of each ray.
///
/// ```
/// use paretohqd::{Column, Points, nearest_to_rays};
///
/// let (x, y) = ([1.0, 0.5, 0.0], [0.0, 0.4, 1.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let nearest = nearest_to_rays(&points, &[1.0, 1.0], &[0.0, 0.0], 1)?;
/// assert_eq!(nearest.rows, [1]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn nearest_to_rays(
    points: &Points<'_>,
    origins: &[f64],
    through: &[f64],
    k: usize,
) -> Result<Neighbours, Error> {
    if k == 0 {
        return Err(Kind::Zero { name: "k" }.into());
    }
    if k > points.rows() {
        return Err(Kind::TooFewRows { k, rows: points.rows() }.into());
    }
    let endpoints = RayEndpoints::new(origins, through, points.objectives())?;
    require_room(k, through.len() / points.objectives(), 2 * size_of::<Neighbour>())?;
    if endpoints.in_range() {
        // The usual case, in one pass: the search notices numbers that need scaling, but not that all
        // are small.
        let rays = endpoints.rays(1.0)?;
        let (neighbours, in_range) = Search::new(points, &rays, 1.0, endpoints.largest(), k).run();
        if in_range && endpoints.are_large(points, &neighbours.rows) {
            return Ok(neighbours);
        }
    }
    // Points may come unchecked, so this is also where NaN is refused.
    let points = &Points::new(points.columns().to_vec())?;
    // Not through how far points the rays run: only directions are taken from these.
    let largest = points.require_finite()?.max(endpoints.farthest_origin());
    let scale = scale(largest);
    let rays = endpoints.rays(scale)?;
    Ok(Search::new(points, &rays, scale, largest * scale, k).run().0)
}

/// A search for the nearest rows.
struct Search<'a> {
    points: &'a Points<'a>,
    rays: Vec<&'a Ray>,
    /// Multiplies the points, as it did the rays; a power of two.
    scale: f64,
    unit: Unit,
    k: usize,
    threads: usize,
    /// Chunks from one that is sampled to the next.
    stride: usize,
}

impl<'a> Search<'a> {
    fn new(points: &'a Points<'a>, rays: &'a [Ray], scale: f64, largest: f64, k: usize) -> Self {
        let rows = points.rows();
        let threads = if threads::worthwhile(rows) { threads::count() } else { 1 };
        let stride = (rows / 1000).isqrt().max(1);
        let unit = Unit::new(largest);
        Self { points, rays: rays.iter().collect(), scale, unit, k, threads, stride }
    }

    /// The neighbours, and whether no number needs scaling; otherwise they may be wrong.
    fn run(&self) -> (Neighbours, bool) {
        let (rows, rays) = (self.points.rows(), self.rays.len());
        let (nearest, in_range) =
            if self.threads == 1 && threads::worthwhile(rows.saturating_mul(rays) / 16) {
                // Few rows, but many rays: these are shared out.
                let size = rays.div_ceil(threads::count());
                let parts = threads::share_out((0..rays).step_by(size).collect(), |start| {
                    let rays = self.rays[start..rays.min(start + size)].to_vec();
                    Self { rays, ..*self }.per_ray()
                });
                let in_range = parts.iter().all(|(_, in_range)| *in_range);
                (parts.into_iter().flat_map(|(nearest, _)| nearest).collect(), in_range)
            } else {
                self.per_ray()
            };
        let all = || nearest.iter().flatten();
        let rows = all().map(|&(_, row)| row as u32).collect();
        let distances = all().map(|&(distance, _)| distance / self.scale).collect();
        (Neighbours { rows, distances }, in_range)
    }

    /// The k nearest rows to each ray, nearest first, and whether no number needs scaling.
    fn per_ray(&self) -> (Vec<Vec<Neighbour>>, bool) {
        // As many of the k nearest rows as are expected in the sample, and a few more: the bound is
        // tight and yet rarely too low.
        let sampled = (self.sample().len() * CHUNK_ROWS) as f64;
        let expected = self.k as f64 * sampled / self.points.rows() as f64;
        let guess = (expected + 4.0 * expected.sqrt() + 4.0) as usize;
        let (mut nearest, in_range) = self.nearest(&self.bounds(guess.min(self.k)));
        let short: Vec<usize> =
            (0..self.rays.len()).filter(|&ray| nearest[ray].len() < self.k).collect();
        if in_range && !short.is_empty() {
            let again = Self { rays: short.iter().map(|&ray| self.rays[ray]).collect(), ..*self };
            // That k rows of the sample are within a bound is certain.
            let (of_short, _) = again.nearest(&again.bounds(self.k));
            for (ray, of_short) in short.into_iter().zip(of_short) {
                nearest[ray] = of_short;
            }
        }
        (nearest, in_range)
    }

    /// The nearest rows to each ray among those within its bound, nearest first.
    fn nearest(&self, bounds: &[Bound]) -> (Vec<Vec<Neighbour>>, bool) {
        let rows = self.points.rows();
        let size = rows.div_ceil(self.threads).next_multiple_of(CHUNK_ROWS);
        let parts: Vec<Scanned> = threads::share_out((0..rows).step_by(size).collect(), |start| {
            let firsts = (start..rows.min(start + size)).step_by(CHUNK_ROWS);
            self.scan(&self.rays, firsts, self.k, bounds, true)
        });
        let merge = |ray: usize| {
            let rows = parts.iter().flat_map(|part| &part.nearest[ray].neighbours);
            let mut rows: Vec<Neighbour> = rows.copied().collect();
            keep_first(&mut rows, self.k, nearer);
            rows
        };
        let rays: Vec<usize> = (0..self.rays.len()).collect();
        let nearest = if parts.len() > 1 {
            threads::share_out(rays, merge)
        } else {
            rays.into_iter().map(merge).collect()
        };
        (nearest, parts.iter().all(|part| part.in_range))
    }

    /// First rows of the chunks that are sampled.
    fn sample(&self) -> StepBy<Range<usize>> {
        (0..self.points.rows()).step_by(CHUNK_ROWS * self.stride)
    }

    /// Bounds such that `count` sampled rows are within.
    fn bounds(&self, count: usize) -> Vec<Bound> {
        if self.stride == 1 {
            return vec![Bound::NONE; self.rays.len()];
        }
        let size = self.rays.len().div_ceil(self.threads).max(1);
        let none = vec![Bound::NONE; size];
        let parts = threads::share_out((0..self.rays.len()).step_by(size).collect(), |start| {
            let rays = &self.rays[start..self.rays.len().min(start + size)];
            self.scan(rays, self.sample(), count, &none[..rays.len()], false)
        });
        let bound = |mut nearest: Nearest| {
            nearest.shrink();
            nearest.bound
        };
        parts.into_iter().flat_map(|part| part.nearest).map(bound).collect()
    }

    /// The `k` nearest to `rays` in the chunks that start at `firsts`.
    fn scan(
        &self,
        rays: &[&Ray],
        firsts: StepBy<Range<usize>>,
        k: usize,
        bounds: &[Bound],
        copies: bool,
    ) -> Scanned {
        let &Self { points, scale, unit, .. } = self;
        dispatch(Scan { points, scale, unit, k, rays, firsts, bounds, copies })
    }
}
