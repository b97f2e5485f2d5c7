#![no_main]
//! Nearest rows against every distance computed in full.

use libfuzzer_sys::fuzz_target;
use paretohqd::{nearest_to_rays, with_threads};
use paretohqd_fuzz::{Bytes, Cloud};

/// Where rays start in every objective, and how far the points are that they run through.
const SCALES: [(f64, f64); 8] = [
    (0.0, 1.0),
    (1.0, 1.0),
    (-3.5, 1.0),
    (1e8, 1.0),
    (0.0, 1e-150),
    (0.0, 1e150),
    (1e300, 1e299),
    (-1e-200, 1e-200),
];

/// A power of two near a number, within what has an inverse.
fn power_near(x: f64) -> f64 {
    2f64.powi((x.to_bits() >> 52) as i32 - 1023).clamp(2f64.powi(-1000), 2f64.powi(1000))
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (rays, k) = (bytes.below(9), bytes.below(30));
    let (shift, scale) = SCALES[bytes.below(SCALES.len())];
    let end = |byte: u8| f64::from(byte as i8) / 8.0 * scale;
    let ends: Vec<f64> = (0..rays * 6).map(|_| end(bytes.byte())).collect();
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
            // All in units of the largest value, for no square overflows then.
            let direction: Vec<f64> = end.iter().zip(&origin).map(|(e, o)| e - o).collect();
            let largest = direction.iter().fold(0.0f64, |a, x| a.max(x.abs()));
            let direction: Vec<f64> = direction.iter().map(|x| x / largest).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            let size = cloud.columns.iter().flatten().fold(shift.abs(), |a, x| a.max(x.abs()));
            let unit = power_near(size);
            let distance = |row: usize| -> f64 {
                let seen = |(v, o): (&f64, &f64)| v / unit - o / unit;
                let q: Vec<f64> = cloud.row(row).iter().zip(&origin).map(seen).collect();
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
            let near_enough = |near: f64, direct: f64| {
                let allowance = 1e-12 * (size / unit + direct) + 64.0 * 5e-324 / unit;
                if near.is_infinite() {
                    return direct + allowance >= f64::MAX / unit;
                }
                (near / unit - direct).abs() <= allowance
            };
            let mut all: Vec<f64> = (0..cloud.rows()).map(distance).collect();
            for (&row, &near) in rows.iter().zip(distances) {
                assert!(
                    near_enough(near, all[row as usize]),
                    "{near}, {} {unit}",
                    all[row as usize]
                );
            }
            all.sort_by(f64::total_cmp);
            for (near, expected) in distances.iter().zip(&all) {
                assert!(near_enough(*near, *expected), "{near}, {expected} {unit}");
            }
        }
    });
});
