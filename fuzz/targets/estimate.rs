#![no_main]
//! The estimate: refused as the exact volume is, the same on any threads, within its error of it.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Estimate, hypervolume, hypervolume_estimate, with_threads};
use paretohqd_fuzz::{Bytes, Cloud};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (reference, seed) = (f64::from(bytes.byte() as i8) / 16.0, u64::from(bytes.byte()));
    let cloud = Cloud::new(&mut bytes, 6, 300);
    cloud.with_points(|points| {
        let reference = vec![reference; points.objectives()];
        let actual = hypervolume_estimate(points, &reference, 4096, seed);
        let exact = hypervolume(points, &reference);
        assert_eq!(actual.is_err(), exact.is_err(), "infinities are refused, and only they");
        let (Ok(actual), Ok(exact)) = (actual, exact) else { return };
        let again =
            with_threads(Some(3), || hypervolume_estimate(points, &reference, 4096, seed).unwrap());
        // Bits, for estimates near the largest double may be NaN.
        let bits = |estimate: Estimate| [estimate.value, estimate.standard_error].map(f64::to_bits);
        assert_eq!(bits(actual), bits(again.unwrap()));
        // A thin sliver is met by few directions or none: only well-shaped sets bound the error.
        let size = cloud.columns.iter().flatten().fold(0.0f64, |a, x| a.max(x.abs()));
        if (1e-3..1e3).contains(&size) && exact > 0.05 * (size + 8.0).powi(reference.len() as i32) {
            assert!((actual.value - exact).abs() <= 10.0 * actual.standard_error + 0.05 * exact);
        }
    });
});
