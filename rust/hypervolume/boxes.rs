//! The boxes of a front, and what samples of them say about their union.

use super::above::Above;
use super::lattice::Lattice;
use super::measure::{Wide, magnitude, power};
use crate::layers::{Stop, layers};
use crate::points::{Column, Points};
use crate::threads;

/// Samples that are looked at at once.
pub(super) const LANE_SAMPLES: usize = 16;

/// Boxes that tell how many boxes there are at a place.
const MAX_WITNESSES: usize = 64;

/// Places in each box where they are counted.
const PLACES: u32 = 8;

/// Boxes whose weights are found at a time.
const PART_BOXES: usize = 1 << 8;

/// The boxes of a front, from the reference up to each of its points.
pub(super) struct Boxes {
    /// The points, row after row, scaled by a power of two in every objective: about 1.
    pub rows: Vec<f64>,
    pub m: usize,
    /// One over about the number of boxes at a place in each box.
    weights: Vec<f64>,
    /// The sum, up to and with each box, of volume times weight, the largest volume being 1.
    sums: Vec<f64>,
    /// What all terms are to be multiplied by.
    pub scale: Wide,
    /// Boxes that reach farther than this many times a sample are taken to reach as far: their
    /// power would be no double. Hardly any sample is so near the reference.
    farthest: f64,
}

impl Boxes {
    pub fn new(points: &Points<'_>, reference: &[f64]) -> Option<Self> {
        let m = points.objectives();
        let mut columns = Above::prefiltered(points, reference, false)?.columns;
        let mut scale = Wide::ONE;
        if columns.iter().flatten().any(|x| x.is_infinite()) {
            let quarters = |column: &Column<'_>| column.gather(0..column.len(), |x| x * 0.25);
            let quartered: Vec<Vec<f64>> = points.columns().iter().map(quarters).collect();
            let reference: Vec<f64> = reference.iter().map(|x| x * 0.25).collect();
            columns = Above::prefiltered(&points.part(&quartered), &reference, false)?.columns;
            scale = Wide::times_power(1.0, 2 * m as i64);
        }
        for column in &mut columns {
            let least = column.iter().copied().fold(f64::INFINITY, f64::min);
            let most = column.iter().copied().fold(0.0, f64::max);
            let middle = i64::midpoint(magnitude(least.min(most)), magnitude(most)).min(1022);
            column.iter_mut().for_each(|x| *x *= power(-middle));
            scale = scale * Wide::times_power(1.0, middle);
        }
        let all = Points::new(columns.iter().map(|column| Column::F64(column)).collect()).ok()?;
        let layers = layers(&all, Stop::UpTo(1));
        let row = |row: usize| -> Vec<f64> { columns.iter().map(|column| column[row]).collect() };
        let mut rows: Vec<Vec<f64>> =
            (0..layers.len()).filter(|&i| layers[i] == 0).map(row).collect();
        // In an order of their own, so that the rows' is of no matter; neighbours overlap.
        rows.sort_unstable_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
        rows.dedup();
        let volume = |row: &Vec<f64>| row.iter().fold(Wide::ONE, |v, x| v * Wide::new(*x));
        let volumes: Vec<Wide> = rows.iter().map(volume).collect();
        let largest = volumes.iter().copied().reduce(Wide::larger)?;
        scale = scale * largest;
        let weights = weights(&rows, m);
        let mut sum = 0.0;
        let sums = volumes.into_iter().zip(&weights).map(|(volume, weight)| {
            sum += volume.over(largest) * weight;
            sum
        });
        let sums = sums.collect();
        let farthest = power(960 / m as i64);
        Some(Self { rows: rows.concat(), m, weights, sums, scale, farthest })
    }

    /// The box at a place from 0 to 1.
    #[inline(always)]
    pub fn at(&self, place: f64) -> usize {
        let last = self.sums.len() - 1;
        let place = place * self.sums[last];
        self.sums.partition_point(|&sum| sum < place).min(last)
    }

    /// The terms of samples, given one over their coordinates, times the sum of volumes and
    /// weights, in units of the largest volume.
    #[inline(always)]
    pub fn terms<const M: usize>(&self, inverses: &[[f64; LANE_SAMPLES]]) -> [f64; LANE_SAMPLES] {
        let m = if M == 0 { self.m } else { M };
        let inverses = &inverses[..m];
        let (mut farthest, mut density) = ([0.0; LANE_SAMPLES], [0.0; LANE_SAMPLES]);
        for (row, weight) in self.rows.chunks_exact(m).zip(&self.weights) {
            let mut along = [self.farthest; LANE_SAMPLES];
            for (x, inverse) in row.iter().zip(inverses) {
                for (along, inverse) in along.iter_mut().zip(inverse) {
                    let here = x * inverse;
                    *along = if here < *along { here } else { *along };
                }
            }
            let along = powers(along, m);
            for lane in 0..LANE_SAMPLES {
                let here = along[lane];
                farthest[lane] = if here > farthest[lane] { here } else { farthest[lane] };
                density[lane] += weight * here;
            }
        }
        let whole = self.sums[self.sums.len() - 1];
        std::array::from_fn(|lane| farthest[lane] / density[lane] * whole)
    }
}

/// One over the number of boxes at a place in each box, the mean over some places as told by boxes
/// from all over. The mean of the number would be wrong where most of a box is covered by no other
/// and the rest by many.
fn weights(rows: &[Vec<f64>], m: usize) -> Vec<f64> {
    let witnesses: Vec<usize> =
        (0..rows.len()).step_by(rows.len().div_ceil(MAX_WITNESSES)).collect();
    let lattice = Lattice::new(m, 0, 0);
    let places: Vec<Vec<f64>> = (0..PLACES).map(|i| lattice.point(i).collect()).collect();
    let weight = |row: usize| {
        let sides = &rows[row];
        let covers = |witness: usize, place: &Vec<f64>| {
            let mut at = sides.iter().zip(place).zip(&rows[witness]);
            witness != row && at.all(|((side, place), x)| side * place <= *x)
        };
        let others = witnesses.len() - usize::from(witnesses.contains(&row));
        let each = (rows.len() - 1) as f64 / others.max(1) as f64;
        let share = |place: &Vec<f64>| {
            let count = witnesses.iter().filter(|&&witness| covers(witness, place)).count();
            1.0 / (1.0 + each * count as f64)
        };
        places.iter().map(share).sum::<f64>() / f64::from(PLACES)
    };
    let parts = rows.len().div_ceil(PART_BOXES);
    let part = |part: usize| {
        let range = part * PART_BOXES..rows.len().min((part + 1) * PART_BOXES);
        range.map(weight).collect::<Vec<f64>>()
    };
    threads::map(rows.len() * witnesses.len(), parts, part).concat()
}

/// The m-th powers, by squares.
#[inline(always)]
fn powers(mut base: [f64; LANE_SAMPLES], m: usize) -> [f64; LANE_SAMPLES] {
    let times = |a: &mut [f64; LANE_SAMPLES], b: &[f64; LANE_SAMPLES]| {
        for lane in 0..LANE_SAMPLES {
            a[lane] *= b[lane];
        }
    };
    // From the lowest bit that is set, so that no power begins as 1.
    let mut rest = m;
    while rest & 1 == 0 {
        let square = base;
        times(&mut base, &square);
        rest >>= 1;
    }
    let mut powers = base;
    rest >>= 1;
    while rest > 0 {
        let square = base;
        times(&mut base, &square);
        if rest & 1 == 1 {
            times(&mut powers, &base);
        }
        rest >>= 1;
    }
    powers
}
