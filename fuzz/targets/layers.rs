#![no_main]
//! All layers, on one thread and on three, against the definition.

use libfuzzer_sys::fuzz_target;
use paretohqd::{Stop, pareto_layers, with_threads};
use paretohqd_fuzz::{Bytes, Cloud, layers};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let cloud = Cloud::new(&mut bytes, 9, 1500);
    cloud.with_points(|points| {
        let rows: Vec<Vec<f64>> = (0..cloud.rows()).map(|row| cloud.row(row)).collect();
        let expected = layers(&rows);
        for threads in [1, 3] {
            let actual = with_threads(Some(threads), || pareto_layers(points, Stop::Never));
            assert_eq!(actual.unwrap().unwrap(), expected);
        }
    });
});
