//! An estimate of the hypervolume, for many points in many objectives.
//!
//! Seen from the reference, the dominated set reaches in direction d (of length 1, positive) as
//! far as r(d) = max over points x of min over objectives x_j / d_j. In polar coordinates its
//! volume is the mean of r(d)^m over all directions times the volume of the positive part of the
//! unit ball (the transform of Deng and Zhang 2019). The mean is taken over lattice points on the
//! sphere; independent shifts of the lattice give independent estimates, and their spread the
//! standard error. O(samples n m).

use std::f64::consts::PI;

use pulp::{Arch, NullaryFnOnce};

use super::above::{Above, check};
use super::directions::Directions;
use crate::error::{Error, Kind};
use crate::layers::{Stop, layers};
use crate::points::{Column, Points};
use crate::threads;

/// Independent estimates.
const REPLICATES: usize = 16;

/// The fewest directions: some for each replicate.
const MIN_DIRECTIONS: usize = 256;

/// The most directions: each replicate counts its own in 32 bits.
const MAX_DIRECTIONS: usize = 1 << 32;

/// Directions that are looked along at once, and per term of the sum.
const LANE_DIRECTIONS: usize = 16;
const BLOCK_DIRECTIONS: usize = 256;

/// From this many products of a point and a direction on, threads share them.
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
/// directions; the same for the same seed.
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
    if !(MIN_DIRECTIONS..=MAX_DIRECTIONS).contains(&samples) {
        let (least, most) = (MIN_DIRECTIONS, MAX_DIRECTIONS);
        return Err(Kind::OutOfRange { name: "samples", least, most, actual: samples }.into());
    }
    check(points, reference)?;
    let above = Above::prefiltered(points, reference, false).unwrap_or_default();
    let Some(cloud) = Cloud::new(&above.columns) else {
        return Ok(Estimate { value: 0.0, standard_error: 0.0 });
    };
    let blocks = samples.div_ceil(REPLICATES * BLOCK_DIRECTIONS);
    let directions = if samples < REPLICATES * BLOCK_DIRECTIONS {
        samples.div_ceil(REPLICATES)
    } else {
        BLOCK_DIRECTIONS
    };
    let directions = directions.next_multiple_of(LANE_DIRECTIONS);
    let replicates: Vec<Directions> =
        (0..REPLICATES).map(|i| Directions::new(cloud.m, seed, i)).collect();
    let arch = Arch::new();
    let sum = |part: usize| {
        let first = (part % blocks * BLOCK_DIRECTIONS) as u32;
        let range = first..first + directions as u32;
        arch.dispatch(Sum { cloud: &cloud, directions: &replicates[part / blocks], range })
    };
    let parts = REPLICATES * blocks;
    let work = parts * directions * (cloud.rows.len() / cloud.m);
    let sums: Vec<f64> = if work >= MIN_PARALLEL_PRODUCTS {
        threads::share_out((0..parts).collect(), sum)
    } else {
        (0..parts).map(sum).collect()
    };
    let count = (blocks * directions) as f64;
    let means: Vec<f64> =
        sums.chunks(blocks).map(|sums| sums.iter().sum::<f64>() / count).collect();
    let mean = means.iter().sum::<f64>() / REPLICATES as f64;
    let spread: f64 = means.iter().map(|x| (x - mean) * (x - mean)).sum();
    let error = (spread / (REPLICATES * (REPLICATES - 1)) as f64).sqrt();
    let scale = cloud.scale * ball(cloud.m);
    Ok(Estimate { value: mean * scale, standard_error: error * scale })
}

/// The volume of the positive part of the unit ball.
fn ball(m: usize) -> f64 {
    (1..=m).rev().step_by(2).filter(|&k| k > 1).map(|k| PI / (2 * k) as f64).product()
}

/// A front, row after row, its best value 1 in every objective.
struct Cloud {
    rows: Vec<f64>,
    m: usize,
    scale: f64,
}

impl Cloud {
    fn new(columns: &[Vec<f64>]) -> Option<Self> {
        let best: Vec<f64> =
            columns.iter().map(|column| column.iter().copied().fold(0.0, f64::max)).collect();
        let points =
            Points::new(columns.iter().map(|column| Column::F64(column)).collect()).ok()?;
        let layers = layers(&points, Stop::UpTo(1));
        let front = layers.iter().enumerate().filter(|(_, layer)| **layer == 0);
        let rows: Vec<f64> = front
            .flat_map(|(row, _)| {
                columns.iter().zip(&best).map(move |(column, best)| column[row] / best)
            })
            .collect();
        (!rows.is_empty()).then(|| Self { rows, m: columns.len(), scale: best.iter().product() })
    }

    /// How far the cloud reaches in some directions, given one over their coordinates.
    #[inline(always)]
    fn reach<const M: usize>(&self, inverses: &[[f64; LANE_DIRECTIONS]]) -> [f64; LANE_DIRECTIONS] {
        let m = if M == 0 { self.m } else { M };
        let inverses = &inverses[..m];
        let mut reach = [0.0; LANE_DIRECTIONS];
        for row in self.rows.chunks_exact(m) {
            let mut along = [f64::INFINITY; LANE_DIRECTIONS];
            for (x, inverse) in row.iter().zip(inverses) {
                for (along, inverse) in along.iter_mut().zip(inverse) {
                    let here = x * inverse;
                    *along = if here < *along { here } else { *along };
                }
            }
            for (reach, along) in reach.iter_mut().zip(along) {
                *reach = if along > *reach { along } else { *reach };
            }
        }
        reach
    }
}

/// The sum of r^m over some directions.
struct Sum<'a> {
    cloud: &'a Cloud,
    directions: &'a Directions,
    range: std::ops::Range<u32>,
}

impl NullaryFnOnce for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let Self { cloud, directions, range } = self;
        let m = cloud.m;
        let mut inverses = vec![[0.0; LANE_DIRECTIONS]; m];
        let mut sum = 0.0;
        for first in range.step_by(LANE_DIRECTIONS) {
            for lane in 0..LANE_DIRECTIONS {
                let out = &mut inverses.as_flattened_mut()[lane..];
                directions.inverses(first + lane as u32, out, LANE_DIRECTIONS);
            }
            let reach = match m {
                2 => cloud.reach::<2>(&inverses),
                3 => cloud.reach::<3>(&inverses),
                4 => cloud.reach::<4>(&inverses),
                5 => cloud.reach::<5>(&inverses),
                6 => cloud.reach::<6>(&inverses),
                7 => cloud.reach::<7>(&inverses),
                8 => cloud.reach::<8>(&inverses),
                _ => cloud.reach::<0>(&inverses),
            };
            for reach in reach {
                sum += (0..m).fold(1.0, |power, _| power * reach);
            }
        }
        sum
    }
}
