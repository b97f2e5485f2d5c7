//! Points chosen one after another, each the one that adds most volume.
//!
//! The volume is a submodular function, so that this keeps at least 1 - 1/e of what the best choice
//! keeps (Nemhauser, Wolsey, Fisher 1978; for hypervolume Guerreiro, Fonseca, Paquete 2016), and
//! what a point adds never grows: what it would have added earlier is a bound (Minoux 1978; Chen,
//! Ishibuchi, Shang 2020). Only points whose bound ([`bounds`]) is above the best gain found are
//! measured.
//!
//! [`bounds`]: super::bounds

use std::time::{Duration, Instant};

use super::bounds::{Bound, Bounds};
use crate::hypervolume::{Buffers, Growing};
use crate::threads;

/// So many gains are measured side by side, one batch after another: of most choices few are needed.
const BATCHES: [usize; 6] = [1, 1, 2, 4, 8, 16];

/// Measurements are shared once one has taken this long.
const MIN_SHARED: Duration = Duration::from_micros(100);

/// The first of the points with the largest value, if there is a point.
pub(super) fn largest(values: &[f64]) -> Vec<u32> {
    let best = values.iter().copied().fold(0.0, f64::max);
    values.iter().position(|&value| value == best).map(|place| place as u32).into_iter().collect()
}

/// Up to `k` of the points in three objectives or more, in the order of choice, fewer if no other
/// point adds volume.
pub(super) fn choose(columns: &[Vec<f64>], k: usize) -> Vec<u32> {
    let k = k.min(columns[0].len());
    let mut chosen = Vec::with_capacity(k);
    let (mut bounds, mut gains) = (Bounds::new(columns), Gains::new(columns, k));
    while chosen.len() < k {
        bounds.open();
        let mut best: Option<Bound> = None;
        for size in BATCHES.into_iter().chain(std::iter::repeat(BATCHES[5])) {
            let next = std::iter::from_fn(|| bounds.pop(best));
            let batch: Vec<Bound> = next.take(size).collect();
            if batch.is_empty() {
                break;
            }
            for (bound, gain) in batch.iter().zip(gains.measure(&batch)) {
                bounds.put(*bound, gain);
                let gain = Bound { most: gain, ..*bound };
                best = best.max((gain.most > 0.0).then_some(gain));
            }
        }
        let Some(Bound { place, .. }) = best else { break };
        chosen.push(place.0);
        if chosen.len() < k {
            let point = gains.choose(place.0);
            bounds.lower(place.0, &point);
        }
    }
    chosen
}

/// What points add to those chosen.
struct Gains<'a> {
    columns: &'a [Vec<f64>],
    chosen: Growing,
    buffers: Buffers,
    /// How long a measurement took.
    time: Duration,
}

impl<'a> Gains<'a> {
    fn new(columns: &'a [Vec<f64>], k: usize) -> Self {
        let m = columns.len();
        let (chosen, buffers) = (Growing::new(m, k), Buffers::new(m));
        Self { columns, chosen, buffers, time: Duration::ZERO }
    }

    fn choose(&mut self, place: u32) -> Vec<f64> {
        let point = point(self.columns, place);
        self.chosen.push(&point, &mut self.buffers);
        point
    }

    fn measure(&mut self, batch: &[Bound]) -> Vec<f64> {
        // How long it takes decides who measures, not what is measured.
        let shared = batch.len() > 1 && self.time >= MIN_SHARED;
        let begin = Instant::now();
        let gains = if shared {
            let Self { columns, ref chosen, .. } = *self;
            threads::map(usize::MAX, batch.len(), |i| {
                let point = point(columns, batch[i].place.0);
                chosen.gain(&point, &mut Buffers::new(point.len()))
            })
        } else {
            let measured = batch.iter().map(|bound| {
                threads::check();
                let point = point(self.columns, bound.place.0);
                self.chosen.gain(&point, &mut self.buffers)
            });
            measured.collect()
        };
        self.time = begin.elapsed() / if shared { 1 } else { batch.len() as u32 };
        gains
    }
}

fn point(columns: &[Vec<f64>], place: u32) -> Vec<f64> {
    columns.iter().map(|column| column[place as usize]).collect()
}
