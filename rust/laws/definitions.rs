//! What the kernels compute, as it is defined.

pub(super) type Rows = Vec<Vec<f64>>;

pub(super) fn columns(rows: &Rows, m: usize) -> Vec<Vec<f64>> {
    (0..m).map(|j| rows.iter().map(|row| row[j]).collect()).collect()
}

pub(super) fn rows(columns: &[Vec<f64>]) -> Rows {
    (0..columns[0].len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

pub(super) fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(x, y)| x >= y) && a.iter().zip(b).any(|(x, y)| x > y)
}

/// Layers by peeling, as defined.
pub(super) fn peel(rows: &Rows) -> Vec<i32> {
    let mut layers = vec![-1; rows.len()];
    for layer in 0.. {
        let left: Vec<usize> = (0..rows.len()).filter(|&i| layers[i] < 0).collect();
        if left.is_empty() {
            break;
        }
        for &i in &left {
            if !left.iter().any(|&j| dominates(&rows[j], &rows[i])) {
                layers[i] = layer;
            }
        }
    }
    layers
}

/// The same, faster: one past the deepest of those that dominate it.
pub(super) fn layers(rows: &Rows) -> Vec<i32> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[b].partial_cmp(&rows[a]).expect("no NaN"));
    let mut layers = vec![0; rows.len()];
    for (place, &i) in order.iter().enumerate() {
        for &j in &order[..place] {
            if layers[j] >= layers[i] && dominates(&rows[j], &rows[i]) {
                layers[i] = layers[j] + 1;
            }
        }
    }
    layers
}

pub(super) fn cut(layers: &[i32], upto: i32) -> Vec<i32> {
    layers.iter().map(|&layer| if layer < upto { layer } else { -1 }).collect()
}

/// The layers that cover so many rows, and -1 past them.
pub(super) fn cut_at_least(layers: &[i32], covered: usize) -> Vec<i32> {
    let mut sorted = layers.to_vec();
    sorted.sort_unstable();
    let last = sorted.get(covered - 1).or(sorted.last()).copied().unwrap_or(0);
    cut(layers, last + 1)
}

/// The hypervolume of points with whole coordinates up to `side` above 0, and what each adds:
/// the unit cells that some point covers, and those that no other one does.
pub(super) fn grid(rows: &Rows, m: usize, side: usize) -> (f64, Vec<f64>) {
    let cells = side.pow(m as u32);
    // Per cell how many points cover it, and the sum of their numbers: one point's is its own.
    let (mut covering, mut numbers) = (vec![0usize; cells], vec![0usize; cells]);
    for (number, row) in rows.iter().enumerate() {
        if row.iter().all(|&x| x >= 1.0) {
            let corner = row.iter().rev().fold(0, |cell, &x| cell * side + x as usize - 1);
            covering[corner] += 1;
            numbers[corner] += number;
        }
    }
    for j in 0..m {
        let step = side.pow(j as u32);
        for cell in (0..cells).rev().filter(|cell| cell / step % side + 1 < side) {
            covering[cell] += covering[cell + step];
            numbers[cell] += numbers[cell + step];
        }
    }
    let mut alone = vec![0.0; rows.len()];
    for (&number, _) in numbers.iter().zip(&covering).filter(|&(_, &covering)| covering == 1) {
        alone[number] += 1.0;
    }
    (covering.iter().filter(|&&covering| covering > 0).count() as f64, alone)
}
