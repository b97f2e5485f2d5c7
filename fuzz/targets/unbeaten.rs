#![no_main]
//! The screen of batches against its definition.

use libfuzzer_sys::fuzz_target;
use paretohqd::{unbeaten, with_threads};
use paretohqd_fuzz::{Bytes, Cloud};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (count, directions) = (bytes.below(10), bytes.byte());
    let cloud = Cloud::new(&mut bytes, 6, 40_000);
    let larger: Vec<bool> = (0..6).map(|j| directions >> j & 1 == 0).collect();
    cloud.with_points(|points| {
        let m = points.objectives();
        let larger = &larger[..m];
        let better = |row: usize| -> Vec<f64> {
            cloud.row(row).iter().zip(larger).map(|(&x, &up)| if up { x } else { -x }).collect()
        };
        let step = cloud.rows() / count.max(1) + 1;
        let others: Vec<Vec<f64>> = (0..cloud.rows()).step_by(step).map(better).collect();
        let actual = unbeaten(points, larger, &others.concat()).unwrap();
        let again = with_threads(Some(3), || unbeaten(points, larger, &others.concat()));
        assert_eq!(again.unwrap().unwrap(), actual);
        let beaten = |row: &[f64]| others.iter().any(|o| o.iter().zip(row).all(|(o, x)| o > x));
        let rows = (0..cloud.rows()).filter(|&row| !beaten(&better(row)));
        assert_eq!(actual.rows, rows.map(|row| row as u32).collect::<Vec<_>>());
        for j in 0..m {
            let values = (0..cloud.rows()).map(|row| better(row)[j]);
            assert_eq!(actual.worst[j], values.clone().fold(f64::INFINITY, f64::min));
            assert_eq!(actual.best[j], values.fold(f64::NEG_INFINITY, f64::max));
        }
    });
});
