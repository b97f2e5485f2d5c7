//! The rows of one group, its rays, and which rows are near.

use super::nearest::{Neighbour, nearer};
use super::ray::unit;
use crate::points::Points;

/// Rows that are compared at once.
const LANE_ROWS: usize = 8;

/// The rays of one group.
pub(super) struct Rays<'a> {
    weights: &'a [f64],
    spans: Vec<f64>,
    /// Multiplies all numbers; a power of two.
    pub scale: f64,
    /// Where all start, scaled.
    origin: Vec<f64>,
    /// The unit vector along each; zero where the ray is a point.
    directions: Vec<f64>,
}

impl<'a> Rays<'a> {
    pub fn new(weights: &'a [f64], m: usize) -> Self {
        let (spans, origin) = (vec![f64::NAN; m], vec![0.0; m]);
        Self { weights, spans, scale: 1.0, origin, directions: vec![0.0; weights.len()] }
    }

    /// Computes the directions for a group's spans, unless they are those of the group before:
    /// groups scaled to their own boxes share them.
    #[inline(always)]
    pub fn set_spans(&mut self, spans: &[f64], scale: f64) {
        if self.spans == spans && self.scale == scale {
            return;
        }
        let m = spans.len();
        self.spans.copy_from_slice(spans);
        self.scale = scale;
        self.origin.iter_mut().zip(spans).for_each(|(o, s)| *o = s * scale);
        let mut through = vec![0.0; m];
        let rays = self.weights.chunks_exact(m).zip(self.directions.chunks_exact_mut(m));
        for (weights, direction) in rays {
            let mut traded = false;
            for ((through, w), s) in through.iter_mut().zip(weights).zip(spans) {
                *through = w * s;
                traded |= *w != 0.0 && *s != 0.0;
            }
            match unit(spans, &through) {
                Some(unit) if traded => direction.copy_from_slice(&unit),
                _ => direction.fill(0.0),
            }
        }
    }

    pub fn direction(&self, ray: usize) -> &[f64] {
        &self.directions[ray * self.origin.len()..][..self.origin.len()]
    }

    /// Whether a ray is its origin alone.
    pub fn is_point(&self, ray: usize) -> bool {
        self.direction(ray).iter().all(|&u| u == 0.0)
    }

    /// A further point of a ray.
    pub fn endpoint(&self, ray: usize) -> impl Iterator<Item = f64> {
        let m = self.spans.len();
        self.weights[ray * m..][..m].iter().zip(&self.spans).map(|(w, s)| w * s)
    }
}

/// The rows of one group.
pub(super) struct Group {
    /// By objective.
    pub values: Vec<Vec<f64>>,
    /// Rows less the origin, both scaled: by chunk of lanes, then by objective.
    from_origin: Vec<[f64; LANE_ROWS]>,
    nearest: Vec<Neighbour>,
}

impl Group {
    pub fn new(m: usize) -> Self {
        Self { values: vec![Vec::new(); m], from_origin: Vec::new(), nearest: Vec::new() }
    }

    /// Reads the rows from `start` to `end`, and returns their largest absolute value.
    #[inline(always)]
    pub fn read(&mut self, points: &Points<'_>, start: usize, end: usize) -> f64 {
        let mut largest = 0.0;
        for (column, values) in points.columns().iter().zip(&mut self.values) {
            values.resize(end - start, 0.0);
            column.copy_to(start, values);
            largest = values.iter().fold(largest, |a, x| if x.abs() > a { x.abs() } else { a });
        }
        largest
    }

    /// Takes the rows relative to where the rays start.
    #[inline(always)]
    pub fn subtract_origin(&mut self, rays: &Rays<'_>) {
        let m = self.values.len();
        self.from_origin.resize(self.rows().div_ceil(LANE_ROWS) * m, [0.0; LANE_ROWS]);
        for (j, (values, o)) in self.values.iter().zip(&rays.origin).enumerate() {
            let chunks = self.from_origin[j..].iter_mut().step_by(m);
            for (q, values) in chunks.zip(values.chunks(LANE_ROWS)) {
                q.iter_mut().zip(values).for_each(|(q, value)| *q = value * rays.scale - o);
            }
        }
    }

    fn rows(&self) -> usize {
        self.values[0].len()
    }

    /// The k nearest rows to the ray, nearest first; counted from the first row of the group.
    #[inline(always)]
    pub fn nearest<const M: usize>(&mut self, direction: &[f64], k: usize) -> &[Neighbour] {
        let m = if M == 0 { self.values.len() } else { M };
        let (rows, direction) = (self.rows(), &direction[..m]);
        self.nearest.clear();
        let mut best = (f64::INFINITY, 0);
        for (chunk, q) in self.from_origin.chunks_exact(m).enumerate() {
            let mut along = [0.0; LANE_ROWS];
            for (q, u) in q.iter().zip(direction) {
                for lane in 0..LANE_ROWS {
                    along[lane] += q[lane] * u;
                }
            }
            let mut squared = [0.0; LANE_ROWS];
            for (q, u) in q.iter().zip(direction) {
                for lane in 0..LANE_ROWS {
                    let residual = q[lane] - along[lane].max(0.0) * u;
                    squared[lane] += residual * residual;
                }
            }
            let distances = squared.map(f64::sqrt);
            let here = distances.into_iter().zip(chunk * LANE_ROWS..rows);
            if k == 1 {
                // The usual case needs no list. Later rows must be nearer.
                best = here.fold(best, |a, b| if b.0 < a.0 { b } else { a });
            } else {
                self.nearest.extend(here);
            }
        }
        if k == 1 {
            self.nearest.push(best);
        }
        if k < self.nearest.len() {
            self.nearest.select_nth_unstable_by(k - 1, nearer);
            self.nearest.truncate(k);
        }
        self.nearest.sort_unstable_by(nearer);
        &self.nearest
    }
}
