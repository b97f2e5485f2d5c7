#![no_main]
//! Contributions against the volume with and without each point.

use libfuzzer_sys::fuzz_target;
use paretohqd::{hypervolume_contributions, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, Wide, reference, volume};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let reference = reference(&mut bytes);
    let cloud = Cloud::new(&mut bytes, 6, 2000);
    cloud.with_points(|points| {
        let m = points.objectives();
        // Exponential in m at worst: hours for some sets.
        if m > 4 && cloud.rows() > 100 {
            return;
        }
        let reference = vec![reference; m];
        let actual = hypervolume_contributions(points, &reference);
        assert_eq!(actual.is_err(), cloud.oddities().1, "infinities are refused, and only they");
        let Ok(actual) = actual else { return };
        let again = with_threads(Some(3), || hypervolume_contributions(points, &reference));
        let bits = |volumes: &[f64]| volumes.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&again.unwrap().unwrap()), bits(&actual));
        if cloud.rows() <= [60, 60, 40, 20, 12, 8][m - 1] {
            let rows: Vec<Vec<f64>> = (0..cloud.rows()).map(|row| cloud.row(row)).collect();
            let whole = volume(&rows, &reference);
            for (row, &actual) in actual.iter().enumerate() {
                let mut others = rows.clone();
                others.remove(row);
                let expected = whole.less(volume(&others, &reference));
                assert!(
                    expected.is_near(actual, whole * Wide::new(1e-9, 0)),
                    "{row}: {actual} is not {expected:?}"
                );
            }
        }
    });
});
