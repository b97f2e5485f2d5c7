//! Rows nearest to rays among thousands.

use proptest::prelude::*;

use crate::testing::{Layout, Random, points};
use crate::{nearest_to_rays, with_threads};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn nearest_of_many_rows_are_the_head_of_all(
        seed: u64,
        m in 1usize..7,
        rows in 1usize..5000,
        levels in prop::sample::select(vec![3u64, 50, 1 << 20]),
        rays in 1usize..6,
        k in 1usize..200,
        layout in prop::sample::select(Layout::ALL.to_vec()),
        single: bool,
        threads in 1usize..4,
        power in -40i32..40,
    ) {
        let k = k.min(rows);
        let mut random = Random(seed);
        let columns = random.columns(rows, m, levels);
        let origin = vec![levels as f64; m];
        // Short of the origin in every objective.
        let through: Vec<f64> =
            (0..rays * m).map(|_| levels as f64 * (random.unit() * 0.9).floor()).map(|x| x - 1.0).collect();
        let actual = layout.hold(&columns, single, |points| {
            with_threads(Some(threads), || nearest_to_rays(points, &origin, &through, k).unwrap())
        })
        .unwrap();
        let all = nearest_to_rays(&points(&columns), &origin, &through, rows).unwrap();
        for (ray, end) in through.chunks_exact(m).enumerate() {
            prop_assert_eq!(&actual.rows[ray * k..][..k], &all.rows[ray * rows..][..k]);
            prop_assert_eq!(&actual.distances[ray * k..][..k], &all.distances[ray * rows..][..k]);
            let (rows, distances) =
                (&all.rows[ray * rows..][..rows], &all.distances[ray * rows..][..rows]);
            prop_assert!(distances.iter().zip(rows).collect::<Vec<_>>().is_sorted());
            let direction: Vec<f64> = end.iter().zip(&origin).map(|(e, o)| e - o).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            for (&row, &distance) in rows.iter().zip(distances) {
                let q: Vec<f64> =
                    columns.iter().zip(&origin).map(|(column, o)| column[row as usize] - o).collect();
                let along = q.iter().zip(&direction).map(|(q, d)| q * d / length).sum::<f64>().max(0.0);
                let apart = q.iter().zip(&direction).map(|(q, d)| (q - along * d / length).powi(2));
                let expected = apart.sum::<f64>().sqrt();
                prop_assert!((distance - expected).abs() <= 1e-9 * levels as f64);
            }
        }
        // All by one power of two: the same rows, and no digit of a distance changes.
        let factor = 2f64.powi(power);
        let scale = |values: &[f64]| values.iter().map(|x| x * factor).collect::<Vec<f64>>();
        let scaled: Vec<Vec<f64>> = columns.iter().map(|column| scale(column)).collect();
        let again =
            nearest_to_rays(&points(&scaled), &scale(&origin), &scale(&through), k).unwrap();
        prop_assert_eq!(again.rows, actual.rows);
        prop_assert_eq!(again.distances, scale(&actual.distances));
    }
}
