#![no_main]
//! Hypervolume against slices; infinities are refused.

use libfuzzer_sys::fuzz_target;
use paretohqd::{hypervolume, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, Wide, reference, volume};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let reference = reference(&mut bytes);
    let cloud = Cloud::new(&mut bytes, 7, 4000);
    cloud.with_points(|points| {
        let m = points.objectives();
        // Exponential in m at worst: hours for some sets.
        if m > 4 && cloud.rows() > 200 {
            return;
        }
        let reference = vec![reference; m];
        let actual = hypervolume(points, &reference);
        assert_eq!(actual.is_err(), cloud.oddities().1, "infinities are refused, and only they");
        let Ok(actual) = actual else { return };
        let again = with_threads(Some(3), || hypervolume(points, &reference)).unwrap().unwrap();
        assert_eq!(actual.to_bits(), again.to_bits());
        let most = [4000, 1000, 200, 60, 24, 12, 9][m - 1];
        if cloud.rows() <= most {
            let rows: Vec<Vec<f64>> = (0..cloud.rows()).map(|row| cloud.row(row)).collect();
            let expected = volume(&rows, &reference);
            assert!(
                expected.is_near(actual, expected * Wide::new(1e-9, 0)),
                "{actual} is not {expected:?}"
            );
        }
    });
});
