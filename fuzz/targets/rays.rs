#![no_main]
//! Nearest rows against every distance computed in full.

use libfuzzer_sys::fuzz_target;
use paretohqd::{nearest_to_rays, with_threads};
use paretohqd_fuzz::{Bytes, Cloud};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (rays, k) = (bytes.below(9), bytes.below(30));
    let shift = [0.0, 1.0, -3.5, 1e8][bytes.below(4)];
    let ends: Vec<f64> = (0..rays * 6).map(|_| f64::from(bytes.byte() as i8) / 8.0).collect();
    let cloud = Cloud::new(&mut bytes, 6, 9000);
    cloud.with_points(|points| {
        let m = points.objectives();
        let origin = vec![shift; m];
        let through: Vec<f64> = ends[..rays * m].iter().map(|x| x + shift).collect();
        let still = through.chunks_exact(m).any(|end| end == origin);
        let actual = nearest_to_rays(points, &origin, &through, k);
        let refused = cloud.oddities().1 || k == 0 || k > cloud.rows() || still;
        assert_eq!(actual.is_err(), refused);
        let Ok(actual) = actual else { return };
        let again = with_threads(Some(3), || nearest_to_rays(points, &origin, &through, k));
        assert_eq!(again.unwrap().unwrap(), actual);
        for (ray, end) in through.chunks_exact(m).enumerate() {
            let direction: Vec<f64> = end.iter().zip(&origin).map(|(e, o)| e - o).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            let distance = |row: usize| -> f64 {
                let q: Vec<f64> = cloud.row(row).iter().zip(&origin).map(|(v, o)| v - o).collect();
                let t: f64 = q.iter().zip(&direction).map(|(q, d)| q * (d / length)).sum();
                let residual = |(q, d): (&f64, &f64)| (q - t.max(0.0) * (d / length)).powi(2);
                q.iter().zip(&direction).map(residual).sum::<f64>().sqrt()
            };
            let rows = &actual.rows[ray * k..(ray + 1) * k];
            let distances = &actual.distances[ray * k..(ray + 1) * k];
            // Distances that no f64 holds are compared before they are rounded to infinity or zero.
            let ordered = |place: usize| {
                let (near, next) = (distances[place], distances[place + 1]);
                near < next || near == next && (rows[place] < rows[place + 1] || !near.is_normal())
            };
            assert!((0..k - 1).all(ordered), "nearest first, the earlier row first");
            let mut once = rows.to_vec();
            once.sort_unstable();
            assert!(once.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
            // Squares of larger numbers overflow here, and of smaller ones vanish; the kernel scales.
            let size = cloud.columns.iter().flatten().fold(1.0f64, |a, x| a.max(x.abs()));
            if size > 1e120 {
                continue;
            }
            let mut all: Vec<f64> = (0..cloud.rows()).map(distance).collect();
            for (&row, &near) in rows.iter().zip(distances) {
                let direct = all[row as usize];
                assert!((near - direct).abs() <= 1e-12 * (size + shift.abs()) + 1e-12 * direct);
            }
            all.sort_by(f64::total_cmp);
            for (near, expected) in distances.iter().zip(&all) {
                assert!((near - expected).abs() <= 1e-12 * (size + shift.abs()) + 1e-12 * expected);
            }
        }
    });
});
