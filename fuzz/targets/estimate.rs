#![no_main]
//! The estimate: refused as the exact volume is, the same on any threads, within its error of it.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Estimate, hypervolume, hypervolume_estimate, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, Wide, reference};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (reference, seed) = (reference(&mut bytes), u64::from(bytes.byte()));
    let cloud = Cloud::new(&mut bytes, 6, 300);
    cloud.with_points(|points| {
        let reference = vec![reference; points.objectives()];
        let actual = hypervolume_estimate(points, &reference, 4096, seed);
        let exact = hypervolume(points, &reference);
        assert_eq!(actual.is_err(), exact.is_err(), "infinities are refused, and only they");
        let (Ok(actual), Ok(exact)) = (actual, exact) else { return };
        let again =
            with_threads(Some(3), || hypervolume_estimate(points, &reference, 4096, seed).unwrap());
        let bits = |estimate: Estimate| [estimate.value, estimate.standard_error].map(f64::to_bits);
        assert_eq!(bits(actual), bits(again.unwrap()));
        assert!(actual.value >= 0.0 && actual.standard_error >= 0.0, "{actual:?}");
        // A thin sliver is met by few directions or none: only sets that fill their box bound the
        // error.
        let side = |column: &Vec<f64>| {
            let best = column.iter().copied().fold(reference[0], f64::max);
            Wide::difference(best, reference[0])
        };
        let box_volume = cloud.columns.iter().map(side).fold(Wide::new(1.0, 0), |a, b| a * b);
        if exact.is_normal() && Wide::new(exact, 0).exceeds(box_volume * Wide::new(0.2, 0)) {
            let allowance = 10.0 * actual.standard_error + 0.05 * exact;
            assert!((actual.value - exact).abs() <= allowance, "{actual:?} of {exact}");
        }
    });
});
