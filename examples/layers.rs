//! Layers, volume and the rows nearest to a preference, of a hundred thousand random answers.
//!
//! `cargo run --release --example layers`

use paretohqd::{Points, Stop, hypervolume, nearest_to_rays, pareto_layers};

fn main() -> Result<(), paretohqd::Error> {
    // Two rewards for each answer, one answer after the other.
    let mut state = 1u64;
    let mut unit = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let rewards: Vec<f64> = (0..200_000).map(|_| unit()).collect();
    let points = Points::from_rows(&rewards, 2)?;

    let layers = pareto_layers(&points, Stop::UpTo(5))?;
    for layer in 0..5 {
        let rows = layers.iter().filter(|&&of_row| of_row == layer).count();
        println!("layer {layer}: {rows} rows");
    }
    println!("volume above (0, 0): {:.6}", hypervolume(&points, &[0.0, 0.0])?);

    // From the ideal point towards the worst, with equal weights.
    let nearest = nearest_to_rays(&points, &[1.0, 1.0], &[0.0, 0.0], 3)?;
    for (row, distance) in nearest.rows.iter().zip(&nearest.distances) {
        println!("row {row}: {distance:.6} from the ray");
    }
    Ok(())
}
