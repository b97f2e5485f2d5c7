//! The k rows nearest to each ray.
//!
//! A ray starts at an origin o and runs through a second point. With u the unit vector along it
//! and q = v - o, the foot of v on the ray is at t = max(0, q.u), and the distance of v is
//! |q - t u|. It is computed in this residual form, which does not cancel; |q|² - (q.u)² would.

use rayon::prelude::*;

use crate::error::{Error, Kind};
use crate::points::Points;
use crate::threads;

/// Rows per block: a block of columns stays in cache while all rays look at it.
const BLOCK: usize = 1024;

/// The rows nearest to each ray, ray by ray, nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Row numbers, k per ray.
    pub rows: Vec<i64>,
    /// The distances that go with them.
    pub distances: Vec<f64>,
}

/// A ray: where it starts and its unit direction.
struct Ray {
    origin: Vec<f64>,
    direction: Vec<f64>,
}

/// All rays, and the power of two that keeps squares of such numbers in range.
struct Rays {
    rays: Vec<Ray>,
    scale: f64,
}

/// The `k` rows nearest to each ray; equal distances go to the earlier row.
///
/// `origins` holds one origin for all rays or one per ray, `through` one further point per ray,
/// both row after row.
///
/// # Errors
/// A value is infinite, a vector has the wrong length, a ray has no direction, or `k` is zero or
/// more than there are rows.
///
/// ```
/// use paretohqd::{Column, Points, nearest_to_rays};
///
/// let (x, y) = ([1.0, 0.5, 0.0], [0.0, 0.4, 1.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let found = nearest_to_rays(&points, &[1.0, 1.0], &[0.0, 0.0], 1)?;
/// assert_eq!(found.rows, [1]);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn nearest_to_rays(
    points: &Points<'_>,
    origins: &[f64],
    through: &[f64],
    k: usize,
) -> Result<Neighbours, Error> {
    let rays = Rays::new(points, origins, through, k)?;
    let rows = points.rows();
    let parts = if threads::worthwhile(rows) { rayon::current_num_threads() } else { 1 };
    let size = rows.div_ceil(parts).next_multiple_of(BLOCK);
    let starts: Vec<usize> = (0..rows).step_by(size).collect();
    let search = |&start: &usize| search(points, &rays, k, start, rows.min(start + size));
    let found: Vec<Vec<Nearest>> = if starts.len() > 1 {
        starts.par_iter().map(search).collect()
    } else {
        starts.iter().map(search).collect()
    };
    let mut neighbours = Neighbours { rows: Vec::new(), distances: Vec::new() };
    for ray in 0..rays.rays.len() {
        let mut all: Vec<(f64, usize)> =
            found.iter().flat_map(|part| part[ray].found.iter().copied()).collect();
        all.sort_unstable_by(nearer);
        all.truncate(k);
        neighbours.rows.extend(all.iter().map(|&(_, row)| row as i64));
        neighbours.distances.extend(all.iter().map(|&(distance, _)| distance / rays.scale));
    }
    Ok(neighbours)
}

impl Rays {
    fn new(points: &Points<'_>, origins: &[f64], through: &[f64], k: usize) -> Result<Self, Error> {
        let m = points.objectives();
        let magnitude = points.require_finite()?;
        if k == 0 {
            return Err(Kind::Zero { name: "k" }.into());
        }
        if k > points.rows() {
            return Err(Kind::TooFewRows { k, rows: points.rows() }.into());
        }
        if !through.len().is_multiple_of(m) {
            let found = through.len();
            return Err(Kind::WrongLength { name: "through", expected: m, found }.into());
        }
        if origins.len() != m && origins.len() != through.len() {
            let found = origins.len();
            return Err(Kind::WrongLength { name: "origin", expected: m, found }.into());
        }
        for (name, values) in [("origin", origins), ("through", through)] {
            if let Some(position) = values.iter().position(|x| !x.is_finite()) {
                return Err(Kind::NotFinite { name, position }.into());
            }
        }
        let largest = |values: &[f64]| values.iter().fold(0.0f64, |a, x| a.max(x.abs()));
        let scale = scale(magnitude.max(largest(origins)).max(largest(through)));
        let rays = through
            .chunks_exact(m)
            .enumerate()
            .map(|(ray, through)| {
                let origin = &origins[if origins.len() == m { 0 } else { ray * m }..][..m];
                let origin: Vec<f64> = origin.iter().map(|x| x * scale).collect();
                let through: Vec<f64> = through.iter().map(|x| x * scale).collect();
                let direction = unit(&origin, &through).ok_or(Kind::NoDirection { ray })?;
                Ok(Ray { origin, direction })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { rays, scale })
    }
}

/// A power of two that brings numbers up to `largest` near one, if their squares need it.
fn scale(largest: f64) -> f64 {
    if largest == 0.0 || (1e-100..1e150).contains(&largest) {
        1.0
    } else {
        (-largest.log2().floor()).clamp(-1000.0, 1000.0).exp2()
    }
}

/// The unit vector from `origin` to `through`; scaled first, so that no square overflows.
fn unit(origin: &[f64], through: &[f64]) -> Option<Vec<f64>> {
    let mut d: Vec<f64> = through.iter().zip(origin).map(|(t, o)| t / 2.0 - o / 2.0).collect();
    let largest = d.iter().fold(0.0f64, |a, x| a.max(x.abs()));
    if largest == 0.0 {
        return None;
    }
    d.iter_mut().for_each(|x| *x /= largest);
    let norm = d.iter().map(|x| x * x).sum::<f64>().sqrt();
    d.iter_mut().for_each(|x| *x /= norm);
    Some(d)
}

/// The nearest rows met so far, by distance and then row.
struct Nearest {
    k: usize,
    /// No row with a larger square can be among the k nearest.
    limit: f64,
    found: Vec<(f64, usize)>,
}

impl Nearest {
    /// Takes a row whose squared distance is within the limit.
    ///
    /// Ties are ties of the distance: different squares may round to one root.
    fn push(&mut self, squared: f64, row: usize) {
        self.found.push((squared.sqrt(), row));
        if self.found.len() >= 4 * self.k.max(64) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.found.len() > self.k {
            let (_, &mut (distance, _), _) = self.found.select_nth_unstable_by(self.k - 1, nearer);
            // A row at this distance loses to the earlier ones kept, so only what lies closer
            // need come in; squaring the root rounds, hence the allowance.
            self.limit = distance * distance * (1.0 + 4.0 * f64::EPSILON);
            self.found.truncate(self.k);
        }
    }
}

fn nearer(a: &(f64, usize), b: &(f64, usize)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// The nearest rows of `start..end` to each ray.
fn search(points: &Points<'_>, rays: &Rays, k: usize, start: usize, end: usize) -> Vec<Nearest> {
    let m = points.objectives();
    let mut nearest: Vec<Nearest> =
        rays.rays.iter().map(|_| Nearest { k, limit: f64::INFINITY, found: Vec::new() }).collect();
    let mut block = vec![[0.0; BLOCK]; m];
    let mut squared = [0.0; BLOCK];
    for first in (start..end).step_by(BLOCK) {
        let rows = BLOCK.min(end - first);
        for (column, values) in points.columns().iter().zip(&mut block) {
            column.copy_to(first, &mut values[..rows]);
        }
        if rays.scale != 1.0 {
            block.iter_mut().flatten().for_each(|value| *value *= rays.scale);
        }
        for (ray, nearest) in rays.rays.iter().zip(&mut nearest) {
            squared_distances(&block, ray, &mut squared);
            for (t, &squared) in squared[..rows].iter().enumerate() {
                if squared <= nearest.limit {
                    nearest.push(squared, first + t);
                }
            }
        }
    }
    nearest.iter_mut().for_each(Nearest::shrink);
    nearest
}

/// The squared distance of every row of a block to a ray, each by the same operations.
fn squared_distances(block: &[[f64; BLOCK]], ray: &Ray, out: &mut [f64; BLOCK]) {
    let mut along = [0.0; BLOCK];
    for ((values, o), u) in block.iter().zip(&ray.origin).zip(&ray.direction) {
        for (along, v) in along.iter_mut().zip(values) {
            *along += (v - o) * u;
        }
    }
    out.fill(0.0);
    for ((values, o), u) in block.iter().zip(&ray.origin).zip(&ray.direction) {
        for ((out, v), along) in out.iter_mut().zip(values).zip(&along) {
            let residual = (v - o) - along.max(0.0) * u;
            *out += residual * residual;
        }
    }
}
