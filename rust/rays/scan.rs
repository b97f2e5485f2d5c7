//! One pass over rows: the screen, and exact distances where it cannot rule a row out.

use std::iter::StepBy;
use std::ops::Range;

use pulp::Simd;

use super::chunk::{Chunk, Precision, RayTargets, Unit};
use super::nearest::{Bound, Nearest};
use super::ray::Ray;
use crate::choice::copies::Copies;
use crate::choice::dispatch::ForObjectives;
use crate::choice::lanes::{CHUNK_ROWS, Lanes};
use crate::points::Points;
use crate::threads;

/// From so many rays on, to which a row of a chunk may be near, copies are looked for: that costs
/// about as much as their exact distances.
const MIN_NEAR: usize = 4;

/// What a scan finds.
pub(super) struct Scanned {
    /// The nearest rows to each ray.
    pub nearest: Vec<Nearest>,
    /// Whether no number needs scaling; otherwise the rows may be wrong.
    pub in_range: bool,
}

/// A scan of some chunks of rows, for the instruction set at hand.
pub(super) struct Scan<'a> {
    pub points: &'a Points<'a>,
    /// Multiplies the points.
    pub scale: f64,
    pub unit: Unit,
    pub k: usize,
    pub rays: &'a [&'a Ray],
    /// Where the chunks start.
    pub firsts: StepBy<Range<usize>>,
    pub bounds: &'a [Bound],
    /// Whether rows may have many copies.
    pub copies: bool,
}

impl ForObjectives for Scan<'_> {
    type Output = Scanned;

    fn objectives(&self) -> usize {
        self.points.objectives()
    }

    #[inline(always)]
    fn with_objectives<S: Simd, const M: usize>(self, simd: S) -> Scanned {
        let mut nearest: Vec<Nearest> =
            self.bounds.iter().map(|&bound| Nearest::new(self.k, bound)).collect();
        let mut groups: Vec<(&[&Ray], RayTargets)> = self
            .rays
            .chunk_by(|a, b| a.origin == b.origin)
            .map(|rays| (rays, RayTargets::new(rays)))
            .collect();
        let limits = groups.iter_mut().flat_map(|(_, targets)| &mut targets.limits);
        for (limit, nearest) in limits.zip(&nearest) {
            *limit = self.unit.limit(nearest.bound.squared());
        }
        let m = self.points.objectives();
        let mut chunk = Chunk::new(m);
        let mut near = Vec::with_capacity(self.rays.len());
        let mut copies = if self.copies { Copies::new(self.points, self.k) } else { None };
        let mut in_range = true;
        // Now and then: after about as much work as for a few thousand rows and one ray.
        let until_check = 1 + 4096 / (1 + self.rays.len());
        for (place, first) in self.firsts.enumerate() {
            if place % until_check == 0 {
                threads::check();
            }
            chunk.read::<M>(self.points, first, self.scale);
            let mut nearest = &mut nearest[..];
            let mut exhausted = None;
            for (rays, targets) in &mut groups {
                let precision = chunk.subtract_origin::<M>(&rays[0].origin, self.unit);
                if precision == Precision::Sufficient {
                    chunk.leave_out(exhausted.unwrap_or(0));
                    screen::<S, M>(simd, &chunk, targets, &mut near);
                    if near.len() >= MIN_NEAR
                        && exhausted.is_none()
                        && let Some(copies) = &mut copies
                    {
                        let rows = copies.exhausted(&chunk.values, chunk.rows);
                        exhausted = Some(rows);
                        if rows != 0 {
                            near.clear();
                            chunk.leave_out(rows);
                            if rows.count_ones() as usize != chunk.rows {
                                screen::<S, M>(simd, &chunk, targets, &mut near);
                            }
                        }
                    }
                } else {
                    in_range &= precision == Precision::Insufficient;
                    near.extend(0..rays.len());
                }
                let (of_origin, rest) = nearest.split_at_mut(rays.len());
                for ray in near.drain(..) {
                    push_nearest::<S, M>(simd, &chunk, rays[ray], &mut of_origin[ray]);
                    targets.limits[ray] = self.unit.limit(of_origin[ray].bound.squared());
                }
                nearest = rest;
            }
        }
        Scanned { nearest, in_range }
    }
}

/// Appends the rays that a row of the chunk may be near to.
#[inline(always)]
fn screen<S: Simd, const M: usize>(
    simd: S,
    chunk: &Chunk,
    targets: &RayTargets,
    near: &mut Vec<usize>,
) {
    let m = if M == 0 { chunk.rounded.len() } else { M };
    let rounded = &chunk.rounded[..m];
    let (squares, _) = S::as_simd_f32s(&chunk.squares.0);
    for (ray, (u, &limit)) in targets.directions.chunks_exact(m).zip(&targets.limits).enumerate() {
        let mut least = simd.splat_f32s(f32::INFINITY);
        for (step, &square) in squares.iter().enumerate() {
            let mut along = simd.splat_f32s(0.0);
            for (q, &u) in rounded.iter().zip(u) {
                let (q, _) = S::as_simd_f32s(&q.0);
                along = simd.mul_add_e_f32s(q[step], simd.splat_f32s(u), along);
            }
            least = simd.min_f32s(least, simd.negate_mul_add_e_f32s(along, along, square));
        }
        let below = simd.less_than_or_equal_f32s(least, simd.splat_f32s(limit));
        if simd.first_true_m32s(below) < S::F32_LANES {
            near.push(ray);
        }
    }
}

/// Pushes the rows of a chunk that are near enough, by the residual form, which does not cancel.
#[inline(always)]
fn push_nearest<S: Simd, const M: usize>(simd: S, chunk: &Chunk, ray: &Ray, nearest: &mut Nearest) {
    let m = if M == 0 { chunk.from_origin.len() } else { M };
    let (rows, direction) = (&chunk.from_origin[..m], &ray.direction[..m]);
    let limit = nearest.bound.squared_from(chunk.first);
    let limits = simd.splat_f64s(limit);
    let mut squared = Lanes([0.0; CHUNK_ROWS]);
    let mut least = simd.splat_f64s(f64::INFINITY);
    for (step, squared) in S::as_mut_simd_f64s(&mut squared.0).0.iter_mut().enumerate() {
        let mut along = simd.splat_f64s(0.0);
        for (q, &u) in rows.iter().zip(direction) {
            let (q, _) = S::as_simd_f64s(&q.0);
            along = simd.add_f64s(along, simd.mul_f64s(q[step], simd.splat_f64s(u)));
        }
        along = simd.max_f64s(along, simd.splat_f64s(0.0));
        for (q, &u) in rows.iter().zip(direction) {
            let (q, _) = S::as_simd_f64s(&q.0);
            let residual = simd.sub_f64s(q[step], simd.mul_f64s(along, simd.splat_f64s(u)));
            *squared = simd.add_f64s(*squared, simd.mul_f64s(residual, residual));
        }
        least = simd.min_f64s(least, *squared);
    }
    let any = |squared| {
        simd.first_true_m64s(simd.less_than_or_equal_f64s(squared, limits)) < S::F64_LANES
    };
    if !any(least) {
        return;
    }
    let (steps, _) = S::as_simd_f64s(&squared.0);
    for (step, first) in (0..chunk.rows).step_by(S::F64_LANES).enumerate() {
        if any(steps[step]) {
            for row in first..chunk.rows.min(first + S::F64_LANES) {
                if squared.0[row] <= limit {
                    nearest.push(squared.0[row], chunk.first + row);
                }
            }
        }
    }
}
