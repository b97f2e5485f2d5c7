//! What the kernels compute, as it is defined.

use crate::wide::Wide;

/// At least as good in every objective and better in one.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(x, y)| x >= y) && a.iter().zip(b).any(|(x, y)| x > y)
}

/// The layer of each row: one past the deepest of those that dominate it.
pub fn layers(rows: &[Vec<f64>]) -> Vec<i32> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[b].partial_cmp(&rows[a]).expect("no NaN"));
    let mut layers = vec![0; rows.len()];
    for (place, &i) in order.iter().enumerate() {
        let above = order[..place].iter().filter(|&&j| dominates(&rows[j], &rows[i]));
        layers[i] = above.map(|&j| layers[j] + 1).max().unwrap_or(0);
    }
    layers
}

/// What a stop leaves of all layers.
pub fn stopped(all: &[i32], last: Option<i32>) -> Vec<i32> {
    all.iter()
        .map(|&layer| if last.is_none_or(|last| layer <= last) { layer } else { -1 })
        .collect()
}

/// The last layer needed to cover `rows` rows.
pub fn last_layer(all: &[i32], rows: usize) -> Option<i32> {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    rows.checked_sub(1).and_then(|place| sorted.get(place).copied())
}

/// The volume above the reference, by slices along the last objective.
pub fn volume(points: &[Vec<f64>], reference: &[f64]) -> Wide {
    let above = |point: &&[f64]| reference.iter().zip(*point).all(|(r, x)| x > r);
    slices(points.iter().map(|point| &point[..]).filter(above).collect(), reference)
}

/// The volume of points above the reference.
fn slices(mut points: Vec<&[f64]>, reference: &[f64]) -> Wide {
    let Some((&last, others)) = reference.split_last() else { return Wide::new(1.0, 0) };
    let m = others.len();
    points.sort_by(|a, b| a[m].total_cmp(&b[m]));
    if m == 0 {
        return points.last().map_or(Wide::ZERO, |best| Wide::difference(best[0], last));
    }
    let (mut low, mut total) = (last, Wide::ZERO);
    for start in 0..points.len() {
        let level = points[start][m];
        if level > low {
            let base = slices(points[start..].to_vec(), others);
            total = total + Wide::difference(level, low) * base;
            low = level;
        }
    }
    total
}
