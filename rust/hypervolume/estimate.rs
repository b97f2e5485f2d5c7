//! An estimate of the hypervolume, for many points in many objectives.
//!
//! The volume is that of a union of boxes, which Karp and Luby (1985) estimate from points in the
//! boxes themselves, in any number of objectives (for the hypervolume: Bringmann, Friedrich 2010).
//! A box is drawn in proportion to p, a point in it evenly. Along the ray through that point, box
//! i reaches r_i times as far as the point, and the density of rays is in proportion to the sum of
//! w_i r_i^m, where w_i is p_i over the volume of box i. So
//!
//! max over i of r_i^m / sum over i of w_i r_i^m
//!
//! has the volume of the union as its mean: the union's part along the ray (as in the polar
//! transform of Deng and Zhang 2019) over the density. To take the whole ray for the one point is
//! what makes it vary less than a count of the boxes above the point. It varies least if
//! w_i is one over the number of boxes at a place in box i, which a few boxes tell about.
//!
//! Points are lattices with independent shifts, which give independent estimates; the standard
//! error is their spread, and the largest term: a place that was met once is as likely missed.
//! O(samples n m).

use pulp::{Arch, NullaryFnOnce};

use super::above::check;
use super::boxes::{Boxes, LANE_SAMPLES};
use super::lattice::Lattice;
use super::measure::Wide;
use crate::error::{Error, Kind};
use crate::points::Points;
use crate::threads;

/// Independent estimates.
const REPLICATES: usize = 16;

/// The fewest samples: some for each replicate.
const MIN_SAMPLES: usize = 256;

/// The most samples: each replicate counts its own in 32 bits.
const MAX_SAMPLES: u64 = 1 << 32;

/// Samples per term of the sum.
const BLOCK_SAMPLES: usize = 256;

/// From this many products of a box and a sample on, threads share them.
const MIN_PARALLEL_PRODUCTS: usize = 1 << 18;

/// A value and how far off it is likely to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// An estimate of the volume that the points dominate above `reference`, from about `samples`
/// points in their boxes; the same for the same seed.
///
/// In any number of objectives the value is unbiased, and within four standard errors of the volume
/// but for one case in a hundred at most. With fewer samples than there are points on the front,
/// parts of it that few boxes cover may be missed.
///
/// # Errors
/// As for [`hypervolume`](crate::hypervolume()); or fewer than 256 samples, or more than 2^32.
///
/// ```
/// use paretohqd::{Column, Points, hypervolume_estimate};
///
/// let (x, y) = ([3.0, 1.0], [1.0, 2.0]);
/// let points = Points::new(vec![Column::F64(&x), Column::F64(&y)])?;
/// let estimate = hypervolume_estimate(&points, &[0.0, 0.0], 1 << 12, 0)?;
/// assert!((estimate.value - 4.0).abs() < 0.01 && estimate.standard_error < 0.01);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn hypervolume_estimate(
    points: &Points<'_>,
    reference: &[f64],
    samples: usize,
    seed: u64,
) -> Result<Estimate, Error> {
    if !(MIN_SAMPLES as u64..=MAX_SAMPLES).contains(&(samples as u64)) {
        let (least, most) = (MIN_SAMPLES, MAX_SAMPLES as usize);
        return Err(Kind::OutOfRange { name: "samples", least, most, actual: samples }.into());
    }
    check(points, reference)?;
    let Some(boxes) = Boxes::new(points, reference) else {
        return Ok(Estimate { value: 0.0, standard_error: 0.0 });
    };
    let blocks = samples.div_ceil(REPLICATES * BLOCK_SAMPLES);
    let length = if samples < REPLICATES * BLOCK_SAMPLES {
        samples.div_ceil(REPLICATES).next_multiple_of(LANE_SAMPLES)
    } else {
        BLOCK_SAMPLES
    };
    let lattices: Vec<Lattice> =
        (0..REPLICATES).map(|i| Lattice::new(boxes.m + 1, seed, i)).collect();
    let arch = Arch::new();
    let part = |part: usize| {
        let first = (part % blocks * BLOCK_SAMPLES) as u32;
        let range = first..first + length as u32;
        arch.dispatch(Part { boxes: &boxes, lattice: &lattices[part / blocks], range })
    };
    let parts = REPLICATES * blocks;
    let work = parts * length * (boxes.rows.len() / boxes.m);
    let parts: Vec<Terms> = if work >= MIN_PARALLEL_PRODUCTS {
        threads::share_out((0..parts).collect(), part)
    } else {
        (0..parts).map(part).collect()
    };
    let count = (blocks * length) as f64;
    let sums = parts.chunks(blocks).map(|parts| parts.iter().map(|part| part.sum).sum::<f64>());
    let means: Vec<f64> = sums.map(|sum| sum / count).collect();
    let mean = means.iter().sum::<f64>() / REPLICATES as f64;
    let spread: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
    let largest = parts.iter().fold(0.0, |largest: f64, part| largest.max(part.largest));
    let once = largest / (count * REPLICATES as f64);
    let error = (spread / (REPLICATES * (REPLICATES - 1)) as f64 + once * once).sqrt();
    let scaled = |x: f64| (Wide::new(x) * boxes.scale).value();
    Ok(Estimate { value: scaled(mean), standard_error: scaled(error) })
}

/// Of some samples the sum of their terms and the largest.
struct Terms {
    sum: f64,
    largest: f64,
}

/// The terms of some samples are to be found.
struct Part<'a> {
    boxes: &'a Boxes,
    lattice: &'a Lattice,
    range: std::ops::Range<u32>,
}

impl NullaryFnOnce for Part<'_> {
    type Output = Terms;

    #[inline(always)]
    fn call(self) -> Terms {
        let Self { boxes, lattice, range } = self;
        let m = boxes.m;
        let mut inverses = vec![[0.0; LANE_SAMPLES]; m];
        let mut terms = Terms { sum: 0.0, largest: 0.0 };
        for first in range.step_by(LANE_SAMPLES) {
            threads::check();
            for lane in 0..LANE_SAMPLES {
                let mut place = lattice.point(first + lane as u32);
                let at = boxes.at(place.next().unwrap_or(0.0));
                let row = &boxes.rows[at * m..][..m];
                for ((inverse, side), place) in inverses.iter_mut().zip(row).zip(place) {
                    inverse[lane] = 1.0 / (side * place);
                }
            }
            let each = match m {
                2 => boxes.terms::<2>(&inverses),
                3 => boxes.terms::<3>(&inverses),
                4 => boxes.terms::<4>(&inverses),
                5 => boxes.terms::<5>(&inverses),
                6 => boxes.terms::<6>(&inverses),
                7 => boxes.terms::<7>(&inverses),
                8 => boxes.terms::<8>(&inverses),
                _ => boxes.terms::<0>(&inverses),
            };
            for term in each {
                terms.sum += term;
                terms.largest = terms.largest.max(term);
            }
        }
        terms
    }
}
